"""The money of every run is what its ticks say, computed by other code; and the checker would notice if it were not."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.checkers import WatchedGrants, audit
from tests.streets import Stay, random_street, street_of, streets

from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.recording.record import RunRecord
from wattswap.runners.scenario import Street, load_street


def audited(street: Street) -> tuple[RunRecord, WatchedGrants]:
    grants = WatchedGrants()
    return simulated_run(street, observers=[grants]).run(), grants


def test_the_demo_is_in_order():
    street = load_street("demo", settings=["reading_s=150"])
    record, grants = audited(street)
    assert audit(street, record, grants) == []
    assert sum(trade.nanos > 0 for trade in record.trades) > 50


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(streets())
def test_any_small_street_is_in_order(street):
    record, grants = audited(street)
    assert audit(street, record, grants) == []


def test_a_car_that_could_draw_back_and_does_not_is_paid_for_no_waiting_after_that():
    """Its battery is nearly full and takes less than the 6 A it is granted: it stops its own clock."""
    street = street_of(
        [Stay(0, 240, 2 * WS_PER_KWH)],
        120,
        base_w=[[10_000] * 20 + [0] * 101],
        transformer={"limit_w": 12_000, "margin_pct": 0},
        vehicles={"strategy": "altruist", "guard_s": 0, "curve": "taper", "target_pct": 100, "capacity_wh": 5_000},
    )
    record, grants = audited(street)
    assert audit(street, record, grants) == []
    for granted in grants.by_tick.values():
        granted[:] = [0] * len(granted)
    assert audit(street, record, grants) != [], "had it been granted nothing, its clock would have run on"


# -- the checker itself, before records that lie ----------------------------------------------------------------------

Lie = Callable[[RunRecord, WatchedGrants], None]


@pytest.fixture(scope="module")
def eventful() -> tuple[Street, RunRecord, WatchedGrants]:
    """A street on which lots are drawn back, cars feed, leave early, and stay."""
    street = random_street(259, chargers=8, ticks=80)
    record, grants = audited(street)
    assert audit(street, record, grants) == []
    assert {(trade.kind, trade.status) for trade in record.trades} >= {
        ("reduce", "paid"),
        ("reduce", "open"),
        ("feed", "paid"),
    }
    assert any(trade.rent and trade.nanos for trade in record.trades)
    return street, record, grants


def trade_with(kind: str, /, **changes: Callable[[Any], Any]) -> Lie:
    """Change columns of the first trade of a kind that was paid something."""

    def lie(record: RunRecord, _grants: WatchedGrants) -> None:
        at = next(i for i, trade in enumerate(record.trades) if trade.kind == kind and trade.nanos)
        old = record.trades[at]
        record.trades[at] = old._replace(**{name: change(getattr(old, name)) for name, change in changes.items()})

    return lie


def session_with(**changes: Callable[[Any], Any]) -> Lie:
    def lie(record: RunRecord, _grants: WatchedGrants) -> None:
        at = next(i for i, row in enumerate(record.sessions) if row.earned_nanos)
        old = record.sessions[at]
        record.sessions[at] = old._replace(**{name: change(getattr(old, name)) for name, change in changes.items()})

    return lie


def a_tick_of_drawing_back(record: RunRecord, _grants: WatchedGrants) -> None:
    """The first tick in which a car draws more than its baseline: it drew a watt less."""
    for at, row in enumerate(record.ticks):
        more = np.flatnonzero(row.import_w > row.charging.baseline_w)
        if len(more):
            import_w = row.import_w.copy()
            import_w[more[0]] -= 1
            record.ticks[at] = row._replace(import_w=import_w)
            return


def a_trade_forgotten(record: RunRecord, _grants: WatchedGrants) -> None:
    record.trades.remove(next(trade for trade in record.trades if trade.nanos))


def a_gift_from_the_site(record: RunRecord, _grants: WatchedGrants) -> None:
    assert record.book is not None
    record.book.fund("from nowhere", "site", 5)
    assert record.book.reserve("gift", 5)
    record.book.settle("gift", record.sessions[0].vehicle, 5)


LIES: dict[str, tuple[Lie, str]] = {
    "a nano too many": (trade_with("reduce", nanos=lambda nanos: nanos + 1), "is noted as"),
    "a nano too many for feeding": (trade_with("feed", nanos=lambda nanos: nanos + 1), "is noted as"),
    "a watt-second more waited a tick": (trade_with("reduce", rent=lambda rent: rent + 1), "is noted as"),
    "more drawn back than was": (trade_with("reduce", returned_ws=lambda ws: ws + 30), "is noted as"),
    "more given up than was": (trade_with("reduce", delivered_ws=lambda ws: ws + 30), "is noted as"),
    "another baseline": (trade_with("reduce", baseline_ws=lambda ws: ws + 30), "is noted as"),
    "paid and called open": (trade_with("reduce", status=lambda _: "open"), "is noted as"),
    "priced beyond the reserve": (trade_with("reduce", price_nanos_per_kwh_h=lambda _: 9 * 10**12), "ask or reserve"),
    "priced below the ask": (trade_with("reduce", ask_nanos_per_kwh_h=lambda ask: ask + 9 * 10**12), "ask or reserve"),
    "a price between two ticks": (trade_with("reduce", ask_nanos_per_kwh_h=lambda ask: ask - 1), "two ticks of|ask or"),
    "more awarded than offered": (trade_with("reduce", offered_w=lambda _: 0), "awarded .* of"),
    "a trade in no round": (trade_with("reduce", tick=lambda _: -1), "no round"),
    "a trade forgotten": (a_trade_forgotten, "the book has other entries"),
    "a watt not drawn back": (a_tick_of_drawing_back, "is noted as|drew, fed"),
    "earned more than paid": (session_with(earned_nanos=lambda nanos: nanos + 1), "drew, fed, deferred, earned"),
    "billed another sum": (session_with(billed_nanos=lambda nanos: nanos + 1), "drew, fed, deferred, earned"),
    "deferred more than sold": (session_with(deferred_ws=lambda ws: ws + 1), "drew, fed, deferred, earned"),
    "a gift": (a_gift_from_the_site, "to settle than the trades"),
}


@pytest.mark.parametrize("name", LIES)
def test_the_checker_notices(name, eventful):
    street, record, grants = eventful
    lie, said = LIES[name]
    told = deepcopy(record)
    lie(told, grants)
    findings = audit(street, told, grants)
    assert any(re.search(said, finding) for finding in findings), findings[:5]
