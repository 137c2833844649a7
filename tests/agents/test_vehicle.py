"""The vehicle: what it answers, what it claims, and that nothing said twice, late or by the wrong mouth moves it."""

from __future__ import annotations

import pytest

from wattswap.agents.offers import Call as Bid
from wattswap.agents.offers import OfferBook, Own, Strategy
from wattswap.agents.rules import Rules
from wattswap.agents.strategies import BUNDLED
from wattswap.agents.vehicle import Character, Vehicle
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.draws import Draws
from wattswap.protocol.effects import Effect, Send
from wattswap.protocol.errors import InputError, RemoteProtocolError
from wattswap.protocol.events import Event, Metered, PluggedIn, Reading, Received, Unplugged, Woken
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import (
    Award,
    Call,
    Delivery,
    Inner,
    Mandate,
    Offer,
    Receipt,
    Release,
    Tranche,
)

IOTA, HOUR, KWH = 1_000_000_000, 3_600_000, 3_600_000
PLUG = PluggedIn(7, "stay 7", "charger", 10 * KWH, 6 * HOUR, 11_000, 11_000, 60 * KWH, 18 * KWH)
READING = Reading(7, 10 * KWH, 10 * KWH, 30 * KWH, 11_000, 11_000, 11_000, 3 * HOUR, drew=True)
CALL = Call(0, 0, 5_800, 5 * IOTA, 0, 300_000, 2_000)
AWARD = Award(0, 0, 7, 300_000, (6_210, 0, 0), (600_000_000, 0, 0))
REDUCED, FULL = Metered(7, 4_790, 0, 11_000), Metered(7, 11_000, 0, 11_000)
ONE_TICK = Delivery(0, 0, 7, (6_210 * 30, 0, 0), 11_000 * 30)


