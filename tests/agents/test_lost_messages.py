"""What becomes of a round in which messages are lost: they are repeated, or their part of it lapses."""

from __future__ import annotations

import pytest
from tests.agents.two_chargers import (
    HASTY,
    PATIENT,
    carries,
    earned,
    losing,
    meter,
    paid,
    plug_in,
    street,
    whole_round,
    worth,
)
from tests.agents.words import (
    DEAR,
    IOTA,
    KWH,
    of_kind,
)

from wattswap.protocol.effects import (
    Bill,
    NoteAward,
    NoteForced,
    NoteRound,
    Pay,
    SetPower,
)
from wattswap.protocol.events import (
    Unplugged,
    Woken,
)
from wattswap.protocol.messages import (
    Award,
    CappedOffer,
    Delivery,
    Departed,
    Mandate,
    Offer,
    Receipt,
    ReliefCall,
    WitnessedDelivery,
)


@pytest.mark.parametrize("lost", [ReliefCall, Offer, CappedOffer])
def test_a_car_whose_call_or_offer_is_lost_keeps_charging_and_the_deadline_clears(lost: type) -> None:
    """The other one gives way in its place, at its own price."""
    wire = street(lambda sender, to, message: 0 if carries(message, lost) and "A" in sender + to else 1)
    _, did = whole_round(wire, patient_w=11_000)
    assert [(note.session, note.price_nanos_per_kwh_h) for note in of_kind(did, NoteAward)] == [(HASTY, (DEAR, 0, 0))]
    assert next(effect for effect in did if isinstance(effect, NoteRound)).kept == 1


def test_without_a_single_answer_everyone_keeps_and_the_last_resort_cuts_unpaid() -> None:
    wire = street(lambda sender, to, message: 0 if carries(message, CappedOffer) else 1)
    _, did = whole_round(wire)
    assert of_kind(did, NoteRound) == [NoteRound(tick, 5_800, 2, 2, 0, 0, 0, 0, 0) for tick in range(10)]
    assert of_kind(did, NoteForced) == [
        NoteForced(tick, session, 2_900) for tick in range(10) for session in (PATIENT, HASTY)
    ]
    assert not paid(did)


def test_an_award_that_is_lost_on_the_way_is_not_paid_and_nobody_is_harmed() -> None:
    """However often it is said again; it is what the book had set aside that stays so."""
    wire = street(lambda sender, to, message: 0 if carries(message, Award) else 1)
    heard, did = whole_round(wire)
    assert len([message for _, _, message in heard if isinstance(message, Award)]) == 10
    assert not paid(did)
    assert not [message for _, _, message in heard if isinstance(message, Delivery)]
    assert earned(wire, "car A") == 0


def test_an_award_that_is_lost_once_is_said_again_and_counts_from_then_on() -> None:
    wire = street(losing(1, Award))
    _, did = whole_round(wire)
    assert paid(did) == [Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", worth(9))]
    assert earned(wire, "car A") == worth(9)


@pytest.mark.parametrize("lost", [Mandate, Departed])
def test_a_mandate_or_departure_that_is_lost_is_said_again_until_it_is_acknowledged(lost: type) -> None:
    wire = street(losing(2, lost, sender="charger A", to="transformer"))
    plug_in(wire)
    for agent in ("car A", "charger A"):
        if lost is Departed:
            wire.happens(agent, Unplugged(PATIENT, KWH, 0))
    for _ in range(3):
        wire.now_ms += 30_000
        wire.wake()
    said = [(sender, to) for sender, to, message in wire.heard() if isinstance(message, lost)]
    assert said.count(("charger A", "transformer")) == 3
    billed = [Bill(PATIENT, "stay A", "car A", 3 * IOTA)] if lost is Departed else []
    assert of_kind(wire.did(), Bill) == billed


def test_when_its_transformer_is_silent_every_charger_falls_back_by_itself() -> None:
    """And a car that has sold keeps its word by doing nothing."""
    wire = street()
    plug_in(wire)
    wire.happens("transformer", Woken())
    wire.did()
    wire.arrives = lambda sender, to, message: 0 if sender == "transformer" else 1
    meter(wire, 4_790, ticks=2)
    assert not of_kind(wire.did(), SetPower)
    meter(wire, 4_790)
    assert of_kind(wire.did(), SetPower) == [SetPower(PATIENT, 0, 0), SetPower(HASTY, 0, 0)]


def test_a_delivery_that_is_lost_is_said_again_until_it_is_receipted() -> None:
    wire = street(losing(2, WitnessedDelivery))
    assert not paid(whole_round(wire)[1])
    meter(wire, 11_000, ticks=2)
    assert not paid(wire.did())
    meter(wire, 11_000)
    assert paid(wire.did()) == [Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", worth())]
    assert earned(wire, "car A") == worth()
    wire.heard()
    meter(wire, 11_000, ticks=3)
    assert not [message for _, _, message in wire.heard() if isinstance(message, Delivery | Receipt)]
    assert not paid(wire.did())


def test_a_receipt_that_is_lost_is_said_again_and_counts_once() -> None:
    wire = street(losing(2, Receipt, to="charger A"))
    assert paid(whole_round(wire)[1]) == [Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", worth())]
    assert earned(wire, "car A") == 0
    meter(wire, 11_000, ticks=5)
    assert earned(wire, "car A") == worth()
    assert not paid(wire.did())
    wire.heard()
    meter(wire, 11_000)
    assert not [message for _, _, message in wire.heard() if isinstance(message, Delivery | Receipt)]
