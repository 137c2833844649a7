"""Drivers who override a controller: to it their cars are a part of the homes' load."""

from __future__ import annotations

import numpy as np
from tests.agents.controllers.parked import Parked, parked

from wattswap.agents.controllers import controller_named, informed
from wattswap.agents.controllers.karma import Karma
from wattswap.agents.controllers.overridden import Overridden, overrides
from wattswap.agents.law import Grants
from wattswap.agents.rules import Rules
from wattswap.protocol.units import MS_PER_HOUR

SEED, PCT = 1, 15.0
KEYS = np.arange(4, dtype=np.uint64)
FREE = overrides(SEED, KEYS, PCT)
"""Of the cars of a parked street, those whose drivers override."""


def street(now_ms: int, wanted_w: list[int], drawn_w: list[int]) -> Parked:
    """Cars that have been there for long and have hours left."""
    return parked(
        wanted_w,
        arrival=[-1] * 4,
        departure=[9 * MS_PER_HOUR] * 4,
        laxity=[8 * MS_PER_HOUR - now_ms] * 4,
        drawn_w=drawn_w,
        now_ms=now_ms,
    )


def test_some_override_and_some_do_not():
    assert 0 < FREE.sum() < 3, "or the tests below say nothing"


def test_the_controller_is_told_of_the_others_alone():
    told = []

    def grants_nothing(base_w, target_w, cars, plugged, rules):
        told.append((base_w, cars.wanted_w.tolist(), plugged.drawn_w.tolist()))
        return Grants(*[np.zeros_like(cars.wanted_w)] * 3)

    granted = Overridden(grants_nothing, SEED, PCT)(500, 20_000, *street(0, [11_000] * 4, [7_000] * 4), Rules())
    taken_w = 11_000 * int(FREE.sum())
    (said,) = told
    assert said == (500 + taken_w, np.where(FREE, 0, 11_000).tolist(), np.where(FREE, 0, 7_000).tolist())
    assert granted.import_w.tolist() == np.where(FREE, 11_000, 0).tolist()


def test_karma_changes_hands_once_a_window_while_an_overriding_car_draws():
    rules = Rules()
    controller = informed(Overridden(Karma(), SEED, PCT), np.zeros(2, dtype=np.int64), SEED)
    assert isinstance(controller, Overridden)
    karma = controller.controller
    assert isinstance(karma, Karma)
    assert karma.accounts is not None
    drawn_w, held = [0] * 4, []
    target_w = 11_000 * int(FREE.sum()) + 11_000  # room for one of the others
    for now_ms in range(0, 2 * rules.window_ms, rules.tick_ms):
        drawn_w = controller(0, target_w, *street(now_ms, [11_000] * 4, drawn_w), rules).import_w.tolist()
        held.append(dict(karma.accounts.held))
    a_window = rules.window_ms // rules.tick_ms
    assert held[0] == held[a_window - 1] != held[a_window] == held[-1]


def test_a_load_that_drivers_take_is_counted_once():
    """A droop adds up the homes' load and what cars drew; the overriding ones are in the first alone."""
    droop, drawn_w = controller_named("droop"), np.where(FREE, 11_000, 0).tolist()
    assert droop is not None
    target_w = 11_000 * int(FREE.sum()) + 5_000
    beside = Overridden(droop, SEED, PCT)(0, target_w, *street(0, [11_000] * 4, drawn_w), Rules())
    alone = droop(0, 5_000, *street(0, [11_000] * 4, [0] * 4), Rules())
    assert beside.import_w[~FREE].tolist() == alone.import_w[~FREE].tolist()
    assert alone.import_w.all()
