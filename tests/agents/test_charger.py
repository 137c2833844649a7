"""The charger: it obeys grants, meters, passes on what is sealed, and bears witness beside its car."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.words import (
    HOUR,
    KWH,
    award,
    delivered,
    happens,
    mandate,
    of_kind,
    refused_as_unsigned,
    said_by,
    shown,
    survived,
)

from wattswap.agents.charger import Charger
from wattswap.agents.rules import Rules
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.effects import Effect, Forget, Remember, Send, SetPower, WakeAt
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Event, Metered, PluggedIn, Reading, Received, Restarted, Unplugged, Woken
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import AWARD as AN_AWARD
from wattswap.protocol.messages import (
    DEPARTED,
    MANDATE,
    Ack,
    Award,
    BaseReport,
    CappedOffer,
    Delivery,
    Departed,
    Grant,
    Inner,
    Message,
    Offer,
    Receipt,
    Release,
    ReliefCall,
    Report,
    Sealed,
    Tranche,
    WitnessedDelivery,
)

PLUG = PluggedIn(7, "stay 7", "car", 10 * KWH, 6 * HOUR, 11_000, 0, 60 * KWH, 0)
AWARD = award(7)
READING = Reading(7, 10 * KWH, 9 * KWH, 30 * KWH, 11_000, 10_000, 9_000, 3 * HOUR, drew=True)
NEXT = structs.replace(PLUG, session=8, session_id="stay 8", peer="other")
LEAVE, LEFT = Unplugged(7, 473_700, 60_000), Departed(7, 473_700, 60_000)
REDUCED = Metered(7, 4_790, 0, 11_000)
CLAIM, NOTHING = delivered(7, 30), delivered(7, 0)
NEWER, NEWER_CLAIM = Award(0, 5, 7, 300_000, (690, 0, 0), (1, 0, 0)), delivered(7, 30, sold_w=690, tick=5)
OFFER = seal(Offer(0, 0, 7, (Tranche(6_860, 600_000_000),)), Signer(bytes([9] * 32)))


def charger(*events: Event | Message | Inner, **keys: Signer | bytes | None) -> Charger:
    """A charger with a car of session 7, after these events; messages in it are the transformer's."""
    of = empty(**keys)
    for event in (PLUG, *events):
        tell(of, event)
    return of


def empty(**keys: Signer | bytes | None) -> Charger:
    """One without a car."""
    return Charger("charger", "transformer", 22_000, Rules(), **keys)  # type: ignore[arg-type]


def tell(of: Charger, event: Event | Message | Inner, now_ms: int = 30_000) -> list[Effect]:
    """What it says and sets about an event, or about a message of the transformer."""
    return shown(does(of, event, now_ms))


def does(of: Charger, event: Event | Message | Inner, now_ms: int = 30_000) -> list[Effect]:
    """The same, with what it wants remembered and when it wants to be woken."""
    return happens(of, said_by("transformer", event), now_ms)


def grant(import_w: int, export_w: int = 0, *, session: int = 7, seq: int = 1, epoch: int = 1) -> Grant:
    """A grant for 90 s from 30 s on, the instant at which these tests begin."""
    return Grant(session, import_w, export_w, epoch, seq, 1, 30_000, 90_000)


def report(seq: int = 1, stamp_ms: int = 30_000, heard: tuple[int, int] = (0, 0), epoch: int = 1) -> Send:
    """The beat of a charger whose car stands as ``READING`` says."""
    return Send("transformer", Report(7, 9_000, 11_000, 3 * HOUR, True, epoch, seq, stamp_ms, *heard))


def from_car(of: Charger, message: Inner | Sealed) -> list[Effect]:
    return tell(of, said_by("car", message))


def claimed(effects: list[Effect]) -> tuple[object, object]:
    """The charger's and the car's word in the one witnessed delivery that is said."""
    (effect,) = effects
    assert isinstance(effect, Send)
    assert isinstance(effect.message, WitnessedDelivery)
    assert (effect.to, effect.message.session) == ("transformer", 7)
    return unseal(effect.message.charger), unseal(effect.message.vehicle)


