"""The two rivals that plan ahead: the flattest load, and the least waiting that can be planned without the future."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from tests.agents.controllers.parked import parked
from tests.streets import Stay, street_of

from wattswap.agents.controllers import controller_named, informed
from wattswap.agents.controllers.planning import STEP_MS, Foresight, Stays
from wattswap.agents.controllers.receding_horizon import planned_w
from wattswap.agents.controllers.valley_filling import filled_w
from wattswap.agents.rules import Rules
from wattswap.agents.strategies.waiting import waiting_cost
from wattswap.experiments.api import run_loaded
from wattswap.protocol.units import MS_PER_DAY, MS_PER_HOUR, WS_PER_KWH
from wattswap.runners.engines.fleet import FleetRun

BASE_W = np.array([9_000, 5_000, 1_000, 3_000, 8_000])
HOUR = 120  # ticks


def test_one_car_fills_the_valley_to_one_level():
    """6 kW steps into 5, 1 and 3 kW: up to 5 kW, 4 + 2."""
    plan = filled_w(BASE_W, np.array([6_000]), np.full((1, 5), 11_000))
    assert (BASE_W + plan[0]).tolist() == pytest.approx([9_000, 5_000, 5_000, 5_000, 8_000], abs=5)


def test_many_cars_together_fill_it_as_one_would():
    plans = filled_w(BASE_W, np.full(30, 200), np.full((30, 5), 11_000))
    assert (BASE_W + plans.sum(axis=0)).tolist() == pytest.approx([9_000, 5_000, 5_000, 5_000, 8_000], abs=150)


def test_who_leaves_early_charges_early_and_the_others_make_room():
    """The first must have 6 kW steps within two steps, whatever the homes draw there; the other takes the valley."""
    plans = filled_w(BASE_W, np.array([6_000, 6_000]), np.array([[8_000, 8_000, 0, 0, 0], [8_000] * 5]))
    assert plans[0].tolist() == pytest.approx([1_000, 5_000, 0, 0, 0], abs=100)
    assert plans[1].tolist() == pytest.approx([0, 0, 4_000, 2_000, 0], abs=100)


def test_the_load_is_as_flat_as_convex_programming_finds():
    """Of all feasible totals none has a smaller sum of squares: no step toward any vertex lowers it."""
    rng = np.random.default_rng(7)
    base_w, need_w = rng.integers(0, 20_000, 12), rng.integers(2_000, 30_000, 6)
    most_w = np.where(np.arange(12) < rng.integers(6, 13, (6, 1)), 11_000, 0)
    plans = filled_w(base_w, need_w, most_w)
    load = base_w + plans.sum(axis=0)
    sums = np.kron(np.eye(6), np.ones(12))
    price, meets = np.tile(load, 6), LinearConstraint(sums, need_w, need_w)
    vertex = milp(price, bounds=Bounds(0, most_w.ravel()), constraints=meets).x
    assert vertex is not None
    assert load @ (vertex.reshape(6, 12) - plans).sum(axis=0) >= -1e-3 * float(load @ load)


def test_beyond_the_run_s_end_the_homes_are_foreseen_as_a_day_before():
    a_day = MS_PER_DAY // STEP_MS
    told = Foresight(np.arange(-1, a_day + 10), seed=1)  # the load at tick t + 1 is t
    assert told.base_ahead_w((a_day + 7) * STEP_MS, 4, STEP_MS).tolist() == [a_day + 7, a_day + 8, a_day + 9, 10]
    short = Foresight(np.arange(5), seed=1)
    assert short.base_ahead_w(2 * STEP_MS, 4, STEP_MS).tolist() == [3, 4, 4, 4], "less than a day: what is known last"


def test_the_valley_is_waited_for():
    """Homes draw 8 kW for two hours and 1 kW after them: the car comes first and charges last."""
    base_w = [8_000] * (2 * HOUR) + [1_000] * (6 * HOUR + 1)
    street = street_of(
        [Stay(0, 8 * HOUR, 11 * WS_PER_KWH)], 8 * HOUR, base_w=[base_w], vehicles={"disclose": "departure"}
    )
    record = FleetRun(street, controller_named("valley-filling")).run()
    drawn_w = np.array([int(tick.import_w.sum()) for tick in record.ticks if len(tick.import_w)])
    assert not drawn_w[: 2 * HOUR].any()
    assert drawn_w.sum() * 30 == pytest.approx(11 * WS_PER_KWH, rel=1e-3)


def test_a_flat_valley_still_fills_every_car_in_time():
    stays = [Stay(0, 3 * HOUR + 20 * car, 11 * WS_PER_KWH, user=f"U{car}") for car in range(6)]
    street = street_of(stays, 5 * HOUR, transformer={"limit_w": 40_000}, vehicles={"disclose": "departure"})
    figures = run_loaded(street, controller="valley-filling", engine="fleet").summary
    assert (figures["sessions_short"], figures["overload_s"]) == (0, 0)


def test_who_cannot_wait_comes_first_then_whose_waiting_is_dear():
    """Two steps, room for one at a time: the third must be full after the first step, the second is dearer."""
    most = np.array([[10_000, 10_000, 10_000]] * 2 + [[10_000, 0, 0]])
    need_ws = np.full(3, 10_000 * STEP_MS // 1_000)
    plans = planned_w(Stays(np.arange(3), need_ws, most), np.array([1.0, 5.0, 1.0]), 10_000)
    assert plans.tolist() == [
        pytest.approx([0, 0, 10_000], abs=1),
        pytest.approx([0, 10_000, 0], abs=1),
        pytest.approx([10_000, 0, 0], abs=1),
    ]


def test_the_planner_is_told_whose_waiting_is_dear():
    """Ten cars at leisure, room for three: those it serves are the three whose owners' waiting costs most."""
    street = parked([11_000] * 10, departure=[9 * MS_PER_HOUR] * 10, laxity=[8 * MS_PER_HOUR] * 10)
    told = Foresight(np.zeros(2, dtype=np.int64), seed=1)
    planner = informed(controller_named("receding-horizon"), told.base_w, told.seed)
    assert planner is not None
    granted = planner(0, 33_000, *street, Rules()).import_w
    dearest = np.argsort(-waiting_cost(1, street.cars.key))[:3]
    assert sorted(granted.nonzero()[0].tolist()) == sorted(dearest.tolist())
