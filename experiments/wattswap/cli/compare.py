"""``wattswap compare``: controllers and strategies side by side, over many seeds."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from rich.console import Console

    from wattswap.experiments.comparison import Comparison, Measure, Spread
    from wattswap.experiments.paired import PairedDifference

CHECK_FAILED = 1
_LABEL = 18
_GAP = 2
"""Characters of a table: a group's name, and between columns."""


@click.command(
    epilog=examples(
        "wattswap compare b250 --controllers edf,negotiated --set vehicles.disclose=departure --out b250-edf",
        "wattswap compare demo --strategies need,altruist,need:0.5+keep:0.5 --seeds 20 --jobs 4 --out strategies",
        "wattswap compare b250 --vary transformer.limit_w=160k..240k:20k --seeds 3 --out limits",
        "wattswap compare a400 --strategies need,truthful --resample 20 --out streets",
        "wattswap compare c250stress --games --day 5 --seeds 3",
    )
)
@click.argument("scenario", default="demo")
@click.option(
    "--controllers",
    default="uncontrolled,negotiated",
    show_default=True,
    metavar="A,B",
    callback=options.names,
    help="Controllers to compare, see `wattswap run --help`.",
)
@click.option(
    "--strategies", metavar="X,Y+Z", callback=options.names, help="Mixes of strategies; the scenario's own by default."
)
@click.option(
    "--seeds", type=int, default=5, show_default=True, metavar="N", help="Runs of each, from the scenario's seed up."
)
@click.option(
    "--resample",
    type=int,
    metavar="N",
    help="In place of --seeds: N streets, each with the recorded users drawn anew (with replacement) by its seed.",
)
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=VALUES",
    help="Run every value of a key: KEY=FROM..TO:STEP or KEY=A,B,C; again for a further key.",
)
@click.option("--jobs", type=int, metavar="N", help="Processes; as many as there are processors by default.")
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Run on the workers of a dask.distributed cluster; the address of its scheduler, as tcp://10.0.0.5:8786.",
)
@click.option(
    "--against",
    default="",
    metavar="GROUP",
    help="What all others are compared with: a controller, a strategy, or CONTROLLER/STRATEGY; the first by default.",
)
@click.option("--yes", is_flag=True, help="Do not ask before a comparison that would take longer than a day.")
@click.option("--engine", default="fleet", show_default=True, help="fleet: arrays, fast; messages: real agents.")
@options.day
@options.settings
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where each finished run is kept; the same command again goes on from there. Needed without --games.",
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also the picture, as FILE.pdf, FILE.svg or FILE.png, for paper.",
)
@click.option(
    "--games", is_flag=True, help="What the bundled manipulations earn: some cars play, the honest run beside."
)
@click.option(
    "--share",
    type=options.Number(),
    metavar="S",
    help="With --games: the share of cars that play; 0.1 by default, the ring 0.5.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
@click.pass_context
def compare(
    ctx: click.Context,
    scenario: str,
    controllers: tuple[str, ...],
    strategies: tuple[str, ...],
    seeds: int,
    resample: int | None,
    vary: tuple[str, ...],
    jobs: int | None,
    cluster: str | None,
    against: str,
    yes: bool,
    engine: str,
    day: int | None,
    settings: tuple[str, ...],
    out: Path | None,
    picture: Path | None,
    games: bool,
    share: float | None,
    as_json: bool,
) -> None:
    """Run a street under several controllers and strategies.

    It leaves a table of all runs (results.csv, results.parquet), a picture and a page of all there is to say
    (report.html) in DIR. A run that fails is a row with its error, and the exit code is 1.

    With --resample N the seeds are a sample of streets and not only of noise: in each, the users of the recording are
    drawn anew. Runs of one number have the same street under every controller and strategy.

    With --games it plays the bundled manipulations of the market in the fleet engine, everyone else truthful, and
    prints what each earns a car beside the same car's honest run. DIR is not needed then.

    SCENARIO is a bundled name (see `wattswap scenarios list`) or a TOML file.
    """
    if resample is not None:
        if ctx.get_parameter_source("seeds") is not ParameterSource.DEFAULT:
            raise InputError("--resample: it says how many streets are drawn, so leave --seeds out")
        seeds, settings = resample, (*settings, "sessions.resample=yes")
    if games:
        _refuse_beside_games(ctx)
        from wattswap.cli.games import play_and_show

        play_and_show(scenario, seeds=seeds, share=share, day=day, settings=settings, as_json=as_json)
        return
    if share is not None:
        raise InputError("--share: only with --games; it is the share of the cars that play")
    if out is None:
        raise InputError("--out DIR is missing: say where each finished run is kept")
    if not controllers:
        raise InputError("--controllers: name at least one")
    from wattswap.agents.controllers import NEGOTIATED
    from wattswap.cli.progress import progress_bar, strategies_print_to_stderr
    from wattswap.experiments.comparison import PICTURE, WITHOUT_PICTURE, ComparisonError
    from wattswap.experiments.comparison import compare as compare_runs
    from wattswap.experiments.executors import ExecutorLostError
    from wattswap.experiments.formatting import counted
    from wattswap.experiments.plots.picture import kind_of_picture, save_picture
    from wattswap.experiments.sweep import RUNS
    from wattswap.experiments.vary import variations

    if picture is not None:
        kind_of_picture(picture)
        if find_spec("matplotlib") is None:
            raise InputError(f"--picture needs matplotlib: {WITHOUT_PICTURE}")
    pairs = sum(max(len(strategies), 1) if name == NEGOTIATED else 1 for name in dict.fromkeys(controllers))
    runs = pairs * len(variations(vary)) * max(seeds, 0)
    try:
        with _workers(cluster) as (executor, workers):
            if not (yes or _is_wanted(scenario, runs, engine, day, settings, jobs or workers, out)):
                return
            with strategies_print_to_stderr(), progress_bar(runs, f"{scenario}, {runs} runs", every=1) as passed:
                comparison = compare_runs(
                    scenario,
                    controllers=controllers,
                    strategies=strategies,
                    seeds=seeds,
                    engine=engine,
                    day=day,
                    settings=settings,
                    vary=vary,
                    jobs=jobs or workers,
                    executor=executor,
                    out=out,
                    against=against,
                    progress=lambda done, _of: passed(done - 1),
                )
    except KeyboardInterrupt:
        click.echo(f"wattswap: interrupted; finished runs lie in {out}, the same command goes on from there", err=True)
        ctx.exit(INTERRUPTED)
    except ExecutorLostError:
        kept = len(list((out / RUNS).glob("*.json")))
        click.echo(
            f"wattswap: --cluster {cluster}: its scheduler was lost; {kept} of {counted(runs, 'run')} lie in {out}, the"
            " same command goes on from there",
            err=True,
        )
        ctx.exit(CHECK_FAILED)
    except ComparisonError as error:
        comparison = error.comparison
    if picture is not None and any(group.spread for group in comparison.groups):
        save_picture(comparison.plot(), picture)
    if as_json:
        click.echo(json.dumps(_as_json(comparison), indent=2))
    else:
        _show(comparison, picture or out / PICTURE)
    if comparison.failed:
        ctx.exit(CHECK_FAILED)


def _is_wanted(
    scenario: str, runs: int, engine: str, day: int | None, settings: tuple[str, ...], jobs: int | None, out: Path
) -> bool:
    """Whether to begin: asked on a terminal where it would take longer than a day.

    Raises:
        InputError: it would, and nobody is there to be asked.
    """
    from wattswap.experiments.effort import DAY_S, estimated_s
    from wattswap.experiments.processors import usable_processors
    from wattswap.experiments.sweep import RUNS
    from wattswap.runners.scenario import load_street

    processes = jobs or usable_processors()
    left = runs - len(list((out / RUNS).glob("*.json")))
    street = load_street(scenario, settings=list(settings), day=day)
    days = estimated_s(street, left, engine, processes) / DAY_S
    if days <= 1:
        return True
    where = "one process" if processes == 1 else f"{processes} processes"
    text = f"{left:,} runs would take some {days:,.0f} days on {where}"
    if not sys.stdin.isatty():
        raise InputError(f"{text}; say --yes to begin them all the same")
    return click.confirm(f"{text}. Begin?", err=True)


@contextmanager
def _workers(cluster: str | None) -> Iterator[tuple[Executor | None, int | None]]:
    """A cluster's executor and how many runs it makes at a time; nothing without a cluster."""
    if cluster is None:
        yield None, None
        return
    from wattswap.experiments.cluster import cluster_at

    with cluster_at(cluster) as executor:
        yield executor, executor.workers


def _refuse_beside_games(ctx: click.Context) -> None:
    """Raise for an option that a game would not look at."""
    for name in ("controllers", "strategies", "engine", "jobs", "cluster", "against", "out", "vary", "picture"):
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise InputError(f"--{name}: not with --games, which play the negotiation in the fleet engine and print")


def _as_json(comparison: Comparison) -> dict[str, object]:
    groups = [
        {**group._asdict(), "spread": {key: spread._asdict() for key, spread in group.spread.items()}}
        for group in comparison.groups
    ]
    found: dict[str, object] = {"scenario": comparison.scenario, "groups": groups, "runs": comparison.rows}
    if find_spec("scipy") is not None:
        found["differences"] = [each._asdict() for each in comparison.differences]
    return found


def _show(comparison: Comparison, picture: Path | None = None) -> None:
    """Print a comparison, and where its picture lies if it has one."""
    from rich.console import Console

    from wattswap.experiments.formatting import megabytes
    from wattswap.runners.recording.rundir import REPORT

    console = Console(highlight=False, soft_wrap=False)
    if comparison.hurt:
        console.print("Who was hurt, in the mean of a run:", markup=False)
        for line in comparison.hurt:
            console.print(f"  {line}", markup=False, soft_wrap=True)
        console.print()
    console.print(
        f"Street {comparison.scenario}: the mean over the {comparison.sample}s, and from the least to the most\n",
        markup=False,
    )
    cells = {}
    for group in comparison.groups:
        failed = f"\n({group.failed} of {group.runs} failed)" if group.failed else ""
        label = _label(group.controller, group.strategy, group.varied)
        cells[f"{label}{failed}"] = {
            measure.key: _cell(group.spread[measure.key], measure.places) if group.spread else "–"
            for measure in comparison.measures
        }
    _print_cells(console, comparison.measures, cells)
    if find_spec("scipy") is not None and (differences := comparison.differences):
        _show_differences(console, comparison, differences)
    for row in comparison.failed:
        console.print(
            f"Failed: {row['controller']}, {row['strategy']}, seed {row['seed']}: {row['error']}",
            markup=False,
            soft_wrap=True,
        )
    for note in comparison.notes:
        console.print(f"Note: {note}", markup=False, soft_wrap=True)
    if comparison.out is not None:
        took_s = sum(row["timing_wall_s"] for row in comparison.rows if row["status"] == "complete")
        of = f"{len(comparison.rows)} runs, {took_s:,.0f} s one after the other, {megabytes(comparison.out)}"
        console.print(f"\nAll runs: {comparison.out} ({of})", markup=False, soft_wrap=True)
        console.print(f"Report: {comparison.out / REPORT}", markup=False, soft_wrap=True)
    if picture is not None and picture.is_file():
        console.print(f"Picture: {picture}", markup=False, soft_wrap=True)


def _show_differences(console: Console, comparison: Comparison, differences: Sequence[PairedDifference]) -> None:
    """What each group has beyond the first, in pairs of one seed or street; mean and interval one below the other."""
    from wattswap.experiments.formatting import rounded

    pairs = max(each.pairs for each in differences)
    console.print(
        f"Beside {differences[0].against}: differences over {pairs} pairs of one {comparison.sample}, and 95 %"
        " intervals; * where Holm's corrected p is below 0.05, = where all pairs differ by the same\n",
        markup=False,
    )
    measure_of = {measure.key: measure for measure in comparison.measures}
    cells: dict[str, dict[str, str]] = {}
    for each in differences:
        measure = measure_of[each.key]
        mean, low, high = (
            rounded(value / measure.per_unit, measure.places) for value in (each.mean, each.low, each.high)
        )
        star = "*" if each.is_certain else "=" if each.is_the_same_in_all else " "
        interval = f"{mean}{star}\n{low} to \n{high} " if each.low != each.high else f"{mean}{star}"
        cells.setdefault(_label(each.controller, each.strategy, each.varied), {})[each.key] = interval
    _print_cells(console, comparison.measures, cells)


def _print_cells(console: Console, measures: Sequence[Measure], cells: Mapping[str, Mapping[str, str]]) -> None:
    """A row for each group, a column for each measure; what is wider than the terminal goes on below."""
    from rich.table import Table

    titles = {measure.key: measure.title.replace(" ", "\n") for measure in measures}
    left = list(measures)
    while left:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 1, 0))
        table.add_column("controller\nstrategy", overflow="fold", width=_LABEL)
        used, shown = _LABEL + _GAP, 0
        for measure in left:
            texts = (titles[measure.key], *(of.get(measure.key, "–") for of in cells.values()))
            width = max(len(line) for text in texts for line in text.split("\n"))
            used += width + _GAP
            if shown and used - _GAP > console.width:
                break
            table.add_column(titles[measure.key], justify="right", no_wrap=True, min_width=width)
            shown += 1
        for label, of in cells.items():
            table.add_row(label, *(of.get(measure.key, "–") for measure in left[:shown]))
        console.print(table, markup=False)
        left = left[shown:]


def _label(controller: str, strategy: str, varied: str) -> str:
    """A group by name, a line each; a strategy is named where cars are asked."""
    from wattswap.agents.controllers import NEGOTIATED
    from wattswap.experiments.formatting import controller_name
    from wattswap.experiments.vary import short

    name, asked = controller_name(controller).replace(" ", "\n", 1), strategy if controller == NEGOTIATED else ""
    return "\n".join(part for part in (name, asked, short(varied)) if part)


def _cell(spread: Spread, places: int) -> str:
    """The mean, and below it from the least to the most if they differ."""
    from wattswap.experiments.formatting import rounded

    mean, least, most = (rounded(value, places) for value in spread)
    return mean if least == most else f"{mean}\n{least}–\n{most}"
