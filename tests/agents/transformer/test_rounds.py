"""A round from its call to its awards: which offers count, who wins, and what the tokens reach."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from tests.agents.transformer.two_cars import (
    CLEARED,
    FULL_STOP,
    awarded,
    called,
    grant,
    offer,
    opened,
    pass_ticks,
    street,
    tell,
)
from tests.agents.words import CALL, CHEAP, IOTA, MOST, RULES, SITE, happens, mandate, of_kind

from wattswap.protocol.codec import seal
from wattswap.protocol.draws import agent_key, draw
from wattswap.protocol.effects import NoteAward, NoteForced, NoteRound, Remember, Reserve, Send
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import LimitChanged, Woken
from wattswap.protocol.messages import BaseReport, CappedOffer, Cleared, Departed, Grant, Offer, Tranche
from wattswap.protocol.units import Purpose


def test_the_last_answer_clears_the_round() -> None:
    of = called()
    assert tell(of, "B", offer(2)) == []
    assert opened(tell(of, "A", offer(1, *FULL_STOP))) == CLEARED


def test_the_deadline_clears_it_with_the_answers_there_are() -> None:
    of = called()
    assert tell(of, "A", offer(1, *FULL_STOP)) == []
    assert happens(of, Woken(), 1_999) == []
    assert opened(happens(of, Woken(), 2_000)) == CLEARED
    assert opened(happens(of, Woken(), 2_000)) == []


def test_a_limit_that_falls_while_the_round_is_open_binds_what_is_granted_at_its_end() -> None:
    of = called()
    happens(of, LimitChanged(16_000))
    sent = [effect.message for effect in happens(of, Woken(), 2_000) if isinstance(effect, Send)]
    assert sum(grant.import_w for grant in sent if isinstance(grant, Grant)) == 16_000 - 800 - 3_000


def test_without_an_answer_by_the_deadline_everyone_keeps_and_the_last_resort_cuts() -> None:
    assert opened(happens(called(), Woken(), 2_000)) == [
        NoteRound(0, 5_800, 2, 2, 0, 0, 0, 0, 0),
        ("A", Cleared(0, 0, 0, IOTA)),
        ("B", Cleared(0, 0, 0, IOTA)),
        ("A", grant(1, 8_100, 0)),
        ("B", grant(2, 8_100, 0)),
        NoteForced(0, 1, 2_900),
        NoteForced(0, 2, 2_900),
    ]


def test_an_offer_after_the_deadline_is_ignored_though_the_wake_up_is_late_too() -> None:
    of = called()
    assert tell(of, "A", offer(1, *FULL_STOP), 2_000) == []
    assert tell(of, "B", offer(2), 2_001) == []
    assert opened(happens(of, Woken(), 2_500))[0] == NoteRound(0, 5_800, 2, 2, 0, 0, 0, 0, 0)


def test_an_offer_after_the_clearing_is_ignored() -> None:
    of = awarded()
    assert tell(of, "A", offer(1, (6_860, 1))) == []
    assert tell(of, "B", offer(2, *FULL_STOP)) == []


def test_of_two_offers_the_first_counts() -> None:
    """Be it a repeat, or a second thought after looking at others."""
    of = called()
    tell(of, "A", offer(1, *FULL_STOP))
    assert tell(of, "A", offer(1, *FULL_STOP)) == []
    assert tell(of, "A", offer(1, (6_860, 4 * IOTA), (4_140, 4 * IOTA))) == []
    assert tell(of, "A", offer(1)) == []
    assert opened(tell(of, "B", offer(2))) == CLEARED


def test_who_kept_cannot_offer_any_more() -> None:
    of = called()
    tell(of, "A", offer(1))
    assert tell(of, "A", offer(1, *FULL_STOP)) == []
    assert opened(tell(of, "B", offer(2)))[0] == NoteRound(0, 5_800, 2, 2, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("other", [{"tick": 1}, {"feeder": 1}])
def test_an_offer_for_another_round_is_ignored(other: dict[str, int]) -> None:
    of = called()
    assert tell(of, "A", offer(1, *FULL_STOP, **other)) == []
    assert tell(of, "B", offer(2)) == []
    assert opened(tell(of, "A", offer(1, *FULL_STOP))) == CLEARED


def test_an_offer_before_any_call_is_ignored() -> None:
    of = street()
    assert tell(of, "A", offer(1, *FULL_STOP)) == []
    assert opened(happens(of, Woken()))[0] == ("A", CALL)


def test_a_round_that_was_slept_through_ends_with_nothing_bought() -> None:
    of = called()
    tell(of, "A", offer(1, *FULL_STOP))
    tell(of, "homes", BaseReport(3_000), 300_000)
    effects = happens(of, Woken(), 300_000)
    assert of_kind(effects, NoteRound) == [NoteRound(0, 5_800, 2, 1, 11_000, 0, 0, 0, 0)]
    assert not of_kind(effects, Reserve)


def test_a_round_at_whose_end_no_home_is_heard_of_ends_with_nothing_bought_and_nothing_granted() -> None:
    of = street(rules=replace(RULES, deadline_ms=RULES.lease_ms))
    happens(of, Woken())
    tell(of, "A", offer(1, *FULL_STOP))
    effects = happens(of, Woken(), RULES.lease_ms)
    assert opened(effects) == [NoteRound(0, 5_800, 2, 1, 11_000, 0, 0, 0, 0)]


def test_a_round_is_noted_before_the_next_one_opens() -> None:
    of = street(rules=replace(RULES, deadline_ms=RULES.lease_ms))
    happens(of, Woken())
    pass_ticks(of, 30_000)
    effects = opened(happens(of, Woken(), 30_000))
    next_call = msgspec.structs.replace(CALL, tick=1, from_ms=30_000, offers_due_ms=120_000)
    assert effects[:2] == [NoteRound(0, 5_800, 2, 2, 0, 0, 0, 0, 0), ("A", next_call)]


def test_a_car_that_leaves_before_the_clearing_takes_no_part_in_it() -> None:
    of = called()
    tell(of, "A", offer(1, *FULL_STOP))
    tell(of, "A", Departed(1, 0, 0))
    assert opened(tell(of, "B", offer(2)))[0] == NoteRound(0, 5_800, 1, 1, 0, 0, 0, 0, 0)


def test_a_car_that_comes_during_a_round_waits_for_the_next() -> None:
    of = called()
    tell(of, "C", seal(mandate(3)))
    tell(of, "A", offer(1, *FULL_STOP))
    assert opened(tell(of, "B", offer(2))) == CLEARED


def test_what_a_charger_cannot_carry_is_not_on_offer() -> None:
    of = called()
    tell(of, "A", offer(1))
    capped = CappedOffer(2, 7_000, seal(Offer(0, 0, 2, (Tranche(6_860, 1), Tranche(4_140, 1), Tranche(11_000, 1)))))
    note = tell(of, "B", capped)[0]
    assert isinstance(note, NoteRound)
    assert note.offered_w == 11_000 + 7_000


def test_what_a_car_does_not_draw_is_not_on_offer() -> None:
    """It could promise a hundred megawatts, win the round and leave the street as it was."""
    of = called()
    tell(of, "A", offer(1, (100_000_000, 0)))
    note, reserve, *_ = opened(tell(of, "B", offer(2)))
    assert isinstance(note, NoteRound)
    assert (note.offered_w, note.awarded_w) == (11_000, 6_210)
    assert reserve == Reserve("0.0/stay 1", 0)


def test_an_offer_whose_asks_fall_is_refused_and_the_car_may_answer_again() -> None:
    of = called()
    for wrong in (offer(1, (6_860, 2), (4_140, 1)), offer(1, (6_860, 2), (0, 9), (1, 1))):
        with pytest.raises(RemoteProtocolError, match="asks fall from one tranche to the next"):
            tell(of, "A", wrong)
    tell(of, "A", offer(1, *FULL_STOP))
    assert opened(tell(of, "B", offer(2))) == CLEARED


def test_an_offer_of_more_tranches_than_have_a_meaning_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="an offer of 4 tranches"):
        tell(called(), "A", offer(1, *[(1, 1)] * 4))


def test_who_wins_among_equals_is_drawn_anew_for_each_window() -> None:
    """By (seed, car, window), so that nobody is always first and a replay deals the same."""
    keys = [agent_key("stay 1"), agent_key("stay 2")]
    drawn, won = [], []
    for window in range(12):
        of, now_ms = street(), window * 300_000
        tell(of, "homes", BaseReport(3_000), now_ms)
        happens(of, Woken(), now_ms)
        tell(of, "A", offer(1, *FULL_STOP, tick=10 * window), now_ms)
        effects = tell(of, "B", offer(2, *FULL_STOP, tick=10 * window), now_ms)
        won += [effect.session for effect in effects if isinstance(effect, NoteAward)]
        drawn.append(1 + int(np.argmin(draw(SITE.seed, keys, Purpose.TIE, window))))
    assert won == drawn
    assert set(won) == {1, 2}


def test_a_reserve_is_booked_before_its_award_is_sent() -> None:
    of = called()
    tell(of, "A", offer(1, *FULL_STOP))
    effects = tell(of, "B", offer(2))
    kinds = [type(effect) for effect in effects]
    assert kinds.index(Reserve) < kinds.index(Remember) < kinds.index(Send)


def test_awards_are_made_in_session_order_as_far_as_the_tokens_reach() -> None:
    """Both are needed; one may cost 6.6 IOTA if it waits for a day, and there are no more than 7."""
    of = called(replace(SITE, limit_w=10_000, funds_nanos=7 * IOTA))
    tell(of, "A", offer(1, *FULL_STOP))
    effects = opened(tell(of, "B", offer(2, *FULL_STOP)))
    assert of_kind(effects, Reserve) == [Reserve("0.0/stay 1", 6_600_000_000)]
    assert [note.session for note in of_kind(effects, NoteAward)] == [1]
    assert effects[0] == NoteRound(0, 15_800, 2, 0, 22_000, 11_000, CHEAP, 1, 0)


def test_who_costs_more_than_is_left_is_passed_over_and_the_next_may_be_covered() -> None:
    of = called(replace(SITE, limit_w=10_000, funds_nanos=6_599_999_999))
    tell(of, "A", offer(1, *FULL_STOP))
    effects = opened(tell(of, "B", offer(2, (4_140, CHEAP))))
    assert of_kind(effects, Reserve) == [Reserve("0.0/stay 2", 2_484_000_000)]


def test_tokens_that_are_promised_cannot_be_promised_twice() -> None:
    of = awarded(replace(SITE, funds_nanos=MOST))
    tell(of, "homes", BaseReport(5_000), 30_000)
    happens(of, Woken(), 30_000)
    effects = opened(tell(of, "B", offer(2, *FULL_STOP, tick=1), 30_000))
    assert not of_kind(effects, Reserve)
