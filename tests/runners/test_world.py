"""The physical street: what batteries draw, hold and feed, before the run, in it, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streets import Stay, random_street, street_of, streets

from wattswap.agents.law import ChargingState
from wattswap.protocol.units import NEVER_MS, WS_PER_KWH
from wattswap.runners.scenario import Street, load_street
from wattswap.runners.world import World, fallback_unsafe_w

TICK_S = 30


def pass_tick(world: World, tick: int, export_w: int = 0) -> ChargingState:
    """Let everyone draw what it wants for a tick, and feed if it shall."""
    world.leave(tick)
    world.arrive(tick)
    charging = world.charging(tick)
    world.move(charging, charging.wanted_w, np.full_like(charging.wanted_w, export_w))
    return charging


def wanted(world: World, ticks: int) -> list[int]:
    """What the street's one car wants at each tick, its departure included; 0 while there is none."""
    return [int(pass_tick(world, tick).wanted_w.sum()) for tick in range(ticks)]


def test_a_car_draws_full_power_then_what_is_left_then_nothing():
    stay = Stay(arrives=2, departs=9, energy_ws=(3 * 11_000 + 5_000) * TICK_S + 29)
    world = World(street_of([stay], 10))
    assert wanted(world, 10) == [0, 0, 11_000, 11_000, 11_000, 5_000, 0, 0, 0, 0]
    assert world.remaining_ws.tolist() == [29], "less than a watt for a tick is never drawn"
    assert world.imported_ws.tolist() == [38_000 * TICK_S]


def test_a_car_that_leaves_early_takes_what_it_has():
    world = World(street_of([Stay(0, 2, 11_000 * TICK_S * 5)], 5))
    assert wanted(world, 5) == [11_000, 11_000, 0, 0, 0]
    assert world.remaining_ws.tolist() == [3 * 11_000 * TICK_S]


def test_two_cars_follow_each_other_at_a_charger_within_an_instant():
    world = World(street_of([Stay(2, 4, 10**9, "a"), Stay(0, 2, 10**9, "a")], 5))
    present = []
    for tick in range(5):
        pass_tick(world, tick)
        present.append(world.plugged.tolist())
    assert present == [[1], [1], [0], [0], []]


def test_who_came_before_the_start_has_charged_until_then():
    stays = [Stay(-3, 10, 5 * 11_000 * TICK_S), Stay(-3, 10, 2 * 11_000 * TICK_S), Stay(-3, 10, 3 * 11_000 * TICK_S)]
    world = World(street_of(stays, 1))
    world.arrive(0)
    assert world.remaining_ws.tolist() == [2 * 11_000 * TICK_S, 0, 0]
    assert world.baseline_ws.tolist() == world.remaining_ws.tolist()
    assert world.drew.tolist() == [True, False, True], "who drew in the tick before the start"
    assert world.imported_ws.tolist() == [0, 0, 0], "an earlier day's energy is on an earlier day's meter"


@pytest.mark.parametrize("curve", ["flat", "taper"])
def test_a_day_starts_as_the_uncontrolled_week_stands_at_that_instant(curve):
    settings = [f"vehicles.curve={curve}", "vehicles.target_pct=100"]
    week, day = (World(load_street("b250", day=number, settings=settings)) for number in (None, 4))
    start = 3 * 24 * 3_600 // TICK_S
    for tick in range(start):
        pass_tick(week, tick)
    week.leave(start)
    week.arrive(start)
    day.arrive(0)
    assert len(day.plugged) > 10
    assert state(day) == state(week)


def state(world: World) -> dict[str, tuple[int, ...]]:
    """Where each plugged car stands, by its session."""
    columns = (world.remaining_ws, world.baseline_ws, world.stored_ws, world.drew)
    return {world.fleet.session_id[row]: tuple(int(column[row]) for column in columns) for row in world.plugged}


@pytest.mark.parametrize(
    ("soc_pct", "takes_w"), [(50, 10_000), (80, 10_000), (85, 8_000), (90, 6_000), (95, 4_000), (99, 2_400)]
)
def test_a_tapering_battery_takes_less_from_80_percent_on(soc_pct, takes_w):
    stay = Stay(0, 10, (100 - soc_pct) * WS_PER_KWH)
    vehicles = {"curve": "taper", "capacity_wh": 100_000, "target_pct": 100}
    world = World(street_of([stay], 1, vehicles=vehicles, chargers={"max_w": 10_000}))
    world.arrive(0)
    assert world.charging(0).wanted_w.tolist() == [takes_w]


def test_the_baseline_tapers_by_its_own_state_of_charge():
    vehicles = {"curve": "taper", "capacity_wh": 100_000, "target_pct": 100}
    world = World(street_of([Stay(0, 1_000, 10 * WS_PER_KWH)], 10, vehicles=vehicles, chargers={"max_w": 10_000}))
    world.arrive(0)
    for tick in range(60):  # half an hour in which the car gives way
        charging = world.charging(tick)
        world.move(charging, charging.wanted_w * 0, charging.wanted_w * 0)
    assert world.charging(60).wanted_w.tolist() == [6_000]
    assert 4_900 < int(world.charging(60).baseline_w[0]) < 5_200, "it would be at 92.5 % now"