# -- passing on -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message", [ReliefCall(0, 0, 5_800, 5, 0, 300_000, 2_000), AWARD, Receipt(0, 0, 7, 5)], ids=repr
)
def test_calls_awards_and_receipts_reach_the_car_untouched(message: Inner) -> None:
    sealed = seal(message, Signer(bytes(32)))
    assert tell(charger(), sealed) == [Send("car", sealed)]


def test_an_award_for_a_car_that_left_is_not_for_the_next_one() -> None:
    assert tell(charger(), Award(0, 0, 6, 300_000, (1, 0, 0), (1, 0, 0))) == []


def test_a_mandate_reaches_the_transformer_untouched() -> None:
    sealed = seal(mandate(7, "car"), Signer(bytes(32)))
    assert from_car(charger(), sealed) == [Send("transformer", sealed)]


def test_an_offer_is_passed_on_untouched_beside_what_the_charger_can_carry() -> None:
    assert from_car(charger(), OFFER) == [Send("transformer", CappedOffer(7, 22_000, OFFER))]


def test_what_is_noted_goes_to_whom_it_concerns() -> None:
    of = charger()
    assert tell(of, Ack(MANDATE, 7)) == [Send("car", Ack(MANDATE, 7))]
    assert tell(of, Received("car", Ack(AN_AWARD, 7, 5))) == [Send("transformer", Ack(AN_AWARD, 7, 5))]


def test_what_is_noted_of_a_car_that_was_never_here_concerns_nobody() -> None:
    of = charger()
    assert tell(of, Ack(MANDATE, 8)) == []
    assert tell(of, Received("car", Ack(AN_AWARD, 8, 5))) == []


@pytest.mark.parametrize("sender", ["stranger", "charger", ""])
def test_it_listens_to_its_transformer_and_its_car_only(sender: str) -> None:
    of = charger(AWARD, REDUCED)
    for message in (grant(0), Release(0, 0, 7), OFFER, seal(AWARD), seal(CLAIM), Ack(AN_AWARD, 7)):
        assert tell(of, Received(sender, message)) == []
    assert claimed(from_car(of, CLAIM))[0] == CLAIM


def test_a_car_cannot_speak_as_the_transformer_nor_the_transformer_as_a_car() -> None:
    of = charger()
    assert tell(of, Received("car", grant(22_000))) == []
    assert from_car(of, AWARD) == []
    assert tell(of, OFFER) == []
    assert tell(of, BaseReport(1)) == []


# -- the beat ---------------------------------------------------------------------------------------------------------


def test_it_reports_where_its_car_stands() -> None:
    assert tell(charger(), READING) == [report()]


def test_every_reading_is_a_beat_with_its_own_clock_and_the_grant_it_heard() -> None:
    of = charger(READING)
    assert tell(of, READING, 60_000) == [report(2, 60_000)]
    tell(of, grant(4_790, seq=9), 60_000)
    assert tell(of, READING, 90_000) == [report(3, 90_000, (1, 9))]


def test_an_award_brings_a_beat_once() -> None:
    of = charger(READING)
    assert tell(of, AWARD) == [report(2), Send("car", seal(AWARD))]
    assert tell(of, AWARD) == [Send("car", seal(AWARD))]


def test_a_reading_of_a_car_that_left_is_no_beat() -> None:
    assert tell(charger(LEAVE), READING) == []
    assert tell(charger(LEAVE, NEXT), READING) == []


# -- power ------------------------------------------------------------------------------------------------------------


def test_a_grant_sets_the_power() -> None:
    assert tell(charger(), grant(4_790, 500)) == [SetPower(7, 4_790, 500)]


def test_a_lower_grant_is_confirmed_at_once_and_a_higher_one_with_the_next_beat() -> None:
    of = charger(READING)
    assert tell(of, grant(11_000)) == [SetPower(7, 11_000, 0)]
    assert tell(of, grant(4_790, seq=2)) == [SetPower(7, 4_790, 0), report(2, heard=(1, 2))]
    assert tell(of, grant(4_790, seq=3)) == []
    assert tell(of, grant(4_790, 500, seq=4)) == [SetPower(7, 4_790, 500), report(3, heard=(1, 4))]


