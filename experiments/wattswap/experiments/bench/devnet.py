"""Payments a second on the local IOTA node, beside what the SDK takes by itself.

    python -m wattswap.experiments.bench.devnet [--payments N] [--db FILE]

Node and customer are two processes. "node CPU" is what the node's process took for one payment: on a busy machine it
says more than the clock.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from msgspec import Struct

from wattswap.experiments.bench import devnet_load as load
from wattswap.experiments.bench.devnet_child import running
from wattswap.ledger.devnet.process import DevnetReady
from wattswap.ledger.devnet.rules import MOST_ARGUMENTS

_WALLETS = 20


class DevnetRow(Struct, frozen=True):
    """One line of the table."""

    what: str
    payments: int
    wall_s: float
    node_cpu_s: float

    def __str__(self) -> str:
        """As it is printed."""
        each_us = 1e6 * self.node_cpu_s / self.payments
        return f"{self.what:44} {self.payments / self.wall_s:9,.0f} payments/s {each_us:9,.0f} us node CPU each"


async def measure(ready: DevnetReady, payments: int) -> list[DevnetRow]:
    """All lines."""
    wallets = await load.funded(ready, _WALLETS)
    first, batches, each = wallets[0], max(1, payments // 50), max(1, payments // _WALLETS)
    await load.single(first, 20)  # whatever is done once only

    async def bare(payees: int, count: int) -> int:
        return load.built(first, count, payees)

    return [
        await _timed("SDK alone: build and sign, single", payments, 0, lambda: bare(1, payments)),
        await _timed("SDK alone: build and sign, 511 payees", batches * MOST_ARGUMENTS, 0, lambda: bare(511, batches)),
        await _timed("single, built offline", payments, ready.pid, lambda: load.single(first, payments)),
        await _timed(
            f"single, {_WALLETS} wallets at once",
            _WALLETS * each,
            ready.pid,
            lambda: load.side_by_side(wallets, each),
        ),
        await _timed(
            "511 payees a transaction", batches * MOST_ARGUMENTS, ready.pid, lambda: load.batched(first, batches)
        ),
    ]


async def _timed(what: str, payments: int, pid: int, work: Callable[[], Awaitable[object]]) -> DevnetRow:
    cpu_s, start_s = _cpu_s(pid), time.perf_counter()
    await work()
    return DevnetRow(what, payments, time.perf_counter() - start_s, _cpu_s(pid) - cpu_s)


def _cpu_s(pid: int) -> float:
    """Processor time of another process; 0 for none."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@click.command()
@click.option("--payments", type=click.IntRange(1), default=500, show_default=True, help="For each line of the table.")
@click.option("--db", type=click.Path(path_type=Path), help="The node's database; a temporary file by default.")
def main(payments: int, db: Path | None) -> None:
    """Measure and print."""
    with TemporaryDirectory() as place, running(db=str(db or Path(place) / "devnet.sqlite")) as child:
        for row in asyncio.run(measure(child.ready, payments)):
            print(row)


if __name__ == "__main__":
    main()
