"""``wattswap literature``: the design of a field trial, repeated under one rule after another."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples

if TYPE_CHECKING:
    from wattswap.experiments.literature.play import Literature

TABLE: Final = "arms.csv"
PICTURE: Final = "arms.png"
_LEGEND: Final = """\
days over: transformer-days on which the limit was exceeded for over a minute
moved:     those of them on which it would have held without any rule
short:     sessions left short; stalled: of those of cars that cannot pause, those that were stopped for good
waiting:   what waiting cost all owners; paid: what they earned; IOTA. Rent that is still open counts
           as if all that is owed came back at the end"""


@click.command(
    epilog=examples(
        "wattswap literature --out trial",
        "wattswap literature --arms none,time-of-use,negotiated --seeds 10 --override 5 --json",
    )
)
@click.option(
    "--arms",
    metavar="A,B",
    callback=options.names,
    help="none, time-of-use, 14a, bandwidth, karma, negotiated; all by default.",
)
@click.option("--seeds", type=int, default=2, show_default=True, metavar="N", help="Runs of each arm.")
@click.option(
    "--transformers", type=int, default=10, show_default=True, metavar="N", help="Up to 20, of ten cars each."
)
@click.option("--days", type=int, default=7, show_default=True, metavar="N", help="Up to 7, from Monday on.")
@click.option("--override", type=options.Number(), default=1.0, show_default=True, help="% of sessions that override.")
@click.option("--no-pause", type=options.Number(), default=5.0, show_default=True, help="% of cars that cannot pause.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes; as many as processors by default.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Leave the table of all runs and a picture."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
@click.pass_context
def literature(
    ctx: click.Context,
    arms: tuple[str, ...],
    seeds: int,
    transformers: int,
    days: int,
    override: float,
    no_pause: float,
    jobs: int | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Repeat a field trial's design: ten cars behind a virtual transformer, with a limit drawn for each day.

    The arms are the rules that are tried or proposed today, karma, and the negotiation. It prints on how many
    transformer-days a limit was violated, how many of these would have held without any rule (the load only moved),
    and what the cars bore.
    """
    from wattswap.cli.progress import progress_bar
    from wattswap.experiments.literature.arms import ARMS
    from wattswap.experiments.literature.play import literature as play
    from wattswap.protocol.errors import InputError

    chosen = tuple(dict.fromkeys(arms)) or tuple(ARMS)
    runs = len(chosen) * max(seeds, 0)
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        with progress_bar(runs, f"{runs} runs", every=1) as passed:
            found = play(
                chosen,
                seeds=seeds,
                transformers=transformers,
                days=days,
                override_pct=override,
                no_pause_pct=no_pause,
                jobs=jobs,
                progress=lambda done: passed(done - 1),
            )
        if out is not None:
            _keep(found, out)
    except KeyboardInterrupt:
        click.echo("wattswap: interrupted; nothing was kept", err=True)
        ctx.exit(INTERRUPTED)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written to ({error.strerror}); choose another place") from None
    click.echo(json.dumps(_as_json(found), indent=2) if as_json else _told(found, out))


def _as_json(found: Literature) -> dict[str, object]:
    return {
        "design": found.design._asdict(),
        "seeds": len(next(iter(found.outcomes.values()))),
        "arms": {arm: asdict(found.mean(arm)) for arm in found.outcomes},
        "runs": {arm: [asdict(each) for each in outcomes] for arm, outcomes in found.outcomes.items()},
    }


def _keep(found: Literature, out: Path) -> None:
    from wattswap.runners.recording.whole_file import whole_file

    rows = [
        {"arm": arm, "seed": seed, **asdict(each)}
        for arm, outcomes in found.outcomes.items()
        for seed, each in enumerate(outcomes, 1)
    ]
    with whole_file(out / TABLE) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    if find_spec("matplotlib") is not None:
        with whole_file(out / PICTURE) as beside:
            found.plot().savefig(beside, dpi=110, format="png")


def _told(found: Literature, out: Path | None) -> str:
    from wattswap.experiments.formatting import counted

    design, means = found.design, {arm: found.mean(arm) for arm in found.outcomes}
    wide = max(len(arm) for arm in means)
    seeds = len(next(iter(found.outcomes.values())))
    head = ("days over", 9), ("moved", 6), ("kWh over", 8), ("peak, kW", 8), ("short", 6), ("stalled", 8)
    columns = "".join(f"  {name:>{width}}" for name, width in (*head, ("waiting", 8), ("paid", 7)))
    lines = [f"{design.told}; mean of {counted(seeds, 'seed')}", "", f"{'':{wide}}{columns}"]
    lines += [
        f"{arm:{wide}}  {one.violated_days / one.transformer_days:9.0%}  {one.moved_days / one.transformer_days:6.0%}"
        f"  {one.over_kwh:8,.0f}  {one.peak_kw:8.1f}  {_share(one.short, one.sessions)}"
        f"  {_share(one.stalled, one.cannot_pause, 8)}  {one.waiting_cost_iota:8,.0f}  {one.paid_iota:7,.0f}"
        for arm, one in means.items()
    ]
    lines.append(f"\n{_LEGEND}")
    return "\n".join((*lines, *([f"\nTable and picture: {out}"] if out else [])))


def _share(part: float, whole: float, width: int = 6) -> str:
    return f"{part / whole:{width}.1%}" if whole else f"{'–':>{width}}"
