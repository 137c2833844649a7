"""A car declares its need and answers calls as its strategy chooses."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs
from tests.agents.vehicle.one_car import (
    AWARD,
    LEAVE,
    PLUG,
    READING,
    at_work,
    car,
    does,
    tell,
)
from tests.agents.words import (
    CALL,
    HOUR,
    IOTA,
    KWH,
    full_stop,
    mandate,
    of_kind,
)

from wattswap.agents.offers import Call, Memory, OfferBook, Outcome, Own
from wattswap.agents.rules import Rules
from wattswap.agents.strategies import BUNDLED
from wattswap.agents.strategies.learning import LearningStrategy
from wattswap.agents.strategies.waiting import waiting_cost
from wattswap.protocol.codec import unseal
from wattswap.protocol.draws import Draws, agent_key
from wattswap.protocol.effects import Send, WakeAt
from wattswap.protocol.errors import InputError
from wattswap.protocol.events import Event, Received, Woken
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import AWARD as AN_AWARD
from wattswap.protocol.messages import (
    MANDATE,
    Ack,
    Cleared,
    Offer,
    Sealed,
)


def test_when_plugged_in_it_declares_its_need_and_nothing_of_its_plans() -> None:
    assert tell(car(), PLUG) == [mandate(7, "car")]


def test_what_it_says_is_signed_by_its_own_key() -> None:
    signer = Signer(bytes(32))
    (effect,) = of_kind(car(signer=signer).handle(PLUG, 0), Send)
    assert isinstance(effect.message, Sealed)
    assert unseal(effect.message, signer.public_key) == mandate(7, "car")


def test_a_mandate_is_said_again_until_it_is_acknowledged() -> None:
    vehicle = car()
    said_first = tell(vehicle, PLUG, 0)
    assert tell(vehicle, Woken(), 29_999) == []
    assert tell(vehicle, Woken(), 30_000) == tell(vehicle, Woken(), 60_000) == said_first
    assert vehicle.owes == 1
    tell(vehicle, Received("charger", Ack(MANDATE, 7)), 60_000)
    assert tell(vehicle, Woken(), 90_000) == []
    assert vehicle.owes == 0


@pytest.mark.parametrize("other", [Ack(MANDATE, 8), Ack(AN_AWARD, 7)], ids=repr)
def test_an_acknowledgement_of_something_else_is_not_its_mandate(other: Ack) -> None:
    vehicle = car()
    said_first = tell(vehicle, PLUG, 0)
    tell(vehicle, Received("charger", other), 0)
    assert tell(vehicle, Woken(), 30_000) == said_first


def test_it_does_not_insist_on_a_mandate_once_it_left() -> None:
    vehicle = car()
    tell(vehicle, PLUG, 0)
    assert tell(vehicle, LEAVE, 10_000) == []
    assert tell(vehicle, Woken(), 30_000) == []
    assert vehicle.owes == 0


def test_it_answers_a_call_as_its_strategy_chooses() -> None:
    """It asks its waiting cost, and for three hours of laxity a quarter of it more, on the price tick."""
    cost = int(waiting_cost(1, np.array([agent_key("stay 7")], dtype=np.uint64))[0])
    assert tell(at_work(strategy=BUNDLED["need"]), CALL) == [
        full_stop(7, -(-(cost + cost * 60 // 240) // 10**6) * 10**6)
    ]


def test_keeping_is_an_answer_too() -> None:
    assert tell(at_work(strategy=BUNDLED["keep"]), CALL) == [Offer(0, 0, 7, ())]


def test_a_car_that_must_leave_soon_keeps_charging_whatever_its_strategy_says() -> None:
    edge_ms = Rules().guard_ms + Rules().window_ms
    assert tell(at_work(structs.replace(READING, due_ms=edge_ms)), CALL) == [Offer(0, 0, 7, ())]
    assert tell(at_work(structs.replace(READING, due_ms=edge_ms + 1)), CALL) != [Offer(0, 0, 7, ())]


def test_a_prosumer_offers_to_feed() -> None:
    (offer,) = tell(at_work(strategy=BUNDLED["prosumer"]), CALL)
    assert isinstance(offer, Offer)
    assert offer.tranches[2].relief_w == 11_000
    assert 454_000_000 <= offer.tranches[2].ask_nanos_per_kwh_h - offer.tranches[0].ask_nanos_per_kwh_h <= 455_000_000


def test_asked_again_it_says_the_same() -> None:
    vehicle = at_work(strategy=BUNDLED["truthful"])
    first = tell(vehicle, CALL)
    assert tell(vehicle, CALL) == first
    tell(vehicle, structs.replace(READING, due_ms=1))
    assert tell(vehicle, CALL) == first


def test_a_strategy_learns_this_of_the_car_and_the_call() -> None:
    learned: list[tuple[Call, Own]] = []

    def curious(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        learned.append((call, own))
        return OfferBook.keep(own)

    tell(at_work(structs.replace(READING, baseline_remaining_ws=4 * KWH, firm_w=3_000), strategy=curious), CALL)
    ((call, own),) = learned
    assert (call.need_w.tolist(), call.from_ms, call.until_ms, call.feed_h) == ([5_800], 0, 300_000, 2)
    assert len(own) == 1
    known = {name: int(getattr(own, name)[0]) for name in Own.__slots__ if name != "key"}
    assert known == {
        "wanted_w": 11_000,
        "baseline_w": 11_000,
        "firm_w": 3_000,
        "floor_w": 3_000,
        "max_w": 11_000,
        "feed_w": 11_000,
        "remaining_ws": 10 * KWH,
        "owed_ws": 0,
        "stored_ws": 30 * KWH,
        "capacity_ws": 60 * KWH,
        "reserve_ws": 18 * KWH,
        "laxity_ms": 3 * HOUR,
        "round_trip_permille": 880,
        "wear_nanos_per_kwh": IOTA // 2,
        "tariff_nanos_per_kwh": 3 * IOTA,
        "waiting_nanos_per_kwh_h": int(waiting_cost(1, np.array([agent_key("stay 7")], dtype=np.uint64))[0]),
    }


def learning(lessons: list[Outcome]) -> LearningStrategy:
    def learn(memory: Memory, own: Own, outcome: Outcome, draws: Draws) -> Memory:
        lessons.append(outcome)
        return memory + 1

    def ask(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(0, (memory[:, 0] + 1) * 10**6)

    return LearningStrategy("mine", ask, learn, columns=1)


def test_it_learns_once_from_each_round_it_was_called_to_won_or_not() -> None:
    """The price and the reserve are told to all that were called; its own award it knows itself."""
    lessons: list[Outcome] = []
    vehicle = at_work(CALL, strategy=learning(lessons))
    for _ in range(2):
        tell(vehicle, Cleared(0, 0, 7 * 10**6, IOTA))
    tell(vehicle, Cleared(0, 4, 7 * 10**6, IOTA))
    (lost,) = lessons
    assert (lost.award_w.tolist(), lost.price_nanos_per_kwh_h.tolist()) == ([[0, 0, 0]], [7 * 10**6])
    assert lost.reserve_nanos_per_kwh_h.tolist() == [IOTA]
    (offer,) = tell(vehicle, structs.replace(CALL, tick=1))
    assert isinstance(offer, Offer)
    assert offer.tranches[0].ask_nanos_per_kwh_h == 2 * 10**6, "it has learned, and asks more"
    tell(vehicle, structs.replace(AWARD, tick=1))
    tell(vehicle, Cleared(0, 1, 7 * 10**6, IOTA))
    assert lessons[1].award_w.tolist() == [[6_210, 0, 0]]


def test_a_strategy_that_misbehaves_ends_in_one_line_for_its_author() -> None:
    def negative(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(0, -1)

    with pytest.raises(InputError) as error:
        tell(at_work(strategy=negative), CALL)
    assert str(error.value) == "strategy 'mine' asks a negative price (car 'stay 7', call for 5800 W at 0 s)"


@pytest.mark.parametrize("before", [(), (PLUG,), (READING,), (PLUG, READING, LEAVE)])
def test_without_a_cable_or_a_reading_it_does_not_answer(before: tuple[Event, ...]) -> None:
    vehicle = car()
    for event in before:
        tell(vehicle, event)
    assert tell(vehicle, CALL) == []


def test_a_wake_up_that_comes_early_is_asked_for_again() -> None:
    vehicle = car()
    said_first = tell(vehicle, PLUG, 0)
    assert does(vehicle, Woken(30_000), 29_999) == [WakeAt(30_000)]
    assert tell(vehicle, Woken(30_000), 30_000) == said_first
