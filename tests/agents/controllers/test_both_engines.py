"""A controller sees the same and does the same in the fleet and among the agents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec import structs
from tests.checked import checked_run
from tests.streets import Stay, street_of, streets

from wattswap.agents.controllers import CONTROLLERS, NEGOTIATED, controller_named
from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.engines.fleet import FleetRun

ALL = [name for name in CONTROLLERS if name != NEGOTIATED]
FEW = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def columns(tick):
    """A tick as plain lists, to compare."""
    scalars, arrays = (tick.tick, tick.base_w, tick.limit_w), (*tick.charging, *tick[3:4], *tick[5:])
    return scalars, [np.asarray(column).tolist() for column in arrays]


def loads_w(record):
    return [tick.base_w + int((tick.import_w - tick.export_w).sum()) for tick in record.ticks]


@pytest.mark.parametrize("name", ALL)
@FEW
@given(street=streets())
def test_both_engines_agree_tick_by_tick_and_no_token_moves_but_for_bills(name, street):
    fleet = FleetRun(street, controller_named(name)).run()
    messages = checked_run(street, controller_named(name)).run()
    assert [columns(tick) for tick in fleet.ticks] == [columns(tick) for tick in messages.ticks]
    assert sorted(fleet.sessions) == sorted(messages.sessions)
    assert fleet.trades == messages.trades == []
    assert fleet.rounds == messages.rounds == []


@pytest.mark.parametrize("name", ["edf", "llf", "fcfs"])
@FEW
@given(street=streets())
def test_they_agree_where_cars_disclose_what_they_could_feed(name, street):
    disclosed = structs.replace(street.scenario.vehicles, disclose="feeding", feed_w=11_000)
    street = replace(street, scenario=structs.replace(street.scenario, vehicles=disclosed))
    fleet = FleetRun(street, controller_named(name)).run()
    messages = checked_run(street, controller_named(name)).run()
    assert [columns(tick) for tick in fleet.ticks] == [columns(tick) for tick in messages.ticks]
    assert sorted(fleet.sessions) == sorted(messages.sessions)
    assert name != "fcfs" or not any(tick.export_w.any() for tick in fleet.ticks)


@pytest.mark.parametrize("name", ["edf", "llf"])
def test_what_a_controller_lets_a_car_feed_is_on_its_bill_in_both_engines(name):
    """The one that stays for long feeds until the other is full, and draws it back before it leaves."""
    stays = [Stay(0, 70, 6 * WS_PER_KWH), Stay(0, 500, 10 * WS_PER_KWH)]
    transformer = {"rating_va": 63_000, "limit_w": 60_000, "margin_pct": 0}
    vehicles = {"disclose": "feeding", "capacity_wh": 60_000, "feed_w": 11_000}
    street = street_of(stays, 520, base_w=[[56_000] * 521], transformer=transformer, vehicles=vehicles)
    fleet = FleetRun(street, controller_named(name)).run()
    assert max(session.exported_ws for session in fleet.sessions if session.billed_nanos) > WS_PER_KWH
    assert sorted(fleet.sessions) == sorted(checked_run(street, controller_named(name)).run().sessions)


@pytest.mark.parametrize("name", ["edf", "llf"])
def test_a_car_that_has_time_feeds_for_one_in_a_hurry_where_they_disclose_it(name):
    """Room for 4 kW, and both want 11; the one that stays ten hours feeds the rest until the other is full."""
    stays = [Stay(0, 70, 6 * WS_PER_KWH), Stay(0, 1_200, 10 * WS_PER_KWH)]
    transformer = {"rating_va": 63_000, "limit_w": 60_000, "margin_pct": 0}
    runs = {}
    for disclose in ("departure", "feeding"):
        vehicles = {"disclose": disclose, "capacity_wh": 60_000, "feed_w": 11_000}
        street = street_of(stays, 80, base_w=[[56_000] * 81], transformer=transformer, vehicles=vehicles)
        runs[disclose] = FleetRun(street, controller_named(name)).run()
    assert max(loads_w(runs["feeding"])) <= 60_000
    first, *_ = runs["feeding"].ticks
    assert (first.import_w.tolist(), first.export_w.tolist()) == ([11_000, 0], [0, 7_000])
    assert min(runs["departure"].sessions).status == "short"
    assert min(runs["feeding"].sessions).status == "full"


def four_cars(last_arrives=0, margin_pct=0):
    """Four cars of 11 kW under 60 kW, 40 kW of homes: room for not quite two of them."""
    stays = [Stay(arrives, 200, 10 * WS_PER_KWH) for arrives in (-5, 0, 0, last_arrives)]
    transformer = {"rating_va": 63_000, "limit_w": 60_000, "margin_pct": margin_pct}
    return street_of(stays, 60, base_w=[[40_000] * 61], transformer=transformer)


@pytest.mark.parametrize("name", ["fcfs", "edf", "llf", "equal-share", "round-robin"])
def test_a_cap_holds_the_load_at_the_target(name):
    record = FleetRun(four_cars(margin_pct=5), controller_named(name)).run()
    assert max(loads_w(record)) <= 57_000


def test_first_come_is_served_by_when_it_plugged_in_not_by_its_place_in_the_file():
    stays = [Stay(10, 200, 10 * WS_PER_KWH), Stay(0, 200, 10 * WS_PER_KWH)]
    transformer = {"rating_va": 63_000, "limit_w": 60_000, "margin_pct": 0}
    tight = street_of(stays, 20, base_w=[[49_000] * 21], transformer=transformer)
    last = FleetRun(tight, controller_named("fcfs")).run().ticks[-1]
    assert last.import_w.tolist() == [0, 11_000]


def test_the_law_of_2019_is_over_the_limit_every_other_tick():
    """What it has curtailed it takes for room."""
    loads = loads_w(FleetRun(four_cars(), controller_named("poc")).run())
    assert [load > 60_000 for load in loads] == [True, False] * 30


def test_once_a_car_arrives_between_two_swings_the_law_of_2019_stays_over_the_limit_for_good():
    """Its percentage is of the reduced load, but is applied to full power: x, full * available / x, x, ...

    33 and 26.7 kW of cars here, where 20 fit; never as little as would release everybody.
    """
    loads = loads_w(FleetRun(four_cars(last_arrives=3), controller_named("poc")).run())
    assert loads[4:] == [73_000, 66_664] * 28
