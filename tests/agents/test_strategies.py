"""The bundled strategies, reckoned by hand; that each car answers for itself; and what is said when one misbehaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wattswap.agents import law
from wattswap.agents.offers import Call, OfferBook, Own, Strategy, StrategyError
from wattswap.agents.rules import Rules
from wattswap.agents.strategies import BUNDLED, altruist, check_elementwise, keep, need, prosumer, truthful
from wattswap.agents.strategies.elementwise import answer, refused, sample_cars
from wattswap.protocol.draws import Draws
from wattswap.protocol.units import MS_PER_HOUR, Purpose

IOTA = 1_000_000_000
CALL = Call(np.array([50_000]), np.array([2 * IOTA]), from_ms=0, until_ms=300_000)


def own_with(laxity_h: list[float]) -> Own:
    """Cars that draw 11 kW and differ in what they can wait."""
    own = sample_cars(len(laxity_h))
    own.firm_w[:], own.floor_w[:] = 11_000, 4_140
    own.laxity_ms[:] = np.array(laxity_h) * MS_PER_HOUR
    return own


def book_of(strategy: Strategy, own: Own, window: int = 0) -> OfferBook:
    return answer(strategy, CALL, own, Draws(1, own.key, window))


def asks(strategy: Strategy, laxity_h: list[float], tranche: int = 0) -> list[float]:
    """What a strategy asks, in IOTA per kWh."""
    nanos = book_of(strategy, own_with(laxity_h)).ask_nanos_per_kwh_h[:, tranche]
    return [int(nano) / IOTA for nano in nanos]


# -- what they ask ----------------------------------------------------------------------------------------------------


def test_need_asks_the_less_the_longer_it_can_wait() -> None:
    """0.1 + 2 / (1 + hours)."""
    assert asks(need, [0, 1, 3, 9]) == [2.1, 1.1, 0.6, 0.3]


def test_need_asks_no_more_of_a_car_that_is_late_already() -> None:
    assert asks(need, [-0.5, -48]) == [2.1, 2.1]


def test_need_asks_the_same_for_a_stop_as_for_less() -> None:
    assert asks(need, [1, 3], tranche=1) == [1.1, 0.6]
    assert book_of(need, own_with([1])).relief_w.tolist() == [[6_860, 4_140, 0]]


def test_prosumer_gives_way_as_need_does() -> None:
    assert asks(prosumer, [0, 1, 3, 9]) == asks(need, [0, 1, 3, 9])


def test_prosumer_feeds_for_what_wear_and_loss_cost_it() -> None:
    """Wear 0.5, and of each kWh fed 120/880 are lost at a tariff of 3: 0.5 + 0.409 = 0.909."""
    assert asks(prosumer, [9], tranche=2) == [0.909_090_909]


def test_prosumer_never_feeds_for_less_than_it_gives_way() -> None:
    assert asks(prosumer, [0, 1, 3], tranche=2) == [2.1, 1.1, 0.909_090_909]


def test_prosumer_offers_all_that_it_can_feed() -> None:
    own = own_with([9, 9])
    own.feed_w[:] = 11_000, 0
    assert book_of(prosumer, own).relief_w[:, 2].tolist() == [11_000, 0]


def test_altruist_gives_way_for_nothing_and_keep_never() -> None:
    own = own_with([1, 9])
    assert book_of(altruist, own).relief_w.tolist() == [[6_860, 4_140, 0]] * 2
    assert not book_of(altruist, own).ask_nanos_per_kwh_h.any()
    assert not book_of(keep, own).relief_w.any()


def test_truthful_asks_its_own_cost_of_waiting_in_every_window() -> None:
    own = replace(sample_cars(1_000), key=np.arange(1_000, dtype=np.uint64))
    own.firm_w[:], own.floor_w[:] = 11_000, 4_140
    ask = book_of(truthful, own).ask_nanos_per_kwh_h[:, 0]
    assert (ask == book_of(truthful, own, window=77).ask_nanos_per_kwh_h[:, 0]).all()
    assert ask.min() >= 50_000_000
    assert ask.max() < 500_000_000
    assert abs(ask.mean() - 275_000_000) < 15_000_000
    assert len(set(ask.tolist())) > 990


@given(st.lists(st.floats(-100, 1_000), min_size=1, max_size=20))
def test_what_bundled_strategies_say_may_stand(laxity_h: list[float]) -> None:
    for strategy in BUNDLED.values():
        relief_w, ask = law.admitted(book_of(strategy, own_with(laxity_h)), CALL, Rules())
        assert (ask % 1_000_000 == 0).all()
        assert (relief_w >= 0).all()


def test_they_are_known_by_their_names() -> None:
    assert list(BUNDLED) == ["need", "keep", "altruist", "truthful", "prosumer"]


# -- autonomy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", BUNDLED.values(), ids=BUNDLED)
def test_each_bundled_strategy_answers_for_each_car_alone(strategy: Strategy) -> None:
    check_elementwise(strategy)
    check_elementwise(strategy, sample_cars(50), seed=9)


def patient(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    """The user's strategy of the handbook: floats, draws and conditions, and still each car for itself."""
    laxity_h = own.laxity_ms / 3_600_000
    ask = (1e8 / np.maximum(laxity_h, 0.5) * draws.uniform(0.9, 1.1)).astype(np.int64)
    book = OfferBook.keep(own).reduce(to_w=own.floor_w, ask_nanos_per_kwh_h=ask, where=laxity_h > 0.6)
    return book.feed(own.feed_w, ask_nanos_per_kwh_h=own.wear_nanos_per_kwh + 3 * ask, where=laxity_h > 4)


