"""A charger counts for an award with its own meter and reports its count beside the car's claim."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.charger.one_charger import (
    AWARD,
    BACK,
    CLAIM,
    LEAVE,
    NEWER,
    NEWER_CLAIM,
    NOTHING,
    REDUCED,
    RETURNED,
    charger,
    claim_after,
    claimed,
    does,
    from_car,
    tell,
)
from tests.agents.words import (
    delivered,
)

from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Send
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import (
    Delivery,
    Receipt,
    Release,
    WitnessedDelivery,
)


def test_it_puts_its_own_meter_beside_the_cars_claim() -> None:
    of = charger(AWARD, REDUCED)
    less = delivered(7, 30, sold_w=6_000)
    assert claimed(from_car(of, less)) == (CLAIM, less)


def test_its_word_is_signed_and_the_cars_stays_as_it_was() -> None:
    mine, cars = Signer(bytes(32)), Signer(bytes([1] * 32))
    of = charger(AWARD, REDUCED, signer=mine)
    (effect,) = claim_after(of, seal(CLAIM, cars))
    assert isinstance(effect, Send)
    assert effect.message == WitnessedDelivery(7, seal(CLAIM, mine), seal(CLAIM, cars))


def test_a_claim_said_again_is_witnessed_again_and_nothing_is_added() -> None:
    of = charger(AWARD, REDUCED)
    first = claim_after(of, CLAIM)
    tell(of, REDUCED)
    assert claim_after(of, CLAIM) == first
    assert claimed(first)[0] == CLAIM


def test_it_counts_no_further_than_the_windows_end() -> None:
    of = charger(AWARD)
    tell(of, structs.replace(REDUCED, tick=9), 300_000)
    tell(of, structs.replace(REDUCED, tick=10), 330_000)
    assert claimed(claim_after(of, CLAIM))[0] == CLAIM


def test_a_release_ends_the_count_and_reaches_the_car() -> None:
    of = charger(AWARD, REDUCED)
    assert tell(of, Release(0, 0, 7)) == [Send("car", Release(0, 0, 7))]
    tell(of, REDUCED)
    assert claimed(claim_after(of, CLAIM))[0] == CLAIM


@pytest.mark.parametrize("release", [Release(0, 1, 7), Release(1, 0, 7), Release(0, 0, 8)])
def test_a_release_of_another_award_does_not_end_the_count(release: Release) -> None:
    of = charger(AWARD, release, REDUCED)
    assert claimed(claim_after(of, CLAIM))[0] == CLAIM


def test_an_award_said_again_does_not_wipe_what_was_counted() -> None:
    of = charger(AWARD, REDUCED, AWARD)
    assert claimed(claim_after(of, CLAIM))[0] == CLAIM


def test_an_award_that_comes_after_a_newer_one_does_not_replace_it() -> None:
    of = charger(NEWER, AWARD, REDUCED)
    assert claimed(claim_after(of, NEWER_CLAIM))[0] == NEWER_CLAIM


@pytest.mark.parametrize(
    "claim", [Delivery(0, 4, 7, (1, 0, 0), 1, 0, 0), Delivery(1, 0, 7, (1, 0, 0), 1, 0, 0)], ids=repr
)
def test_a_claim_of_an_award_that_never_came_is_witnessed_as_nothing_and_ends_nothing(claim: Delivery) -> None:
    of = charger(AWARD, REDUCED)
    assert claimed(claim_after(of, claim)) == (Delivery(claim.feeder, claim.tick, 7, (0, 0, 0), 0, 0, 0), claim)
    tell(of, REDUCED)
    assert claimed(claim_after(of, CLAIM))[0] == delivered(7, 60)


def test_after_the_receipt_it_bears_witness_of_nothing() -> None:
    of = charger(AWARD, REDUCED)
    claim_after(of, CLAIM)
    tell(of, Receipt(0, 0, 7, 5))
    assert claimed(claim_after(of, CLAIM)) == (NOTHING, CLAIM)
    assert does(of, AWARD) == [Send("car", seal(AWARD))]
    tell(of, REDUCED)
    assert claimed(claim_after(of, CLAIM)) == (NOTHING, CLAIM)


@pytest.mark.parametrize("receipt", [Receipt(0, 1, 7, 5), Receipt(1, 0, 7, 5), Receipt(0, 0, 8, 5)])
def test_a_receipt_for_another_award_closes_nothing(receipt: Receipt) -> None:
    of = charger(AWARD, receipt, REDUCED)
    assert claimed(claim_after(of, CLAIM))[0] == CLAIM


def test_a_receipt_said_again_is_passed_on_and_moves_nothing() -> None:
    of = charger(AWARD, REDUCED)
    claim_after(of, CLAIM)
    receipt = seal(Receipt(0, 0, 7, 5))
    assert tell(of, receipt) == tell(of, receipt) == [Send("car", receipt)]


def test_a_receipt_before_any_claim_is_a_lie() -> None:
    of = charger(AWARD)
    with pytest.raises(RemoteProtocolError, match="RECEIPT is not possible in a round that is AWARDED"):
        tell(of, Receipt(0, 0, 7, 5))


def test_a_claim_without_an_award_is_witnessed_as_nothing() -> None:
    assert claimed(from_car(charger(REDUCED), CLAIM)) == (NOTHING, CLAIM)


def test_an_award_that_comes_when_its_window_is_over_counts_for_nothing() -> None:
    of = charger()
    assert tell(of, AWARD, 300_000) == [Send("car", seal(AWARD))]
    tell(of, REDUCED, 300_000)
    assert claimed(claim_after(of, CLAIM)) == (NOTHING, CLAIM)


def test_a_newer_award_ends_the_older_one_whose_release_was_lost() -> None:
    of = charger(AWARD, REDUCED, NEWER, REDUCED)
    assert claimed(claim_after(of, CLAIM)) == (CLAIM, CLAIM)
    assert claimed(claim_after(of, NEWER_CLAIM)) == (NEWER_CLAIM, NEWER_CLAIM)


def test_it_counts_what_is_drawn_back_and_how_long_that_has_waited() -> None:
    of = charger(AWARD, REDUCED, Release(0, 0, 7), BACK)
    assert claimed(from_car(of, RETURNED)) == (RETURNED, RETURNED)


@pytest.mark.parametrize("ends", [(), (Release(0, 0, 7),)], ids=["running", "ended"])
def test_a_claim_closes_its_lot_whatever_the_meter_sees_later(ends: tuple[Release, ...]) -> None:
    of = charger(AWARD, REDUCED, *ends)
    assert claimed(from_car(of, CLAIM)) == (CLAIM, CLAIM)
    for metered in (REDUCED, BACK):
        tell(of, metered)
    assert claimed(from_car(of, CLAIM)) == (CLAIM, CLAIM)


def test_a_claim_that_overtakes_the_chargers_meter_waits_for_its_count() -> None:
    """Else the lower of two counts would lack the last tick, in which most of the rent is earned."""
    of = charger(AWARD, REDUCED, Release(0, 0, 7))
    assert from_car(of, RETURNED) == from_car(of, RETURNED) == []
    assert claimed(tell(of, BACK)) == (RETURNED, RETURNED)
    assert claimed(from_car(of, RETURNED)) == (RETURNED, RETURNED)


def test_a_claim_that_counts_more_than_the_chargers_meter_ever_does_waits_for_one_count() -> None:
    of = charger(AWARD, REDUCED, Release(0, 0, 7))
    from_car(of, RETURNED)
    assert claimed(tell(of, REDUCED)) == (CLAIM, RETURNED)


def test_a_claim_that_waits_for_a_count_waits_no_longer_than_the_car_stays() -> None:
    of = charger(AWARD, REDUCED, Release(0, 0, 7))
    from_car(of, RETURNED)
    witnessed, *_ = tell(of, LEAVE)
    assert claimed([witnessed]) == (CLAIM, RETURNED)
    assert claimed(from_car(of, RETURNED)) == (CLAIM, RETURNED)
