"""Grants: who gets the room that is left, and whom the last resort cuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.test_law import HOURS, RULES, TICK, cars, grants, ints

from wattswap.agents import law
from wattswap.agents.law import Cars
from wattswap.agents.rules import Rules

# -- grants: the room left --------------------------------------------------------------------------------------------


def imports(base_w: int, target_w: int, of: Cars, rules: Rules = RULES) -> list[int]:
    return [int(watts) for watts in grants(base_w, target_w, of, rules).import_w]


def test_everyone_is_granted_its_firm_power_less_what_it_sold() -> None:
    of = cars([11_000, 11_000, 3_000], reduce_w=[6_210, 0, 11_000], feed_w=[0, 0, 2_000])
    granted = grants(0, 19_000, of, RULES)
    assert granted.import_w.tolist() == [4_790, 11_000, 0]
    assert granted.export_w.tolist() == [0, 0, 2_000]
    assert granted.forced_w.tolist() == [0, 0, 0]


def test_room_goes_to_the_car_whose_waiting_is_dearest() -> None:
    """14,800 W are left: the dearer car gets 11,000, the other would get less than 6 A, so nothing."""
    of = cars([0, 0], wanted_w=[11_000, 11_000], owed_ws=[HOURS] * 2, rent_price=[100 * TICK, 300 * TICK])
    assert imports(350_000, 364_800, of) == [0, 11_000]
    assert imports(349_660, 364_800, of) == [4_140, 11_000]


def test_a_car_that_drew_in_the_last_tick_comes_first_whatever_the_price() -> None:
    """It spares a stop."""
    owes = {"owed_ws": [HOURS] * 2, "rent_price": [900 * TICK, 100 * TICK]}
    assert imports(350_000, 364_800, cars([0, 0], [11_000] * 2, [False, True], **owes)) == [0, 11_000]
    assert imports(350_000, 364_800, cars([0, 0], [11_000] * 2, [False, False], **owes)) == [11_000, 0]


def test_whose_waiting_earns_nothing_comes_last() -> None:
    """A refill of what was fed, what the last resort took, and a car that could have drawn back and did not."""
    of = cars([0, 0], wanted_w=[11_000, 11_000], owed_ws=[0, HOURS], rent_price=[0, TICK])
    assert imports(350_000, 364_800, of) == [0, 11_000]


def test_equal_cars_come_in_the_order_of_a_draw_that_is_the_same_in_every_window() -> None:
    of = cars([0, 0], wanted_w=[11_000, 11_000])
    assert imports(350_000, 364_800, of) == [11_000, 0]
    swapped = of._replace(key=of.key[::-1])
    assert imports(350_000, 364_800, swapped) == [0, 11_000]


def test_a_car_that_is_paid_to_wait_is_offered_what_it_must_be_able_to_draw_back() -> None:
    """It says it wants nothing; so its meters see it stall. What it owes may be less than 6 A."""
    assert imports(0, 364_800, cars([0], [0], owed_ws=[HOURS], rent_price=[TICK])) == [4_140]
    assert imports(0, 364_800, cars([0], [0], owed_ws=[60_000], rent_price=[TICK])) == [2_000]
    assert imports(0, 364_800, cars([0], [0], owed_ws=[HOURS], rent_price=[0])) == [0]


def test_a_car_that_wants_less_than_six_amps_gets_all_or_nothing_of_it() -> None:
    of = cars([0, 0], wanted_w=[11_000, 3_000])
    assert imports(361_800, 364_800, of) == [0, 3_000]
    assert imports(361_801, 364_800, of) == [0, 0]


def test_room_that_is_too_little_for_one_car_is_offered_to_the_next() -> None:
    of = cars([0, 5_000], wanted_w=[11_000, 11_000])
    assert imports(355_800, 364_800, of) == [0, 9_000]


def test_a_car_under_an_award_gets_no_owed_room() -> None:
    """It sold just this power."""
    of = cars([5_000, 0], wanted_w=[11_000, 11_000], reduce_w=[5_000, 0], feed_w=[0, 2_000])
    assert imports(0, 364_800, of) == [0, 0]


def test_what_is_fed_makes_room() -> None:
    of = cars([0, 0], wanted_w=[0, 11_000], feed_w=[8_800, 0])
    assert imports(364_800, 364_800, of) == [0, 8_800]


# -- grants: the last resort ------------------------------------------------------------------------------------------


def cut(import_w: list[int], room_w: int, ties: list[int] | None = None, guaranteed_w: int = 0) -> list[int]:
    drawn = np.array(range(len(import_w)) if ties is None else ties, dtype=np.uint64)
    rules = replace(RULES, guaranteed_w=guaranteed_w)
    return [int(watts) for watts in law.last_resort(ints(import_w), room_w, drawn, rules)]


def test_the_last_resort_is_one_water_level() -> None:
    assert cut([11_000, 7_000, 5_000], 18_000) == [6_500, 6_500, 5_000]


def test_the_watt_that_does_not_divide_goes_to_the_lowest_draw() -> None:
    assert cut([11_000, 11_000, 11_000], 20_000, [2, 0, 1]) == [6_666, 6_668, 6_666]


def test_a_level_under_six_amps_becomes_nothing_and_its_room_goes_to_the_lowest_draw() -> None:
    """12,000 W among three would be 4,000 each: less than a charger can give."""
    assert cut([11_000, 7_000, 5_000], 12_000, [3, 1, 2]) == [0, 7_000, 5_000]
    assert cut([11_000, 7_000, 5_000], 12_000, [1, 2, 3]) == [11_000, 0, 0]


def test_a_car_that_draws_less_than_six_amps_anyway_keeps_it() -> None:
    assert cut([11_000, 2_000], 5_000) == [0, 2_000]
    assert cut([11_000, 2_000], 6_140) == [4_140, 2_000]


@pytest.mark.parametrize("room_w", [0, -1, -100_000])
def test_without_room_nobody_draws(room_w: int) -> None:
    assert cut([11_000, 2_000], room_w) == [0, 0]


def test_nobody_is_cut_below_the_guaranteed_minimum() -> None:
    assert cut([11_000, 11_000, 1_500], 4_000, guaranteed_w=2_000) == [2_000, 2_000, 1_500]
    assert cut([11_000, 11_000], -50_000, guaranteed_w=2_000) == [2_000, 2_000]


def test_what_is_left_beyond_the_guaranteed_minimum_goes_to_the_lowest_draw() -> None:
    assert cut([11_000] * 3, 9_000, [2, 1, 3], guaranteed_w=1_000) == [1_000, 7_000, 1_000]


def test_what_the_last_resort_takes_is_noted_and_awards_stay_as_they_are() -> None:
    of = cars([11_000, 11_000], reduce_w=[0, 4_000], feed_w=[0, 500])
    granted = grants(90_000, 100_000, of, RULES)
    assert granted.import_w.tolist() == [5_250, 5_250]
    assert granted.forced_w.tolist() == [5_750, 1_750]
    assert granted.export_w.tolist() == [0, 500]


some_powers = st.lists(st.integers(0, 22_000), max_size=12)


@given(some_powers, st.integers(-10_000, 200_000))
def test_the_water_level_is_the_highest_that_fits(import_w: list[int], room_w: int) -> None:
    level_w = law._water_level(ints(import_w), room_w)
    if room_w < 0:
        assert level_w == 0
        return
    assert sum(min(each, level_w) for each in import_w) <= room_w
    if level_w < max(import_w, default=0):
        assert sum(min(each, level_w + 1) for each in import_w) > room_w


@given(some_powers, st.integers(-10_000, 200_000), st.sampled_from([0, 1_000, 4_140, 6_000]), st.data())
def test_the_last_resort_keeps_its_promises(
    import_w: list[int], room_w: int, guaranteed_w: int, data: st.DataObject
) -> None:
    ties = data.draw(st.lists(st.integers(0, 9), min_size=len(import_w), max_size=len(import_w)))
    granted = cut(import_w, room_w, ties, guaranteed_w)
    guaranteed = [min(each, guaranteed_w) for each in import_w]
    assert sum(granted) <= max(room_w, sum(guaranteed))
    left_w = room_w - sum(granted)
    for wanted_w, given_w, least_w in zip(import_w, granted, guaranteed, strict=True):
        six_amps_w = min(wanted_w, RULES.min_w)
        assert least_w <= given_w <= wanted_w
        assert given_w in (0, least_w) or given_w >= six_amps_w
        if given_w < wanted_w and sum(guaranteed) < room_w:
            assert left_w == 0 or given_w + left_w < six_amps_w  # nobody could have been given more


@given(st.integers(-50_000, 100_000), st.integers(-10_000, 100_000), st.data())
def test_grants_never_exceed_the_target_but_for_the_base_load_itself(
    base_w: int, target_w: int, data: st.DataObject
) -> None:
    watts = st.integers(0, 11_000)
    rows = data.draw(st.lists(st.tuples(watts, watts, st.booleans(), watts, watts, watts, watts), max_size=8))
    firm, more, drew, owed, rent, reduce, feed = (
        (list(column) for column in zip(*rows, strict=True)) if rows else [[]] * 7
    )
    wanted = [one + another for one, another in zip(firm, more, strict=True)]
    of = cars(firm, wanted, drew, owed, [price * TICK for price in rent], reduce, feed)
    granted = grants(base_w, target_w, of, RULES)
    load_w = base_w + int(granted.import_w.sum()) - int(granted.export_w.sum())
    assert load_w <= target_w or not granted.import_w.any()
    assert (granted.import_w >= 0).all()
    assert (granted.import_w <= np.maximum(of.wanted_w, law.claimed_w(of, RULES))).all()
    sold_w = np.maximum(of.firm_w - of.reduce_w, 0)
    if granted.forced_w.any():
        assert (granted.import_w + granted.forced_w == sold_w).all()
    else:
        assert (granted.import_w >= sold_w).all()
    assert (granted.forced_w >= 0).all()


a_claim = st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))


@given(st.lists(a_claim, max_size=12), st.lists(st.integers(-5, 25), min_size=3, max_size=3))
def test_room_is_handed_out_on_all_feeders_as_one_car_after_the_other_would_be_asked(
    claims: list[tuple[int, int, int, int]], room_w: list[int]
) -> None:
    claims.sort(key=lambda claim: claim[0])
    left_w, expected = list(room_w), []
    for feeder, has_w, more_w, least_w in claims:
        given_w = min(more_w, max(left_w[feeder], 0))
        given_w *= has_w + given_w >= least_w
        left_w[feeder] -= given_w
        expected.append(has_w + given_w)
    number, has, more, least = (ints([claim[column] for claim in claims]) for column in range(4))
    assert law.in_turn(has + more, has, least, ints(room_w), number).tolist() == expected
