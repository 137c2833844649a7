"""The bundled strategies, reckoned by hand; that each car answers for itself; and what is said when one misbehaves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import count
from math import log10
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wattswap.agents import law
from wattswap.agents.offers import FEED, Call, Memory, OfferBook, Outcome, Own, Strategy, StrategyError
from wattswap.agents.rules import Rules
from wattswap.agents.strategies import (
    BUNDLED,
    FEEDERS,
    altruist,
    check_elementwise,
    experienced,
    keep,
    need,
    prosumer,
    truthful,
)
from wattswap.agents.strategies.elementwise import answer, refused, sample_cars
from wattswap.agents.strategies.learning import LearningStrategy, learned, memory_columns
from wattswap.agents.strategies.waiting import waiting_cost
from wattswap.protocol.draws import Draws
from wattswap.protocol.units import MS_PER_HOUR, Purpose

IOTA = 1_000_000_000
CALL = Call(np.array([50_000]), from_ms=0, until_ms=300_000, feed_h=2)


def own_with(laxity_h: list[float]) -> Own:
    """Cars that draw 11 kW, to which waiting costs 0.2 IOTA per kWh and hour, and which differ in how long they can."""
    own = sample_cars(len(laxity_h))
    own.firm_w[:], own.floor_w[:] = 11_000, 4_140
    own.laxity_ms[:] = np.array(laxity_h) * MS_PER_HOUR
    own.waiting_nanos_per_kwh_h[:] = 200_000_000
    return own


def book_of(strategy: Strategy, own: Own, window: int = 0) -> OfferBook:
    memory = np.zeros((len(own), memory_columns(strategy)))
    return answer(strategy, CALL, own, memory, Draws(1, own.key, window))


def asks(strategy: Strategy, laxity_h: list[float], tranche: int = 0) -> list[float]:
    """What a strategy asks, in IOTA per kWh and hour."""
    nanos = book_of(strategy, own_with(laxity_h)).ask_nanos_per_kwh_h[:, tranche]
    return [int(nano) / IOTA for nano in nanos]


# -- what they ask ----------------------------------------------------------------------------------------------------


def test_truthful_asks_what_waiting_costs_it() -> None:
    assert asks(truthful, [0, 1, 9]) == [0.2, 0.2, 0.2]


def test_need_asks_the_less_the_longer_it_can_wait() -> None:
    """c + c x 60 / (60 + minutes)."""
    assert asks(need, [0, 1, 3]) == [0.4, 0.3, 0.25]


def test_need_asks_no_more_of_a_car_that_is_late_already() -> None:
    assert asks(need, [-0.5, -48]) == [0.4, 0.4]


def test_need_asks_the_same_for_a_stop_as_for_less() -> None:
    assert asks(need, [1, 3], tranche=1) == [0.3, 0.25]
    assert book_of(need, own_with([1])).relief_w.tolist() == [[6_860, 4_140, 0]]


def test_prosumer_gives_way_as_need_does() -> None:
    assert asks(prosumer, [0, 1, 3, 9]) == asks(need, [0, 1, 3, 9])


def test_prosumer_feeds_for_what_wear_and_loss_cost_it_beside_its_waiting() -> None:
    """Wear 0.5, and of each kWh fed 120/880 are lost at a tariff of 3: 0.909, for two hours, and 0.25 for waiting."""
    assert asks(prosumer, [3], tranche=2) == [0.25 + 0.454_545_454]


def test_a_stationary_battery_asks_for_wear_and_loss_alone() -> None:
    """Nobody waits for it."""
    own = own_with([3])
    own.waiting_nanos_per_kwh_h[:] = 0
    assert book_of(prosumer, own).ask_nanos_per_kwh_h[0, 2] == 454_545_454


def test_prosumer_offers_all_that_it_can_feed() -> None:
    own = own_with([9, 9])
    own.feed_w[:] = 11_000, 0
    assert book_of(prosumer, own).relief_w[:, 2].tolist() == [11_000, 0]


def test_altruist_gives_way_for_nothing_and_keep_never() -> None:
    own = own_with([1, 9])
    assert book_of(altruist, own).relief_w.tolist() == [[6_860, 4_140, 0]] * 2
    assert not book_of(altruist, own).ask_nanos_per_kwh_h.any()
    assert not book_of(keep, own).relief_w.any()


def test_waiting_costs_each_car_something_else_and_always_the_same() -> None:
    cost = waiting_cost(1, np.arange(1_000, dtype=np.uint64))
    assert (cost == waiting_cost(1, np.arange(1_000, dtype=np.uint64))).all()
    assert cost.min() >= 50_000_000
    assert cost.max() < 500_000_000
    assert abs(cost.mean() - 275_000_000) < 15_000_000
    assert len(set(cost.tolist())) > 990
    assert (cost != waiting_cost(2, np.arange(1_000, dtype=np.uint64))).all()


@given(st.lists(st.floats(-100, 1_000), min_size=1, max_size=20))
def test_what_bundled_strategies_say_may_stand(laxity_h: list[float]) -> None:
    for strategy in BUNDLED.values():
        relief_w, ask = law.admitted(book_of(strategy, own_with(laxity_h)), CALL, Rules())
        assert (ask % 1_000_000 == 0).all()
        assert (relief_w >= 0).all()


def test_they_are_known_by_their_names() -> None:
    first = ["need", "keep", "altruist", "truthful", "prosumer", "experienced"]
    assert list(BUNDLED) == [*first, "zi-c", "zip", "gd", "roth-erev", "mark-up", "risk-averse"]


# -- autonomy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", BUNDLED.values(), ids=BUNDLED)
def test_each_bundled_strategy_answers_for_each_car_alone(strategy: Strategy) -> None:
    check_elementwise(strategy)
    check_elementwise(strategy, sample_cars(50), seed=9)


def patient(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """The user's strategy of the handbook: floats, draws and conditions, and still each car for itself."""
    laxity_h = own.laxity_ms / 3_600_000
    ask = (1e8 / np.maximum(laxity_h, 0.5) * draws.uniform(0.9, 1.1)).astype(np.int64)
    book = OfferBook.keep(own).reduce(to_w=own.floor_w, ask_nanos_per_kwh_h=ask, where=laxity_h > 0.6)
    return book.feed(own.feed_w, ask_nanos_per_kwh_h=own.wear_nanos_per_kwh + 3 * ask, where=laxity_h > 4)


