"""What a ledger costs the agents: processor time of their own thread, with a local IOTA node and without.

    python -m wattswap.experiments.bench.agents_cpu                          # a day of b250, seven times each
    python -m wattswap.experiments.bench.agents_cpu --street a400 --repeats 3 --json

Runs with and without a ledger take turns, and each pair is compared by itself: on a machine that does something else as
well, a second is not a second, for one half of a processor slows the other down.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from time import perf_counter, thread_time
from typing import TYPE_CHECKING

import msgspec

from wattswap.experiments.bench.settling import a_node
from wattswap.runners.engines.launch import run_street, start_run
from wattswap.runners.payments.run_payments import RunPayments
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from wattswap.runners.scenario import Street


class AgentCpuRow(msgspec.Struct, frozen=True):
    """One pair of runs."""

    memory_cpu_s: float
    ledger_cpu_s: float
    handing_over_s: float
    """The part of ``ledger_cpu_s`` that the agents' thread itself spends on the ledger."""
    drain_s: float
    """Wall time from the last tick until the ledger agreed with the book; 0 if nobody waited for it."""

    @property
    def ratio(self) -> float:
        """How much more the agents took."""
        return self.ledger_cpu_s / self.memory_cpu_s


class TimedPayments(RunPayments):
    """Payments that take the time which they cost the agents' thread."""

    handing_over_s = 0.0

    def tick_passed(self, tick: int) -> None:
        """Hand over, and take the time."""
        began_s = thread_time()
        super().tick_passed(tick)
        self.handing_over_s += thread_time() - began_s


def in_memory(street: Street) -> float:
    """Processor seconds of a run that has no ledger."""
    run = start_run(street)
    began_s = thread_time()
    run.run()
    return thread_time() - began_s


def on_a_ledger(street: Street, where: str, *, drain: bool) -> tuple[float, float, float]:
    """The same of one that settles, how much of it goes into handing over, and how long its ledger took after it."""
    settlement = TimedPayments(street, where)
    try:
        run_street(street, observers=[settlement])
        began_s = perf_counter()
        if drain:
            settlement.settle()
            assert settlement.block()["agree"]
        drain_s = perf_counter() - began_s if drain else 0.0
        return settlement.agents_cpu_s, settlement.handing_over_s, drain_s
    finally:
        settlement.close()


def measure(street: Street, where: str, repeats: int, *, drain: bool = False) -> list[AgentCpuRow]:
    """So many pairs, the second of each pair first every other time."""
    rows = []
    for number in range(repeats):
        memory_cpu_s = in_memory(street) if number % 2 == 0 else 0.0
        ledger_cpu_s, handing_over_s, drain_s = on_a_ledger(street, where, drain=drain)
        rows.append(AgentCpuRow(memory_cpu_s or in_memory(street), ledger_cpu_s, handing_over_s, drain_s))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a local devnet that runs already; without it, one is started")
    parser.add_argument("--street", default="b250", help="a scenario (b250)")
    parser.add_argument("--day", type=int, default=7, help="its day (7, a Sunday)")
    parser.add_argument("--repeats", type=int, default=7, help="pairs of runs (7)")
    parser.add_argument("--drain", action="store_true", help="wait for the ledger after each run, and compare it")
    parser.add_argument("--json", action="store_true", help="one JSON object a pair instead of a table")
    chosen = parser.parse_args(arguments)
    street = load_street(chosen.street, day=chosen.day)
    in_memory(street)  # the first run in a process loads what the others find
    with a_node(chosen.url) as url:
        rows = measure(street, url, chosen.repeats, drain=chosen.drain)
    if chosen.json:
        for row in rows:
            print(msgspec.json.encode(row).decode())
        return
    print(f"{'memory, s':>10} {'ledger, s':>10} {'ratio':>6} {'handing over, s':>16} {'drain, s':>9}")
    for row in rows:
        print(
            f"{row.memory_cpu_s:10.2f} {row.ledger_cpu_s:10.2f} {row.ratio:6.2f}"
            f" {row.handing_over_s:16.3f} {row.drain_s:9.1f}"
        )
    print(f"median ratio {statistics.median(row.ratio for row in rows):.3f}")


if __name__ == "__main__":
    main()
