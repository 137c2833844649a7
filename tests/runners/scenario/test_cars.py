"""Car models: what is bundled, what a car draws from a wall box, and streets of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.agents import physics
from wattswap.agents.strategies import parse_mix
from wattswap.protocol.draws import agent_key
from wattswap.runners.engines.launch import run_street
from wattswap.runners.scenario import load_scenario, load_street
from wattswap.runners.scenario.cars import Car, bundled_cars, garage_of
from wattswap.runners.scenario.schema import Chargers
from wattswap.runners.world import World, fleet_of

CARS, _ = bundled_cars()
LEAF, TESLA, BMW = CARS["Nissan Leaf 40 kWh"], CARS["Tesla Model 3 LR"], CARS["BMW i3 120 Ah"]
THREE_PHASES, ONE_PHASE = Chargers(), Chargers(max_w=7_360, phases=1)


def test_every_bundled_car_has_a_battery_a_charger_on_board_and_a_whole_curve():
    assert len(CARS) == 24
    for car in CARS.values():
        assert 10_000 < car.usable_wh < 120_000
        assert 3_000 < car.ac_max_w <= 22_000
        assert 1 <= car.ac_phases <= 3
        soc_pct = [at for at, _ in car.knots_w]
        assert (soc_pct[0], soc_pct[-1]) == (0, 100)
        assert soc_pct == sorted(set(soc_pct))
        assert min(watts for _, watts in car.knots_w) >= 3_000
        assert not set("+:") & set(car.name)


@pytest.mark.parametrize(
    ("name", "at_three_w", "at_one_w"),
    [
        ("Tesla Model 3 LR", 11_000, 3_666),
        ("Renault Zoe R135 ZE50", 11_000, 7_333),
        ("Nissan Leaf 40 kWh", 3_666, 6_600),
        ("Nissan Leaf 24 kWh", 3_600, 3_600),
        ("Volkswagen e-Golf 2017", 7_200, 3_600),
    ],
)
def test_a_car_draws_what_both_give_on_the_phases_that_both_have(name, at_three_w, at_one_w):
    assert CARS[name].ac_w(THREE_PHASES) == at_three_w
    assert CARS[name].ac_w(ONE_PHASE) == at_one_w


def test_a_curve_goes_through_its_knots_and_straight_between_them():
    curve_w = Car("x", 1, 1, 1, ((0, 100), (50, 201), (100, 1))).curve_w()
    assert curve_w[[0, 25, 50, 51, 99, 100]].tolist() == [100, 150, 201, 197, 5, 1]
    for car in CARS.values():
        at, watts = zip(*car.knots_w, strict=True)
        assert car.curve_w()[list(at)].tolist() == list(watts)


SOC_WS = st.integers(0, 60_000 * 3_600)


@given(st.lists(SOC_WS, min_size=1, max_size=20), st.sampled_from([BMW, LEAF, TESLA]), st.integers(1, 22_000))
def test_a_battery_takes_the_lower_of_power_and_curve_row_by_row_within_a_watt_of_the_straight_line(stored, car, max_w):
    capacity_ws, stored_ws = np.full(len(stored), 60_000 * 3_600), np.array(stored)
    curves_w, zeros = car.curve_w()[None], np.zeros(len(stored), dtype=np.int64)
    takes_w = physics.curve_w(stored_ws, capacity_ws, np.full(len(stored), max_w), curves_w, zeros)
    for row, ws in enumerate(stored):
        one = slice(row, row + 1)
        alone_w = physics.curve_w(stored_ws[one], capacity_ws[one], np.full(1, max_w), curves_w, zeros[one])
        assert takes_w[row] == alone_w[0]
        permille = ws * 1000 // (60_000 * 3_600)
        line_w = np.interp(permille / 10, np.arange(101), car.curve_w())
        assert min(max_w, line_w - 1.001) <= takes_w[row] <= min(max_w, line_w + 0.001)
    assert takes_w.dtype == np.int64


def test_a_battery_over_full_or_empty_takes_what_the_end_of_its_curve_says():
    curves_w = BMW.curve_w()[None]
    stored_ws, capacity_ws = np.array([-5, 0, 100, 150]), np.full(4, 100)
    takes_w = physics.curve_w(stored_ws, capacity_ws, np.full(4, 60_000), curves_w, np.zeros(4, dtype=np.int64))
    assert takes_w.tolist() == [44_000, 44_000, 3_000, 3_000]


def test_at_a_wall_box_of_11_kw_three_of_the_cars_slow_down_and_only_above_97_percent():
    """What the source's fast charging curves say: derived, not assumed."""
    slow = {name: int((car.curve_w() >= car.ac_w(THREE_PHASES)).sum()) for name, car in CARS.items()}
    assert {name: least for name, least in slow.items() if least < 101} == {
        "BMW i3 120 Ah": 98,
        "Hyundai Kona 64 kWh 11 kW": 98,
        "Volvo XC40 P8 Recharge": 100,
    }


