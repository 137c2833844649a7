"""The charger: it obeys grants, meters, passes on what is sealed, and bears witness beside its car."""

from __future__ import annotations

import pytest

from wattswap.agents.charger import Charger
from wattswap.agents.rules import Rules
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.effects import Effect, Send, SetPower
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Event, Metered, PluggedIn, Reading, Received, Unplugged, Woken
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import (
    Award,
    BaseReport,
    Call,
    CappedOffer,
    Delivery,
    Departed,
    Grant,
    Inner,
    Mandate,
    Message,
    Offer,
    Receipt,
    Release,
    Report,
    Sealed,
    Tranche,
    WitnessedDelivery,
)

HOUR, KWH = 3_600_000, 3_600_000
PLUG = PluggedIn(7, "stay 7", "car", 10 * KWH, 6 * HOUR, 11_000, 0, 60 * KWH, 0)
AWARD = Award(0, 0, 7, 300_000, (6_210, 0, 0), (600_000_000, 0, 0))
REDUCED = Metered(7, 4_790, 0, 11_000)
CLAIM = Delivery(0, 0, 7, (6_210 * 30, 0, 0), 11_000 * 30)
OFFER = seal(Offer(0, 0, 7, (Tranche(6_860, 600_000_000),)), Signer(bytes([9] * 32)))


def charger(*events: Event | Message | Inner, **keys: Signer | bytes | None) -> Charger:
    """A charger with a car of session 7, after these events; messages in it are the transformer's."""
    of = Charger("charger", "transformer", 22_000, Rules(), **keys)  # type: ignore[arg-type]
    for event in (PLUG, *events):
        tell(of, event)
    return of


def tell(of: Charger, event: Event | Message | Inner, now_ms: int = 30_000) -> list[Effect]:
    """What it does about an event, or about a message of the transformer."""
    if not isinstance(event, Event):
        event = Received("transformer", seal(event) if isinstance(event, Inner) else event)
    effects = of.handle(event, now_ms)
    of.check()
    return effects


def from_car(of: Charger, message: Inner | Sealed) -> list[Effect]:
    return tell(of, Received("car", message if isinstance(message, Sealed) else seal(message)))


def claimed(effects: list[Effect]) -> tuple[object, object]:
    """The charger's and the car's word in the one witnessed delivery that is said."""
    (effect,) = effects
    assert isinstance(effect, Send)
    assert isinstance(effect.message, WitnessedDelivery)
    assert (effect.to, effect.message.session) == ("transformer", 7)
    return unseal(effect.message.charger), unseal(effect.message.vehicle)


# -- passing on -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [Call(0, 0, 5_800, 5, 0, 300_000, 2_000), AWARD, Receipt(0, 0, 7, 5)], ids=repr)
def test_calls_awards_and_receipts_reach_the_car_untouched(message: Inner) -> None:
    sealed = seal(message, Signer(bytes(32)))
    assert tell(charger(), sealed) == [Send("car", sealed)]


def test_an_award_for_a_car_that_left_is_not_for_the_next_one() -> None:
    assert tell(charger(), Award(0, 0, 6, 300_000, (1, 0, 0), (1, 0, 0))) == []


def test_a_mandate_reaches_the_transformer_untouched() -> None:
    sealed = seal(Mandate(7, "stay 7", 10 * KWH, 6 * HOUR, "car"), Signer(bytes(32)))
    assert from_car(charger(), sealed) == [Send("transformer", sealed)]


def test_an_offer_is_passed_on_untouched_beside_what_the_charger_can_carry() -> None:
    assert from_car(charger(), OFFER) == [Send("transformer", CappedOffer(7, 22_000, OFFER))]


def test_it_reports_where_its_car_stands() -> None:
    reading = Reading(7, 10 * KWH, 9 * KWH, 30 * KWH, 11_000, 10_000, 9_000, 3 * HOUR, drew=True)
    assert tell(charger(), reading) == [Send("transformer", Report(7, 9_000, 11_000, 3 * HOUR, drew=True))]