def test_a_battery_is_always_there_and_wants_nothing_until_it_has_fed():
    battery = {"capacity_wh": 50_000, "max_w": 25_000, "reserve_pct": 20, "initial_pct": 80}
    world = World(street_of([], 5, battery=[battery]))
    assert [pass_tick(world, tick, export_w=0).wanted_w.tolist() for tick in range(2)] == [[0], [0]]
    pass_tick(world, 2, export_w=22_000)
    assert world.exported_ws.tolist() == [22_000 * TICK_S]
    assert world.remaining_ws.tolist() == [25_000 * TICK_S], "an eighth more than arrives is drained: 22 / 0.88"
    assert world.stored_ws.tolist() == [40 * WS_PER_KWH - 25_000 * TICK_S]
    charging = pass_tick(world, 3)
    assert charging.wanted_w.tolist() == [25_000]
    assert charging.baseline_w.tolist() == [0], "a refill is owed, never baseline"
    assert world.stored_ws.tolist() == [40 * WS_PER_KWH]
    assert world.leave(4).tolist() == []
    assert world.fleet.departure_ms.tolist() == [NEVER_MS]


def test_a_battery_near_its_reserve_feeds_what_is_above_it():
    world = World(street_of([], 5, battery=[{"capacity_wh": 10, "max_w": 25_000, "initial_pct": 50}]))
    pass_tick(world, 0, export_w=25_000)
    assert world.exported_ws.tolist() == [(18_000 - 7_200) * 880 // 1_000 // TICK_S * TICK_S]
    assert 7_200 <= int(world.stored_ws[0]) < 7_200 + 30 * TICK_S


def test_a_car_holds_what_it_needs_where_the_assumed_battery_is_too_small():
    vehicles = {"capacity_wh": 60_000, "target_pct": 80}
    world = World(street_of([Stay(0, 10, 56 * WS_PER_KWH), Stay(0, 10, 7 * WS_PER_KWH)], 1, vehicles=vehicles))
    assert world.fleet.capacity_ws.tolist() == [80 * WS_PER_KWH, 60 * WS_PER_KWH], "at least 10 % at arrival"
    assert world.stored_ws.tolist() == [8 * WS_PER_KWH, 41 * WS_PER_KWH]


def test_firm_power_is_all_a_car_needs_once_the_guard_is_reached():
    street = street_of([Stay(0, 200, 11_000 * TICK_S * 100)], 200, vehicles={"guard_s": 1_800})
    world = World(street)
    world.arrive(0)
    world.baseline_ws[:] = 0  # as if it were long since full, had it never given way
    firm_w = [int(world.charging(tick).firm_w[0]) for tick in range(60)]
    assert firm_w == [0] * 40 + [11_000] * 20, "100 ticks of charging and 60 of guard before tick 200"


@given(streets(), st.integers(0, 1 << 32))
def test_whatever_is_granted_no_battery_leaves_its_bounds(street: Street, seed: int):
    world, dice = World(street), np.random.default_rng(seed)
    whole_ws = world.stored_ws + world.remaining_ws
    for tick in range(street.ticks):
        world.leave(tick)
        world.arrive(tick)
        charging, cars = world.charging(tick), len(world.plugged)
        drawn_w, fed_w = world.move(charging, dice.integers(0, 30_000, cars), dice.integers(0, 60_000, cars))
        assert (drawn_w <= charging.wanted_w).all()
        assert (fed_w >= 0).all()
        assert (world.stored_ws >= 0).all()
        assert (world.stored_ws <= world.fleet.capacity_ws).all()
        assert (world.remaining_ws >= 0).all()
        assert (world.baseline_ws >= 0).all()
        assert (world.stored_ws + world.remaining_ws == whole_ws).all(), "what is drained is to be refilled"


def test_the_site_is_unsafe_by_what_its_minima_exceed_the_limit():
    stays = [Stay(0, 5, 1, "a"), Stay(5, 9, 1, "a"), Stay(0, 5, 1, "b")]
    street = street_of(stays, 9, chargers={"guaranteed_w": 1_000})
    fleet = World(street).fleet
    assert fallback_unsafe_w(fleet, np.array([-1_000]), 1_000) == 1_000
    assert fallback_unsafe_w(fleet, np.array([-2_000]), 1_000) == 0


def test_rows_are_sessions_in_file_order_then_batteries():
    street = random_street(131, chargers=8, ticks=80)
    fleet = World(street).fleet
    batteries = tuple(f"battery-{n + 1}" for n in range(len(street.scenario.battery)))
    sessions = len(street.sessions.session_id)
    assert fleet.session_id == (*street.sessions.session_id, *batteries)
    assert fleet.is_session.tolist() == [True] * sessions + [False] * len(batteries)
    assert len(fleet) > sessions > 0
