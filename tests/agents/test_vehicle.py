"""The vehicle: what it answers, what it claims, and that nothing said twice, late or by the wrong mouth moves it."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.words import (
    CALL,
    CHEAP,
    HOUR,
    IOTA,
    KWH,
    award,
    delivered,
    full_stop,
    happens,
    mandate,
    of_kind,
    plain,
    refused_as_unsigned,
    said_by,
    shown,
    survived,
)

from wattswap.agents.offers import Call, OfferBook, Own, Strategy
from wattswap.agents.rules import Rules
from wattswap.agents.strategies import BUNDLED
from wattswap.agents.vehicle import Vehicle, VehicleProfile
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.draws import Draws
from wattswap.protocol.effects import Effect, Forget, Remember, Send
from wattswap.protocol.errors import InputError, RemoteProtocolError
from wattswap.protocol.events import Event, Metered, PluggedIn, Reading, Received, Unplugged, Woken
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import AWARD as AN_AWARD
from wattswap.protocol.messages import (
    MANDATE,
    Ack,
    Award,
    Delivery,
    Inner,
    Mandate,
    Offer,
    Receipt,
    Release,
    ReliefCall,
    Sealed,
    Tranche,
)

PLUG = PluggedIn(7, "stay 7", "charger", 10 * KWH, 6 * HOUR, 11_000, 11_000, 60 * KWH, 18 * KWH)
READING = Reading(7, 10 * KWH, 10 * KWH, 30 * KWH, 11_000, 11_000, 11_000, 3 * HOUR, drew=True)
AWARD = award(7)
REDUCED, FULL = Metered(7, 4_790, 0, 11_000), Metered(7, 11_000, 0, 11_000)
ONE_TICK, NOTHING = delivered(7, 30), delivered(7, 0)
NOTED = Ack(AN_AWARD, 7, 0)
LEAVE = Unplugged(7, 5 * KWH, 0)


def car(strategy: Strategy = BUNDLED["need"], **keys: Signer | bytes | None) -> Vehicle:
    profile = VehicleProfile(strategy, "mine", 1, 880, IOTA // 2, 3 * IOTA)
    return Vehicle("car", profile, Rules(), **keys)  # type: ignore[arg-type]


def at_work(*events: Event | Inner | Release, strategy: Strategy = BUNDLED["need"]) -> Vehicle:
    """A car that is plugged in, its mandate noted, and knows where it stands, after these events."""
    vehicle = car(strategy)
    for event in (PLUG, Received("charger", Ack(MANDATE, 7)), READING, *events):
        tell(vehicle, event)
    return vehicle


def awarded(*events: Event | Inner | Release) -> Vehicle:
    """A car that answered a call and won, after these events."""
    return at_work(CALL, AWARD, *events)


def tell(vehicle: Vehicle, event: Event | Inner | Release, now_ms: int = 30_000) -> list[object]:
    """What the car says to its charger, unsealed. Messages come from the charger, sealed where they travel so."""
    return [said(effect) for effect in shown(does(vehicle, event, now_ms))]


def does(vehicle: Vehicle, event: Event | Inner | Release, now_ms: int = 30_000) -> list[Effect]:
    """The same as it stands, with what it wants remembered and when it wants to be woken."""
    return happens(vehicle, said_by("charger", event), now_ms)


def said(effect: Effect) -> object:
    assert isinstance(effect, Send)
    assert effect.to == "charger"
    return plain(effect.message)


# -- plugging in and answering ----------------------------------------------------------------------------------------


def test_when_plugged_in_it_declares_its_need_and_departure() -> None:
    assert tell(car(), PLUG) == [mandate(7, "car")]


def test_what_it_says_is_signed_by_its_own_key() -> None:
    signer = Signer(bytes(32))
    effect, _ = car(signer=signer).handle(PLUG, 0)
    assert isinstance(effect, Send)
    assert isinstance(effect.message, Sealed)
    assert unseal(effect.message, signer.public_key) == mandate(7, "car")


def test_a_mandate_is_said_again_until_it_is_noted() -> None:
    vehicle = car()
    said_first = tell(vehicle, PLUG, 0)
    assert tell(vehicle, Woken(), 29_999) == []
    assert tell(vehicle, Woken(), 30_000) == tell(vehicle, Woken(), 60_000) == said_first
    assert vehicle.owes == 1
    tell(vehicle, Received("charger", Ack(MANDATE, 7)), 60_000)
    assert tell(vehicle, Woken(), 90_000) == []
    assert vehicle.owes == 0


@pytest.mark.parametrize("other", [Ack(MANDATE, 8), Ack(AN_AWARD, 7)], ids=repr)
def test_what_is_noted_of_something_else_is_not_its_mandate(other: Ack) -> None:
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


# -- delivering -------------------------------------------------------------------------------------------------------


def test_an_award_is_noted_and_noted_again_when_it_is_said_again() -> None:
    vehicle = at_work(CALL)
    assert tell(vehicle, AWARD) == [NOTED]
    assert tell(vehicle, AWARD) == [NOTED]


def test_it_claims_what_its_own_meter_saw_when_the_window_ends() -> None:
    vehicle = awarded()
    assert tell(vehicle, REDUCED, 30_000) == []
    assert tell(vehicle, FULL, 60_000) == []
    assert tell(vehicle, Metered(7, 10_000, 0, 11_000), 300_000) == [
        Delivery(0, 0, 7, (6_210 * 30 + 1_000 * 30, 0, 0), 3 * 11_000 * 30)
    ]


def test_a_release_ends_the_award_and_brings_the_claim() -> None:
    assert tell(awarded(REDUCED), Release(0, 0, 7)) == [ONE_TICK]


def test_what_is_metered_after_the_end_does_not_count() -> None:
    vehicle = awarded(REDUCED)
    tell(vehicle, Release(0, 0, 7))
    assert tell(vehicle, REDUCED, 60_000) == []
    assert tell(vehicle, Woken(), 60_000) == [ONE_TICK]
    assert tell(vehicle, REDUCED, 300_000) == []
    assert tell(vehicle, Woken(), 300_000) == [ONE_TICK]


def test_a_claim_is_said_again_until_it_is_receipted() -> None:
    vehicle = awarded(REDUCED)
    claim = tell(vehicle, FULL, 300_000)
    assert tell(vehicle, Woken(), 330_000) == tell(vehicle, Woken(), 360_000) == claim
    tell(vehicle, Receipt(0, 0, 7, 5))
    assert tell(vehicle, Woken(), 390_000) == []
    assert tell(vehicle, FULL, 390_000) == []
    assert vehicle.owes == 0


def test_pulling_the_plug_brings_the_claim_and_the_receipt_still_counts() -> None:
    vehicle = awarded(REDUCED)
    assert tell(vehicle, LEAVE) == [ONE_TICK]
    assert tell(vehicle, Woken(), 60_000) == [ONE_TICK]
    tell(vehicle, Receipt(0, 0, 7, 31_050_000))
    assert vehicle.earned_nanos == 31_050_000


def test_a_receipt_counts_once() -> None:
    vehicle = awarded(REDUCED)
    tell(vehicle, Release(0, 0, 7))
    for _ in range(3):
        tell(vehicle, Receipt(0, 0, 7, 31_050_000))
    assert vehicle.earned_nanos == 31_050_000


@pytest.mark.parametrize("receipt", [Receipt(0, 1, 7, 5), Receipt(1, 0, 7, 5), Receipt(0, 0, 8, 5)])
def test_a_receipt_for_another_award_is_none(receipt: Receipt) -> None:
    vehicle = awarded(REDUCED)
    tell(vehicle, Release(0, 0, 7))
    tell(vehicle, receipt)
    assert vehicle.earned_nanos == 0
    assert tell(vehicle, Woken(), 60_000) == [ONE_TICK]


def test_a_receipt_before_any_claim_is_a_lie() -> None:
    with pytest.raises(RemoteProtocolError, match="RECEIPT is not possible in a round that is AWARDED"):
        tell(awarded(), Receipt(0, 0, 7, 5))


def test_an_award_said_again_does_not_wipe_what_was_delivered() -> None:
    vehicle = awarded(REDUCED)
    tell(vehicle, AWARD)
    assert tell(vehicle, Release(0, 0, 7)) == [ONE_TICK]


def test_an_award_said_again_after_its_receipt_opens_nothing() -> None:
    vehicle = awarded(REDUCED)
    tell(vehicle, Release(0, 0, 7))
    tell(vehicle, Receipt(0, 0, 7, 5))
    assert tell(vehicle, AWARD) == [NOTED]
    assert tell(vehicle, FULL, 300_000) == []
    assert vehicle.owes == 0


CALL_5 = ReliefCall(0, 5, 5_800, 5 * IOTA, 150_000, 300_000, 152_000)
NEWER = Award(0, 5, 7, 300_000, (690, 0, 0), (CHEAP, 0, 0))


def test_an_award_that_comes_after_a_newer_one_does_not_replace_it() -> None:
    vehicle = at_work(CALL, CALL_5, NEWER)
    assert tell(vehicle, AWARD) == [NOTED, NOTHING]
    tell(vehicle, REDUCED)
    assert tell(vehicle, FULL, 300_000) == [Delivery(0, 5, 7, (690 * 30, 0, 0), 2 * 11_000 * 30)]


def test_a_newer_award_ends_the_older_one_whose_release_was_lost() -> None:
    vehicle = awarded(REDUCED, CALL_5)
    assert tell(vehicle, NEWER) == [Ack(AN_AWARD, 7, 5), ONE_TICK]
    assert tell(vehicle, REDUCED, 300_000) == [delivered(7, 30, sold_w=690, tick=5)]
    tell(vehicle, Receipt(0, 0, 7, 2))
    tell(vehicle, Receipt(0, 5, 7, 3))
    assert vehicle.earned_nanos == 5


def test_an_award_that_comes_when_its_window_is_over_has_delivered_nothing() -> None:
    vehicle = at_work(CALL)
    assert tell(vehicle, AWARD, 300_000) == [NOTED, NOTHING]
    assert tell(vehicle, REDUCED, 330_000) == []


def test_an_award_for_an_offer_it_does_not_know_of_has_delivered_nothing() -> None:
    """It crashed since: it is plugged in again, but what it offered is lost."""
    vehicle = at_work(AWARD)
    assert tell(vehicle, REDUCED, 60_000) == []
    assert tell(vehicle, Woken(), 60_000) == [NOTHING]


def test_an_award_for_another_session_has_delivered_nothing() -> None:
    vehicle = at_work(CALL)
    nothing = delivered(8, 0)
    other = Award(0, 0, 8, 300_000, (6_210, 0, 0), (1, 0, 0))
    assert tell(vehicle, other) == [Ack(AN_AWARD, 8, 0), nothing]
    assert tell(vehicle, REDUCED, 300_000) == []
    assert tell(vehicle, Woken(), 300_000) == [nothing]


@pytest.mark.parametrize("release", [Release(0, 1, 7), Release(1, 0, 7), Release(0, 0, 8)])
def test_a_release_of_another_award_ends_nothing(release: Release) -> None:
    """A late one, of the round before in the same window, must not cut the new award short."""
    vehicle = awarded(REDUCED)
    assert tell(vehicle, release) == []
    assert tell(vehicle, REDUCED, 300_000) == [delivered(7, 60)]


def test_plugged_in_again_it_starts_afresh_and_what_it_claimed_stays_claimed() -> None:
    vehicle = awarded(REDUCED, LEAVE)
    assert tell(vehicle, structs.replace(PLUG, session=9)) == [Mandate(9, "stay 7", 10 * KWH, 6 * HOUR, "car")]
    assert tell(vehicle, CALL) == []
    tell(vehicle, Received("charger", Ack(MANDATE, 9)))
    assert tell(vehicle, Metered(9, 11_000, 0, 11_000), 120_000) == []
    assert tell(vehicle, Woken(), 120_000) == [ONE_TICK]
    tell(vehicle, structs.replace(READING, session=9), 150_000)
    tell(vehicle, CALL_5, 150_000)
    tell(vehicle, Award(0, 5, 9, 300_000, (6_210, 0, 0), (1, 0, 0)), 150_000)
    assert tell(vehicle, Metered(9, 4_790, 0, 11_000), 300_000) == [delivered(9, 30, tick=5)]


# -- what survives a crash --------------------------------------------------------------------------------------------


def test_what_binds_it_is_remembered_before_it_is_said() -> None:
    vehicle = at_work(CALL)
    assert [type(effect) for effect in does(vehicle, AWARD)] == [Remember, Send]
    assert [type(effect) for effect in does(vehicle, Release(0, 0, 7))][:2] == [Remember, Send]
    assert [type(effect) for effect in does(vehicle, Receipt(0, 0, 7, 5))] == [Remember, Forget, Forget]


def test_after_a_crash_it_repeats_the_claim_it_made_and_is_paid_for_it_once() -> None:
    before = at_work(CALL)
    steps = [does(before, event) for event in (AWARD, REDUCED, Release(0, 0, 7))]
    after = car()
    assert tell(after, survived(*steps), 90_000) == [ONE_TICK]
    assert tell(after, Woken(), 120_000) == [ONE_TICK]
    assert tell(after, AWARD, 120_000) == [NOTED]
    for _ in range(2):
        tell(after, Receipt(0, 0, 7, 5), 120_000)
    assert (after.earned_nanos, after.owes) == (5, 0)


def test_after_a_crash_what_was_still_running_is_claimed_as_nothing() -> None:
    before = at_work(CALL)
    steps = [does(before, event) for event in (AWARD, REDUCED)]
    assert tell(car(), survived(*steps), 90_000) == [NOTHING]


def test_after_a_crash_it_knows_what_it_earned_and_with_which_rounds() -> None:
    before = at_work(CALL)
    steps = [does(before, event) for event in (AWARD, Release(0, 0, 7), Receipt(0, 0, 7, 5))]
    after = car()
    assert tell(after, survived(*steps), 90_000) == []
    assert tell(after, AWARD, 90_000) == [NOTED]
    assert (after.earned_nanos, after.owes) == (5, 0)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_crash_in_the_middle_of_a_receipt_neither_pays_twice_nor_leaves_anything_behind(done: int) -> None:
    before = at_work(CALL)
    steps = [does(before, event) for event in (AWARD, Release(0, 0, 7))]
    receipt = does(before, Receipt(0, 0, 7, 5))
    crashed = survived(*steps, receipt[:done])
    after = car()
    tidied = does(after, crashed, 90_000)
    assert of_kind(tidied, Send) == []
    assert (after.earned_nanos, after.owes) == (5, 0)
    assert list(survived(*steps, receipt[:done], tidied).remembered) == ["earned"]


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
