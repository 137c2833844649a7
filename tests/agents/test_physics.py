"""Physics: the same functions for one car and for ten thousand, in integers; no energy appears or vanishes."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.agents import physics
from wattswap.agents.physics import Ints

KWH = 3_600_000
energies = st.integers(0, 200 * KWH)
powers = st.integers(1, 350_000)
permille = st.integers(1, 1_000)


def column(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def one(value: int) -> Ints:
    return np.int64(value)  # type: ignore[return-value]  # a number is taken just as an array is


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**6))
def test_ceil_div_rounds_up(dividend: int, divisor: int) -> None:
    assert physics.ceil_div(one(dividend), divisor) == ceil(Fraction(dividend, divisor))


@given(st.lists(st.tuples(energies, powers, permille, energies), min_size=1, max_size=6))
def test_a_number_and_an_array_give_the_same(rows: list[tuple[int, int, int, int]]) -> None:
    stored, power, round_trip, more = (column(list(values)) for values in zip(*rows, strict=True))
    capacity = stored + more + 1
    together = [
        physics.wanted_w(stored, power, 30),
        physics.taper_w(stored, capacity, power),
        physics.charging_ms(stored, power),
        physics.drained_ws(stored, round_trip),
        physics.feedable_w(stored, round_trip, 30),
    ]
    for row, (s, p, r, _) in enumerate(rows):
        alone = [
            physics.wanted_w(one(s), one(p), 30),
            physics.taper_w(one(s), one(int(capacity[row])), one(p)),
            physics.charging_ms(one(s), one(p)),
            physics.drained_ws(one(s), r),
            physics.feedable_w(one(s), r, 30),
        ]
        assert [int(values[row]) for values in together] == [int(value) for value in alone]
    assert all(values.dtype == np.int64 for values in together)


@given(energies, powers, st.integers(1, 900))
def test_a_car_wants_full_power_or_just_what_is_missing(remaining_ws: int, max_w: int, tick_s: int) -> None:
    wanted_w = int(physics.wanted_w(one(remaining_ws), one(max_w), tick_s))
    assert wanted_w * tick_s <= remaining_ws
    assert wanted_w == max_w or (wanted_w + 1) * tick_s > remaining_ws


@given(energies, powers)
def test_charging_time_is_the_shortest_that_is_enough(remaining_ws: int, max_w: int) -> None:
    time_ms = int(physics.charging_ms(one(remaining_ws), one(max_w)))
    assert time_ms * max_w >= remaining_ws * 1000
    assert time_ms == 0 or (time_ms - 1) * max_w < remaining_ws * 1000


def test_feeding_carries_the_whole_round_trips_loss() -> None:
    """88 kWh on the street take 100 kWh from the battery; charging them again counts one to one."""
    assert physics.drained_ws(one(88 * KWH), 880) == 100 * KWH
    assert physics.drained_ws(one(1), 880) == 2
    assert physics.drained_ws(one(5), 1_000) == 5


@given(energies, permille, st.integers(1, 900))
def test_an_emptying_battery_never_feeds_more_than_it_holds(stored_ws: int, round_trip: int, tick_s: int) -> None:
    feed_w = int(physics.feedable_w(one(stored_ws), round_trip, tick_s))
    assert int(physics.drained_ws(one(feed_w * tick_s), round_trip)) <= stored_ws
    assert int(physics.drained_ws(one((feed_w + 1) * tick_s), round_trip)) > stored_ws


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 22_000)), max_size=40), energies, st.integers(500, 1_000))
def test_no_energy_appears_whatever_is_charged_and_fed(
    steps: list[tuple[bool, int]], stored_ws: int, round_trip: int
) -> None:
    """What reached the street is never more than the round trip leaves of what the battery gave."""
    battery_ws = bought_ws = sold_ws = 0
    battery_ws += stored_ws
    for charges, power_w in steps:
        if charges:
            battery_ws += power_w * 30
            bought_ws += power_w * 30
        else:
            fed_ws = 30 * min(power_w, int(physics.feedable_w(one(battery_ws), round_trip, 30)))
            battery_ws -= int(physics.drained_ws(one(fed_ws), round_trip))
            sold_ws += fed_ws
        assert battery_ws >= 0
    gave_ws = stored_ws + bought_ws - battery_ws
    assert sold_ws * 1_000 <= gave_ws * round_trip
    assert gave_ws * round_trip - sold_ws * 1_000 <= len(steps) * 1_000  # rounding up costs less than a Ws a step


@pytest.mark.parametrize(
    ("soc_permille", "power_w"),
    [
        (0, 10_000),
        (500, 10_000),
        (800, 10_000),
        (801, 9_960),
        (850, 8_000),
        (900, 6_000),
        (999, 2_040),
        (1_000, 2_000),
        (1_100, 2_000),
    ],
)
def test_power_tapers_from_80_per_cent_on_to_a_fifth(soc_permille: int, power_w: int) -> None:
    """By hand: 1000 less 4 for each permille above 800."""
    assert physics.taper_w(one(soc_permille * 1_000), one(1_000_000), one(10_000)) == power_w


@given(energies, energies, st.integers(1, 200 * KWH), powers)
def test_a_fuller_battery_takes_no_more(one_ws: int, other_ws: int, capacity_ws: int, max_w: int) -> None:
    low, high = sorted((one_ws, other_ws))
    takes_low, takes_high = physics.taper_w(column([low, high]), one(capacity_ws), one(max_w)).tolist()
    assert max_w // 5 <= takes_high <= takes_low <= max_w


def test_a_cars_own_curve_is_followed_between_whole_per_cents_and_bounded_by_the_cable() -> None:
    """Car 0 takes 100 W a per cent, car 1 always 50 kW; at 40.5 % that is 4,050 W."""
    curves_w = np.stack([np.arange(physics.CURVE_KNOTS) * 100, np.full(physics.CURVE_KNOTS, 50_000)]).astype(np.int64)
    stored, model = column([0, 405, 405, 1_000, 1_200]) * 1_000, column([0, 0, 1, 0, 0])
    takes_w = physics.curve_w(stored, column([1_000_000] * 5), column([9_000] * 5), curves_w, model)
    assert takes_w.tolist() == [0, 4_050, 9_000, 9_000, 9_000]
    assert physics.curve_w(stored, column([1_000_000] * 5), column([11_000] * 5), curves_w, model)[3:].tolist() == [
        10_000,
        10_000,
    ]
