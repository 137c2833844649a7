"""Clearing: the cheapest relief that meets the need, by the ampere but for a full stop, at the rule's price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.agents.clearing import Clearing, clear
from wattswap.agents.physics import Ints
from wattswap.agents.rules import ClearingRule
from wattswap.agents.segments import Segments

IOTA = 1_000_000_000
KW = 1_000
LUMPY, DIVISIBLE = 1, 0
"""The tranche to zero is bought whole, the one down to the floor by amperes."""


def market(
    offers: Sequence[Sequence[tuple[int, float]]],
    need_w: int,
    *,
    reserve: float = 10,
    amp_w: int = KW,
    ties: list[int] | None = None,
    rule: ClearingRule = "uniform",
) -> Clearing:
    """Clear offers of one list of (watts, IOTA per kWh and hour) a car; shorter lists have no later tranches."""
    padded = [[*offer, (0, 0.0), (0, 0.0), (0, 0.0)][:3] for offer in offers]
    table = np.array(padded, dtype=np.float64).reshape(-1, 3, 2)
    return clear(
        table[:, :, 0].astype(np.int64),
        (table[:, :, 1] * IOTA).astype(np.int64),
        np.array(range(len(offers)) if ties is None else ties, dtype=np.uint64),
        Segments.one_feeder(len(offers)),
        need_w=np.array([need_w]),
        reserve_nanos_per_kwh_h=int(reserve * IOTA),
        amp_w=amp_w,
        rules=(rule,),
    )


def four_bidders(tranche: int) -> list[list[tuple[int, float]]]:
    """The worked example: A 4 kW at 2, B 4 at 3, C 4 at 5, D 4 at 9; all in one tranche."""
    return [[(0, 0.0)] * tranche + [(4 * KW, price)] for price in (2, 3, 5, 9)]


def cost(cleared: Clearing) -> float:
    """IOTA for an hour of it."""
    return int((cleared.award_w * cleared.price_nanos_per_kwh_h).sum()) / KW / IOTA


def bought_w(cleared: Clearing) -> list[int]:
    return [int(watts) for watts in cleared.award_w.sum(axis=1)]


# -- the worked example: 10 kW are needed -----------------------------------------------------------------------------


def test_lumps_are_bought_whole_so_three_of_four_bidders_win() -> None:
    paid_as_bid = market(four_bidders(LUMPY), 10 * KW, rule="pay-as-bid")
    assert bought_w(paid_as_bid) == [4 * KW, 4 * KW, 4 * KW, 0]
    assert cost(paid_as_bid) == 40


def test_the_last_divisible_tranche_is_bought_in_part() -> None:
    paid_as_bid = market(four_bidders(DIVISIBLE), 10 * KW, rule="pay-as-bid")
    assert bought_w(paid_as_bid) == [4 * KW, 4 * KW, 2 * KW, 0]
    assert cost(paid_as_bid) == 30


def test_under_the_uniform_price_all_are_paid_the_highest_accepted_ask() -> None:
    uniform = market(four_bidders(DIVISIBLE), 10 * KW)
    assert bought_w(uniform) == [4 * KW, 4 * KW, 2 * KW, 0]
    assert cost(uniform) == 50
    assert uniform.price_nanos_per_kwh_h[:, 0].tolist() == [5 * IOTA, 5 * IOTA, 5 * IOTA, 0]
    assert cost(market(four_bidders(LUMPY), 10 * KW)) == 60


def test_a_part_is_rounded_up_to_whole_amperes() -> None:
    """2,000 W are 2.9 amperes on three phases: 3 of them, 2,070 W."""
    assert bought_w(market(four_bidders(DIVISIBLE), 10 * KW, amp_w=690)) == [4 * KW, 4 * KW, 2_070, 0]


def test_a_part_is_never_more_than_was_offered() -> None:
    assert bought_w(market([[(700, 1)]], 695, amp_w=690)) == [700]


def test_under_the_next_price_winners_are_paid_the_lowest_ask_that_lost() -> None:
    """Nobody who wins sets its own price; D asked 9."""
    cleared = market(four_bidders(DIVISIBLE), 10 * KW, rule="next")
    assert bought_w(cleared) == [4 * KW, 4 * KW, 2 * KW, 0]
    assert cleared.price_nanos_per_kwh_h[:, 0].tolist() == [9 * IOTA, 9 * IOTA, 9 * IOTA, 0]


def test_where_nobody_lost_the_next_price_is_the_reserve() -> None:
    cleared = market(four_bidders(DIVISIBLE), 16 * KW, rule="next")
    assert cleared.price_nanos_per_kwh_h[:, 0].tolist() == [10 * IOTA] * 4


def test_a_loser_below_the_highest_accepted_ask_does_not_set_the_next_price() -> None:
    """A's lump was given back as needless; C's ask of 3 is the next one to B's of 2."""
    lumps = [[(0, 0), (4 * KW, 1)], [(0, 0), (10 * KW, 2)], [(0, 0), (4 * KW, 3)]]
    cleared = market(lumps, 10 * KW, rule="next")
    assert bought_w(cleared) == [0, 10 * KW, 0]
    assert cleared.price_nanos_per_kwh_h.max() == 3 * IOTA


