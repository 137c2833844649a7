"""A charger that has crashed and starts again with what it had made durable."""

from __future__ import annotations

from msgspec import structs
from tests.agents.charger.one_charger import (
    AWARD,
    CLAIM,
    LEAVE,
    LEFT,
    NEWER,
    NEWER_CLAIM,
    NEXT,
    NOTHING,
    PLUG,
    REDUCED,
    STATUS,
    charger,
    claim_after,
    claimed,
    does,
    empty,
    grant,
    report,
    tell,
)
from tests.agents.words import (
    delivered,
    remembered,
    survived,
)

from wattswap.agents.charger import Charger
from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Remember, Send, SetPower, WakeAt
from wattswap.protocol.events import Event, Received, Restarted, Woken
from wattswap.protocol.messages import (
    DEPARTED,
    Ack,
    Award,
    Grant,
    Inner,
    Receipt,
    Release,
)


def test_what_binds_it_is_remembered_before_it_is_said() -> None:
    of = charger(STATUS)
    assert [type(effect) for effect in does(of, AWARD)] == [Remember, Send, Send]
    does(of, Release(0, 0, 7))
    assert [type(effect) for effect in does(of, Received("car", seal(NOTHING)))] == [Remember, Send]
    assert [type(effect) for effect in does(of, LEAVE)] == [SetPower, Remember, Send, WakeAt]


def crashed_after(*events: Event | Inner | Release) -> Charger:
    """A charger that has started again after it went through all this."""
    before, after = empty(), empty()
    tell(after, survived(*[does(before, event) for event in (PLUG, *events)]), 60_000)
    return after


def test_after_a_crash_it_goes_on_with_its_award_from_its_last_count() -> None:
    of = crashed_after(AWARD, REDUCED)
    for event in (PLUG, REDUCED):
        tell(of, event, 60_000)
    two_ticks = delivered(7, 60)
    assert claimed(claim_after(of, two_ticks)) == (two_ticks, two_ticks)


def test_after_a_crash_it_bears_witness_as_it_did_before() -> None:
    of = crashed_after(AWARD, REDUCED, Release(0, 0, 7), Received("car", seal(CLAIM)))
    assert claimed(claim_after(of, CLAIM)) == (CLAIM, CLAIM)


def test_after_a_crash_it_still_knows_the_cars_that_have_left() -> None:
    of = crashed_after(AWARD, LEAVE, NEXT)
    assert tell(of, AWARD) == [Send("car", seal(AWARD))]
    assert claimed(claim_after(of, CLAIM)) == (NOTHING, CLAIM)


def test_after_a_crash_only_the_newest_award_is_counted_for() -> None:
    of = crashed_after(AWARD, NEWER)
    for event in (PLUG, REDUCED):
        tell(of, event, 60_000)
    assert claimed(claim_after(of, NEWER_CLAIM)) == (NEWER_CLAIM, NEWER_CLAIM)
    assert claimed(claim_after(of, CLAIM)) == (NOTHING, CLAIM)


def test_after_a_crash_an_award_of_the_car_before_is_not_counted_for_the_next_one() -> None:
    of = crashed_after(AWARD)
    for event in (NEXT, structs.replace(REDUCED, session=8), Award(0, 5, 8, 300_000, (690, 0, 0), (1, 0, 0), 86_400)):
        tell(of, event, 60_000)
    assert claimed(claim_after(of, CLAIM)) == (NOTHING, CLAIM)


def test_after_a_receipt_nothing_of_its_award_is_left() -> None:
    of = charger(AWARD, REDUCED)
    steps = [does(of, event) for event in (AWARD, Release(0, 0, 7), Received("car", seal(CLAIM)), Receipt(0, 0, 7, 5))]
    assert remembered(*steps) == {}


def test_after_a_crash_it_starts_at_the_minimum_and_its_old_stamps_count_no_longer() -> None:
    of = empty()
    for event in (Restarted(2, {}), PLUG):
        assert tell(of, event) == []
    assert tell(of, STATUS) == [report(epoch=2)]
    assert tell(of, grant(4_790)) == []
    assert tell(of, Grant(7, 4_790, 0, 1, 2, 2, 30_000, 90_000)) == [SetPower(7, 4_790, 0)]


def test_after_a_crash_it_repeats_the_departures_that_nobody_acknowledged() -> None:
    crashed = survived(does(charger(), LEAVE))
    of = empty()
    assert tell(of, crashed, 90_000) == [Send("transformer", LEFT)]
    assert tell(of, Woken(), 120_000) == [Send("transformer", LEFT)]
    tell(of, Ack(DEPARTED, 7), 120_000)
    assert tell(of, Woken(), 150_000) == []
