"""What a transformer grants each tick, and whom it calls."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs
from tests.agents.transformer.two_cars import (
    FULL_STOP,
    awarded,
    grant,
    offer,
    opened,
    pass_ticks,
    report,
    street,
    tell,
    wakes,
)
from tests.agents.words import CALL, CHEAP, DEAR, ROSTER, RULES, SITE, happens, mandate, of_kind

from wattswap.agents.transformer import Transformer
from wattswap.protocol import messages
from wattswap.protocol.codec import seal
from wattswap.protocol.effects import NoteAward, NoteForced, Send, WakeAt
from wattswap.protocol.events import LimitChanged, Woken
from wattswap.protocol.messages import Ack, BaseReport, ReliefCall


def test_a_street_that_fits_is_granted_what_it_may_draw() -> None:
    of = street(base_w=-2_800)
    assert opened(happens(of, Woken())) == [
        ("A", grant(1, 11_000, 0)),
        ("B", grant(2, 11_000, 0)),
    ]


def test_what_was_granted_is_said_again_each_tick_and_answers_the_newest_report() -> None:
    """A grant is a lease; the charger's own clock says from when it runs."""
    of = street(base_w=-2_800)
    assert happens(of, Woken()) == [
        Send("A", grant(1, 11_000, 0, seq=1)),
        Send("B", grant(2, 11_000, 0, seq=2)),
        WakeAt(30_000),
    ]
    tell(of, "A", report(1, seq=2, stamp_ms=29_000), 29_900)
    assert happens(of, Woken(), 30_000) == [
        Send("A", grant(1, 11_000, 0, seq=3, echo_ms=29_000)),
        Send("B", grant(2, 11_000, 0, seq=4)),
        WakeAt(60_000),
    ]
    tell(of, "B", report(2, firm_w=3_000, seq=2, stamp_ms=60_000), 60_000)
    assert happens(of, Woken(), 60_000) == [
        Send("A", grant(1, 11_000, 0, seq=5, echo_ms=29_000)),
        Send("B", grant(2, 3_000, 0, seq=6, echo_ms=60_000)),
        WakeAt(90_000),
    ]


