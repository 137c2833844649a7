"""A car counts for its award, claims what it delivered, and is paid once."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.vehicle.one_car import (
    ACKED,
    AWARD,
    FULL,
    LEAVE,
    NOTHING,
    ONE_TICK,
    PLUG,
    READING,
    REDUCED,
    at_work,
    awarded,
    tell,
)
from tests.agents.words import (
    CALL,
    CHEAP,
    HOUR,
    IOTA,
    KWH,
    delivered,
)

from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Metered, Received, Woken
from wattswap.protocol.messages import AWARD as AN_AWARD
from wattswap.protocol.messages import (
    MANDATE,
    Ack,
    Award,
    Delivery,
    Mandate,
    Receipt,
    Release,
    ReliefCall,
)


def test_an_award_is_acknowledged_each_time_it_comes() -> None:
    vehicle = at_work(CALL)
    assert tell(vehicle, AWARD) == [ACKED]
    assert tell(vehicle, AWARD) == [ACKED]


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
    assert tell(vehicle, AWARD) == [ACKED]
    assert tell(vehicle, FULL, 300_000) == []
    assert vehicle.owes == 0


CALL_5 = ReliefCall(0, 5, 5_800, 5 * IOTA, 150_000, 300_000, 152_000)
NEWER = Award(0, 5, 7, 300_000, (690, 0, 0), (CHEAP, 0, 0))


def test_an_award_that_comes_after_a_newer_one_does_not_replace_it() -> None:
    vehicle = at_work(CALL, CALL_5, NEWER)
    assert tell(vehicle, AWARD) == [ACKED, NOTHING]
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
    assert tell(vehicle, AWARD, 300_000) == [ACKED, NOTHING]
    assert tell(vehicle, REDUCED, 330_000) == []


def test_an_award_for_an_offer_it_does_not_know_of_has_delivered_nothing() -> None:
    """It crashed since: it is plugged in again, but what it offered is lost."""
    vehicle = at_work(AWARD)
    assert tell(vehicle, REDUCED, 60_000) == []
    assert tell(vehicle, Woken(), 60_000) == [NOTHING]


def test_an_award_that_comes_when_the_car_has_left_has_delivered_nothing() -> None:
    vehicle = at_work(CALL, LEAVE)
    assert tell(vehicle, AWARD) == [ACKED, NOTHING]
    assert tell(vehicle, Woken(), 300_000) == [NOTHING]


def test_a_late_award_of_the_last_session_does_not_bind_the_next_one() -> None:
    vehicle = at_work(CALL, LEAVE, structs.replace(PLUG, session=9))
    assert tell(vehicle, AWARD) == [ACKED, NOTHING]
    assert tell(vehicle, Metered(9, 0, 0, 11_000), 300_000) == []


def test_a_release_that_overtakes_its_award_ends_it_before_it_comes() -> None:
    vehicle = at_work(CALL)
    assert tell(vehicle, Release(0, 0, 7)) == []
    assert tell(vehicle, AWARD) == [ACKED, NOTHING]


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
