"""Cars that cannot pause: once stopped, they do not charge again by themselves, and leave short."""

from __future__ import annotations

import numpy as np
from tests.streets import Stay, street_of

from wattswap.agents.law import Grants
from wattswap.experiments.literature.arms import Design, run_arm
from wattswap.experiments.literature.stalling_world import StallingWorld
from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.engines.fleet import FleetRun

STOP, GO = 10, 20
"""Ticks from which the rule below lets nobody charge, and everybody again."""


def run(stopped_w: int, arrives: int = 0) -> StallingWorld:
    """Two cars that need an hour at 11 kW and have more than one; the first cannot pause, and both are cut."""
    stays = [Stay(arrives, 200, 11 * WS_PER_KWH), Stay(0, 200, 11 * WS_PER_KWH)]
    street = street_of(stays, 200)
    world = StallingWorld(street, np.array([True, False]))

    def rule(base_w, target_w, cars, plugged, rules):
        now = int(plugged.now_ms[0]) // rules.tick_ms
        most_w = stopped_w if STOP <= now < GO else 22_000
        return Grants(np.minimum(cars.wanted_w, most_w), *[np.zeros_like(cars.wanted_w)] * 2)

    FleetRun(street, rule, world=world).run()
    return world


def test_a_car_that_cannot_pause_and_was_stopped_charges_no_more():
    world = run(stopped_w=0)
    assert world.stalled.tolist() == [True, False]
    assert world.remaining_ws[0] == 11 * WS_PER_KWH - STOP * 30 * 11_000
    assert world.remaining_ws[1] == 0


def test_below_six_ampere_it_is_stopped_and_at_six_it_is_not():
    assert run(stopped_w=4_139).stalled.tolist() == [True, False]
    slowed = run(stopped_w=4_140)
    assert (slowed.stalled.tolist(), slowed.remaining_ws.tolist()) == ([False, False], [0, 0])


def test_a_car_that_has_not_begun_is_not_stopped_and_neither_is_a_full_one():
    waits = run(stopped_w=0, arrives=STOP)
    assert (waits.stalled.tolist(), waits.remaining_ws.tolist()) == ([False, False], [0, 0])


def test_where_turns_change_hands_cars_that_cannot_pause_stall_and_wait_in_vain():
    none, pausing = run_arm("none", 1, Design(2, 1, 0, 100)), run_arm("karma", 1, Design(2, 1, 0, 0))
    found = run_arm("karma", 1, Design(2, 1, 0, 100))
    assert (none.cannot_pause, none.stalled) == (none.sessions, 0)
    assert (pausing.cannot_pause, pausing.stalled) == (0, 0)
    assert 0 < found.stalled < found.cannot_pause == found.sessions
    assert found.waiting_cost_iota > pausing.waiting_cost_iota