def test_who_has_not_beaten_for_the_length_of_a_lease_is_granted_nothing() -> None:
    of = street(base_w=-2_800)
    happens(of, Woken())
    for now_ms in (30_000, 60_000, 90_000):
        tell(of, "A", report(1, seq=1 + now_ms // 30_000, stamp_ms=now_ms), now_ms)
        tell(of, "homes", BaseReport(-2_800), now_ms)
        effects = opened(happens(of, Woken(), now_ms))
    assert effects == [("A", grant(1, 11_000, 0))]
    assert opened(tell(of, "B", report(2, seq=2, stamp_ms=91_000), 91_000)) == [("B", grant(2, 11_000, 0))]


def test_a_beat_that_is_older_than_another_changes_nothing() -> None:
    of = street(base_w=-2_800)
    tell(of, "B", report(2, firm_w=3_000, seq=3))
    for seq in (2, 3):
        assert tell(of, "B", report(2, firm_w=9_000, seq=seq)) == []
    assert ("B", grant(2, 3_000, 0)) in opened(happens(of, Woken()))


def one_that_waits_for_another() -> Transformer:
    """B may have 8.2 kW as soon as A has said that it is down to 5 kW."""
    of = street(base_w=6_000, rules=replace(RULES, release_w=0))
    for charger, session, firm_w in (("A", 1, 11_000), ("B", 2, 2_200)):
        tell(of, charger, report(session, firm_w, seq=2))
    assert opened(happens(of, Woken())) == [("A", grant(1, 11_000, 0)), ("B", grant(2, 2_200, 0))]
    for charger, session, firm_w in (("A", 1, 5_000), ("B", 2, 8_200)):
        tell(of, charger, report(session, firm_w, seq=3, stamp_ms=30_000, heard=(1, session)), 30_000)
    tell(of, "homes", BaseReport(6_000), 30_000)
    assert opened(happens(of, Woken(), 30_000)) == [("A", grant(1, 5_000, 0)), ("B", grant(2, 2_200, 0))]
    return of


def test_a_raise_waits_until_who_gives_way_has_said_that_it_does() -> None:
    """Until A has heard of it both could draw too much."""
    of = one_that_waits_for_another()
    assert of.worst_import_w(1, 30_000) == 11_000
    unheard = report(1, 5_000, seq=4, stamp_ms=30_000, heard=(1, 99))
    assert opened(tell(of, "A", unheard, 30_000)) == [], "nobody has accepted a grant that was never sent"
    assert of.worst_import_w(1, 30_000) == 11_000
    confirmed = report(1, 5_000, seq=5, stamp_ms=30_000, heard=(1, 3))
    assert opened(tell(of, "A", confirmed, 30_000)) == [("B", grant(2, 8_200, 0))]
    assert of.worst_import_w(1, 30_000) == 5_000


@pytest.mark.parametrize("later_ms", [30_000, 30_000 + RULES.lease_ms - 1, 30_000 + RULES.lease_ms])
def test_nobody_is_raised_on_what_homes_said_a_lease_ago(later_ms: int) -> None:
    """A transformer that was frozen reads what has come since before it is woken."""
    of = one_that_waits_for_another()
    done = tell(of, "B", report(2, 8_200, seq=4, stamp_ms=later_ms, heard=(1, 4)), later_ms)
    done += tell(of, "A", report(1, 5_000, seq=5, stamp_ms=later_ms, heard=(1, 3)), later_ms)
    assert opened(done) == ([("B", grant(2, 8_200, 0))] if later_ms < 30_000 + RULES.lease_ms else [])


def test_a_wake_up_too_early_or_too_often_is_harmless() -> None:
    of = street(base_w=-2_800)
    happens(of, Woken())
    for now_ms in (0, 1, 29_999):
        assert happens(of, Woken(), now_ms) == []


def test_after_a_long_sleep_it_goes_on_with_the_tick_it_finds() -> None:
    assert happens(street(base_w=-2_800), Woken(), 95_000) == [WakeAt(120_000)]


def test_what_homes_said_before_a_long_sleep_is_old_and_nothing_is_granted_on_it() -> None:
    of = street(base_w=-2_800)
    happens(of, Woken())
    tell(of, "homes", BaseReport(-2_800), 60_000)
    assert happens(of, Woken(), 60_000) == [WakeAt(90_000)]
    tell(of, "homes", BaseReport(-2_800), 60_000)
    assert happens(of, Woken(), 89_999) == []
    tell(of, "homes", BaseReport(-2_800), 90_000)
    assert opened(happens(of, Woken(), 90_000)) == []  # the cars' last heartbeats are a lease old by now
    assert opened(tell(of, "A", report(1, seq=2, stamp_ms=90_000), 90_000)) == [("A", grant(1, 11_000, 0))]


def test_while_one_of_its_homes_is_silent_it_knows_of_no_room() -> None:
    of = Transformer("transformer", SITE, RULES, replace(ROSTER, households=("homes", "more homes")))
    tell(of, "A", seal(mandate(1)))
    tell(of, "A", report(1))
    tell(of, "homes", BaseReport(0))
    assert happens(of, Woken()) == [WakeAt(30_000)]
    tell(of, "more homes", BaseReport(0), 29_000)
    assert opened(happens(of, Woken(), 30_000)) == [("A", grant(1, 11_000, 0))]


def test_when_demand_passes_the_target_every_car_is_called_and_nothing_granted_yet() -> None:
    effects = happens(street(), Woken())
    assert opened(effects) == [("A", CALL), ("B", CALL)]
    assert wakes(effects) == [2_000, 30_000]


def test_the_homes_are_added_up() -> None:
    of = street(base_w=1_000, households=("homes", "more homes"))
    tell(of, "more homes", BaseReport(2_000))
    assert ("A", CALL) in opened(happens(of, Woken()))


def test_a_lower_limit_is_a_need_at_once() -> None:
    of = street(base_w=-2_800)
    assert happens(of, LimitChanged(16_000)) == []
    assert opened(happens(of, Woken()))[0] == ("A", structs.replace(CALL, need_w=4_000))


def test_an_island_must_live_on_what_it_has() -> None:
    """At a limit of 0 there is a margin too: that of the usual limit."""
    of = street()
    happens(of, LimitChanged(0))
    assert opened(happens(of, Woken()))[0] == (
        "A",
        structs.replace(CALL, need_w=25_800),
    )


def test_without_cars_there_is_nobody_to_call() -> None:
    of = Transformer("transformer", SITE, RULES, ROSTER)
    tell(of, "homes", BaseReport(90_000))
    assert happens(of, Woken()) == [WakeAt(30_000)]


def test_a_mid_window_call_runs_until_the_same_windows_end() -> None:
    of = street()
    tell(of, "homes", BaseReport(3_000), 89_000)
    assert opened(happens(of, Woken(), 90_000))[0] == (
        "A",
        ReliefCall(0, 3, 5_800, 90_000, 300_000, 92_000),
    )


def test_a_later_call_in_the_window_goes_to_cars_without_an_award_only() -> None:
    of = awarded()
    pass_ticks(of, 60_000)
    tell(of, "homes", BaseReport(5_000), 60_000)
    effects = happens(of, Woken(), 60_000)
    assert opened(effects) == [("B", ReliefCall(0, 2, 7_800 - 6_210, 60_000, 300_000, 62_000))]
    assert wakes(effects) == [62_000, 90_000]


def test_who_sold_feeding_and_falls_silent_feeds_nothing_and_another_car_is_called() -> None:
    """A charger that hears nothing stops feeding with its lease, and nobody can know whether it still hears."""
    of = street(base_w=14_000)
    happens(of, Woken())
    tell(of, "A", offer(1))
    tell(of, "B", offer(2, *FULL_STOP, (6_900, CHEAP)))
    tell(of, "B", Ack(messages.AWARD, 2, 0))
    needs = {}
    for now_ms in (30_000, 60_000, 90_000):
        tell(of, "A", report(1, seq=1 + now_ms // 30_000, stamp_ms=now_ms), now_ms)
        tell(of, "homes", BaseReport(14_000), now_ms)
        calls = [what for _, what in of_kind(opened(happens(of, Woken(), now_ms)), tuple)]
        needs[now_ms] = [call.need_w for call in calls if isinstance(call, ReliefCall)]
    assert needs == {30_000: [], 60_000: [], 90_000: [14_000 + 11_000 - 19_200]}


def test_when_all_cars_hold_awards_nobody_is_called_and_the_last_resort_cuts() -> None:
    """The homes draw 1 kW more than when both cars gave way; 590 W of it are missing."""
    of = street(base_w=14_000)
    happens(of, Woken())
    tell(of, "A", offer(1, *FULL_STOP))
    cleared = opened(tell(of, "B", offer(2, (6_860, DEAR), (4_140, DEAR))))
    assert [(note.session, sum(note.award_w)) for note in of_kind(cleared, NoteAward)] == [(1, 11_000), (2, 6_210)]
    tell(of, "homes", BaseReport(15_000), 30_000)
    for charger, session in (("A", 1), ("B", 2)):
        tell(of, charger, Ack(messages.AWARD, session, 0))
    assert opened(happens(of, Woken(), 30_000)) == [("B", grant(2, 4_200, 0)), NoteForced(1, 2, 590)]
