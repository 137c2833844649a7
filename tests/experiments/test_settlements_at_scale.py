"""The figures we promise of a settled run: a day of a street, an hour without a node, a thousand small rewards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.settled_runs import DevnetProcess, a_node

from wattswap.experiments.api import run_loaded
from wattswap.experiments.settlements import finish
from wattswap.ledger.book import Book, wallet
from wattswap.ledger.crossing import held_in, opening_in
from wattswap.ledger.settlement import open_settlement
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.recording.rundir import read_run
from wattswap.runners.scenario import Street, load_street

pytest.importorskip("iota_sdk")

CENT_NANOS = NANOS_PER_IOTA // 100


@pytest.fixture
def node(tmp_path: Path) -> Iterator[DevnetProcess]:
    with a_node(tmp_path) as found:
        yield found


def small_rewards(node: DevnetProcess, cars: int) -> tuple[int, int]:
    """Each car earns 0.01 IOTA and leaves; what was burned and what was locked for it."""
    book = Book(cars * CENT_NANOS)
    for car in range(cars):
        book.fund(f"opening/{car}", wallet(f"car{car}"), 0)
    with open_settlement(node.url, opening_in(book.entries), wallets_seed=cars) as settlement:
        for car in range(cars):
            book.reserve(f"0.{car}", CENT_NANOS)
            book.settle(f"0.{car}", f"car{car}", CENT_NANOS)
            book.bill(f"session{car}", f"car{car}", 0)
            settlement.post(book)
        settled = settlement.drain()
        assert settled.ok, settled
        assert settled.payments == cars
        assert settlement.differences(held_in(book.balances()), opening_in(book.entries)) == []
    return settled.fees_nanos, settled.deposits_nanos


@pytest.mark.parametrize("cars", [300, pytest.param(1_000, marks=pytest.mark.long)])
def test_gas_is_at_most_a_thousandth_of_small_rewards(node: DevnetProcess, cars: int):
    """A tenth of each reward is locked with the coin that carries it, and goes to the car; nobody burns that."""
    fees_nanos, deposits_nanos = small_rewards(node, cars)
    assert 0 < fees_nanos <= cars * CENT_NANOS // 1_000
    assert deposits_nanos == pytest.approx(cars * 980_400, rel=0.02)


@pytest.mark.long
@pytest.mark.parametrize("engine", ["fleet", "messages"])
def test_a_day_of_a_street_ends_with_the_chain_as_the_book_has_it(node: DevnetProcess, engine: str, tmp_path: Path):
    street = load_street("b250", day=7)
    result = run_loaded(street, engine=engine, ledger=node.url, out=tmp_path / "run")
    memory = run_loaded(street, engine=engine)
    assert {**result.summary, "timing": 0, "settlement": 0} == {**memory.summary, "timing": 0, "settlement": 0}
    assert result.record.trades == memory.record.trades
    block = result.summary["settlement"]
    assert (block["agree"], block["pending"], block["anchors"], block["alarms"]) == (True, 0, 2_880, [])


@pytest.mark.long
def test_a_node_that_is_away_for_an_hour_of_the_day_loses_nothing(node: DevnetProcess, tmp_path: Path):
    """Killed at 18:00 in the middle of its work, and started again over the same chain at 19:00."""
    street = load_street("b250", day=7)
    result = run_loaded(street, ledger=node.url, out=tmp_path / "run", progress=away(street, node, 18, 19))
    assert result.summary["trace_hash"] == run_loaded(street, engine="fleet").summary["trace_hash"]
    block = result.summary["settlement"]
    assert (block["agree"], block["pending"], block["anchors"], block["alarms"]) == (True, 0, 2_880, [])
    assert "crossed" in set(read_run(tmp_path / "run").columns("trades")["status"])
    again = finish(tmp_path / "run")
    assert {**again, "agents_cpu_s": 0} == {**block, "agents_cpu_s": 0}


def away(street: Street, node: DevnetProcess, from_hour: int, to_hour: int) -> Any:
    tick_of = {hour: hour * 3_600_000 // street.tick_ms for hour in (from_hour, to_hour)}

    def outage(tick: int) -> None:
        if tick == tick_of[from_hour]:
            node.kill()
        if tick == tick_of[to_hour]:
            node.start()

    return outage