def test_a_grant_holds_for_its_lease_and_then_the_guaranteed_minimum_does() -> None:
    of = Charger("charger", "transformer", 22_000, Rules(guaranteed_w=1_380))
    assert tell(of, PLUG) == [SetPower(7, 1_380, 0)]
    assert does(of, grant(4_790)) == [SetPower(7, 4_790, 0), WakeAt(120_000)]
    assert does(of, Woken(), 119_999) == []
    assert of.lease_ends_ms == 120_000
    assert does(of, Woken(), 120_000) == [SetPower(7, 1_380, 0)]
    assert of.lease_ends_ms is None


def test_a_renewed_lease_is_looked_after_when_the_old_one_would_have_been_over() -> None:
    of = charger(grant(4_790))
    assert does(of, Grant(7, 4_790, 0, 1, 2, 1, 60_000, 90_000), 60_000) == []
    assert does(of, Woken(), 120_000) == [WakeAt(150_000)]
    assert does(of, Woken(), 150_000) == [SetPower(7, 0, 0)]


def test_a_lease_that_is_over_ends_before_anything_else_is_heard() -> None:
    of = charger(READING, grant(11_000))
    assert tell(of, READING, 120_000) == [SetPower(7, 0, 0), report(2, 120_000, (1, 1))]


@pytest.mark.parametrize(
    "void",
    [
        grant(11_000, seq=5),
        grant(11_000, seq=4),
        grant(11_000, seq=9, epoch=1),
        Grant(7, 11_000, 0, 2, 6, 0, 30_000, 90_000),
        Grant(7, 11_000, 0, 2, 6, 2, 30_000, 90_000),
        Grant(7, 11_000, 0, 2, 6, 1, -60_000, 90_000),
    ],
    ids=["heard before", "older", "of the last epoch", "stamp from before", "stamp from nowhere", "over"],
)
def test_a_grant_that_is_not_the_newest_or_answers_no_stamp_of_now_is_void(void: Grant) -> None:
    of = charger(grant(4_790, seq=5, epoch=2))
    assert tell(of, void) == []
    assert tell(of, READING) == [report(heard=(2, 5))]
    assert of.lease_ends_ms == 120_000


def test_an_award_sets_no_power() -> None:
    assert not of_kind(tell(charger(), AWARD), SetPower)


def test_a_late_grant_for_a_car_that_left_does_not_move_the_next_one() -> None:
    assert tell(charger(), grant(22_000, session=6)) == []


def test_what_a_car_was_granted_is_not_the_next_ones() -> None:
    of = charger(grant(4_790), LEAVE)
    assert of.lease_ends_ms is None
    assert tell(of, NEXT) == []
    assert tell(of, Woken(), 120_000) == [Send("transformer", LEFT)]


# -- when the car leaves ----------------------------------------------------------------------------------------------


def test_when_the_car_leaves_the_power_is_off_and_its_energy_told() -> None:
    assert tell(charger(grant(4_790)), LEAVE) == [SetPower(7, 0, 0), Send("transformer", LEFT)]


def test_a_departure_is_said_again_until_it_is_noted() -> None:
    of = charger(LEAVE)
    assert tell(of, Woken(), 59_999) == []
    assert tell(of, Woken(), 60_000) == tell(of, Woken(), 90_000) == [Send("transformer", LEFT)]
    assert of.owes == 1
    assert does(of, Ack(DEPARTED, 7), 90_000) == [Forget("departed/7")]
    assert tell(of, Woken(), 120_000) == []
    assert of.owes == 0


@pytest.mark.parametrize("other", [Ack(DEPARTED, 8), Ack(MANDATE, 7)], ids=repr)
def test_what_is_noted_of_something_else_is_not_its_departure(other: Ack) -> None:
    of = charger(LEAVE, other)
    assert tell(of, Received("car", Ack(DEPARTED, 7))) == [Send("transformer", Ack(DEPARTED, 7))]
    assert tell(of, Woken(), 60_000) == [Send("transformer", LEFT)]


