"""A charger reports as its heartbeat, obeys the newest grant, and falls back when its lease is over."""

from __future__ import annotations

import pytest
from tests.agents.charger.one_charger import (
    AWARD,
    BACK,
    LEAVE,
    LEFT,
    NEXT,
    PLUG,
    REDUCED,
    STATUS,
    charger,
    does,
    grant,
    report,
    tell,
)
from tests.agents.words import (
    CHEAP,
    of_kind,
)

from wattswap.agents.charger import Charger
from wattswap.agents.rules import Rules
from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Send, SetPower, WakeAt
from wattswap.protocol.events import Woken
from wattswap.protocol.messages import (
    MANDATE,
    Ack,
    Grant,
    Release,
)


def test_it_reports_where_its_car_stands() -> None:
    assert tell(charger(), STATUS) == [report()]


def test_every_reading_is_a_beat_with_its_own_clock_and_the_grant_it_heard() -> None:
    of = charger(STATUS)
    assert tell(of, STATUS, 60_000) == [report(2, 60_000)]
    tell(of, grant(4_790, seq=9), 60_000)
    assert tell(of, STATUS, 90_000) == [report(3, 90_000, (1, 9))]


def test_it_reports_what_its_car_has_given_up_and_what_waiting_for_it_costs() -> None:
    of = charger(AWARD, REDUCED)
    assert tell(of, STATUS) == [report(owed_ws=186_300, price=CHEAP)]
    tell(of, Release(0, 0, 7))
    tell(of, BACK)
    assert tell(of, STATUS) == [report(2)]


def test_an_award_brings_one_report() -> None:
    of = charger(STATUS)
    assert tell(of, AWARD) == [report(2), Send("car", seal(AWARD))]
    assert tell(of, AWARD) == [Send("car", seal(AWARD))]


def test_a_reading_of_a_car_that_left_is_not_reported() -> None:
    assert tell(charger(LEAVE), STATUS) == []
    assert tell(charger(LEAVE, NEXT), STATUS) == []


def test_a_grant_sets_the_power() -> None:
    assert tell(charger(), grant(4_790, 500)) == [SetPower(7, 4_790, 500)]


def test_a_lower_grant_is_confirmed_at_once_and_a_higher_one_with_the_next_report() -> None:
    of = charger(STATUS)
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
    of = charger(STATUS, grant(11_000))
    assert tell(of, STATUS, 120_000) == [SetPower(7, 0, 0), report(2, 120_000, (1, 1))]


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
    assert tell(of, STATUS) == [report(heard=(2, 5))]
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


def test_a_wake_up_that_comes_early_is_asked_for_again() -> None:
    of = charger(grant(4_790))
    assert does(of, Woken(120_000), 119_999) == [WakeAt(120_000)]
    assert does(of, Woken(120_000), 120_000) == [SetPower(7, 0, 0)]


def test_a_report_that_came_before_its_mandate_is_made_again_when_the_mandate_is_acknowledged() -> None:
    of = charger(STATUS)
    assert tell(of, Ack(MANDATE, 7)) == [Send("car", Ack(MANDATE, 7)), report(2)]
    assert tell(of, Ack(MANDATE, 6)) == []
