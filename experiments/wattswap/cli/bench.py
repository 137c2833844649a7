"""``wattswap bench``: how fast this installation is, beside what else does the same."""

from __future__ import annotations

import json
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from wattswap.cli.examples import examples

if TYPE_CHECKING:
    from wattswap.experiments.bench.bench_row import BenchRow


@click.command(
    epilog=examples(
        "wattswap bench",
        "wattswap bench --seeds 64 --json",
        "wattswap bench --peers --peer-python ~/acn/bin/python --peer-python ~/ev2gym/bin/python",
    )
)
@click.option("--seeds", type=click.IntRange(2, 256), default=16, show_default=True, help="Runs that share a pass.")
@click.option("--peers", is_flag=True, help="Only the rows beside other simulators.")
@click.option(
    "--peer-python",
    "pythons",
    multiple=True,
    metavar="PATH",
    help="Another interpreter to look for other simulators in, beside this one. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
def bench(seeds: int, pythons: tuple[str, ...], *, peers: bool, as_json: bool) -> None:
    """Measure this installation: engines, replications, a city, rounds on the wire, payments, other simulators.

    Every figure stands beside something that does the same work, taken in the same process one after the other, for a
    second on one machine is no second on another. It takes about a minute.

    Other simulators are measured where they are installed: ACN-Sim (acnportal) and EV2Gym, each in a process of its
    own. They may lie in other environments, which --peer-python names.
    """
    from wattswap.experiments.bench.beside_peers import beside_peers
    from wattswap.experiments.bench.suite import rows

    beside, not_measured = beside_peers(seeds, [sys.executable, *(str(Path(each).expanduser()) for each in pythons)])
    found = []
    if not as_json:
        click.echo(f"{'':70} {'ours':>12} {'beside':>12} {'times':>7}")
    for row in chain(() if peers else rows(seeds), beside):
        found.append(row)
        if not as_json:
            click.echo(_line(row))
    if as_json:
        click.echo(json.dumps({"rows": [_as_json(row) for row in found], "not_measured": not_measured}, indent=2))
    elif not_measured:
        click.echo(f"\nNot measured: {', '.join(not_measured)}")


def _line(row: BenchRow) -> str:
    theirs = "" if row.theirs is None else _figure(row.theirs, row.unit)
    times = "" if row.times is None else f"{row.times:.2g}x" if row.times < 10 else f"{row.times:,.0f}x"
    first = f"{row.what:70} {_figure(row.ours, row.unit):>12} {theirs:>12} {times:>7}"
    return f"{first}\n    beside: {row.beside}" if row.beside else first


def _figure(value: float, unit: str) -> str:
    return f"{value:,.0f} /s" if unit == "1/s" else f"{value:,.2f} {unit}"


def _as_json(row: BenchRow) -> dict[str, object]:
    return {**msgspec.structs.asdict(row), "times": row.times}
