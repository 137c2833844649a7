"""A car that has crashed and starts again with what it had made durable."""

from __future__ import annotations

import pytest
from tests.agents.vehicle.one_car import (
    ACKED,
    AWARD,
    NOTHING,
    ONE_TICK,
    PLUG,
    READING,
    REDUCED,
    at_work,
    car,
    does,
    tell,
)
from tests.agents.words import (
    CALL,
    of_kind,
    remembered,
    survived,
)

from wattswap.agents.vehicle import Vehicle
from wattswap.protocol.effects import Forget, Remember, Send
from wattswap.protocol.events import Event, Woken
from wattswap.protocol.messages import (
    Inner,
    Receipt,
    Release,
)


def test_what_binds_it_is_remembered_before_it_is_said() -> None:
    vehicle = at_work(CALL)
    assert [type(effect) for effect in does(vehicle, AWARD)] == [Remember, Send]
    assert [type(effect) for effect in does(vehicle, Release(0, 0, 7))][:2] == [Remember, Send]
    assert [type(effect) for effect in does(vehicle, Receipt(0, 0, 7, 5))] == [Remember, Forget, Forget]


def crashed_after(*events: Event | Inner | Release) -> tuple[Vehicle, list[object]]:
    """A car that has started again after it won an award and went through all this, and what it says first."""
    before, after = car(), car()
    steps = [does(before, event) for event in (PLUG, READING, CALL, AWARD, *events)]
    return after, tell(after, survived(*steps), 90_000)


def test_after_a_crash_it_repeats_the_claim_it_made_and_is_paid_for_it_once() -> None:
    after, said = crashed_after(REDUCED, Release(0, 0, 7))
    assert said == [ONE_TICK]
    assert tell(after, Woken(), 120_000) == [ONE_TICK]
    assert tell(after, AWARD, 120_000) == [ACKED]
    for _ in range(2):
        tell(after, Receipt(0, 0, 7, 5), 120_000)
    assert (after.earned_nanos, after.owes) == (5, 0)


def test_after_a_crash_what_was_still_running_is_claimed_as_nothing() -> None:
    _, said = crashed_after(REDUCED)
    assert said == [NOTHING]


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
