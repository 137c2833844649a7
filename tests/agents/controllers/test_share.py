from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.controllers.parked import ROOMS_W, many_parked, parked

from wattswap.agents.controllers.share import equal_share, water_filled
from wattswap.agents.rules import Rules

WISHES_W = st.lists(st.integers(0, 22_000), max_size=8).map(lambda wishes: np.array(wishes, dtype=np.int64))


def test_what_one_car_leaves_goes_to_the_others_in_equal_shares(rules):
    """The textbook's kind of example: demands 2, 2.6, 4, 5 of a capacity of 10 get 2, 2.6, 2.7, 2.7."""
    assert water_filled(np.array([2_000, 2_600, 4_000, 5_000]), 10_000).tolist() == [2_000, 2_600, 2_700, 2_700]
    street = parked([11_000, 3_000, 11_000])
    assert equal_share(40_000, 60_000, *street, rules).import_w.tolist() == [8_500, 3_000, 8_500]


@given(WISHES_W, st.integers(0, 100_000))
def test_shares_are_max_min_fair_to_the_watt(wanted_w, room_w):
    """Bertsekas and Gallager: whoever lacks something has as much as anybody, so no share grows but from a smaller."""
    shares_w = water_filled(wanted_w, room_w)
    assert (shares_w <= wanted_w).all()
    assert shares_w.sum() == min(room_w, wanted_w.sum())
    for lacking in np.flatnonzero(shares_w < wanted_w):
        assert shares_w[lacking] >= shares_w.max() - 1


@given(ROOMS_W, many_parked())
def test_those_who_are_served_share_fairly_and_those_who_wait_came_later_or_want_more(room_w, street):
    rules, wanted_w = Rules(), street.cars.wanted_w
    shares_w = equal_share(0, room_w, street.cars, street.plugged, rules).import_w
    least_w = np.minimum(wanted_w, rules.min_w)
    served = shares_w > 0
    for lacking in np.flatnonzero(served & (shares_w < wanted_w)):
        assert shares_w[lacking] >= shares_w.max() - 1
    arrival = street.plugged.arrival_ms
    for waiting in np.flatnonzero(~served & (wanted_w > 0)):
        ahead = served & (arrival < arrival[waiting])
        assert least_w[ahead].sum() + least_w[waiting] > room_w


def test_where_shares_fall_under_six_amperes_the_first_to_come_share_and_the_last_waits(rules):
    """10 kW among three is 3.3 kW each, and no charger gives that; two can have 5 kW each."""
    street = parked([11_000, 11_000, 11_000], arrival=[3, 1, 2])
    assert equal_share(40_000, 50_000, *street, rules).import_w.tolist() == [0, 5_000, 5_000]


def test_a_car_about_to_be_full_needs_no_six_amperes(rules):
    street = parked([11_000, 500], arrival=[1, 2])
    assert equal_share(0, 4_640, *street, rules).import_w.tolist() == [4_140, 500]


def test_less_than_six_amperes_in_all_serves_nobody(rules):
    assert not equal_share(0, 4_139, *parked([11_000, 11_000]), rules).import_w.any()


def test_without_a_floor_all_shares_are_equal():
    street = parked([11_000, 11_000, 11_000], arrival=[3, 1, 2])
    assert equal_share(0, 9_000, *street, Rules(min_w=0)).import_w.tolist() == [3_000, 3_000, 3_000]