def car(strategy: Strategy = BUNDLED["need"], **keys: Signer | bytes | None) -> Vehicle:
    character = Character(strategy, "mine", 1, 880, IOTA // 2, 3 * IOTA)
    return Vehicle("car", character, Rules(), **keys)  # type: ignore[arg-type]


def at_work(*events: Event | Inner, strategy: Strategy = BUNDLED["need"]) -> Vehicle:
    """A car that is plugged in and knows where it stands, after these events."""
    vehicle = car(strategy)
    for event in (PLUG, READING, *events):
        tell(vehicle, event)
    return vehicle


def tell(vehicle: Vehicle, event: Event | Inner | Release, now_ms: int = 30_000) -> list[object]:
    """What the car says to its charger, unsealed. Messages come from the charger, sealed where they travel so."""
    match event:
        case Release():
            event = Received("charger", event)
        case Call() | Award() | Receipt() | Offer() | Delivery() | Mandate():
            event = Received("charger", seal(event))
        case _:
            pass
    effects = vehicle.handle(event, now_ms)
    vehicle.check()
    return [said(effect) for effect in effects]


def said(effect: Effect) -> object:
    assert isinstance(effect, Send)
    assert effect.to == "charger"
    return unseal(effect.message)  # type: ignore[arg-type]  # a car says nothing unsealed


# -- plugging in and answering ----------------------------------------------------------------------------------------


def test_when_plugged_in_it_declares_its_need_and_departure() -> None:
    assert tell(car(), PLUG) == [Mandate(7, "stay 7", 10 * KWH, 6 * HOUR, "car")]


def test_what_it_says_is_signed_by_its_own_key() -> None:
    signer = Signer(bytes(32))
    (effect,) = car(signer=signer).handle(PLUG, 0)
    assert isinstance(effect, Send)
    assert unseal(effect.message, signer.public_key) == Mandate(7, "stay 7", 10 * KWH, 6 * HOUR, "car")  # type: ignore[arg-type]


def test_it_answers_a_call_as_its_strategy_chooses() -> None:
    tranches = (Tranche(6_860, 600_000_000), Tranche(4_140, 600_000_000), Tranche(0, 0))
    assert tell(at_work(), CALL) == [Offer(0, 0, 7, tranches)]


def test_keeping_is_an_answer_too() -> None:
    assert tell(at_work(strategy=BUNDLED["keep"]), CALL) == [Offer(0, 0, 7, ())]


def test_a_car_that_must_leave_soon_keeps_charging_whatever_its_strategy_says() -> None:
    edge_ms = Rules().guard_ms + Rules().window_ms
    assert tell(at_work(_reading(due_ms=edge_ms)), CALL) == [Offer(0, 0, 7, ())]
    assert tell(at_work(_reading(due_ms=edge_ms + 1)), CALL) != [Offer(0, 0, 7, ())]


def test_a_prosumer_offers_to_feed() -> None:
    (offer,) = tell(at_work(strategy=BUNDLED["prosumer"]), CALL)
    assert isinstance(offer, Offer)
    assert offer.tranches[2] == Tranche(11_000, 910_000_000)


def test_asked_again_it_says_the_same() -> None:
    vehicle = at_work(strategy=BUNDLED["truthful"])
    assert tell(vehicle, CALL) == tell(vehicle, CALL)


def test_a_strategy_learns_this_of_the_car_and_the_call() -> None:
    learned: list[tuple[Bid, Own]] = []

    def curious(call: Bid, own: Own, memory: None, draws: Draws) -> OfferBook:
        learned.append((call, own))
        return OfferBook.keep(own)

    tell(at_work(_reading(baseline_remaining_ws=4 * KWH, firm_w=3_000), strategy=curious), CALL)
    ((call, own),) = learned
    assert call == Bid(5_800, 5 * IOTA, 0, 300_000)
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
    def negative(call: Bid, own: Own, memory: None, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(0, -1)

    with pytest.raises(InputError) as error:
        tell(at_work(strategy=negative), CALL)
    assert str(error.value) == "strategy 'mine' asks a negative price (car 'stay 7', call for 5800 W at 0 s)"


@pytest.mark.parametrize("before", [(), (PLUG,), (READING,), (PLUG, READING, Unplugged(7))])
def test_without_a_cable_or_a_reading_it_does_not_answer(before: tuple[Event, ...]) -> None:
    vehicle = car()
    for event in before:
        tell(vehicle, event)
    assert tell(vehicle, CALL) == []


# -- delivering -------------------------------------------------------------------------------------------------------


def test_it_claims_what_its_own_meter_saw_when_the_window_ends() -> None:
    vehicle = at_work(AWARD)
    assert tell(vehicle, REDUCED, 30_000) == []
    assert tell(vehicle, FULL, 60_000) == []
    assert tell(vehicle, Metered(7, 10_000, 0, 11_000), 300_000) == [
        Delivery(0, 0, 7, (6_210 * 30 + 1_000 * 30, 0, 0), 3 * 11_000 * 30)
    ]


def test_a_release_ends_the_award_and_brings_the_claim() -> None:
    assert tell(at_work(AWARD, REDUCED), Release(0, 0, 7)) == [ONE_TICK]


def test_what_is_metered_after_the_end_does_not_count() -> None:
    vehicle = at_work(AWARD, REDUCED)
    tell(vehicle, Release(0, 0, 7))
    assert tell(vehicle, REDUCED, 60_000) == []
    assert tell(vehicle, REDUCED, 300_000) == [ONE_TICK]


def test_a_claim_is_said_again_until_it_is_receipted() -> None:
    vehicle = at_work(AWARD, REDUCED)
    assert tell(vehicle, FULL, 300_000) == tell(vehicle, FULL, 330_000) == tell(vehicle, FULL, 360_000)
    tell(vehicle, Receipt(0, 0, 7, 5))
    assert tell(vehicle, FULL, 390_000) == []


def test_pulling_the_plug_brings_the_claim_and_the_receipt_still_counts() -> None:
    vehicle = at_work(AWARD, REDUCED)
    assert tell(vehicle, Unplugged(7)) == [ONE_TICK]
    tell(vehicle, Receipt(0, 0, 7, 31_050_000))
    assert vehicle.earned_nanos == 31_050_000


def test_a_receipt_counts_once() -> None:
    vehicle = at_work(AWARD, REDUCED)
    tell(vehicle, Release(0, 0, 7))
    for _ in range(3):
        tell(vehicle, Receipt(0, 0, 7, 31_050_000))
    assert vehicle.earned_nanos == 31_050_000


@pytest.mark.parametrize("receipt", [Receipt(0, 1, 7, 5), Receipt(1, 0, 7, 5), Receipt(0, 0, 8, 5)])
def test_a_receipt_for_another_award_is_none(receipt: Receipt) -> None:
    vehicle = at_work(AWARD, REDUCED)
    tell(vehicle, Release(0, 0, 7))
    tell(vehicle, receipt)
    assert vehicle.earned_nanos == 0
    assert tell(vehicle, FULL, 300_000) == [ONE_TICK]


def test_a_receipt_before_any_claim_is_a_lie() -> None:
    with pytest.raises(RemoteProtocolError, match="RECEIPT is not possible in a round that is AWARDED"):
        tell(at_work(AWARD), Receipt(0, 0, 7, 5))


def test_an_award_said_again_does_not_wipe_what_was_delivered() -> None:
    vehicle = at_work(AWARD, REDUCED)
    tell(vehicle, AWARD)
    assert tell(vehicle, Release(0, 0, 7)) == [ONE_TICK]


def test_an_award_said_again_after_its_receipt_opens_nothing() -> None:
    vehicle = at_work(AWARD, REDUCED)
    tell(vehicle, Release(0, 0, 7))
    tell(vehicle, Receipt(0, 0, 7, 5))
    tell(vehicle, AWARD)
    assert tell(vehicle, FULL, 300_000) == []


def test_an_award_that_comes_after_a_newer_one_does_not_replace_it() -> None:
    newer = Award(0, 5, 7, 300_000, (690, 0, 0), (600_000_000, 0, 0))
    vehicle = at_work(newer, AWARD, REDUCED)
    assert tell(vehicle, FULL, 300_000) == [Delivery(0, 5, 7, (690 * 30, 0, 0), 2 * 11_000 * 30)]


def test_an_award_for_another_session_is_not_taken() -> None:
    vehicle = at_work(Award(0, 0, 8, 300_000, (6_210, 0, 0), (1, 0, 0)))
    assert tell(vehicle, REDUCED, 300_000) == []


@pytest.mark.parametrize("release", [Release(0, 1, 7), Release(1, 0, 7), Release(0, 0, 8)])
def test_a_release_of_another_award_ends_nothing(release: Release) -> None:
    """A late one, of the round before in the same window, must not cut the new award short."""
    vehicle = at_work(AWARD, REDUCED)
    assert tell(vehicle, release) == []
    assert tell(vehicle, REDUCED, 300_000) == [Delivery(0, 0, 7, (6_210 * 60, 0, 0), 11_000 * 60)]


def test_plugged_in_again_it_starts_afresh() -> None:
    vehicle = at_work(AWARD, REDUCED, Unplugged(7))
    assert tell(vehicle, replace_session(PLUG, 9)) == [Mandate(9, "stay 7", 10 * KWH, 6 * HOUR, "car")]
    assert tell(vehicle, CALL) == []
    assert tell(vehicle, FULL, 300_000) == []
    tell(vehicle, Award(0, 0, 9, 300_000, (6_210, 0, 0), (1, 0, 0)))
    assert tell(vehicle, REDUCED, 300_000) == [Delivery(0, 0, 9, (6_210 * 30, 0, 0), 11_000 * 30)]


@pytest.mark.parametrize("event", [Woken(), Release(0, 0, 7), Unplugged(7), FULL], ids=repr)
def test_what_means_nothing_to_an_idle_car_is_harmless(event: Event | Release) -> None:
    assert tell(car(), event) == []
    assert tell(at_work(), event) == []


@pytest.mark.parametrize("message", [Offer(0, 0, 7, ()), ONE_TICK, Mandate(7, "stay 7", 1, 1, "car")], ids=repr)
def test_what_only_cars_say_is_not_for_a_car(message: Inner) -> None:
    assert tell(at_work(AWARD), message) == []


@pytest.mark.parametrize("message", [CALL, AWARD, Receipt(0, 0, 7, 5)], ids=lambda message: type(message).__name__)
def test_with_the_transformers_key_it_believes_nobody_else(message: Inner) -> None:
    transformer, other = Signer(bytes(32)), Signer(bytes([1] * 32))
    vehicle = car(transformer_key=transformer.public_key)
    for event in (PLUG, READING):
        vehicle.handle(event, 0)
    for signer in (other, None):
        with pytest.raises(RemoteProtocolError, match="not signed by who should have said it"):
            vehicle.handle(Received("charger", seal(message, signer)), 0)
    vehicle.handle(Received("charger", seal(CALL, transformer)), 0)


def _reading(**changes: int) -> Reading:
    fields = {name: getattr(READING, name) for name in READING.__struct_fields__}
    return Reading(**(fields | changes))


def replace_session(plug: PluggedIn, session: int) -> PluggedIn:
    return PluggedIn(session, *[getattr(plug, name) for name in plug.__struct_fields__[1:]])