def test_a_mix_gives_each_person_one_car_and_the_shares_asked_for():
    scenario = load_scenario("a400", ["vehicles.model=Nissan Leaf 40 kWh:1+Tesla Model 3 LR:3"]).scenario
    people = np.array([agent_key(f"p{number}") for number in range(4_000)], dtype=np.uint64)
    garage = garage_of(scenario, people, [""] * len(people))
    assert Fraction(int((garage.model == 0).sum()), 4_000) == pytest.approx(0.25, abs=0.02)
    kinds = set(zip(garage.capacity_wh.tolist(), garage.max_w.tolist(), strict=True))
    assert kinds == {(38_000, 3_666), (74_000, 11_000)}
    again = garage_of(scenario, people[1_000:1_010], [""] * 10)
    assert np.array_equal(again.model, garage.model[1_000:1_010])
    assert len(garage.curves_w) == 3


def test_which_car_has_nothing_to_do_with_which_strategy():
    settings = ["vehicles.model=Nissan Leaf 40 kWh+Tesla Model 3 LR", "vehicles.strategy=need+keep"]
    street = load_street("a400", settings=settings, day=1)
    world = World(street)
    people = np.array([agent_key(f"p{number}") for number in range(4_000)], dtype=np.uint64)
    model = garage_of(street.scenario, people, [""] * len(people)).model
    strategy = parse_mix(street.scenario.vehicles.strategy).assign(street.scenario.seed, people)
    assert abs(np.corrcoef(model, strategy)[0, 1]) < 0.05
    assert set(world.fleet.model.tolist()) == {0, 1}


def test_a_model_sets_battery_and_power_and_no_car_feeds_more_than_it_draws():
    plain, leaf = fleet_of(load_street("b250")), fleet_of(load_street("b250", settings=[f"vehicles.model={LEAF.name}"]))
    cars = leaf.is_session
    assert set(leaf.max_w[cars].tolist()) == set(leaf.feed_w[cars].tolist()) == {3_666}
    assert set(plain.max_w[cars].tolist()) == set(plain.feed_w[cars].tolist()) == {11_000}
    assert leaf.capacity_ws[cars].min() == 38_000 * 3_600
    assert (leaf.max_w[-1], leaf.capacity_ws[-1]) == (plain.max_w[-1], plain.capacity_ws[-1]), "the battery stays"


@pytest.mark.parametrize("curve", ["taper", "model"])
def test_both_engines_agree_on_a_mixed_street_that_fills_to_the_brim(curve):
    models = "vehicles.model=BMW i3 120 Ah+Nissan Leaf 40 kWh"
    settings = ["reading_s=150", models, "vehicles.target_pct=100", f"vehicles.curve={curve}"]
    street = load_street("b250", settings=settings, day=7)
    fleet, messages = (run_street(street, engine=engine) for engine in ("fleet", "messages"))
    assert fleet.trace_hash() == messages.trace_hash()
    assert fleet.trades


def test_the_curve_of_a_model_changes_what_happens_only_near_full():
    def traces(target_pct: int) -> set[str]:
        settings = ["reading_s=150", f"vehicles.model={BMW.name}", f"vehicles.target_pct={target_pct}"]
        curves = (
            load_street("b250", settings=[*settings, f"vehicles.curve={curve}"], day=7) for curve in ("flat", "model")
        )
        return {run_street(street, engine="fleet").trace_hash() for street in curves}

    assert len(traces(80)) == 1
    assert len(traces(100)) == 2


def test_a_stationary_battery_has_no_cars_curve():
    """Its row is the last one, which never limits; a mixed street's cars have the others."""
    world = World(load_street("b250", settings=[f"vehicles.model={BMW.name}", "vehicles.curve=model"]))
    assert world.fleet.model[-1] == 1
    assert world.fleet.curves_w[1].min() == 100_000_000
    rows = np.array([len(world.fleet) - 1])
    assert world._takes_w(rows).tolist() == [25_000]


def test_a_run_with_a_model_records_the_table_it_came_from():
    assert "cars.csv" in load_street("demo", settings=[f"vehicles.model={BMW.name}"]).inputs
    assert "cars.csv" not in load_street("demo").inputs


def test_sessions_that_no_run_can_fill_are_counted(scenario):
    """Seven kilowatt-hours in two hours are too many for a car that draws 3.4 kW; the small street's others fit."""
    assert load_street(scenario).notes == ()
    street = load_street(scenario, settings=["chargers.max_w=1_700", "chargers.phases=1"])
    (note,) = street.notes
    assert note.startswith("1 of 3 sessions took more than charger and car give here while they are plugged in, and ")
