"""What ``wattswap bench`` measures: each figure beside something else that does the same, on this machine, now.

A second on one machine is no second on another, so every row is a pair, taken in one process one after the other, by
processor time where both sides work in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Final

from wattswap.experiments.bench.bench_row import BenchRow
from wattswap.protocol.units import MS_PER_S

_TRANSFORMERS, _SUNDAY = 20, 7


def rows(seeds: int) -> Iterator[BenchRow]:
    """Our own rows, as they are measured; ``seeds`` is how many runs of a week share a pass."""
    for measure in _MEASURES:
        yield from measure(seeds)


def _replications(seeds: int) -> Iterator[BenchRow]:
    from wattswap.runners.engines.fleet import FleetRun
    from wattswap.runners.engines.side_by_side import SideBySide
    from wattswap.runners.scenario import load_street

    streets = [load_street("a400", seed=seed) for seed in range(1, seeds + 1)]
    together_s = _spent_s(lambda: SideBySide(streets).run())
    alone_s = _spent_s(lambda: FleetRun(streets[0]).run())
    yield BenchRow(
        what=f"{seeds} seeds of a week of 200 cars (a400), in one pass",
        ours=together_s,
        unit="s",
        beside=f"{seeds} runs one by one",
        theirs=alone_s * seeds,
    )


def _city(_: int) -> Iterator[BenchRow]:
    """A city's transformers, no two alike, as ``wattswap city`` runs them."""
    from wattswap.experiments.city import plan_city
    from wattswap.runners.engines.fleet import FleetRun
    from wattswap.runners.engines.side_by_side import SideBySide
    from wattswap.runners.scenario import build_street

    with TemporaryDirectory() as folder:
        plan = plan_city(_TRANSFORMERS, Path(folder), day=_SUNDAY)
        city = build_street(plan.source, plan.day, range(_TRANSFORMERS))
        alone = [build_street(plan.source, plan.day, [number]) for number in range(_TRANSFORMERS)]
    yield BenchRow(
        what=f"a winter Sunday of a city's {_TRANSFORMERS} transformers, in one pass",
        ours=_spent_s(lambda: SideBySide([city]).pass_through()),
        unit="s",
        beside="the same one by one",
        theirs=_spent_s(lambda: [FleetRun(street).run() for street in alone]),
    )


def _engines(_: int) -> Iterator[BenchRow]:
    from wattswap.runners.engines.fleet import FleetRun
    from wattswap.runners.engines.simulated import simulated_run
    from wattswap.runners.scenario import load_street

    street = load_street("b250", day=7)
    yield BenchRow(
        what="a Sunday of 67 chargers (b250), arrays",
        ours=_spent_s(lambda: FleetRun(street).run()),
        unit="s",
        beside="the same with real agents and messages",
        theirs=_spent_s(lambda: simulated_run(street).run()),
    )


def _beside_mesa(_: int) -> Iterator[BenchRow]:
    """Ten thousand cars for a day, beside a Mesa model with an agent for each of them."""
    if find_spec("mesa") is None:
        return
    from wattswap.experiments.bench.plain_mesa import PlainStreets
    from wattswap.runners.engines.side_by_side import SideBySide
    from wattswap.runners.scenario import load_street

    streets = [load_street("a400", day=7, seed=seed) for seed in range(1, 51)]
    cars = sum(len(street.sessions.session_id) for street in streets)
    plain = PlainStreets(streets)
    yield BenchRow(
        what=f"a Sunday of {cars:,} cars on {len(streets)} transformers",
        ours=_spent_s(lambda: SideBySide(streets).run()),
        unit="s",
        beside=f"plain Mesa {version('mesa')}, an agent a car, with pauses for a window and nothing else",
        theirs=_spent_s(lambda: plain.run_for(streets[0].ticks)),
    )


def _wire(_: int) -> Iterator[BenchRow]:
    from wattswap.experiments.bench.node_round import a_round

    for sign in (False, True):
        best = min((a_round(100, sign=sign) for _ in range(3)), key=lambda row: row.ratio)
        yield BenchRow(
            what=f"a round of 100 cars over ZeroMQ, {'signed' if sign else 'not signed'}",
            ours=best.round_ms,
            unit="ms",
            beside="the same messages by bare pyzmq",
            theirs=best.bare_ms,
        )


def _payments(_: int) -> Iterator[BenchRow]:
    if find_spec("iota_sdk") is None:
        return
    from wattswap.experiments.bench.settling import a_node, handed_in

    with a_node(None) as url, TemporaryDirectory() as folder:
        for batch, count in ((100, 1_000), (1, 50)):
            chain = handed_in(url, "devnet", batch, count)
            embedded = handed_in(f"sqlite:{folder}/{batch}", "sqlite", batch, count)
            yield BenchRow(
                what=f"payments a second on a local IOTA node, {batch} at a time",
                ours=chain.a_second,
                unit="1/s",
                beside="the embedded ledger",
                theirs=embedded.a_second,
            )


_MEASURES: Final[tuple[Callable[[int], Iterator[BenchRow]], ...]] = (
    _engines,
    _beside_mesa,
    _replications,
    _city,
    _wire,
    _payments,
)


def _spent_s(work: Callable[[], object]) -> float:
    """Processor seconds of a piece of work."""
    began = process_time()
    work()
    return max(process_time() - began, 1 / MS_PER_S)
