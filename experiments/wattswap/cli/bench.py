"""``wattswap bench``: how fast this installation is, beside what else does the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import msgspec

from wattswap.cli.examples import examples

if TYPE_CHECKING:
    from wattswap.experiments.bench.suite import BenchRow


@click.command(epilog=examples("wattswap bench", "wattswap bench --seeds 64 --json"))
@click.option("--seeds", type=click.IntRange(2, 256), default=16, show_default=True, help="Runs that share a pass.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
def bench(seeds: int, *, as_json: bool) -> None:
    """Measure this installation: engines, replications, rounds on the wire, payments.

    Every figure stands beside something that does the same work, taken in the same process one after the other, for a
    second on one machine is no second on another. It takes about a minute.
    """
    from wattswap.experiments.bench.suite import absent_peers, rows

    found = []
    if not as_json:
        click.echo(f"{'':70} {'ours':>12} {'beside':>12} {'times':>7}")
    for row in rows(seeds):
        found.append(row)
        if not as_json:
            click.echo(_line(row))
    absent = absent_peers()
    if as_json:
        click.echo(json.dumps({"rows": [_as_json(row) for row in found], "not_installed": absent}, indent=2))
    elif absent:
        click.echo(f"\nNot installed here, so not measured: {', '.join(absent)}")


def _line(row: BenchRow) -> str:
    theirs = "" if row.theirs is None else _figure(row.theirs, row.unit)
    times = "" if row.times is None else f"{row.times:.2g}x" if row.times < 10 else f"{row.times:,.0f}x"
    first = f"{row.what:70} {_figure(row.ours, row.unit):>12} {theirs:>12} {times:>7}"
    return f"{first}\n    beside: {row.beside}" if row.beside else first


def _figure(value: float, unit: str) -> str:
    return f"{value:,.0f} /s" if unit == "1/s" else f"{value:,.2f} {unit}"


def _as_json(row: BenchRow) -> dict[str, object]:
    return {**msgspec.structs.asdict(row), "times": row.times}
