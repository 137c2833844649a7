"""One truth: whatever drives a street, the same trades come of it, to the last nano."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from msgspec import structs
from tests.checked import checked_run
from tests.streets import random_street, streets

from wattswap.agents.rules import ClearingRule
from wattswap.agents.strategies.bundled import BUNDLED
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.engines.launch import run_street
from wattswap.runners.recording.record import RunRecord, TickRow
from wattswap.runners.scenario import load_street


def differences(one: RunRecord, other: RunRecord) -> list[str]:
    """In what two records of a street differ, the hashes' reasons first; of the ticks only the first that differs."""
    assert one.book is not None
    assert other.book is not None
    found = [
        f"{what}: {sorted(set(mine) ^ set(theirs), key=str)[:4]}"
        for what, mine, theirs in (
            ("trades", sorted(one.trades), sorted(other.trades)),
            ("rounds", one.rounds, other.rounds),
            ("sessions", sorted(one.sessions), sorted(other.sessions)),
            ("book", [*enumerate(one.book.entries)], [*enumerate(other.book.entries)]),
            ("balances", sorted(one.book.balances().items()), sorted(other.book.balances().items())),
        )
        if mine != theirs
    ]
    if one.trace_hash() != other.trace_hash():
        found.append("the trace hash")
    if len(one.ticks) != len(other.ticks):
        return [*found, f"{len(one.ticks)} and {len(other.ticks)} ticks"]
    changed = (_changed(mine, theirs) for mine, theirs in zip(one.ticks, other.ticks, strict=True))
    return found + next((columns for columns in changed if columns), [])


def _changed(mine: TickRow, theirs: TickRow) -> list[str]:
    """The columns of a tick that differ."""
    return [
        f"tick {mine.tick}, {name}: {one} and {other}"
        for (name, one), (_, other) in zip(_columns(mine), _columns(theirs), strict=True)
        if not np.array_equal(one, other)
    ]


def _columns(row: TickRow) -> list[tuple[str, Any]]:
    columns = {**row._asdict(), **row.charging._asdict()}
    del columns["charging"]
    return list(columns.items())


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(streets())
@example(random_street(201, 6, 91))  # one car leaves in the tick in which another's lot is drawn back
def test_engines_agree_about_any_small_street(street):
    fleet, messages = FleetRun(street), checked_run(street)
    assert differences(fleet.run(), messages.run()) == []


STRATEGIES = (*BUNDLED, "+".join(BUNDLED))
CLEARING = get_args(ClearingRule)


def disagreements(seed: int, strategy: str, clearing: str, disclose: str) -> list[str]:
    """In what the engines differ about the street of this seed, if all its cars follow this strategy."""
    street = random_street(seed, 1 + seed % 8, 40 + seed % 60)
    scenario, (feeder,) = street.scenario, street.feeders
    transformer = structs.replace(scenario.transformer, clearing=clearing)
    vehicles = structs.replace(scenario.vehicles, strategy=strategy, disclose=disclose)
    street = replace(
        street,
        scenario=structs.replace(scenario, transformer=transformer, vehicles=vehicles),
        feeders=(replace(feeder, transformer=transformer),),
    )
    return differences(FleetRun(street).run(), checked_run(street).run())


@pytest.mark.parametrize("clearing", CLEARING)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_engines_agree_whatever_cars_ask_and_however_a_round_clears(strategy, clearing):
    seed = STRATEGIES.index(strategy) * len(CLEARING) + CLEARING.index(clearing)
    assert disagreements(seed, strategy, clearing, ("nothing", "departure")[seed % 2]) == []


@pytest.mark.long
@pytest.mark.parametrize("disclose", ["nothing", "departure"])
@pytest.mark.parametrize("clearing", CLEARING)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_engines_agree_about_two_hundred_streets(strategy, clearing, disclose):
    """Five streets for each way to trade."""
    ways = [*product(STRATEGIES, CLEARING, ("nothing", "departure"))]
    for seed in range(100 + ways.index((strategy, clearing, disclose)), 100 + 5 * len(ways), len(ways)):
        assert disagreements(seed, strategy, clearing, disclose) == [], seed


@pytest.mark.parametrize(
    ("name", "day", "reading_s"),
    [("demo", None, 300), ("b250", 7, 30), pytest.param("b250", None, 30, marks=pytest.mark.long)],
)
def test_engines_agree_about_a_bundled_street(name, day, reading_s):
    street = load_street(name, day=day, settings=[f"reading_s={reading_s}"])
    fleet, messages = run_street(street, engine="fleet"), run_street(street, engine="messages")
    assert differences(fleet, messages) == []
    assert any(trade.kind == "feed" for trade in fleet.trades), "a battery or a car feeds"


def test_engines_agree_when_cars_do_not_leave_as_they_said():
    street = load_street(
        "b250", day=6, settings=["reading_s=150", "vehicles.departure=error:2h", "vehicles.curve=taper"]
    )
    assert (street.sessions.stated_departure_ms != street.sessions.departure_tick * street.tick_ms).any()
    fleet, messages = run_street(street, engine="fleet"), run_street(street, engine="messages")
    assert differences(fleet, messages) == []
    assert fleet.rounds


def test_signatures_change_no_trade():
    street = random_street(131, chargers=8, ticks=80)
    signed, plain = (run_street(street, engine="messages", sign=sign) for sign in (True, False))
    assert differences(signed, plain) == []
    assert signed.events_hash != plain.events_hash, "the signatures are in the events"


def test_a_difference_would_be_seen():
    street = random_street(131, chargers=8, ticks=80)
    one, other = run_street(street, engine="fleet"), run_street(street, engine="fleet")
    assert differences(one, other) == []
    other.ticks[3].import_w[0] += 1
    other.trades[0] = other.trades[0]._replace(nanos=other.trades[0].nanos + 1)
    found = differences(one, other)
    assert [finding.partition(":")[0] for finding in found] == ["trades", "the trace hash", "tick 3, import_w"]
