"""Whom a car listens to: the transformer, through the charger of the session in question."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.vehicle.one_car import (
    AWARD,
    FULL,
    LEAVE,
    ONE_TICK,
    PLUG,
    READING,
    REDUCED,
    at_work,
    awarded,
    car,
    does,
    tell,
)
from tests.agents.words import (
    CALL,
    refused_as_unsigned,
    said_by,
)

from wattswap.protocol.codec import seal
from wattswap.protocol.events import Event, Received, Woken
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import (
    MANDATE,
    Ack,
    Inner,
    Mandate,
    Offer,
    Receipt,
    Release,
)

STRANGER = "another charger"


@pytest.mark.parametrize(
    "message", [CALL, AWARD, Receipt(0, 0, 7, 5), Release(0, 0, 7)], ids=lambda message: type(message).__name__
)
def test_it_listens_to_the_charger_of_the_session_only(message: Inner | Release) -> None:
    """Even if the transformer has signed it: who repeats an award elsewhere would draw the car's claims to itself."""
    before = at_work() if message == CALL else at_work(CALL) if message == AWARD else awarded(REDUCED)
    assert does(before, said_by(STRANGER, message)) == []


def test_an_acknowledgement_from_a_stranger_does_not_silence_its_mandate() -> None:
    vehicle = car()
    said_first = tell(vehicle, PLUG, 0)
    tell(vehicle, Received(STRANGER, Ack(MANDATE, 7)), 0)
    assert tell(vehicle, Woken(), 30_000) == said_first


def test_at_the_next_charger_it_still_settles_with_the_last_one() -> None:
    vehicle = awarded(REDUCED, LEAVE)
    does(vehicle, structs.replace(PLUG, session=9, peer="next"))
    assert does(vehicle, Received("next", seal(Receipt(0, 0, 7, 5)))) == []
    tell(vehicle, Receipt(0, 0, 7, 5))
    assert vehicle.earned_nanos == 5


def test_a_reading_of_another_session_is_not_its_own() -> None:
    vehicle = car()
    for event in (PLUG, structs.replace(READING, session=8)):
        tell(vehicle, event)
    assert tell(vehicle, CALL) == []


@pytest.mark.parametrize("event", [Woken(), Release(0, 0, 7), LEAVE, FULL], ids=repr)
def test_what_means_nothing_to_an_idle_car_is_harmless(event: Event | Release) -> None:
    assert tell(car(), event) == []
    assert tell(at_work(), event) == []


@pytest.mark.parametrize("message", [Offer(0, 0, 7, ()), ONE_TICK, Mandate(7, "stay 7", 1, 1, "car")], ids=repr)
def test_what_only_cars_say_is_not_for_a_car(message: Inner) -> None:
    assert tell(awarded(), message) == []


@pytest.mark.parametrize("message", [CALL, AWARD, Receipt(0, 0, 7, 5)], ids=lambda message: type(message).__name__)
def test_with_the_transformers_key_it_believes_nobody_else(message: Inner) -> None:
    transformer, other = Signer(bytes(32)), Signer(bytes([1] * 32))
    vehicle = car(transformer_key=transformer.public_key)
    for event in (PLUG, READING):
        vehicle.handle(event, 0)
    for signer in (other, None):
        with refused_as_unsigned():
            vehicle.handle(Received("charger", seal(message, signer)), 0)
    vehicle.handle(Received("charger", seal(CALL, transformer)), 0)