def test_a_winners_own_later_tranche_does_not_set_the_next_price() -> None:
    cleared = market([[(4 * KW, 1), (4 * KW, 2)], [(4 * KW, 5)]], 4 * KW, rule="next")
    assert cleared.price_nanos_per_kwh_h.max() == 5 * IOTA


def test_both_reductions_of_a_lot_have_one_price_as_bid() -> None:
    """A lot waits as one; its price is the dearer of the two, feeding has its own."""
    cleared = market([[(4 * KW, 1), (4 * KW, 2), (4 * KW, 3)]], 12 * KW, rule="pay-as-bid")
    assert cleared.price_nanos_per_kwh_h.tolist() == [[2 * IOTA, 2 * IOTA, 3 * IOTA]]


def test_feeding_is_bought_by_the_ampere_too() -> None:
    cleared = market([[(0, 0), (0, 0), (11 * KW, 1)]], 1_500, amp_w=690)
    assert cleared.award_w.tolist() == [[0, 0, 2_070]]


# -- order ------------------------------------------------------------------------------------------------------------


def test_equal_asks_are_ordered_by_their_draw() -> None:
    offers = [[(4 * KW, 2)], [(4 * KW, 2)], [(4 * KW, 2)]]
    assert bought_w(market(offers, 6 * KW, ties=[30, 10, 20])) == [0, 4 * KW, 2 * KW]


def test_the_draw_decides_between_equal_asks_only() -> None:
    assert bought_w(market([[(4 * KW, 3)], [(4 * KW, 2)]], 4 * KW, ties=[0, 9])) == [0, 4 * KW]


def test_a_cars_second_tranche_comes_after_its_first_at_the_same_ask() -> None:
    both = [[(6 * KW, 2), (4 * KW, 2)]]
    assert market(both, 5 * KW).award_w.tolist() == [[5 * KW, 0, 0]]
    assert market(both, 7 * KW).award_w.tolist() == [[6 * KW, 4 * KW, 0]]


def test_between_equal_asks_the_draw_comes_before_the_tranche() -> None:
    """The car that was drawn first sells both its tranches before the other sells one."""
    offers = [[(6 * KW, 2), (4 * KW, 2)], [(6 * KW, 2)]]
    assert bought_w(market(offers, 10 * KW, ties=[1, 2])) == [10 * KW, 0]
    assert bought_w(market(offers, 10 * KW, ties=[2, 1])) == [4 * KW, 6 * KW]


def test_a_cheap_second_tranche_waits_for_nobody_elses_first() -> None:
    assert market([[(6 * KW, 1), (4 * KW, 2)], [(6 * KW, 3)]], 9 * KW).award_w.tolist() == [
        [6 * KW, 4 * KW, 0],
        [0, 0, 0],
    ]


# -- the reserve ------------------------------------------------------------------------------------------------------


def test_nothing_is_bought_above_the_reserve() -> None:
    cleared = market(four_bidders(LUMPY), 10 * KW, reserve=4.999)
    assert bought_w(cleared) == [4 * KW, 4 * KW, 0, 0]
    assert cost(cleared) == 24


