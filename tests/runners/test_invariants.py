"""What must hold of every run, audited from its record; and that the auditor would notice if it did not."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.checkers import audit, overload_s
from tests.streets import random_street, street_of, streets

from wattswap.runners.engines.launch import run_street
from wattswap.runners.recording.record import RunRecord, forced_row
from wattswap.runners.scenario import Street, load_street


def test_the_demo_is_in_order_and_within_its_limit():
    street = load_street("demo")
    record = run_street(street, engine="fleet")
    assert audit(street, record) == []
    assert overload_s(record, street.scenario.reading_s) == 0


def test_a_day_under_stress_is_in_order():
    street = load_street("c250stress", day=7)
    record = run_street(street, engine="fleet")
    assert len({trade.tick for trade in record.trades}) > 100
    assert audit(street, record) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(streets())
def test_any_small_street_is_in_order(street):
    assert audit(street, run_street(street, engine="fleet")) == []


def test_a_battery_feeds_down_to_its_reserve_and_not_a_watt_second_below():
    # 1 W for ten ticks drains 341 ws at once, but 350 ws tick by tick; 345 ws are above the reserve
    battery = {"capacity_wh": 10, "max_w": 1, "reserve_pct": 20, "initial_pct": 20.9584, "wear_nanos_per_kwh": 0}
    street = street_of([], 20, limit_w=[-1_000] * 20, battery=[battery])
    record = run_street(street, engine="fleet")
    assert [trade.tick for trade in record.trades] == [1], "nine ticks are left: 315 ws"
    assert audit(street, record) == []


# -- the auditor itself, before records that lie ----------------------------------------------------------------------

Lie = Callable[[Street, RunRecord], Street | None]
"""Falsifies the record; or returns another street, to which the record does not belong."""


@pytest.fixture(scope="module")
def eventful() -> tuple[Street, RunRecord]:
    """A street in which everything happens once."""
    street = random_street(131, chargers=8, ticks=80)
    record = run_street(street, engine="fleet")
    assert {(trade.kind, trade.tranche) for trade in record.trades} == {
        ("reduce", 1),
        ("reduce", 2),
        ("feed", 3),
        ("forced", 0),
    }
    assert {row.status for row in record.sessions} == {"full", "short", "open", "battery"}
    assert any(row.receivable_nanos for row in record.sessions)
    assert audit(street, record) == []
    return street, record


def trade_with(kind: str, /, **changes: Callable[[Any], Any]) -> Lie:
    """Change columns of the first trade of a kind that delivered something."""

    def lie(_street: Street, record: RunRecord) -> None:
        at = next(
            i for i, trade in enumerate(record.trades) if trade.kind == kind and (trade.nanos or kind == "forced")
        )
        old = record.trades[at]
        record.trades[at] = old._replace(**{name: change(getattr(old, name)) for name, change in changes.items()})

    return lie


def session_with(status: str, /, **changes: Callable[[Any], Any]) -> Lie:
    def lie(_street: Street, record: RunRecord) -> None:
        at = next(i for i, row in enumerate(record.sessions) if row.status == status)
        old = record.sessions[at]
        record.sessions[at] = old._replace(**{name: change(getattr(old, name)) for name, change in changes.items()})

    return lie


def round_with(**changes: Callable[[Any], Any]) -> Lie:
    def lie(_street: Street, record: RunRecord) -> None:
        at = next(i for i, row in enumerate(record.rounds) if row.awarded_w)
        old = record.rounds[at]
        record.rounds[at] = msgspec.structs.replace(
            old, **{name: change(getattr(old, name)) for name, change in changes.items()}
        )

    return lie


def tick_with(column: str, change: Callable[[Any], Any]) -> Lie:
    """Change a column of the first tick at which someone feeds."""

    def lie(_street: Street, record: RunRecord) -> None:
        at = next(i for i, row in enumerate(record.ticks) if row.export_w.any())
        record.ticks[at] = record.ticks[at]._replace(**{column: change(getattr(record.ticks[at], column))})

    return lie


def scenario_with(table: str, **changes: object) -> Lie:
    def lie(street: Street, _record: RunRecord) -> Street:
        changed = msgspec.structs.replace(getattr(street.scenario, table), **changes)
        return replace(street, scenario=msgspec.structs.replace(street.scenario, **{table: changed}))

    return lie


def sessions_with(column: str, change: Callable[[Any], Any]) -> Lie:
    def lie(street: Street, _record: RunRecord) -> Street:
        return replace(street, sessions=replace(street.sessions, **{column: change(getattr(street.sessions, column))}))

    return lie


def reserve_of_batteries(reserve_pct: int) -> Lie:
    def lie(street: Street, _record: RunRecord) -> Street:
        batteries = tuple(msgspec.structs.replace(one, reserve_pct=reserve_pct) for one in street.scenario.battery)
        return replace(street, scenario=msgspec.structs.replace(street.scenario, battery=batteries))

    return lie


def lower_limit(street: Street, _record: RunRecord) -> Street:
    (feeder,) = street.feeders
    return replace(street, feeders=(replace(feeder, limit_w=feeder.limit_w - 10_000),))


def twice_the_same_trade(_street: Street, record: RunRecord) -> None:
    record.trades.append(next(trade for trade in record.trades if trade.nanos))


def a_trade_forgotten(_street: Street, record: RunRecord) -> None:
    record.trades.remove(next(trade for trade in record.trades if trade.nanos))


def forced_for_no_reason(street: Street, record: RunRecord) -> None:
    taken = {trade.tick for trade in record.trades if trade.kind == "forced"}
    tick = next(tick for tick in range(street.ticks) if tick not in taken)
    record.trades.append(forced_row(tick, 0, street.sessions.session_id[0], 1))


def forced_and_hidden(_street: Street, record: RunRecord) -> None:
    record.trades.remove(next(trade for trade in record.trades if trade.kind == "forced"))


def a_round_hidden(_street: Street, record: RunRecord) -> None:
    record.rounds.remove(next(row for row in record.rounds if not row.awarded_w))


def a_round_invented(street: Street, record: RunRecord) -> None:
    free = next(tick for tick in range(street.ticks) if all(row.tick != tick for row in record.rounds))
    record.rounds.append(msgspec.structs.replace(record.rounds[0], tick=free))


def a_session_lost(_street: Street, record: RunRecord) -> None:
    record.sessions.pop()


def a_need_less_than_what_was_deferred(_street: Street, record: RunRecord) -> None:
    at, row = next((at, row) for at, row in enumerate(record.sessions) if row.deferred_ws)
    record.sessions[at] = row._replace(need_ws=row.deferred_ws - 1)


def a_tick_lost(_street: Street, record: RunRecord) -> None:
    record.ticks.pop()


def a_gift_from_the_site(_street: Street, record: RunRecord) -> None:
    assert record.book is not None
    record.book.fund("from nowhere", "site", 5)
    assert record.book.reserve("gift", 5)
    record.book.settle("gift", record.sessions[0].vehicle, 5)


def a_token_from_nowhere(_street: Street, record: RunRecord) -> None:
    assert record.book is not None
    record.book._balances["site"] += 1


def more_promised_than_there_is(_street: Street, record: RunRecord) -> None:
    assert record.book is not None
    assert not record.book.reserve("beyond all means", 1 << 60)


def a_reserve_still_held(_street: Street, record: RunRecord) -> None:
    assert record.book is not None
    assert record.book.reserve("never settled", 0)


LIES: dict[str, tuple[Lie, str]] = {
    "a nano too many": (trade_with("reduce", nanos=lambda nanos: nanos + 1), r"trade .*: paid \d+ nanos"),
    "more delivered than awarded": (trade_with("reduce", delivered_ws=lambda ws: ws + (1 << 30)), "delivered .* ws of"),
    "delivered, but not by the meter": (trade_with("feed", delivered_ws=lambda ws: ws - 30), "metered"),
    "priced beyond the ceiling": (
        trade_with("reduce", price_nanos_per_kwh_h=lambda _: 9_000_000_000),
        "ask or ceiling",
    ),
    "priced below the ask": (trade_with("feed", ask_nanos_per_kwh_h=lambda ask: ask + 8_000_000_000), "ask or ceiling"),
    "a price between two ticks": (trade_with("reduce", price_nanos_per_kwh_h=lambda price: price - 1), "two ticks of"),
    "more awarded than offered": (trade_with("reduce", offered_w=lambda watts: watts - 1_000_000), "awarded .* of"),
    "paid under another's key": (trade_with("reduce", payment_id=lambda _: "0.0/someone"), "payment id"),
    "a trade of nobody": (trade_with("reduce", session=lambda _: "nobody"), "nobody of that name"),
    "one trade twice": (twice_the_same_trade, "not one row a tranche"),
    "a trade forgotten": (a_trade_forgotten, "its trades are"),
    "a trade in no round": (trade_with("reduce", tick=lambda _: -1), "no round"),
    "taken by force and paid": (trade_with("forced", nanos=lambda _: 1), "is not sold"),
    "forced although there was room": (forced_for_no_reason, "forced when there was room"),
    "forced and kept quiet": (forced_and_hidden, r"draws \d+ W, keeps \d+, forced 0"),
    "forced to give more": (trade_with("forced", forced_w=lambda watts: watts + 1), r"draws \d+ W, keeps"),
    "a need too small": (round_with(need_w=lambda watts: watts - 1), "a round about"),
    "a ceiling too high": (round_with(ceiling_nanos_per_kwh=lambda price: price + 1_000_000), "a round about"),
    "a car not called": (round_with(called=lambda cars: cars - 1), "a round about"),
    "another sum awarded": (round_with(awarded_w=lambda watts: watts + 1), "the round awarded"),
    "a round hidden": (a_round_hidden, "and no round"),
    "a round invented": (a_round_invented, "a round without need|a round that was not due"),
    "a tick lost": (a_tick_lost, "ticks are missing"),
    "a car overlooked": (tick_with("rows", lambda rows: rows[:-1]), "plugged are"),
    "homes that drew less": (tick_with("base_w", lambda watts: watts - 1), "base and limit are"),
    "a car that drew a watt more": (tick_with("import_w", lambda watts: watts + 1), r"draws \d+ W"),
    "a car that fed less than it sold": (tick_with("export_w", lambda watts: watts // 2), r"feeds \d+ W, sold"),
    "a debt of energy forgotten": (tick_with("owed_ws", lambda ws: ws + 1), "owed are"),
    "a reduction not in force": (tick_with("reduce_w", lambda watts: watts + 1), "reductions in force"),
    "a firm power out of thin air": (
        tick_with("charging", lambda charging: charging._replace(firm_w=charging.firm_w + 1)),
        "stands elsewhere",
    ),
    "a limit that was lower": (lower_limit, r"granted -?\d+ W, the target leaves"),
    "a load no step explains": (lower_limit, "no step of the homes"),
    "cars in a greater hurry": (
        sessions_with("stated_departure_ms", lambda ms: np.minimum(ms, 80 * 60_000)),
        "has no time to give way",
    ),
    "a longer guard": (scenario_with("vehicles", guard_s=36_000), "has no time to give way"),
    "a battery below its reserve": (reserve_of_batteries(100), "feeds out of its reserve"),
    "a feed beyond the inverter": (scenario_with("vehicles", feed_w=0), "feeds more than it can"),
    "a guaranteed minimum ignored": (scenario_with("chargers", guaranteed_w=22_000), "below its guaranteed minimum"),
    "a charger that gives less than 6 A": (scenario_with("chargers", min_a=15), "less than a charger can give"),
    "more deferred than needed": (a_need_less_than_what_was_deferred, r"deferred \d+ ws of a need"),
    "a session lost": (a_session_lost, "not one row a session"),
    "earned more than paid": (session_with("open", earned_nanos=lambda nanos: nanos + 1), "was paid"),
    "billed another sum": (session_with("full", billed_nanos=lambda nanos: nanos + 1), "billed"),
    "a meter turned back": (session_with("full", imported_ws=lambda ws: ws - 1), "meters and need end at"),
    "energy out of nothing": (session_with("short", missing_ws=lambda ws: ws - 1), "meters and need end at"),
    "more deferred than sold": (session_with("open", deferred_ws=lambda ws: ws + 1), "deferred"),
    "short said to be full": (session_with("short", status=lambda _: "full"), "is said to be full"),
    "open said to be short": (session_with("open", status=lambda _: "short"), "is said to be short"),
    "another's car": (session_with("open", vehicle=lambda _: "mine"), "is another's"),
    "a claim forgotten": (session_with("full", receivable_nanos=lambda nanos: nanos + 1), "nanos and owes"),
    "a gift": (a_gift_from_the_site, "paid for gift"),
    "a token from nowhere": (a_token_from_nowhere, "the book: tokens were made or lost"),
    "a reserve never settled": (
        a_reserve_still_held,
        "reserved for never settled: 0 nanos in the book, None by the trades",
    ),
    "more promised than there is": (more_promised_than_there_is, r"beyond all means was refused \d+ nanos"),
    "less money at the start": (scenario_with("transformer", funds_iota=0), "the site holds"),
    "one price for all": (scenario_with("transformer", clearing="pay-as-bid"), "not paid as bid"),
}


@pytest.mark.parametrize("name", LIES)
def test_the_auditor_notices(name, eventful):
    street, record = eventful
    lie, said = LIES[name]
    told = deepcopy(record)
    street = lie(street, told) or street
    findings = audit(street, told)
    assert any(re.search(said, finding) for finding in findings), findings[:5]