def test_the_next_car_has_no_part_in_what_the_last_one_delivered() -> None:
    of = charger(AWARD, REDUCED, LEAVE, NEXT)
    assert tell(of, Received("other", seal(CLAIM))) == []
    tell(of, Metered(8, 0, 0, 11_000))
    assert claimed(from_car(of, CLAIM))[0] == CLAIM
    assert tell(of, Unplugged(8, 5, 6))[1:] == [Send("transformer", Departed(8, 5, 6))]


@pytest.mark.parametrize("event", [grant(1, 1), REDUCED, Woken(), READING, OFFER], ids=repr)
def test_without_a_car_nothing_happens(event: Event | Message) -> None:
    assert does(empty(), event) == []
    assert does(charger(LEAVE), event) == []


@pytest.mark.parametrize("message", [Release(0, 0, 7), seal(AWARD), Ack(MANDATE, 7)], ids=repr)
def test_a_car_that_left_still_hears_what_concerns_it(message: Message) -> None:
    assert does(empty(), message) == []
    assert does(charger(LEAVE), message) == [Send("car", message)]


def test_of_the_cars_that_left_it_knows_the_last_few() -> None:
    """Whoever makes up sessions cannot fill its memory either."""
    of = charger(AWARD, REDUCED)
    for session in range(100, 200):
        tell(of, Received("other", seal(Delivery(0, 0, session, (1, 0, 0), 1))))
    assert claimed(from_car(of, CLAIM))[0] == CLAIM


# -- bearing witness --------------------------------------------------------------------------------------------------


def test_it_puts_its_own_meter_beside_the_cars_claim() -> None:
    of = charger(AWARD, Metered(7, 5_000, 0, 11_000))
    assert claimed(from_car(of, CLAIM)) == (delivered(7, 30, sold_w=6_000), CLAIM)


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
    of = charger(NEWER, AWARD, REDUCED)
    assert claimed(from_car(of, NEWER_CLAIM))[0] == NEWER_CLAIM


@pytest.mark.parametrize("claim", [Delivery(0, 4, 7, (1, 0, 0), 1), Delivery(1, 0, 7, (1, 0, 0), 1)], ids=repr)
def test_a_claim_of_an_award_that_never_came_is_witnessed_as_nothing_and_ends_nothing(claim: Delivery) -> None:
    of = charger(AWARD, REDUCED)
    assert claimed(from_car(of, claim)) == (Delivery(claim.feeder, claim.tick, 7, (0, 0, 0), 0), claim)
    tell(of, REDUCED)
    assert claimed(from_car(of, CLAIM))[0] == delivered(7, 60)


def test_after_the_receipt_it_bears_witness_of_nothing() -> None:
    of = charger(AWARD, REDUCED)
    from_car(of, CLAIM)
    tell(of, Receipt(0, 0, 7, 5))
    assert claimed(from_car(of, CLAIM)) == (NOTHING, CLAIM)
    assert does(of, AWARD) == [Send("car", seal(AWARD))]
    tell(of, REDUCED)
    assert claimed(from_car(of, CLAIM)) == (NOTHING, CLAIM)


@pytest.mark.parametrize("receipt", [Receipt(0, 1, 7, 5), Receipt(1, 0, 7, 5), Receipt(0, 0, 8, 5)])
def test_a_receipt_for_another_award_closes_nothing(receipt: Receipt) -> None:
    of = charger(AWARD, receipt, REDUCED)
    assert claimed(from_car(of, CLAIM))[0] == CLAIM


def test_a_receipt_said_again_is_passed_on_and_moves_nothing() -> None:
    of = charger(AWARD, REDUCED)
    from_car(of, CLAIM)
    receipt = seal(Receipt(0, 0, 7, 5))
    assert tell(of, receipt) == tell(of, receipt) == [Send("car", receipt)]