def test_an_ask_at_the_reserve_is_accepted() -> None:
    assert bought_w(market(four_bidders(LUMPY), 10 * KW, reserve=5)) == [4 * KW, 4 * KW, 4 * KW, 0]


@pytest.mark.parametrize("need_w", [0, -5])
def test_no_need_buys_nothing(need_w: int) -> None:
    assert bought_w(market(four_bidders(LUMPY), need_w)) == [0, 0, 0, 0]


def test_a_market_without_cars_clears_to_nothing() -> None:
    assert market([], 10 * KW).award_w.shape == (0, 3)


# -- giving back ------------------------------------------------------------------------------------------------------


def test_a_lump_that_a_later_one_made_needless_is_given_back() -> None:
    """A's 4 kW and B's 10 are 14; without A's the need of 10 is still met, and B's 2 IOTA sets the price."""
    cleared = market([[(0, 0), (4 * KW, 1)], [(0, 0), (10 * KW, 2)]], 10 * KW)
    assert bought_w(cleared) == [0, 10 * KW]
    assert cost(cleared) == 20


def test_the_latest_needless_lump_goes_first() -> None:
    """8 kW are needed and 1 + 2 + 2 + 6 bought: of the 3 too many, the second 2 goes first, then the 1."""
    lumps = [[(0, 0), (size * KW, price)] for size, price in ((1, 1.0), (2, 2.0), (2, 3.0), (6, 4.0))]
    assert bought_w(market(lumps, 8 * KW)) == [0, 2 * KW, 0, 6 * KW]


def test_a_tranche_below_one_still_held_is_never_given_back() -> None:
    """Nobody stops without having been reduced first."""
    cleared = market([[(4 * KW, 1), (10 * KW, 2)]], 10 * KW)
    assert cleared.award_w.tolist() == [[4 * KW, 10 * KW, 0]]


def test_a_whole_car_can_be_given_back_from_the_top() -> None:
    cleared = market([[(1 * KW, 1), (1 * KW, 2)], [(0, 0), (10 * KW, 3)]], 10 * KW)
    assert cleared.award_w.tolist() == [[0, 0, 0], [0, 10 * KW, 0]]


def test_what_was_given_back_does_not_set_the_price() -> None:
    """The dearest lump stays here; a cheaper one that went leaves no trace."""
    cleared = market([[(0, 0), (6 * KW, 1)], [(0, 0), (5 * KW, 2)]], 5 * KW)
    assert bought_w(cleared) == [6 * KW, 0]
    assert cleared.price_nanos_per_kwh_h.max() == 1 * IOTA


# -- what holds for any market ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DrawnMarket:
    relief_w: Ints
    ask: Ints
    need_w: int
    reserve: int
    rule: ClearingRule

    def clear(self, order: list[int] | None = None) -> Clearing:
        rows = list(range(len(self.relief_w))) if order is None else order
        ties = (np.array(rows, dtype=np.uint64) * np.uint64(7919)) % np.uint64(101)
        return clear(
            self.relief_w[rows],
            self.ask[rows],
            ties,
            Segments.one_feeder(len(rows)),
            need_w=np.array([self.need_w]),
            reserve_nanos_per_kwh_h=self.reserve,
            amp_w=690,
            rules=(self.rule,),
        )


@st.composite
def markets(draw: st.DrawFn) -> DrawnMarket:
    cars = draw(st.integers(0, 5))
    sizes = st.sampled_from([0, 0, 690, 4_140, 6_860, 11_000]) | st.integers(0, 12_000)
    asks = st.lists(st.integers(0, 6), min_size=3, max_size=3).map(sorted)
    relief = draw(st.lists(st.lists(sizes, min_size=3, max_size=3), min_size=cars, max_size=cars))
    ask = draw(st.lists(asks, min_size=cars, max_size=cars))
    return DrawnMarket(
        np.array(relief, dtype=np.int64).reshape(-1, 3),
        np.array(ask, dtype=np.int64).reshape(-1, 3),
        draw(st.integers(-5_000, 40_000)),
        draw(st.integers(0, 6)),
        draw(st.sampled_from(("next", "uniform", "pay-as-bid", "vcg"))),
    )


