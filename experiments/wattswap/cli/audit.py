"""``wattswap audit``: whether it pays a car to say other than its strategy does, under each clearing rule."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.experiments.truthfulness import Audit

_RULES = "next,uniform,pay-as-bid,vcg,posted,none"


@click.command(
    epilog=examples(
        "wattswap audit c250stress --day 5",
        "wattswap audit c250stress --strategies truthful,need --clearing next,vcg,pay-as-bid --day 5 --seeds 3 --json",
        "wattswap audit a400 --strategies mine.py:patient --day 7 --cars 30 --csv audit.csv",
    )
)
@click.argument("scenario", default="c250stress")
@click.option(
    "--strategies",
    default="truthful",
    show_default=True,
    metavar="X,Y+Z",
    callback=options.names,
    help="Strategies or mixes that everybody follows, each audited.",
)
@click.option(
    "--clearing",
    default=_RULES,
    show_default=True,
    metavar="A,B",
    callback=options.names,
    help="Clearing rules under which they are audited.",
)
@click.option("--cars", type=int, default=12, show_default=True, metavar="N", help="So many cars deviate, one by one.")
@click.option(
    "--seeds", type=int, default=1, show_default=True, metavar="N", help="Runs of each, from the scenario's seed up."
)
@options.day
@options.settings
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes; as many as processors by default.")
@click.option(
    "--csv", "table", type=click.Path(path_type=Path), metavar="FILE", help="Also every deviation as a row of a table."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
@click.pass_context
def audit(
    ctx: click.Context,
    scenario: str,
    strategies: tuple[str, ...],
    clearing: tuple[str, ...],
    cars: int,
    seeds: int,
    day: int | None,
    settings: tuple[str, ...],
    jobs: int | None,
    table: Path | None,
    *,
    as_json: bool,
) -> None:
    """Audit truthfulness: what a car gains by saying other than its strategy does.

    Everybody follows the strategy. One car at a time asks 0.5 to 2 times what the strategy asks, or offers less: down
    to 6 A and no stop, half of that, or nothing. Its gain is what that adds to what it earns beyond what waiting and
    feeding cost it. The table has the deviation that gains most in the mean of the cars, with an interval that holds
    for all deviations together in 95 of 100. Where it reaches down to 0, no deviation is known to gain.
    """
    from wattswap.cli.progress import progress_bar, strategies_print_to_stderr
    from wattswap.experiments.truthfulness import audited

    runs = max(len(strategies), 1) * len(clearing) * max(seeds, 0)
    try:
        with strategies_print_to_stderr(), progress_bar(runs, f"{scenario}, {runs} audits", every=1) as passed:
            found = audited(
                scenario,
                strategies=strategies,
                clearing=clearing,
                cars=cars,
                seeds=seeds,
                day=day,
                settings=settings,
                jobs=jobs,
                progress=lambda done: passed(done - 1),
            )
    except KeyboardInterrupt:
        click.echo("wattswap: interrupted; nothing was kept", err=True)
        ctx.exit(INTERRUPTED)
    if table is not None:
        _write(table, found)
    click.echo(json.dumps(_as_json(scenario, found), indent=2) if as_json else _told(scenario, found))


def _write(table: Path, found: Sequence[Audit]) -> None:
    from wattswap.experiments.truthfulness import rows_of

    rows = rows_of(found)
    try:
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise InputError(f"--csv {table}: cannot be written ({error.strerror}); choose another place") from None


def _as_json(scenario: str, found: Sequence[Audit]) -> dict[str, object]:
    audits = [
        {
            "strategy": each.strategy,
            "clearing": each.clearing,
            "cars": each.cars,
            "utility_iota": each.utility_iota,
            "best": each.best._asdict(),
            "hindsight_iota": each.hindsight_iota,
            "deviations": [gain._asdict() for gain in each.gains],
        }
        for each in found
    ]
    return {"scenario": scenario, "audits": audits}


def _told(scenario: str, found: Sequence[Audit]) -> str:
    wide = max(8, *(len(each.strategy) for each in found))
    names = [each.best.name if each.best.gain_iota > 0 else "none gains" for each in found]
    far = max(len("best deviation"), *(len(name) for name in names))
    columns = f"{'strategy':{wide}}  {'clearing':10}  {'cars':>4}  {'utility':>8}  {'best deviation':{far}}"
    lines = [f"Street {scenario}: what one car gains by deviating, in IOTA\n"]
    lines.append(f"{columns}  {'gain':>7}  {'interval':>17}  {'hindsight':>9}")
    for each, name in zip(found, names, strict=True):
        best = each.best
        interval = f"{best.low_iota:+.2f} to {best.high_iota:+.2f}"
        lines.append(
            f"{each.strategy:{wide}}  {each.clearing:10}  {each.cars:4}  {each.utility_iota:8.2f}  {name:{far}}"
            f"  {best.gain_iota:+7.2f}  {interval:>17}  {each.hindsight_iota:9.2f}"
        )
    utility = "Utility: what a car earns beyond what waiting and feeding cost it."
    hindsight = "Hindsight: what each would gain had it known which deviation was best for it."
    lines.append(f"\n{utility} {hindsight}")
    return "\n".join(lines)
