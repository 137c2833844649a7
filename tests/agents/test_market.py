"""A round of the market: what is bought on each feeder, and that many feeders at once are as many feeders alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from wattswap.agents import law, market
from wattswap.agents.law import Cars
from wattswap.agents.market import Offers, Purchase
from wattswap.agents.physics import Ints
from wattswap.agents.rules import Rules, Terms
from wattswap.agents.segments import Segments

RULES = Rules()
UNIFORM = replace(RULES, clearing="uniform")
IOTA, TICK = 1_000_000_000, 1_000_000


def ints(values: ArrayLike) -> Ints:
    return np.array(values, dtype=np.int64)


def offers_of(*asks: int, relief_w: int = 6_900) -> Offers:
    """Cars at 11 kW that each give up so much for what they ask."""
    relief = np.zeros((len(asks), 3), dtype=np.int64)
    relief[:, 0], ask = relief_w, np.zeros_like(relief)
    ask[:, 0] = asks
    return Offers(np.arange(len(asks), dtype=np.uint64), ints([11_000] * len(asks)), relief, ask)


def buy(offers: Offers, feeder: list[int], need_w: list[int], funds: list[int], *rules: Rules) -> Purchase:
    return market.buy(
        ints(need_w),
        offers,
        Segments.of(ints(feeder), len(need_w)),
        funds,
        from_ms=0,
        until_ms=300_000,
        seed=1,
        terms=Terms.of(*(rules or [RULES] * len(need_w))),
    )


# -- segments ---------------------------------------------------------------------------------------------------------


def test_rows_of_a_feeder_are_one_slice_and_a_feeder_may_have_none() -> None:
    segments = Segments.of(ints([0, 0, 2, 2, 2]), 4)
    assert [segments.rows(feeder) for feeder in range(4)] == [slice(0, 2), slice(2, 2), slice(2, 5), slice(5, 5)]
    assert segments.sum(ints([1, 2, 3, 4, 5])).tolist() == [3, 0, 12, 0]
    assert segments.where(np.array([False, True, False, True, True])).feeder.tolist() == [0, 2, 2]


def test_one_feeder_needs_no_numbers() -> None:
    segments = Segments.one_feeder(3)
    assert segments.rows(0) == slice(0, 3)
    assert segments.sum(ints([1, 2, 3])).tolist() == [6]


# -- a round ----------------------------------------------------------------------------------------------------------


def test_each_feeder_buys_from_its_own_cars_alone() -> None:
    """The cheapest car of all is on a feeder that needs nothing."""
    bought = buy(offers_of(TICK, 7 * TICK, 9 * TICK), [0, 1, 1], [0, 6_900], [99 * IOTA] * 2)
    assert bought.won.tolist() == [False, True, False]
    assert bought.price_nanos_per_kwh_h[:, 0].tolist() == [0, 9 * TICK, 0]


def test_a_feeder_without_cars_buys_nothing() -> None:
    assert buy(offers_of(TICK), [1], [50_000, 6_900, 50_000], [99 * IOTA] * 3).won.tolist() == [True]


def test_each_feeder_clears_by_its_own_rule() -> None:
    rules = replace(RULES, clearing="uniform"), replace(RULES, clearing="pay-as-bid")
    bought = buy(offers_of(TICK, 2 * TICK, TICK, 2 * TICK), [0, 0, 1, 1], [13_800, 13_800], [99 * IOTA] * 2, *rules)
    assert bought.price_nanos_per_kwh_h[:, 0].tolist() == [2 * TICK, 2 * TICK, TICK, 2 * TICK]


def test_an_award_is_reserved_at_the_most_it_may_come_to() -> None:
    """6.9 kW for a twelfth of an hour are 0.575 kWh, which may wait for a day at 0.6 IOTA."""
    assert buy(offers_of(600 * TICK), [0], [6_900], [9 * IOTA], UNIFORM).reserved_nanos.tolist() == [8_280_000_000]


def test_who_is_not_covered_gets_no_award_and_what_is_left_goes_on_to_the_next() -> None:
    """Two feeders: the second site's tokens cover one award of two, the first one's both."""
    offers = offers_of(*[600 * TICK] * 4)
    bought = buy(offers, [0, 0, 1, 1], [13_800, 13_800], [16_560_000_000, 16_559_999_999], UNIFORM, UNIFORM)
    assert bought.won.tolist() == [True, True, True, False]
    assert bought.reserved_nanos.tolist() == [8_280_000_000, 8_280_000_000, 8_280_000_000, 0]
    assert bought.price_nanos_per_kwh_h[3].tolist() == [0, 0, 0]


def test_a_dear_award_that_is_not_covered_leaves_the_tokens_to_a_cheaper_one() -> None:
    rules = replace(RULES, clearing="pay-as-bid")
    assert buy(offers_of(900 * TICK, 600 * TICK), [0, 0], [13_800], [9 * IOTA], rules).won.tolist() == [False, True]


def test_a_round_is_noted_for_its_own_feeder() -> None:
    offers = offers_of(TICK, 7 * TICK, 9 * TICK)
    bought = buy(offers, [0, 1, 1], [6_900, 6_900], [99 * IOTA] * 2, UNIFORM, UNIFORM)
    note = market.round_figures(offers, bought, Segments.of(ints([0, 1, 1]), 2)).note(tick=0, need_w=6_900, row=1)
    assert (note.called, note.kept, note.offered_w, note.awarded_w) == (2, 0, 13_800, 6_900)
    assert (note.price_nanos_per_kwh_h, note.reduce_awards, note.feed_awards) == (7 * TICK, 1, 0)


def test_a_round_that_lapsed_bought_nothing() -> None:
    offers = offers_of(TICK, 7 * TICK)
    assert not market.nothing_bought(offers).won.any()


# -- many feeders -----------------------------------------------------------------------------------------------------

watts = st.integers(0, 11_000)
cars_rows = st.lists(st.tuples(watts, watts, st.integers(-9, 9), st.booleans(), watts, watts), max_size=6)
feeders = st.lists(
    st.tuples(cars_rows, st.integers(-30_000, 60_000), st.integers(-10_000, 60_000), st.sampled_from([0, 2_000])),
    min_size=1,
    max_size=4,
)


def cars_of(rows: list[tuple[int, int, int, bool, int, int]]) -> Cars:
    firm, more, price, drew, reduce, feed = (
        (ints(column) for column in zip(*rows, strict=True)) if rows else [ints([])] * 6
    )
    key = np.arange(len(rows), dtype=np.uint64) + np.uint64(len(rows))
    return Cars(key, firm, firm + more, drew > 0, more * 300, np.maximum(price, 0) * TICK, reduce, feed)


def joined(parts: list[Cars]) -> Cars:
    return Cars(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@given(feeders)
def test_many_feeders_at_once_are_assessed_and_granted_as_each_alone(street) -> None:
    rules = [replace(RULES, margin_w=margin_w) for *_, margin_w in street]
    numbers = ints([feeder for feeder, (rows, *_) in enumerate(street) for _ in rows])
    base_w, limit_w = ints([base for _, base, _, _ in street]), ints([limit for _, _, limit, _ in street])
    segments, terms = Segments.of(numbers, len(street)), Terms.of(*rules)
    cars = joined([cars_of(rows) for rows, *_ in street])
    assessment = law.assess(base_w, limit_w, cars, segments, terms)
    granted = law.grants(base_w, assessment.target_w, cars, segments, now_ms=0, seed=1, rules=RULES)
    for feeder, (rows, base, limit, _) in enumerate(street):
        alone, one, own = cars_of(rows), Segments.one_feeder(len(rows)), Terms.of(rules[feeder])
        mine = law.assess(ints([base]), ints([limit]), alone, one, own)
        assert [column[feeder] for column in assessment] == [column[0] for column in mine]
        theirs_alone = law.grants(ints([base]), mine.target_w, alone, one, now_ms=0, seed=1, rules=RULES)
        for column, theirs in zip(granted, theirs_alone, strict=True):
            assert column[segments.rows(feeder)].tolist() == theirs.tolist()


asks = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 8_000)), max_size=5)


@given(st.lists(st.tuples(asks, st.integers(-5_000, 20_000), st.integers(0, 10**7)), min_size=1, max_size=4))
def test_many_feeders_at_once_buy_as_each_alone(street) -> None:
    numbers = [feeder for feeder, (rows, *_) in enumerate(street) for _ in rows]
    relief, ask = np.zeros((len(numbers), 3), dtype=np.int64), np.zeros((len(numbers), 3), dtype=np.int64)
    every = [row for rows, *_ in street for row in rows]
    ask[:, 0], relief[:, 0] = [price * TICK for price, _ in every], [power for _, power in every]
    keys = np.arange(len(numbers), dtype=np.uint64)
    offers = Offers(keys, relief.sum(axis=1), relief, ask)
    need_w, funds = [need for _, need, _ in street], [nanos for *_, nanos in street]
    together = buy(offers, numbers, need_w, funds)
    for feeder in range(len(street)):
        rows = Segments.of(ints(numbers), len(street)).rows(feeder)
        mine = Offers(keys[rows], offers.firm_w[rows], relief[rows], ask[rows])
        alone = buy(mine, [0] * len(mine.key), [need_w[feeder]], [funds[feeder]])
        for column, theirs in zip(together, alone, strict=True):
            assert column[rows].tolist() == theirs.tolist()