@given(markets())
def test_the_need_is_met_or_nothing_more_is_on_offer_under_the_reserve(given_market: DrawnMarket) -> None:
    award_w = given_market.clear().award_w
    affordable_w = np.where(given_market.ask <= given_market.reserve, given_market.relief_w, 0)
    assert award_w.sum() >= given_market.need_w or (award_w == affordable_w).all()
    assert ((award_w >= 0) & (award_w <= affordable_w)).all()


@given(markets())
def test_a_full_stop_is_never_divided_and_only_one_tranche_is(given_market: DrawnMarket) -> None:
    award_w = given_market.clear().award_w
    parted = (award_w > 0) & (award_w < given_market.relief_w)
    assert not parted[:, 1].any()
    assert parted.sum() <= 1
    assert (award_w[parted] % 690 == 0).all()


@given(markets())
def test_no_tranche_is_bought_without_those_before_it(given_market: DrawnMarket) -> None:
    award_w = given_market.clear().award_w
    for tranche in (1, 2):
        sold = award_w[:, tranche] > 0
        assert (award_w[sold, :tranche] == given_market.relief_w[sold, :tranche]).all()


@given(markets())
def test_nothing_bought_could_be_given_back_whole(given_market: DrawnMarket) -> None:
    award_w = given_market.clear().award_w
    total_w = int(award_w.sum())
    for car, tranche in np.argwhere(award_w > 0).tolist():
        if not award_w[car, tranche + 1 :].any():
            assert total_w - int(award_w[car, tranche]) < given_market.need_w


@given(markets())
def test_everyone_is_paid_its_ask_at_least_and_the_reserve_at_most(given_market: DrawnMarket) -> None:
    award_w, price = given_market.clear()
    sold = award_w > 0
    assert (price[sold] >= given_market.ask[sold]).all()
    assert (price[sold] <= given_market.reserve).all()
    assert not price[~sold].any()
    if given_market.rule == "pay-as-bid":
        reduced = np.where(sold[:, :2], given_market.ask[:, :2], 0).max(axis=1, initial=0, keepdims=True)
        assert (price[:, :2] == np.where(sold[:, :2], reduced, 0)).all()
        assert (price[sold[:, 2], 2] == given_market.ask[sold[:, 2], 2]).all()
    elif given_market.rule != "vcg":
        assert len(set(price[sold].tolist())) <= 1


@given(markets())
def test_the_next_price_is_the_lowest_ask_that_lost_and_is_not_below_those_that_won(given_market: DrawnMarket) -> None:
    """Reckoned as the law says it, one ask at a time."""
    award_w, price = replace(given_market, rule="next").clear()
    if not award_w.any():
        return
    highest = max(given_market.ask[award_w > 0].tolist())
    losers = [car for car in range(len(award_w)) if not award_w[car].any()]
    lost = [
        ask
        for car in losers
        for watts, ask in zip(given_market.relief_w[car].tolist(), given_market.ask[car].tolist(), strict=True)
        if watts and highest <= ask <= given_market.reserve
    ]
    assert set(price[award_w > 0].tolist()) == {min(lost, default=given_market.reserve)}


@given(markets(), st.data())
def test_the_order_of_the_cars_does_not_matter(given_market: DrawnMarket, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(given_market.relief_w))))
    plain, shuffled = given_market.clear(), given_market.clear(order)
    assert shuffled.award_w.tolist() == plain.award_w[order].tolist()
    assert shuffled.price_nanos_per_kwh_h.tolist() == plain.price_nanos_per_kwh_h[order].tolist()


@given(markets())
def test_the_same_market_clears_the_same_again_and_its_offers_are_left_alone(given_market: DrawnMarket) -> None:
    before = given_market.relief_w.copy(), given_market.ask.copy()
    assert given_market.clear().award_w.tolist() == given_market.clear().award_w.tolist()
    assert given_market.relief_w.tolist() == before[0].tolist()
    assert given_market.ask.tolist() == before[1].tolist()