def test_a_users_strategy_that_looks_at_its_own_row_passes() -> None:
    check_elementwise(patient)


def sellers(ask: Callable[[Own, Draws], NDArray[np.float64]]) -> Strategy:
    def strategy(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(0, ask(own, draws))

    return strategy


@pytest.mark.parametrize(
    "ask",
    [
        lambda own, draws: np.full(len(own), own.laxity_ms.mean() + 10**9),
        lambda own, draws: own.wear_nanos_per_kwh * len(own),
        lambda own, draws: np.arange(len(own)) + 1,
        lambda own, draws: own.max_w * (own.laxity_ms == own.laxity_ms.max()),
        lambda own, draws: np.argsort(own.stored_ws) + 1,
        lambda own, draws: np.roll(own.tariff_nanos_per_kwh + own.remaining_ws, 1),
        lambda own, draws: draws.uniform(1, 1e9)[::-1],
    ],
    ids=["mean", "number", "place", "highest", "rank", "neighbour", "its draw"],
)
def test_a_strategy_that_looks_at_its_neighbours_is_caught(ask: Callable[[Own, Draws], NDArray[np.float64]]) -> None:
    with pytest.raises(StrategyError, match="row i must use row i alone") as caught:
        check_elementwise(sellers(ask))
    assert 0 <= caught.value.row < len(sample_cars())


def test_a_strategy_that_lets_one_car_give_way_for_all_is_caught_though_no_ask_differs() -> None:
    def one_for_all(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
        book = OfferBook.keep(own)
        book.relief_w[:, 1] = own.firm_w * (own.firm_w == own.firm_w.max())
        return OfferBook(own, book.relief_w, book.ask_nanos_per_kwh_h + 7)

    with pytest.raises(StrategyError, match="row i must use row i alone"):
        check_elementwise(one_for_all)


def test_the_sample_has_cars_of_every_kind() -> None:
    own = sample_cars()
    assert (own.firm_w == 0).any()
    assert (own.firm_w == 11_000).any()
    assert (own.laxity_ms < 0).any()
    assert (own.laxity_ms > 4 * MS_PER_HOUR).any()
    assert (own.stored_ws < own.reserve_ws).any()
    assert (own.stored_ws > own.reserve_ws).any()
    assert (own.floor_w == np.minimum(own.firm_w, 4_140)).all()


# -- misbehaviour -----------------------------------------------------------------------------------------------------


def raising(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    raise KeyError("soc")


def forgetful(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    return None  # type: ignore[return-value]


def for_others(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    """Takes its cars for more patient than they are."""
    return OfferBook.keep(replace(own, laxity_ms=own.laxity_ms + 10**9)).reduce(0, 1)


def too_short(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    book = OfferBook.keep(own)
    return OfferBook(own, book.relief_w[:-1], book.ask_nanos_per_kwh_h)


def asks_too_wide(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    return OfferBook(own, OfferBook.keep(own).relief_w, np.zeros((len(own), 4), dtype=np.int64))


def in_floats(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
    book = OfferBook.keep(own)
    return OfferBook(own, book.relief_w, np.full((len(own), 3), np.nan))


@pytest.mark.parametrize(
    ("strategy", "problem"),
    [
        (raising, "raises KeyError: 'soc'"),
        (forgetful, "returns NoneType, not an OfferBook"),
        (for_others, "answers for other cars than those it is asked for"),
        (too_short, r"returns relief_w of shape \(7, 3\) for 8 car\(s\)"),
        (asks_too_wide, r"returns ask_nanos_per_kwh_h of shape \(8, 4\) for 8 car\(s\)"),
        (in_floats, "returns ask_nanos_per_kwh_h of type float64, not int64"),
    ],
)
def test_what_is_no_answer_for_these_cars_is_refused(strategy: Strategy, problem: str) -> None:
    with pytest.raises(StrategyError, match=problem):
        book_of(strategy, sample_cars())


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        (float("nan"), "not a finite number"),
        (float("inf"), "not a finite number"),
        (-1, "asks a negative price"),
        (1e30, "beyond"),
    ],
)
def test_a_bad_price_names_the_car_it_was_asked_for(ask: float, problem: str) -> None:
    own = own_with([9] * 6)
    with pytest.raises(StrategyError, match=problem) as caught:
        law.admitted(book_of(sellers(lambda own, draws: np.where(own.key == 4, ask, 1)), own), CALL, Rules())
    assert caught.value.row == 3


def test_a_price_that_falls_from_tranche_to_tranche_names_the_car() -> None:
    def falling(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(own.floor_w, 10).reduce(0, np.where(own.key == 3, 9, 10))

    with pytest.raises(StrategyError, match="asks less for a later tranche than for an earlier one") as caught:
        law.admitted(book_of(falling, own_with([9] * 6)), CALL, Rules())
    assert caught.value.row == 2


def test_one_line_tells_the_user_which_strategy_car_and_call() -> None:
    error = refused(
        "mine.py:patient", StrategyError(0, "asks a negative price"), "a400/17", replace(CALL, from_ms=90_000)
    )
    assert str(error) == ("strategy 'mine.py:patient' asks a negative price (car 'a400/17', call for 50000 W at 90 s)")


def test_a_trait_is_drawn_for_a_purpose_of_its_own() -> None:
    """Else a car's cost of waiting would tell how its ties are broken."""
    draws = Draws(1, sample_cars().key, 0)
    assert (draws.constant(Purpose.WAITING_COST) != draws.constant(Purpose.TIE)).all()