@pytest.mark.parametrize("sender", ["stranger", "charger", ""])
def test_it_listens_to_its_transformer_and_its_car_only(sender: str) -> None:
    of = charger(AWARD, REDUCED)
    for message in (Grant(7, 0, 0), Release(0, 0, 7), OFFER, seal(AWARD), seal(CLAIM)):
        assert tell(of, Received(sender, message)) == []
    assert claimed(from_car(of, CLAIM))[0] == CLAIM


def test_a_car_cannot_speak_as_the_transformer_nor_the_transformer_as_a_car() -> None:
    of = charger()
    assert tell(of, Received("car", Grant(7, 22_000, 0))) == []
    assert from_car(of, AWARD) == []
    assert tell(of, OFFER) == []
    assert tell(of, BaseReport(1)) == []


# -- power ------------------------------------------------------------------------------------------------------------


def test_a_grant_sets_the_power() -> None:
    assert tell(charger(), Grant(7, 4_790, 500)) == [SetPower(7, 4_790, 500)]


def test_an_award_sets_no_power() -> None:
    assert not [effect for effect in tell(charger(), AWARD) if isinstance(effect, SetPower)]


def test_a_late_grant_for_a_car_that_left_does_not_move_the_next_one() -> None:
    assert tell(charger(), Grant(6, 22_000, 0)) == []


def test_when_the_car_leaves_the_power_is_off_and_its_energy_told() -> None:
    of = charger(REDUCED, Metered(7, 0, 2_000, 0), Metered(7, 11_000, 0, 11_000))
    assert tell(of, Unplugged(7)) == [
        SetPower(7, 0, 0),
        Send("transformer", Departed(7, (4_790 + 11_000) * 30, 2_000 * 30)),
    ]


def test_the_next_car_starts_with_an_empty_meter() -> None:
    of = charger(AWARD, REDUCED, Unplugged(7))
    tell(of, PluggedIn(8, "stay 8", "other", 10 * KWH, 6 * HOUR, 11_000, 0, 60 * KWH, 0))
    assert tell(of, Received("other", seal(Delivery(0, 0, 7, (1, 0, 0), 1)))) == []
    assert tell(of, Unplugged(8))[1:] == [Send("transformer", Departed(8, 0, 0))]


@pytest.mark.parametrize(
    "event", [Grant(7, 1, 1), Release(0, 0, 7), seal(AWARD), REDUCED, Unplugged(7), Woken()], ids=repr
)
def test_without_a_car_nothing_happens(event: Event | Message) -> None:
    empty = Charger("charger", "transformer", 22_000, Rules())
    assert tell(empty, event) == []
    assert tell(charger(Unplugged(7)), event) == []


# -- bearing witness --------------------------------------------------------------------------------------------------


def test_it_puts_its_own_meter_beside_the_cars_claim() -> None:
    of = charger(AWARD, Metered(7, 5_000, 0, 11_000))
    assert claimed(from_car(of, CLAIM)) == (Delivery(0, 0, 7, (6_000 * 30, 0, 0), 11_000 * 30), CLAIM)


def test_its_word_is_signed_and_the_cars_stays_as_it_was() -> None:
    mine, cars = Signer(bytes(32)), Signer(bytes([1] * 32))
    of = charger(AWARD, REDUCED, signer=mine)
    (effect,) = from_car(of, seal(CLAIM, cars))
    assert isinstance(effect, Send)
    assert effect.message == WitnessedDelivery(7, seal(CLAIM, mine), seal(CLAIM, cars))


def test_a_claim_said_again_is_witnessed_again_and_nothing_is_added() -> None:
    of = charger(AWARD, REDUCED)
    first = from_car(of, CLAIM)
    tell(of, REDUCED)
    assert from_car(of, CLAIM) == first
    assert claimed(first)[0] == CLAIM


def test_it_counts_no_further_than_the_windows_end() -> None:
    of = charger(AWARD)
    tell(of, REDUCED, 300_000)
    tell(of, REDUCED, 330_000)
    assert claimed(from_car(of, CLAIM))[0] == CLAIM