def test_a_receipt_closes_the_account_even_if_a_crash_made_it_forget_the_claim() -> None:
    before = charger()
    of = empty()
    tell(of, survived(does(before, AWARD)))
    receipt = Receipt(0, 0, 7, 5)
    assert does(of, receipt) == [Forget("award/7/0"), Send("car", seal(receipt))]


def test_a_claim_without_an_award_is_witnessed_as_nothing() -> None:
    assert claimed(from_car(charger(REDUCED), CLAIM)) == (NOTHING, CLAIM)


def test_an_award_that_comes_when_its_window_is_over_counts_for_nothing() -> None:
    of = charger()
    assert does(of, AWARD, 300_000) == [Send("car", seal(AWARD))]
    tell(of, REDUCED, 300_000)
    assert claimed(from_car(of, CLAIM)) == (NOTHING, CLAIM)


def test_a_newer_award_ends_the_older_one_whose_release_was_lost() -> None:
    of = charger(AWARD, REDUCED, NEWER, REDUCED)
    assert claimed(from_car(of, CLAIM)) == (CLAIM, CLAIM)
    assert claimed(from_car(of, NEWER_CLAIM)) == (NEWER_CLAIM, NEWER_CLAIM)


# -- what survives a crash --------------------------------------------------------------------------------------------


def test_what_binds_it_is_remembered_before_it_is_said() -> None:
    of = charger(READING)
    assert [type(effect) for effect in does(of, AWARD)] == [Remember, Send, Send]
    assert [type(effect) for effect in does(of, LEAVE)] == [SetPower, Remember, Send, WakeAt]


def test_after_a_crash_it_goes_on_with_its_award_but_has_lost_its_count() -> None:
    before = charger()
    steps = [does(before, event) for event in (AWARD, REDUCED)]
    of = empty()
    for event in (survived(*steps), PLUG, REDUCED):
        tell(of, event, 60_000)
    two_ticks = delivered(7, 60)
    assert claimed(from_car(of, two_ticks)) == (CLAIM, two_ticks)


def test_after_a_crash_it_starts_at_the_minimum_and_its_old_stamps_count_no_longer() -> None:
    of = empty()
    for event in (Restarted(2, {}), PLUG):
        assert tell(of, event) == []
    assert tell(of, READING) == [report(epoch=2)]
    assert tell(of, grant(4_790)) == []
    assert tell(of, Grant(7, 4_790, 0, 1, 2, 2, 30_000, 90_000)) == [SetPower(7, 4_790, 0)]


def test_after_a_crash_it_repeats_the_departures_that_nobody_noted() -> None:
    crashed = survived(does(charger(), LEAVE))
    of = empty()
    assert tell(of, crashed, 90_000) == [Send("transformer", LEFT)]
    assert tell(of, Woken(), 120_000) == [Send("transformer", LEFT)]
    tell(of, Ack(DEPARTED, 7), 120_000)
    assert tell(of, Woken(), 150_000) == []


# -- forged and unreadable --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [AWARD, Receipt(0, 0, 7, 5), ReliefCall(0, 0, 1, 1, 0, 1, 1)], ids=repr)
def test_with_the_transformers_key_it_believes_nobody_else(message: Inner) -> None:
    transformer, other = Signer(bytes(32)), Signer(bytes([1] * 32))
    of = charger(transformer_key=transformer.public_key)
    for signer in (other, None):
        with refused_as_unsigned():
            tell(of, seal(message, signer))
    sealed = seal(ReliefCall(0, 0, 1, 1, 0, 1, 1), transformer)
    assert tell(of, sealed) == [Send("car", sealed)]


def test_bytes_that_are_no_message_are_refused_and_leave_it_as_it_was() -> None:
    of = charger(AWARD, REDUCED)
    for sender in ("car", "transformer"):
        with pytest.raises(RemoteProtocolError):
            tell(of, Received(sender, Sealed(5, b"\xc1")))
    assert claimed(from_car(of, CLAIM))[0] == CLAIM
