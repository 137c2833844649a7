"""A charger was set up anew while a car was plugged in: its old session counts no more, and is closed in the end."""

from __future__ import annotations

from tests.agents.transformer.two_cars import awarded, opened, report, street, tell
from tests.agents.words import HOUR, KWH, RULES, SITE, WORTH, happens, mandate, of_kind, witnessed

from wattswap.agents.lost_sessions import MOST_LOST
from wattswap.agents.transformer import Transformer
from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Bill, Effect, NoteForced, Pay
from wattswap.protocol.events import Paid, Woken
from wattswap.protocol.messages import BaseReport, Departed, ReliefCall

ANEW = 10
"""The session as which charger A takes car 1 for one that has just come."""


def set_up_anew(of: Transformer, session: int = ANEW, now_ms: int = 0) -> None:
    tell(of, "A", seal(mandate(session, "car 1")), now_ms)


def go_on(of: Transformer, since_ms: int, until_ms: int, session: int = ANEW) -> list[Effect]:
    """What it does while charger A reports this session only, and B its own."""
    done: list[Effect] = []
    for now_ms in range(since_ms + RULES.tick_ms, until_ms + 1, RULES.tick_ms):
        for charger, here in (("A", session), ("B", 2)):
            tell(of, charger, report(here, seq=2 + now_ms // RULES.tick_ms, stamp_ms=now_ms), now_ms)
        tell(of, "homes", BaseReport(3_000), now_ms)
        done += happens(of, Woken(), now_ms)
    return done


def needs_w(effects: list[Effect]) -> set[int]:
    """For how much it called."""
    said = [what for _, what in of_kind(opened(effects), tuple)]
    return {call.need_w for call in said if isinstance(call, ReliefCall)}


def test_until_its_lease_is_over_it_may_draw_and_then_it_is_neither_called_nor_cut() -> None:
    of = street()
    set_up_anew(of)
    assert needs_w(go_on(of, 0, RULES.lease_ms)) == {16_800}
    go_on(of, RULES.lease_ms, RULES.lease_ms + RULES.tick_ms)  # the round from before ends
    later = go_on(of, RULES.lease_ms + RULES.tick_ms, HOUR // 2)
    assert needs_w(later) == {5_800}
    assert {note.session for note in of_kind(later, NoteForced)} == {2, ANEW}


def test_what_it_sold_before_is_paid_and_after_a_day_it_is_billed_at_nothing() -> None:
    of = awarded()
    set_up_anew(of)
    go_on(of, 0, HOUR)
    [pay] = of_kind(tell(of, "A", witnessed(1, 1_863_000), 2 * HOUR + 300_000), Pay)
    assert pay.nanos == WORTH
    happens(of, Paid(1, 0, WORTH, 0), 2 * HOUR + 300_000)
    assert not of_kind(go_on(of, 23 * HOUR, 24 * HOUR - RULES.tick_ms), Bill)
    assert of_kind(go_on(of, 24 * HOUR - RULES.tick_ms, 24 * HOUR), Bill) == [Bill(1, "stay 1", "car 1", 0)]


def test_a_departure_that_comes_late_is_billed_as_the_charger_counted() -> None:
    """A car has left and the next has come, and that the first has left is said again and again until it is heard."""
    of = street()
    set_up_anew(of)
    go_on(of, 0, HOUR)
    [bill] = of_kind(tell(of, "A", Departed(1, 2 * KWH, 0), HOUR), Bill)
    assert bill.nanos == 2 * SITE.tariff_nanos_per_kwh


def test_a_charger_that_only_falls_silent_keeps_its_session() -> None:
    of = street()
    for now_ms in range(RULES.tick_ms, HOUR, RULES.tick_ms):
        tell(of, "B", report(2, seq=2 + now_ms // RULES.tick_ms, stamp_ms=now_ms), now_ms)
        tell(of, "homes", BaseReport(3_000), now_ms)
        assert needs_w(happens(of, Woken(), now_ms)) <= {5_800}


def test_a_charger_that_is_set_up_anew_again_and_again_may_always_open_its_next_session() -> None:
    of, spell_ms = street(), 2 * RULES.lease_ms
    for number in range(3 * MOST_LOST):
        set_up_anew(of, ANEW + number, number * spell_ms)
        go_on(of, number * spell_ms, (number + 1) * spell_ms, ANEW + number)
    assert not of_kind(go_on(of, 6 * spell_ms, 7 * spell_ms, ANEW + number), Bill)