def test_a_release_ends_the_count_and_reaches_the_car() -> None:
    of = charger(AWARD, REDUCED)
    assert tell(of, Release(0, 0, 7)) == [Send("car", Release(0, 0, 7))]
    tell(of, REDUCED)
    assert claimed(from_car(of, CLAIM))[0] == CLAIM


@pytest.mark.parametrize("release", [Release(0, 1, 7), Release(1, 0, 7), Release(0, 0, 8)])
def test_a_release_of_another_award_does_not_end_the_count(release: Release) -> None:
    of = charger(AWARD, release, REDUCED)
    assert claimed(from_car(of, CLAIM))[0] == CLAIM


def test_an_award_said_again_does_not_wipe_what_was_counted() -> None:
    of = charger(AWARD, REDUCED, AWARD)
    assert claimed(from_car(of, CLAIM))[0] == CLAIM


def test_an_award_that_comes_after_a_newer_one_does_not_replace_it() -> None:
    of = charger(Award(0, 5, 7, 300_000, (690, 0, 0), (1, 0, 0)), AWARD, REDUCED)
    newer = Delivery(0, 5, 7, (690 * 30, 0, 0), 11_000 * 30)
    assert claimed(from_car(of, newer))[0] == newer


@pytest.mark.parametrize("claim", [Delivery(0, 4, 7, (0, 0, 0), 0), Delivery(0, 0, 8, (0, 0, 0), 0)])
def test_a_late_claim_of_an_award_before_is_not_witnessed_and_ends_nothing(claim: Delivery) -> None:
    of = charger(AWARD, REDUCED)
    assert from_car(of, claim) == []
    tell(of, REDUCED)
    assert claimed(from_car(of, CLAIM))[0] == Delivery(0, 0, 7, (6_210 * 60, 0, 0), 11_000 * 60)


def test_after_the_receipt_there_is_nothing_to_witness() -> None:
    of = charger(AWARD, REDUCED)
    from_car(of, CLAIM)
    tell(of, Receipt(0, 0, 7, 5))
    assert from_car(of, CLAIM) == []
    tell(of, AWARD)
    assert from_car(of, CLAIM) == []


def test_a_receipt_said_again_is_passed_on_and_moves_nothing() -> None:
    of = charger(AWARD, REDUCED)
    from_car(of, CLAIM)
    receipt = seal(Receipt(0, 0, 7, 5))
    assert tell(of, receipt) == tell(of, receipt) == [Send("car", receipt)]


def test_a_receipt_before_any_claim_is_a_lie() -> None:
    with pytest.raises(RemoteProtocolError, match="RECEIPT is not possible in a round that is AWARDED"):
        tell(charger(AWARD), Receipt(0, 0, 7, 5))


def test_a_claim_without_an_award_is_not_witnessed() -> None:
    assert from_car(charger(REDUCED), CLAIM) == []


@pytest.mark.parametrize("message", [AWARD, Receipt(0, 0, 7, 5), Call(0, 0, 1, 1, 0, 1, 1)], ids=repr)
def test_with_the_transformers_key_it_believes_nobody_else(message: Inner) -> None:
    transformer, other = Signer(bytes(32)), Signer(bytes([1] * 32))
    of = charger(transformer_key=transformer.public_key)
    for signer in (other, None):
        with pytest.raises(RemoteProtocolError, match="not signed by who should have said it"):
            tell(of, seal(message, signer))
    sealed = seal(Call(0, 0, 1, 1, 0, 1, 1), transformer)
    assert tell(of, sealed) == [Send("car", sealed)]


def test_bytes_that_are_no_message_are_refused_and_leave_it_as_it_was() -> None:
    of = charger(AWARD, REDUCED)
    for sender in ("car", "transformer"):
        with pytest.raises(RemoteProtocolError):
            tell(of, Received(sender, Sealed(5, b"\xc1")))
    assert claimed(from_car(of, CLAIM))[0] == CLAIM
