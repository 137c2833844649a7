"""VCG, a posted price and no payment, by the worked example: 10 kW, A 4 kW at 2, B 4 at 3, C 4 at 5, D 4 at 9."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.test_clearing import DIVISIBLE, IOTA, KW, LUMPY, bought_w, cost, four_bidders, market

from wattswap.agents.clearing import Clearing
from wattswap.agents.vcg import EXACT, Lump, cheapest_cover


def paid(cleared: Clearing) -> list[float]:
    """IOTA for an hour, by car."""
    nanos = (cleared.award_w * cleared.price_nanos_per_kwh_h).sum(axis=1)
    return [int(each) / KW / IOTA for each in nanos]


def test_divisible_offers_are_paid_what_replaces_them() -> None:
    cleared = market(four_bidders(DIVISIBLE), 10 * KW, rule="vcg")
    assert bought_w(cleared) == [4 * KW, 4 * KW, 2 * KW, 0]
    assert paid(cleared) == [28, 28, 18, 0]


def test_lumps_are_paid_what_the_others_would_cost_without_them() -> None:
    cleared = market(four_bidders(LUMPY), 10 * KW, rule="vcg")
    assert bought_w(cleared) == [4 * KW, 4 * KW, 4 * KW, 0]
    assert paid(cleared) == [36, 36, 36, 0]


def test_where_nobody_is_left_to_replace_a_car_the_reserve_does() -> None:
    cleared = market([[(0, 0.0), (4 * KW, 2)]], 4 * KW, rule="vcg")
    assert paid(cleared) == [40]


def test_one_lump_that_fits_is_bought_before_two_cheaper_ones_that_do_not() -> None:
    """The merit order would take 4 at 1 and then 10 at 2; 10 at 2 alone is enough, and 4 + 6 at 1 and 3 cost more."""
    lumps = [[(0, 0.0), (power * KW, price)] for power, price in ((4, 1), (10, 2), (6, 3))]
    assert bought_w(market(lumps, 10 * KW, rule="vcg")) == [0, 10 * KW, 0]


@pytest.mark.parametrize("tranche", [LUMPY, DIVISIBLE])
@pytest.mark.parametrize("ask", [1.0, 1.5, 3.0, 4.5, 6.0, 8.0])
def test_under_vcg_no_other_ask_earns_more_than_the_truth(tranche: int, ask: float) -> None:
    """B's cost is 3."""
    lies = four_bidders(tranche)
    lies[1][tranche] = (4 * KW, ask)

    def utility(cleared: Clearing) -> float:
        return paid(cleared)[1] - 3 * bought_w(cleared)[1] / KW

    honest = utility(market(four_bidders(tranche), 10 * KW, rule="vcg"))
    assert utility(market(lies, 10 * KW, rule="vcg")) <= honest


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=7), st.integers(-3, 40))
def test_the_least_cost_is_that_of_trying_all(offers: list[tuple[int, int]], need_w: int) -> None:
    lumps = [Lump(car, power_w, ask) for car, (power_w, ask) in enumerate(offers)]
    found = cheapest_cover(lumps, need_w)
    goal_w = min(max(need_w, 0), sum(lump.power_w for lump in lumps))
    every = (part for size in range(len(lumps) + 1) for part in combinations(lumps, size))
    enough = (part for part in every if sum(lump.power_w for lump in part) >= goal_w)
    assert found.cost == min(sum(lump.power_w * lump.ask for lump in part) for part in enough)
    assert sum(lumps[car].power_w for car in found.cars) >= goal_w


def test_more_than_twenty_lumps_are_paid_as_if_they_were_divisible() -> None:
    """21 at 1 to 21; the two cheapest win, and each is replaced by the third."""
    many = [[(0, 0.0), (4 * KW, 1.0 + at)] for at in range(EXACT + 1)]
    assert paid(market(many, 8 * KW, reserve=50, rule="vcg"))[:3] == [12, 12, 0]


def test_a_posted_price_takes_volunteers_by_lot_and_pays_them_alike() -> None:
    """D does not volunteer at 6; of the others the ties choose, whatever they ask below it."""
    cleared = market(four_bidders(DIVISIBLE), 4 * KW, reserve=6, ties=[3, 2, 1, 0], rule="posted")
    assert bought_w(cleared) == [0, 0, 4 * KW, 0]
    assert cost(cleared) == 24


def test_without_payment_the_cheapest_give_way_for_nothing() -> None:
    cleared = market(four_bidders(DIVISIBLE), 10 * KW, rule="none")
    assert bought_w(cleared) == [4 * KW, 4 * KW, 2 * KW, 0]
    assert cost(cleared) == 0
