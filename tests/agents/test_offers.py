"""The offer book: how a strategy says what its cars would do, and what it cannot say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from wattswap.agents import law
from wattswap.agents.offers import Call, OfferBook, Own, StrategyError
from wattswap.agents.rules import Rules
from wattswap.agents.strategies.elementwise import sample_cars

IOTA = 1_000_000_000


@pytest.fixture
def own() -> Own:
    """Three cars that draw 11 kW, 6 kW and, nearly full, 3 kW; none can go below 6 A but the last."""
    own = sample_cars(3)
    own.firm_w[:] = 11_000, 6_000, 3_000
    own.floor_w[:] = 4_140, 4_140, 3_000
    return own


def test_a_book_in_which_nothing_is_said_keeps_everyone_charging(own: Own) -> None:
    book = OfferBook.keep(own)
    assert book.relief_w.tolist() == book.ask_nanos_per_kwh_h.tolist() == [[0, 0, 0]] * 3


def test_a_full_stop_goes_down_to_the_floor_and_from_there_to_zero(own: Own) -> None:
    book = OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=IOTA)
    assert book.relief_w.tolist() == [[6_860, 4_140, 0], [1_860, 4_140, 0], [0, 3_000, 0]]
    assert book.ask_nanos_per_kwh_h.tolist() == [[IOTA, IOTA, 0], [IOTA, IOTA, 0], [0, IOTA, 0]]


def test_accepting_less_stops_at_what_is_asked_for(own: Own) -> None:
    book = OfferBook.keep(own).reduce(to_w=5_000, ask_nanos_per_kwh_h=IOTA)
    assert book.relief_w.tolist() == [[6_000, 0, 0], [1_000, 0, 0], [0, 0, 0]]


def test_each_car_may_be_told_apart(own: Own) -> None:
    book = OfferBook.keep(own).reduce([0, 4_140, 0], [1, 2, 3], where=[True, True, False])
    assert book.relief_w.tolist() == [[6_860, 4_140, 0], [1_860, 0, 0], [0, 0, 0]]
    assert book.ask_nanos_per_kwh_h.tolist() == [[1, 1, 0], [2, 0, 0], [0, 0, 0]]


def test_less_and_then_a_stop_may_have_two_prices(own: Own) -> None:
    book = OfferBook.keep(own).reduce(own.floor_w, 1).reduce(0, 2)
    assert book.relief_w.tolist() == [[6_860, 4_140, 0], [1_860, 4_140, 0], [0, 3_000, 0]]
    assert book.ask_nanos_per_kwh_h.tolist() == [[1, 2, 0], [1, 2, 0], [0, 2, 0]]


def test_a_stop_after_stopping_short_of_the_floor_gives_up_all_that_is_left(own: Own) -> None:
    """Otherwise the car would be left with 860 W, which no charger can give."""
    book = OfferBook.keep(own).reduce(5_000, 1).reduce(0, 2)
    assert book.relief_w.tolist() == [[6_000, 5_000, 0], [1_000, 5_000, 0], [0, 3_000, 0]]


def test_feeding_is_the_last_tranche(own: Own) -> None:
    book = OfferBook.keep(own).reduce(0, 1).feed(own.feed_w, 2, where=[False, True, True])
    assert book.relief_w[:, 2].tolist() == [0, 11_000, 11_000]
    assert book.ask_nanos_per_kwh_h[:, 2].tolist() == [0, 2, 2]


def test_saying_more_leaves_the_book_before_as_it_was(own: Own) -> None:
    before = OfferBook.keep(own)
    before.reduce(0, 1).feed(1_000, 2)
    assert not before.relief_w.any()
    assert not before.ask_nanos_per_kwh_h.any()


def test_fractions_are_cut_off(own: Own) -> None:
    book = OfferBook.keep(own).reduce(to_w=4_140.9, ask_nanos_per_kwh_h=1.9)
    assert book.relief_w[0, 0] == 6_860
    assert book.ask_nanos_per_kwh_h[0, 0] == 1


@pytest.mark.parametrize(
    ("to_w", "row", "problem"),
    [
        ([0, -1, 0], 1, "reduces to a negative power"),
        ([0, 0, 1], 2, "reduces to a power between 0 and the floor of 6 A"),
        ([4_139, 0, 0], 0, "reduces to a power between 0 and the floor of 6 A"),
        ([0.0, float("nan"), 0.0], 1, "returns to_w that is not a finite number"),
        ([0.0, 0.0, float("-inf")], 2, "returns to_w that is not a finite number"),
        ([0, 0, 10**18 + 1], 2, r"returns to_w beyond 1e\+18"),
        ([0.0, -1e30, 0.0], 1, r"returns to_w beyond 1e\+18"),
        ([0, 0], 0, r"returns to_w of shape \(2,\) for 3 car\(s\)"),
        ([[0, 0, 0]], 0, r"returns to_w of shape \(1, 3\) for 3 car\(s\)"),
        (["0", "0", "0"], 0, "returns to_w of type <U1, not numbers"),
        ([True, False, True], 0, "returns to_w of type bool, not numbers"),
        ([None, 0, 0], 0, "returns to_w of type object, not numbers"),
    ],
)
def test_a_power_no_car_can_be_reduced_to_is_refused(own: Own, to_w: ArrayLike, row: int, problem: str) -> None:
    with pytest.raises(StrategyError, match=problem) as refused:
        OfferBook.keep(own).reduce(to_w, 0)
    assert refused.value.row == row


@pytest.mark.parametrize(
    ("ask", "row", "problem"),
    [
        ([0.0, 1.0, float("inf")], 2, "returns ask_nanos_per_kwh_h that is not a finite number"),
        ([0.0, 1e19, 0.0], 1, r"returns ask_nanos_per_kwh_h beyond 1e\+18"),
        ([0, 1, 1 << 63], 2, r"returns ask_nanos_per_kwh_h beyond 1e\+18"),
        ([1, 2, 3, 4], 0, r"returns ask_nanos_per_kwh_h of shape \(4,\) for 3 car\(s\)"),
        (1j, 0, "returns ask_nanos_per_kwh_h of type complex128, not numbers"),
    ],
)
def test_an_ask_that_is_no_number_is_refused(own: Own, ask: ArrayLike, row: int, problem: str) -> None:
    for say in (OfferBook.keep(own).reduce, OfferBook.keep(own).feed):
        with pytest.raises(StrategyError, match=problem) as refused:
            say(0, ask)
        assert refused.value.row == row


@pytest.mark.parametrize(
    ("feed_w", "row", "problem"),
    [([0, 0, -1], 2, "feeds a negative power"), ([0, 11_001, 0], 1, "feeds more than the car can")],
)
def test_a_feed_no_car_can_give_is_refused(own: Own, feed_w: ArrayLike, row: int, problem: str) -> None:
    with pytest.raises(StrategyError, match=problem) as refused:
        OfferBook.keep(own).feed(feed_w, 0)
    assert refused.value.row == row


def test_what_is_wrong_only_where_it_is_not_meant_is_no_mistake(own: Own) -> None:
    """``where`` picks rows; the formula may be nonsense in the others."""
    own.feed_w[0] = 0
    book = OfferBook.keep(own).reduce([-1, 0, 0], 1, where=[False, True, True]).feed(11_000, 2, where=own.feed_w > 0)
    assert book.relief_w.tolist() == [[0, 0, 0], [1_860, 4_140, 11_000], [0, 3_000, 11_000]]


def test_taking_rows_takes_them_from_every_column(own: Own) -> None:
    taken = own.take([2, 0])
    assert len(taken) == 2
    assert taken.firm_w.tolist() == [3_000, 11_000]
    assert taken.key.tolist() == [own.key[2], own.key[0]]


@given(
    st.lists(st.integers(0, 22_000), min_size=1, max_size=5),
    st.lists(st.tuples(st.booleans(), st.integers(0, 22_000), st.integers(0, 10)), max_size=4),
)
def test_whatever_is_said_in_whatever_order_the_law_can_read_it(
    firm_w: list[int], said: list[tuple[bool, int, int]]
) -> None:
    """No sequence of reduce and feed with rising asks builds a book that the law would call unsound."""
    own = sample_cars(len(firm_w))
    own.firm_w[:] = firm_w
    own.floor_w[:] = np.minimum(firm_w, 4_140)
    own.laxity_ms[:] = 36_000_000
    book, ask = OfferBook.keep(own), 0
    for feeds, power_w, more in said:
        ask += more
        if feeds:
            book = book.feed(np.minimum(power_w, own.feed_w), 10**9)
        else:
            book = book.reduce(np.where(power_w < own.floor_w, 0, power_w), ask)
    relief_w, _ = law.admitted(book, Call(np.array([1]), 0, 300_000, 2), Rules())
    left_w = own.firm_w - relief_w[:, 0] - relief_w[:, 1]
    assert ((left_w == 0) | (left_w >= own.floor_w)).all()
