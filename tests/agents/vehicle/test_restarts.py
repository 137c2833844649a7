"""A car that has crashed and starts again with what it had made durable."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.vehicle.one_car import (
    ACKED,
    AWARD,
    BACK,
    FULL,
    LEAVE,
    PLUG,
    READING,
    REDUCED,
    RETURNED,
    at_work,
    car,
    does,
    tell,
)
from tests.agents.words import (
    CALL,
    delivered,
    of_kind,
    remembered,
    survived,
)

from wattswap.agents.vehicle import Vehicle
from wattswap.protocol.effects import Forget, Remember, Send
from wattswap.protocol.events import Event, Metered, Woken
from wattswap.protocol.messages import (
    Delivery,
    Inner,
    Receipt,
    Release,
)


def test_what_binds_it_is_remembered_before_it_is_said() -> None:
    vehicle = at_work(CALL)
    assert [type(effect) for effect in does(vehicle, AWARD)] == [Remember, Send]
    assert [type(effect) for effect in does(vehicle, REDUCED)] == [Remember], "a lot is durable tick by tick"
    assert does(vehicle, Release(0, 0, 7)) == []
    assert [type(effect) for effect in does(vehicle, BACK)][:3] == [Remember, Remember, Send]
    assert [type(effect) for effect in does(vehicle, Receipt(0, 0, 7, 5))] == [Remember, Forget, Forget]


def test_a_tick_in_which_it_only_waits_changes_nothing() -> None:
    vehicle = at_work(CALL, AWARD, REDUCED, Release(0, 0, 7))
    assert does(vehicle, FULL) == []


def crashed_after(*events: Event | Inner | Release) -> tuple[Vehicle, list[object]]:
    """A car that has started again after it won an award and went through all this, and what it says first."""
    before, after = car(), car()
    steps = [does(before, event) for event in (PLUG, READING, CALL, AWARD, *events)]
    return after, tell(after, survived(*steps), 90_000)


def test_after_a_crash_it_repeats_the_claim_it_made_and_is_paid_for_it_once() -> None:
    after, said = crashed_after(REDUCED, Release(0, 0, 7), BACK)
    assert said == [RETURNED]
    assert tell(after, Woken(), 120_000) == [RETURNED]
    assert tell(after, AWARD, 120_000) == [ACKED]
    for _ in range(2):
        tell(after, Receipt(0, 0, 7, 5), 120_000)
    assert (after.earned_nanos, after.owes) == (5, 0)


def test_after_a_crash_it_goes_on_from_the_last_count_that_was_durable() -> None:
    after, said = crashed_after(REDUCED)
    assert said == []
    tell(after, PLUG, 90_000)
    tell(after, structs.replace(REDUCED, tick=3), 120_000)
    assert tell(after, LEAVE, 150_000) == [delivered(7, 60)]


def test_after_a_crash_a_clock_that_had_stopped_stays_stopped() -> None:
    after, _ = crashed_after(REDUCED, Release(0, 0, 7), Metered(7, 0, 0, 0, 4_140, 10))
    tell(after, PLUG, 90_000)
    (claim,) = tell(after, BACK, 1_230_000)
    assert isinstance(claim, Delivery)
    assert (claim.returned_ws, claim.rent) == (186_300, 186_300 * 10)


def test_after_a_crash_it_knows_what_it_earned_and_for_which_parts() -> None:
    after, said = crashed_after(Release(0, 0, 7), Receipt(0, 0, 7, 5))
    assert said == []
    assert tell(after, AWARD, 90_000) == [ACKED]
    assert (after.earned_nanos, after.owes) == (5, 0)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_crash_in_the_middle_of_a_receipt_neither_pays_twice_nor_leaves_anything_behind(done: int) -> None:
    before = car()
    steps = [does(before, event) for event in (PLUG, READING, CALL, AWARD, Release(0, 0, 7))]
    receipt = does(before, Receipt(0, 0, 7, 5))
    crashed = survived(*steps, receipt[:done])
    after = car()
    tidied = does(after, crashed, 90_000)
    assert of_kind(tidied, Send) == []
    assert (after.earned_nanos, after.owes) == (5, 0)
    assert list(remembered(*steps, receipt[:done], tidied)) == ["peer/7", "earned"]
