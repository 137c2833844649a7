"""A fleet of many feeders in one pass: every feeder's rows are those of a run of that feeder alone."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.streets import random_street
from tests.test_same_everywhere import differences

from wattswap.agents.controllers import controller_named
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.recording.record import RunRecord
from wattswap.runners.scenario import Street
from wattswap.runners.scenario.street import Sessions, concatenated


def neighbours(seed: int, count: int) -> list[Street]:
    """Streets with cars, homes and transformers of their own, under one clock, one seed and one kind of charger."""
    drawn = [random_street(seed + 7_919 * number, 2 + (seed + number) % 7, 90) for number in range(count)]
    first = drawn[0].scenario
    same = {name: getattr(first, name) for name in ("seed", "reading_s", "window_s", "chargers", "vehicles", "market")}
    eager = {"strategy": "need+altruist+truthful+prosumer", "guard_s": 0}
    same["vehicles"] = msgspec.structs.replace(first.vehicles, **eager)
    ticks = min(street.ticks for street in drawn)
    ticks -= ticks % (first.window_s // first.reading_s)
    return [
        replace(
            street,
            scenario=msgspec.structs.replace(street.scenario, battery=(), **same),
            tick_ms=drawn[0].tick_ms,
            ticks=ticks,
            feeders=tuple(
                replace(feeder, base_w=feeder.base_w[:, : ticks + 1], limit_w=feeder.limit_w[:ticks], batteries=())
                for feeder in street.feeders
            ),
            sessions=_on_the_clock(street.sessions, street.tick_ms, drawn[0].tick_ms),
        )
        for street in drawn
    ]


def _on_the_clock(sessions: Sessions, tick_ms: int, new_tick_ms: int) -> Sessions:
    return replace(sessions, stated_departure_ms=sessions.stated_departure_ms // tick_ms * new_tick_ms)


def joined(streets: list[Street]) -> Street:
    """One street with a feeder for each of these."""
    first = streets[0]
    ends = np.cumsum([0, *(len(each.sessions.session_id) for each in streets)]).tolist()
    feeders = tuple(
        replace(feeder, name=f"feeder-{number}", sessions=slice(ends[number], ends[number + 1]))
        for number, (feeder,) in enumerate(each.feeders for each in streets)
    )
    return replace(first, feeders=feeders, sessions=concatenated([each.sessions for each in streets]))


def together(streets: list[Street], controller: str = "negotiated") -> tuple[RunRecord, ...]:
    """The records of one fleet run over all of these streets, one each."""
    run = FleetRun(joined(streets), controller_named(controller))
    run.run()
    return run.records


def renumbered(record: RunRecord, first_row: int) -> RunRecord:
    """The record with rows counted from its own feeder's first."""
    record.ticks = [row._replace(rows=row.rows - first_row) for row in record.ticks]
    return record


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32), st.integers(1, 4))
def test_many_feeders_in_one_pass_are_as_many_runs(seed, count):
    streets, first_row = neighbours(seed, count), 0
    for street, record in zip(streets, together(streets), strict=True):
        assert differences(renumbered(record, first_row), FleetRun(street).run()) == []
        first_row += len(street.sessions.session_id)


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32), st.integers(1, 3))
def test_agents_of_many_feeders_come_to_the_same_as_the_fleet(seed, count):
    streets = neighbours(seed, count)
    run = simulated_run(joined(streets))
    run.run()
    for fleet, messages in zip(together(streets), run.records, strict=True):
        assert differences(without_payment_ids(fleet), without_payment_ids(messages)) == []


def without_payment_ids(record: RunRecord) -> RunRecord:
    """The record with trades that do not say under which name they were paid: agents put the feeder's number there."""
    record.trades = [trade._replace(payment_id="") for trade in record.trades]
    return record


def test_the_streets_of_this_test_trade():
    records = [record for seed in range(8) for record in together(neighbours(seed, 4))]
    assert sum(any(trade.kind == "reduce" for trade in record.trades) for record in records) > 4
    assert any(trade.kind == "forced" for record in records for trade in record.trades)


@pytest.mark.parametrize("controller", ["edf", "equal-share", "poc"])
def test_a_controller_rules_each_feeder_by_itself(controller):
    streets, first_row = neighbours(131, 3), 0
    for street, record in zip(streets, together(streets, controller), strict=True):
        alone = FleetRun(street, controller_named(controller)).run()
        assert differences(renumbered(record, first_row), alone) == []
        first_row += len(street.sessions.session_id)