def test_a_users_strategy_that_looks_at_its_own_row_passes() -> None:
    check_elementwise(patient)


def sellers(ask: Callable[[Own, Draws], NDArray[np.float64]]) -> Strategy:
    def strategy(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
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
    def one_for_all(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        book = OfferBook.keep(own)
        book.relief_w[:, 1] = own.firm_w * (own.firm_w == own.firm_w.max())
        return OfferBook(own, book.relief_w, book.ask_nanos_per_kwh_h + 7)

    with pytest.raises(StrategyError, match="row i must use row i alone"):
        check_elementwise(one_for_all)


def asked_before(limit: int) -> Strategy:
    """Asks more once it has been called so often: what no car can know."""
    calls = count()
    return sellers(lambda own, draws: np.full(len(own), 1.0 + (next(calls) >= limit)))


@pytest.mark.parametrize("limit", [1, 5, 14])
def test_a_strategy_that_counts_its_calls_is_caught(limit: int) -> None:
    with pytest.raises(StrategyError, match=r"answers differently (when asked again|beside other cars)"):
        check_elementwise(asked_before(limit))


def test_a_strategy_that_minds_its_neighbours_only_where_they_are_many_is_caught() -> None:
    """The real street has more cars than the sample."""
    crowd = sellers(lambda own, draws: own.laxity_ms.clip(10**9) + (own.laxity_ms.mean() if len(own) > 20 else 0))
    with pytest.raises(StrategyError, match="row i must use row i alone"):
        check_elementwise(crowd, sample_cars(50))


def test_the_sample_has_cars_of_every_kind() -> None:
    own = sample_cars()
    assert (own.firm_w == 0).any()
    assert (own.firm_w == 11_000).any()
    assert (own.laxity_ms < 0).any()
    assert (own.laxity_ms > 4 * MS_PER_HOUR).any()
    assert (own.stored_ws < own.reserve_ws).any()
    assert (own.stored_ws > own.reserve_ws).any()
    assert (own.floor_w == np.minimum(own.firm_w, 4_140)).all()


def test_what_a_strategy_is_handed_cannot_be_changed() -> None:
    def greedy(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        own.laxity_ms[:] = 10**9
        return OfferBook.keep(own)

    with pytest.raises(StrategyError, match="raises ValueError: assignment destination is read-only"):
        book_of(greedy, sample_cars())


# -- learning ---------------------------------------------------------------------------------------------------------


def outcome_at(now_ms: int, won_w: int = 0) -> Outcome:
    award_w = np.array([[won_w, 0, 0]])
    return Outcome(award_w, np.array([300_000_000]), np.array([IOTA]), from_ms=now_ms, until_ms=now_ms + 300_000)


def waiting_car(owed_ws: int) -> Own:
    own = own_with([3])
    own.owed_ws[:] = owed_ws
    return own


def lesson(memory: Memory, now_ms: int, owed_ws: int = 0, won_w: int = 0) -> Memory:
    own = waiting_car(owed_ws)
    return learned(experienced, memory, own, outcome_at(now_ms, won_w), Draws(1, own.key, 0))


def test_a_car_of_experience_learns_how_long_it_waits() -> None:
    """It sold at 0:05 and had all of it back when it was called at 1:05; then at half past two after half an hour."""
    minute = 60_000
    memory = lesson(np.zeros((1, 2)), 5 * minute, won_w=6_900)
    memory = lesson(memory, 35 * minute, owed_ws=9_000)
    assert memory[0, 1] == 30 * minute, "while it waits it expects no less than it has waited"
    memory = lesson(memory, 65 * minute)
    assert memory[0, 1] == 45 * minute, "half of what it expected, half of what it got"
    memory = lesson(lesson(memory, 120 * minute, won_w=6_900), 150 * minute)
    assert memory[0].tolist() == [0, 37.5 * minute]


def test_a_car_of_experience_sells_only_what_it_expects_back_an_hour_before_it_leaves() -> None:
    own, draws = own_with([2, 4]), Draws(1, own_with([2, 4]).key, 0)
    expects_two_hours = np.array([[0.0, 2 * MS_PER_HOUR]] * 2)
    book = answer(experienced, CALL, own, expects_two_hours, draws)
    assert book.relief_w.any(axis=1).tolist() == [False, True]


def learner(learn: object, columns: int = 1) -> LearningStrategy:
    return LearningStrategy("mine", truthful, learn, columns)  # type: ignore[arg-type]


def leaves() -> None:
    raise GeneratorExit("gone")


@pytest.mark.parametrize(
    ("learn", "problem"),
    [
        (lambda memory, own, outcome, draws: None, "learns a memory of shape NoneType where"),
        (lambda memory, own, outcome, draws: memory[:, :0], r"learns a memory of shape \(8, 0\) where \(8, 1\)"),
        (lambda memory, own, outcome, draws: memory + np.nan, "learns what is not a finite number"),
        (lambda memory, own, outcome, draws: memory.astype(str), "not numbers"),
        (lambda memory, own, outcome, draws: memory.fill(1), "read-only"),
        (lambda memory, own, outcome, draws: outcome.award_w.fill(0), "read-only"),
        (lambda memory, own, outcome, draws: 1 // 0, "raises ZeroDivisionError"),
        (lambda memory, own, outcome, draws: sys.exit("bye"), "raises SystemExit: bye"),
        (lambda memory, own, outcome, draws: leaves(), "raises GeneratorExit: gone"),
    ],
)
def test_what_is_no_memory_of_these_cars_is_refused(learn: object, problem: str) -> None:
    with pytest.raises(StrategyError, match=problem):
        check_elementwise(learner(learn))


def test_an_ask_that_no_market_takes_is_refused_before_any_call_goes_out() -> None:
    def negative(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=-5)

    def falling(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(own.floor_w, 9 * 10**8).reduce(0, 10**8)

    with pytest.raises(StrategyError, match="asks a negative price"):
        check_elementwise(negative)
    with pytest.raises(StrategyError, match="asks less for a later tranche than for an earlier one"):
        check_elementwise(falling)


@pytest.mark.parametrize("columns", [0, -1, 1.5, "one", True, 10**12], ids=repr)
def test_a_memory_that_no_car_can_have_is_refused(columns: object) -> None:
    with pytest.raises(StrategyError, match="columns; choose a whole number of 1 to 1000"):
        learner(lambda memory, own, outcome, draws: memory, columns)  # type: ignore[arg-type]


def test_a_strategy_that_learns_from_its_neighbours_is_caught() -> None:
    with pytest.raises(StrategyError, match="learns differently beside other cars"):
        check_elementwise(learner(lambda memory, own, outcome, draws: memory + outcome.award_w.sum()))


# -- misbehaviour -----------------------------------------------------------------------------------------------------


def raising(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    raise KeyError("soc")


def forgetful(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    return None  # type: ignore[return-value]


def for_others(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Takes its cars for more patient than they are."""
    return OfferBook.keep(replace(own, laxity_ms=own.laxity_ms + 10**9)).reduce(0, 1)


def too_short(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    book = OfferBook.keep(own)
    return OfferBook(own, book.relief_w[:-1], book.ask_nanos_per_kwh_h)


def asks_too_wide(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    return OfferBook(own, OfferBook.keep(own).relief_w, np.zeros((len(own), 4), dtype=np.int64))


def in_lists(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    return OfferBook(own, [[0, 0, 0]] * len(own), OfferBook.keep(own).ask_nanos_per_kwh_h)  # type: ignore[arg-type]


def in_floats(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    book = OfferBook.keep(own)
    return OfferBook(own, book.relief_w, np.full((len(own), 3), np.nan))


@pytest.mark.parametrize(
    "use",
    [
        lambda need_w: 1 if need_w > 50_000 else 2,
        lambda need_w: max(need_w, 1),
        float,
        log10,
        Decimal,
        lambda need_w: {50_000: 1}.get(need_w, 2),
        lambda need_w: sum(range(need_w // 1_000)),
        lambda need_w: len(f"{need_w:d}"),
    ],
    ids=["if", "max", "float", "log10", "Decimal", "key", "range", "format"],
)
def test_who_takes_a_column_for_one_number_is_told_what_to_write(use: Callable[[Any], Any]) -> None:
    """numpy's own advice, a.any() or a.all(), would let a car's answer depend on its neighbours."""

    def misled(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(0, use(call.need_w))

    with pytest.raises(StrategyError, match=r"columns.* choose rows with where=\.\.\., or np.where\(") as caught:
        check_elementwise(misled)
    assert "a.any()" not in str(caught.value)


def test_who_takes_the_text_of_a_column_is_told_that_it_is_one() -> None:
    """Python finds nothing wrong in it: the texts of few cars and of many have other lengths."""

    def misled(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(0, len(str(call.need_w)))

    with pytest.raises(StrategyError, match=r"call\.need_w and all of own are columns"):
        check_elementwise(misled)


@pytest.mark.parametrize(
    ("strategy", "problem"),
    [
        (raising, "raises KeyError: 'soc'"),
        (forgetful, "returns NoneType, not an OfferBook"),
        (for_others, "answers for other cars than those it is asked for"),
        (too_short, r"returns relief_w of shape \(7, 3\) for 8 car\(s\)"),
        (asks_too_wide, r"returns ask_nanos_per_kwh_h of shape \(8, 4\) for 8 car\(s\)"),
        (in_lists, "returns relief_w as list, not as an array"),
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
    def falling(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
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


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_of_the_bundled_strategies_the_feeders_alone_offer_to_feed(name: str) -> None:
    feeds = book_of(BUNDLED[name], sample_cars()).relief_w[:, FEED] > 0

    assert feeds.any() == (name in FEEDERS)
