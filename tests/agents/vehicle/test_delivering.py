"""A car counts for its award, claims what it delivered, and is paid once."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.vehicle.one_car import (
    ACKED,
    AWARD,
    BACK,
    FULL,
    LEAVE,
    NOTHING,
    ONE_TICK,
    PLUG,
    READING,
    REDUCED,
    RETURNED,
    at_work,
    awarded,
    tell,
)
from tests.agents.words import (
    CALL,
    CHEAP,
    DAY_S,
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
    Mandate,
    Receipt,
    Release,
    ReliefCall,
)


def test_an_award_is_acknowledged_each_time_it_comes() -> None:
    vehicle = at_work(CALL)
    assert tell(vehicle, AWARD) == [ACKED]
    assert tell(vehicle, AWARD) == [ACKED]


def test_it_claims_when_what_it_gave_up_has_been_drawn_back() -> None:
    """It gave up 6,210 W for a tick, and twenty minutes later has them back."""
    vehicle = awarded()
    assert tell(vehicle, REDUCED, 30_000) == []
    assert tell(vehicle, Release(0, 0, 7), 60_000) == []
    assert tell(vehicle, FULL, 60_000) == []
    assert tell(vehicle, BACK, 1_230_000) == [RETURNED]


def test_what_came_back_in_parts_is_rent_for_each_part() -> None:
    vehicle = awarded(REDUCED, Release(0, 0, 7))
    assert tell(vehicle, Metered(7, 6_000, 0, 1_000, 6_000, 20)) == []
    claim = delivered(7, 30, back_ws=186_300)
    rent = 150_000 * 20 + 36_300 * 40
    assert tell(vehicle, Metered(7, 6_000, 0, 1_000, 6_000, 40)) == [structs.replace(claim, rent=rent)]


def test_while_its_award_runs_it_claims_nothing() -> None:
    vehicle = awarded(REDUCED)
    assert tell(vehicle, structs.replace(BACK, tick=1), 60_000) == []
    claim = delivered(7, 30, back_ws=186_300, ticks=1)
    assert tell(vehicle, Release(0, 0, 7), 60_000) == [structs.replace(claim, baseline_ws=330_000 + 4_790 * 30)]


def test_a_release_ends_the_award_and_its_lot_stays_open() -> None:
    vehicle = awarded(REDUCED)
    assert tell(vehicle, Release(0, 0, 7)) == []
    assert tell(vehicle, REDUCED, 60_000) == []
    assert tell(vehicle, BACK) == [RETURNED], "what it drew less after the end was given up for nobody"


def test_an_award_under_which_nothing_was_given_up_is_claimed_at_its_end() -> None:
    assert tell(awarded(), Release(0, 0, 7)) == [NOTHING]


def test_its_window_ends_the_award_too() -> None:
    vehicle = awarded(REDUCED, structs.replace(FULL, tick=9))
    tell(vehicle, structs.replace(REDUCED, tick=10))
    assert tell(vehicle, BACK) == [structs.replace(RETURNED, baseline_ws=2 * 330_000)]


def test_who_could_draw_back_and_does_not_earns_no_more_rent() -> None:
    """Granted 4,140 W it drew nothing in tick 10; what it draws in tick 40 waited until then."""
    vehicle = awarded(REDUCED, Release(0, 0, 7))
    tell(vehicle, Metered(7, 0, 0, 0, 4_140, 10))
    assert tell(vehicle, BACK) == [delivered(7, 30, back_ws=186_300, ticks=10)]


def test_a_claim_is_said_again_until_it_is_receipted() -> None:
    vehicle = awarded(REDUCED, Release(0, 0, 7))
    claim = tell(vehicle, BACK, 1_230_000)
    assert tell(vehicle, Woken(), 1_260_000) == tell(vehicle, Woken(), 1_290_000) == claim == [RETURNED]
    tell(vehicle, Receipt(0, 0, 7, 5))
    assert tell(vehicle, Woken(), 1_320_000) == []
    assert tell(vehicle, FULL, 1_320_000) == []
    assert vehicle.owes == 0


def test_pulling_the_plug_forfeits_what_has_not_come_back_and_the_receipt_still_counts() -> None:
    vehicle = awarded(REDUCED, Release(0, 0, 7), Metered(7, 3_000, 0, 0, 3_000, 40))
    left = structs.replace(ONE_TICK, returned_ws=90_000, rent=90_000 * 40)
    assert tell(vehicle, LEAVE) == [left]
    assert tell(vehicle, Woken(), 60_000) == [left]
    tell(vehicle, Receipt(0, 0, 7, 31_050_000))
    assert vehicle.earned_nanos == 31_050_000


def test_pulling_the_plug_under_an_award_claims_it() -> None:
    assert tell(awarded(REDUCED), LEAVE) == [ONE_TICK]


def test_a_receipt_counts_once() -> None:
    vehicle = awarded(REDUCED, Release(0, 0, 7), BACK)
    for _ in range(3):
        tell(vehicle, Receipt(0, 0, 7, 31_050_000))
    assert vehicle.earned_nanos == 31_050_000


@pytest.mark.parametrize("receipt", [Receipt(0, 1, 7, 5), Receipt(1, 0, 7, 5), Receipt(0, 0, 8, 5)])
def test_a_receipt_for_another_award_is_none(receipt: Receipt) -> None:
    vehicle = awarded(REDUCED, Release(0, 0, 7), BACK)
    tell(vehicle, receipt)
    assert vehicle.earned_nanos == 0
    assert tell(vehicle, Woken(), 60_000) == [RETURNED]


def test_a_receipt_before_any_claim_is_a_lie() -> None:
    with pytest.raises(RemoteProtocolError, match="RECEIPT is not possible in a round that is AWARDED"):
        tell(awarded(), Receipt(0, 0, 7, 5))


def test_an_award_said_again_does_not_wipe_what_was_delivered() -> None:
    vehicle = awarded(REDUCED)
    tell(vehicle, AWARD)
    tell(vehicle, Release(0, 0, 7))
    assert tell(vehicle, BACK) == [RETURNED]


def test_an_award_said_again_after_its_receipt_opens_nothing() -> None:
    vehicle = awarded(REDUCED, Release(0, 0, 7), BACK, Receipt(0, 0, 7, 5))
    assert tell(vehicle, AWARD) == [ACKED]
    assert tell(vehicle, FULL, 300_000) == []
    assert vehicle.owes == 0


CALL_5 = ReliefCall(0, 5, 5_800, 150_000, 300_000, 152_000)
NEWER = Award(0, 5, 7, 300_000, (690, 0, 0), (CHEAP, 0, 0), DAY_S)


def test_an_award_that_comes_after_a_newer_one_does_not_replace_it() -> None:
    vehicle = at_work(CALL, CALL_5, NEWER)
    assert tell(vehicle, AWARD) == [ACKED, NOTHING]
    tell(vehicle, structs.replace(REDUCED, tick=5))
    tell(vehicle, Release(0, 5, 7))
    back = Metered(7, 690, 0, 0, 690, 25)
    assert tell(vehicle, back) == [delivered(7, 30, sold_w=690, tick=5, back_ws=690 * 30, ticks=20)]


def test_a_newer_award_ends_the_older_one_whose_lot_stays_open() -> None:
    """Both have one price; the older lot is drawn back first."""
    vehicle = awarded(REDUCED, CALL_5)
    assert tell(vehicle, NEWER) == [Ack(AN_AWARD, 7, 5)]
    tell(vehicle, structs.replace(REDUCED, tick=5))
    tell(vehicle, Release(0, 5, 7))
    assert tell(vehicle, BACK) == [RETURNED]
    back = Metered(7, 690, 0, 0, 690, 45)
    assert tell(vehicle, back) == [delivered(7, 30, sold_w=690, tick=5, back_ws=690 * 30, ticks=40)]
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
    assert tell(vehicle, Metered(9, 0, 0, 11_000, 0, 0), 300_000) == []


def test_a_release_that_overtakes_its_award_ends_it_before_it_comes() -> None:
    vehicle = at_work(CALL)
    assert tell(vehicle, Release(0, 0, 7)) == []
    assert tell(vehicle, AWARD) == [ACKED, NOTHING]


@pytest.mark.parametrize("release", [Release(0, 1, 7), Release(1, 0, 7), Release(0, 0, 8)])
def test_a_release_of_another_award_ends_nothing(release: Release) -> None:
    """A late one, of the round before in the same window, must not cut the new award short."""
    vehicle = awarded(REDUCED)
    assert tell(vehicle, release) == []
    tell(vehicle, structs.replace(REDUCED, tick=1))
    assert tell(vehicle, LEAVE) == [delivered(7, 60)]


def test_plugged_in_again_it_starts_afresh_and_what_it_claimed_stays_claimed() -> None:
    vehicle = awarded(REDUCED, LEAVE)
    assert tell(vehicle, structs.replace(PLUG, session=9)) == [Mandate(9, "stay 7", 10 * KWH, 11_000, "car")]
    assert tell(vehicle, CALL) == []
    tell(vehicle, Received("charger", Ack(MANDATE, 9)))
    assert tell(vehicle, Metered(9, 11_000, 0, 11_000, 11_000, 3), 120_000) == []
    assert tell(vehicle, Woken(), 120_000) == [ONE_TICK]
    tell(vehicle, structs.replace(READING, session=9), 150_000)
    tell(vehicle, CALL_5, 150_000)
    tell(vehicle, Award(0, 5, 9, 300_000, (6_210, 0, 0), (CHEAP, 0, 0), DAY_S), 150_000)
    tell(vehicle, structs.replace(REDUCED, session=9, tick=5), 180_000)
    assert tell(vehicle, structs.replace(LEAVE, session=9), 300_000) == [delivered(9, 30, tick=5)]


def test_what_was_open_when_a_car_left_unnoticed_is_claimed_when_it_is_plugged_in_again() -> None:
    vehicle = awarded(REDUCED)
    assert tell(vehicle, structs.replace(PLUG, session=9))[0] == ONE_TICK
