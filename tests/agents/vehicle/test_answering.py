"""A car declares its need and answers calls as its strategy chooses."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.vehicle.one_car import (
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

from wattswap.agents.offers import Call, OfferBook, Own
from wattswap.agents.rules import Rules
from wattswap.agents.strategies import BUNDLED
from wattswap.protocol.codec import unseal
from wattswap.protocol.draws import Draws
from wattswap.protocol.effects import Send, WakeAt
from wattswap.protocol.errors import InputError
from wattswap.protocol.events import Event, Received, Woken
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import AWARD as AN_AWARD
from wattswap.protocol.messages import (
    MANDATE,
    Ack,
    Offer,
    Sealed,
    Tranche,
)


def test_when_plugged_in_it_declares_its_need_and_departure() -> None:
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
    assert tell(at_work(), CALL) == [full_stop(7)]


def test_keeping_is_an_answer_too() -> None:
    assert tell(at_work(strategy=BUNDLED["keep"]), CALL) == [Offer(0, 0, 7, ())]


def test_a_car_that_must_leave_soon_keeps_charging_whatever_its_strategy_says() -> None:
    edge_ms = Rules().guard_ms + Rules().window_ms
    assert tell(at_work(structs.replace(READING, due_ms=edge_ms)), CALL) == [Offer(0, 0, 7, ())]
    assert tell(at_work(structs.replace(READING, due_ms=edge_ms + 1)), CALL) != [Offer(0, 0, 7, ())]


def test_a_prosumer_offers_to_feed() -> None:
    (offer,) = tell(at_work(strategy=BUNDLED["prosumer"]), CALL)
    assert isinstance(offer, Offer)
    assert offer.tranches[2] == Tranche(11_000, 910_000_000)


def test_asked_again_it_says_the_same() -> None:
    vehicle = at_work(strategy=BUNDLED["truthful"])
    first = tell(vehicle, CALL)
    assert tell(vehicle, CALL) == first
    tell(vehicle, structs.replace(READING, due_ms=1))
    assert tell(vehicle, CALL) == first


def test_a_strategy_learns_this_of_the_car_and_the_call() -> None:
    learned: list[tuple[Call, Own]] = []

    def curious(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
        learned.append((call, own))
        return OfferBook.keep(own)

    tell(at_work(structs.replace(READING, baseline_remaining_ws=4 * KWH, firm_w=3_000), strategy=curious), CALL)
    ((call, own),) = learned
    assert (call.need_w.tolist(), call.ceiling_nanos_per_kwh.tolist()) == ([5_800], [5 * IOTA])
    assert (call.from_ms, call.until_ms) == (0, 300_000)
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
        "owed_ws": 6 * KWH,
        "stored_ws": 30 * KWH,
        "capacity_ws": 60 * KWH,
        "reserve_ws": 18 * KWH,
        "laxity_ms": 3 * HOUR,
        "round_trip_permille": 880,
        "wear_nanos_per_kwh": IOTA // 2,
        "tariff_nanos_per_kwh": 3 * IOTA,
    }


def test_a_strategy_that_misbehaves_ends_in_one_line_for_its_author() -> None:
    def negative(call: Call, own: Own, memory: None, draws: Draws) -> OfferBook:
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
