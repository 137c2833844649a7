"""The transformer: each message on its own, whole effect lists compared; what is late, said again, forged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wattswap.agents.accounts import Site
from wattswap.agents.rules import Rules
from wattswap.agents.transformer import Transformer
from wattswap.protocol import messages
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.draws import agent_key, draw
from wattswap.protocol.effects import (
    Bill,
    Effect,
    Forget,
    NoteAward,
    NoteForced,
    NoteRound,
    NoteTrade,
    Pay,
    Remember,
    Reserve,
    Send,
    WakeAt,
)
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Billed, Event, LimitChanged, Paid, Received, Restarted, Woken
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import (
    DEPARTED,
    MANDATE,
    Award,
    BaseReport,
    Call,
    CappedOffer,
    Delivery,
    Departed,
    Grant,
    Inner,
    Mandate,
    Message,
    Noted,
    Offer,
    Receipt,
    Release,
    Report,
    Sealed,
    Tranche,
    WitnessedDelivery,
)
from wattswap.protocol.units import Purpose

IOTA, HOUR, KWH = 1_000_000_000, 3_600_000, 3_600_000
SITE = Site(limit_w=20_000, funds_nanos=100 * IOTA, tariff_nanos_per_kwh=3 * IOTA, seed=1)
RULES = Rules(release_w=400)
CHEAP, DEAR = 600_000_000, 1_100_000_000
KEYS = {name: Signer(bytes([number] * 32)) for number, name in enumerate(("transformer", "A", "B", "car 1", "car 2"))}


def mandate(session: int) -> Mandate:
    return Mandate(session, f"stay {session}", 10 * KWH, 6 * HOUR, f"car {session}")


def report(
    session: int, firm_w: int = 11_000, *, seq: int = 1, stamp_ms: int = 0, heard: tuple[int, int] = (0, 0)
) -> Report:
    """A charger's beat. Without a newer ``seq`` it counts as one that came before."""
    return Report(session, firm_w, firm_w, 3 * HOUR, True, 1, seq, stamp_ms, *heard)


def grant(session: int, import_w: int, export_w: int, *, seq: int = 0, echo_ms: int = 0) -> Grant:
    return Grant(session, import_w, export_w, 1, seq, 1, echo_ms, 90_000)


def offer(session: int, *tranches: tuple[int, int], tick: int = 0, feeder: int = 0) -> CappedOffer:
    """What a charger passes on: a car's offer beside a cap of 11 kW."""
    sealed = seal(Offer(feeder, tick, session, tuple(Tranche(*pair) for pair in tranches)))
    return CappedOffer(session, 11_000, sealed)


def delivery(session: int, charger_ws: int, car_ws: int | None = None, tick: int = 0) -> WitnessedDelivery:
    """Charger's and car's claim for the first tranche."""
    claims = [Delivery(0, tick, session, (ws, 0, 0), 3_300_000) for ws in (charger_ws, charger_ws)]
    if car_ws is not None:
        claims[1] = Delivery(0, tick, session, (car_ws, 0, 0), 3_300_000)
    return WitnessedDelivery(session, seal(claims[0]), seal(claims[1]))


def street(site: Site = SITE, *, base_w: int = 3_000, rules: Rules = RULES) -> Transformer:
    """Two cars at chargers A and B that may draw 11 kW each; with 3 kW of homes 5,800 W too much."""
    of = Transformer("transformer", site, rules)
    for charger, session in (("A", 1), ("B", 2)):
        tell(of, charger, seal(mandate(session)))
        tell(of, charger, report(session))
    tell(of, "homes", BaseReport(base_w))
    return of


def tell(of: Transformer, sender: str, message: Message, now_ms: int = 0) -> list[Effect]:
    return happens(of, Received(sender, message), now_ms)


def happens(of: Transformer, event: Event, now_ms: int = 0) -> list[Effect]:
    effects = of.handle(event, now_ms)
    of.check()
    return effects


def opened(effects: list[Effect]) -> list[object]:
    """The effects with what is sealed in them laid open, as (to, message) where something is said.

    Wake-ups and what is made durable are left out, and of grants all but the powers; these have tests of their own.
    """
    return [
        (effect.to, plain(effect.message)) if isinstance(effect, Send) else effect
        for effect in effects
        if not isinstance(effect, WakeAt | Remember | Forget)
    ]


def plain(message: Message) -> object:
    match message:
        case Sealed():
            return unseal(message)
        case Grant(session, import_w, export_w):
            return grant(session, import_w, export_w)
        case _:
            return message


def wakes(effects: list[Effect]) -> list[int]:
    """The instants for which it wants to be woken."""
    return [effect.at_ms for effect in effects if isinstance(effect, WakeAt)]


def pass_ticks(of: Transformer, until_ms: int, base_w: int = 3_000, *, since_ms: int = 0) -> None:
    """Ticks go by as ever, up to this one: chargers beat, homes are read, the transformer is woken."""
    for now_ms in range(since_ms + 30_000, until_ms + 1, 30_000):
        for charger, session in (("A", 1), ("B", 2)):
            tell(of, charger, report(session, seq=1 + now_ms // 30_000, stamp_ms=now_ms), now_ms)
        tell(of, "homes", BaseReport(base_w), now_ms)
        if now_ms < until_ms:
            happens(of, Woken(), now_ms)


CALL = Call(0, 0, 5_800, 5 * IOTA, 0, 300_000, 2_000)
AWARD = Award(0, 0, 1, 300_000, (6_210, 0, 0), (CHEAP, 0, 0))
NOTE = NoteRound(
    tick=0, need_w=5_800, ceiling_nanos_per_kwh=5 * IOTA, called=2, kept=1, offered_w=11_000,
    awarded_w=6_210, price_nanos_per_kwh=CHEAP, reduce_awards=1, feed_awards=0,
)  # fmt: skip
WORTH = 310_500_000
CLEARED = [
    NOTE,
    Reserve("0.0/stay 1", WORTH),
    NoteAward(0, 1, 6_210, 0),
    ("A", AWARD),
    ("A", grant(1, 4_790, 0)),
    ("B", grant(2, 11_000, 0)),
]
FULL_STOP = ((6_860, CHEAP), (4_140, CHEAP))


def called(site: Site = SITE) -> Transformer:
    of = street(site)
    happens(of, Woken())
    return of


def awarded(site: Site = SITE) -> Transformer:
    """Car 1 sold 6,210 W at 0.6 IOTA/kWh; car 2 keeps."""
    of = called(site)
    tell(of, "A", offer(1, *FULL_STOP))
    assert opened(tell(of, "B", offer(2))) == CLEARED
    tell(of, "A", Noted(messages.AWARD, 1, 0))
    return of


# -- a tick -----------------------------------------------------------------------------------------------------------


def test_a_street_that_fits_is_granted_what_it_may_draw() -> None:
    of = street(base_w=-2_800)
    assert opened(happens(of, Woken())) == [
        ("A", grant(1, 11_000, 0)),
        ("B", grant(2, 11_000, 0)),
    ]


def test_what_was_granted_is_said_again_each_tick_and_answers_the_newest_beat() -> None:
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


def test_a_raise_waits_until_who_gives_way_has_said_that_it_does() -> None:
    """B may have 8.2 kW as soon as A is down to 11 kW; until A has heard of it both could draw too much."""
    of = street(base_w=0, rules=replace(RULES, release_w=0))
    for charger, session, firm_w in (("A", 1, 17_000), ("B", 2, 2_200)):
        tell(of, charger, report(session, firm_w, seq=2))
    assert opened(happens(of, Woken())) == [("A", grant(1, 17_000, 0)), ("B", grant(2, 2_200, 0))]
    for charger, session, firm_w in (("A", 1, 11_000), ("B", 2, 8_200)):
        tell(of, charger, report(session, firm_w, seq=3, stamp_ms=30_000, heard=(1, session)), 30_000)
    tell(of, "homes", BaseReport(0), 30_000)
    assert opened(happens(of, Woken(), 30_000)) == [("A", grant(1, 11_000, 0)), ("B", grant(2, 2_200, 0))]
    assert of.worst_import_w(1, 30_000) == 17_000
    confirmed = report(1, 11_000, seq=4, stamp_ms=30_000, heard=(1, 3))
    assert opened(tell(of, "A", confirmed, 30_000)) == [("B", grant(2, 8_200, 0))]
    assert of.worst_import_w(1, 30_000) == 11_000


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
    assert opened(happens(of, Woken(), 90_000)) == []  # the cars' last beats are a lease old by now
    assert opened(tell(of, "A", report(1, seq=2, stamp_ms=90_000), 90_000)) == [("A", grant(1, 11_000, 0))]


def test_while_one_of_its_homes_is_silent_it_knows_of_no_room() -> None:
    of = Transformer("transformer", SITE, RULES, households=("homes", "more homes"))
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
    of = street(base_w=1_000)
    tell(of, "more homes", BaseReport(2_000))
    assert ("A", CALL) in opened(happens(of, Woken()))


def test_a_lower_limit_is_a_need_at_once_and_its_ceiling_rises() -> None:
    of = street(base_w=-2_800)
    assert happens(of, LimitChanged(16_000)) == []
    assert opened(happens(of, Woken()))[0] == ("A", replace_call(need_w=3_840, ceiling_nanos_per_kwh=5 * IOTA))


def test_an_island_must_live_on_what_it_has() -> None:
    """At a limit of 0 there is no margin, and the ceiling is the highest."""
    of = street()
    happens(of, LimitChanged(0))
    assert opened(happens(of, Woken()))[0] == ("A", replace_call(need_w=25_000, ceiling_nanos_per_kwh=5 * IOTA))


def test_without_cars_there_is_nobody_to_call() -> None:
    of = Transformer("transformer", SITE, RULES)
    tell(of, "homes", BaseReport(90_000))
    assert happens(of, Woken()) == [WakeAt(30_000)]


def test_a_mid_window_call_runs_until_the_same_windows_end() -> None:
    of = street()
    tell(of, "homes", BaseReport(3_000), 89_000)
    assert opened(happens(of, Woken(), 90_000))[0] == (
        "A",
        Call(0, 3, 5_800, 5 * IOTA, 90_000, 300_000, 92_000),
    )


def test_a_later_call_in_the_window_goes_to_cars_without_an_award_only() -> None:
    of = awarded()
    pass_ticks(of, 60_000)
    tell(of, "homes", BaseReport(5_000), 60_000)
    effects = happens(of, Woken(), 60_000)
    assert opened(effects) == [("B", Call(0, 2, 7_800 - 6_210, 5 * IOTA, 60_000, 300_000, 62_000))]
    assert wakes(effects) == [62_000, 90_000]


def test_when_all_cars_hold_awards_nobody_is_called_and_the_last_resort_cuts() -> None:
    """The homes draw 1 kW more than when both cars gave way; 590 W of it are missing."""
    of = street(base_w=14_000)
    happens(of, Woken())
    tell(of, "A", offer(1, *FULL_STOP))
    cleared = opened(tell(of, "B", offer(2, (6_860, DEAR), (4_140, DEAR))))
    assert [effect for effect in cleared if isinstance(effect, NoteAward)] == [
        NoteAward(0, 1, 11_000, 0),
        NoteAward(0, 2, 6_210, 0),
    ]
    tell(of, "homes", BaseReport(15_000), 30_000)
    for charger, session in (("A", 1), ("B", 2)):
        tell(of, charger, Noted(messages.AWARD, session, 0))
    assert opened(happens(of, Woken(), 30_000)) == [("B", grant(2, 4_200, 0)), NoteForced(1, 2, 590)]


# -- a round ----------------------------------------------------------------------------------------------------------


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
    assert sum(grant.import_w for grant in sent if isinstance(grant, Grant)) == 16_000 * 96 // 100 - 3_000


def test_without_an_answer_by_the_deadline_everyone_keeps_and_the_last_resort_cuts() -> None:
    assert opened(happens(called(), Woken(), 2_000)) == [
        NoteRound(0, 5_800, 5 * IOTA, 2, 2, 0, 0, 0, 0, 0),
        ("A", grant(1, 8_100, 0)),
        ("B", grant(2, 8_100, 0)),
        NoteForced(0, 1, 2_900),
        NoteForced(0, 2, 2_900),
    ]


def test_an_offer_after_the_deadline_is_ignored_though_the_wake_up_is_late_too() -> None:
    of = called()
    assert tell(of, "A", offer(1, *FULL_STOP), 2_000) == []
    assert tell(of, "B", offer(2), 2_001) == []
    assert opened(happens(of, Woken(), 2_500))[0] == NoteRound(0, 5_800, 5 * IOTA, 2, 2, 0, 0, 0, 0, 0)


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
    assert opened(tell(of, "B", offer(2)))[0] == NoteRound(0, 5_800, 5 * IOTA, 2, 2, 0, 0, 0, 0, 0)


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


def test_a_car_that_leaves_before_the_clearing_takes_no_part_in_it() -> None:
    of = called()
    tell(of, "A", offer(1, *FULL_STOP))
    tell(of, "A", Departed(1, 0, 0))
    assert opened(tell(of, "B", offer(2)))[0] == NoteRound(0, 5_800, 5 * IOTA, 1, 1, 0, 0, 0, 0, 0)


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
    """Both are needed; one costs 0.55 IOTA for the window, and there is no more than 0.6."""
    of = called(replace(SITE, limit_w=10_000, funds_nanos=600_000_000))
    tell(of, "A", offer(1, *FULL_STOP))
    effects = opened(tell(of, "B", offer(2, *FULL_STOP)))
    assert [effect for effect in effects if isinstance(effect, Reserve)] == [Reserve("0.0/stay 1", 550_000_000)]
    assert [effect for effect in effects if isinstance(effect, NoteAward)] == [NoteAward(0, 1, 11_000, 0)]
    assert effects[0] == NoteRound(0, 15_400, 5 * IOTA, 2, 0, 22_000, 11_000, CHEAP, 1, 0)


def test_who_costs_more_than_is_left_is_passed_over_and_the_next_may_be_covered() -> None:
    of = called(replace(SITE, limit_w=10_000, funds_nanos=549_999_999))
    tell(of, "A", offer(1, *FULL_STOP))
    effects = opened(tell(of, "B", offer(2, (4_140, CHEAP))))
    assert [effect for effect in effects if isinstance(effect, Reserve)] == [Reserve("0.0/stay 2", 207_000_000)]


def test_tokens_that_are_promised_cannot_be_promised_twice() -> None:
    of = awarded(replace(SITE, funds_nanos=WORTH))
    tell(of, "homes", BaseReport(5_000), 30_000)
    happens(of, Woken(), 30_000)
    effects = opened(tell(of, "B", offer(2, *FULL_STOP, tick=1), 30_000))
    assert not [effect for effect in effects if isinstance(effect, Reserve)]


# -- settlement -------------------------------------------------------------------------------------------------------


def test_a_delivery_is_noted_and_paid() -> None:
    assert tell(awarded(), "A", delivery(1, 1_863_000), 300_000) == [
        NoteTrade(
            tick=0,
            session=1,
            payment_id="0.0/stay 1",
            award_w=(6_210, 0, 0),
            price_nanos_per_kwh=(CHEAP, 0, 0),
            delivered_ws=(1_863_000, 0, 0),
            nanos=(WORTH, 0, 0),
            offered_w=(6_860, 4_140, 0),
            ask_nanos_per_kwh=(CHEAP, CHEAP, 0),
            baseline_ws=3_300_000,
            disputed=False,
        ),
        Pay("0.0/stay 1", 1, 0, WORTH),
    ]


@pytest.mark.parametrize(
    ("charger_ws", "car_ws", "counts_ws", "disputed"),
    [(1_800_000, 1_700_000, 1_700_000, False), (1_700_000, 1_800_000, 1_700_000, False), (0, 1_863_000, 0, True)],
)
def test_the_lower_of_two_meters_is_paid(charger_ws: int, car_ws: int, counts_ws: int, disputed: bool) -> None:
    note, pay = tell(awarded(), "A", delivery(1, charger_ws, car_ws), 300_000)
    assert isinstance(note, NoteTrade)
    assert note.delivered_ws == (counts_ws, 0, 0)
    assert note.disputed is disputed
    assert pay == Pay("0.0/stay 1", 1, 0, CHEAP * counts_ws // KWH)


def test_no_claim_is_paid_beyond_what_was_awarded() -> None:
    """Charger and car may belong to the same person; its reserve is the most they get."""
    assert tell(awarded(), "A", delivery(1, 10**12), 300_000)[1] == Pay("0.0/stay 1", 1, 0, WORTH)


def test_a_delivery_said_again_is_paid_once() -> None:
    of = awarded()
    tell(of, "A", delivery(1, 1_863_000), 300_000)
    assert tell(of, "A", delivery(1, 1_863_000), 300_000) == []
    receipt = happens(of, Paid(1, 0, WORTH), 300_000)
    again = tell(of, "A", delivery(1, 1_863_000), 330_000)  # who says it again has missed the receipt
    assert opened(again) == opened(receipt)
    assert tell(of, "A", delivery(1, 1_863_000, tick=3), 330_000) == []


def test_a_delivery_without_an_award_is_not_paid() -> None:
    of = awarded()
    assert tell(of, "B", delivery(2, 1_863_000)) == []
    assert tell(of, "A", delivery(1, 1_863_000, tick=1)) == []
    elsewhere = seal(Delivery(1, 0, 1, (5, 0, 0), 5))
    assert tell(of, "A", WitnessedDelivery(1, elsewhere, elsewhere)) == []


def test_charger_and_car_must_claim_the_same_award() -> None:
    mixed = WitnessedDelivery(1, delivery(1, 5, tick=1).charger, delivery(1, 5).vehicle)
    with pytest.raises(RemoteProtocolError, match="two different awards"):
        tell(awarded(), "A", mixed)


def test_nobody_claims_with_another_cars_word() -> None:
    stolen = WitnessedDelivery(1, delivery(1, 5).charger, delivery(2, 5).vehicle)
    with pytest.raises(RemoteProtocolError, match="holds none of session 1"):
        tell(awarded(), "A", stolen)


@pytest.mark.parametrize("inside", [mandate(1), Offer(0, 0, 1, ()), Delivery(0, 0, 1, (5, 0), 5)], ids=repr)
def test_what_is_no_delivery_of_three_tranches_is_refused(inside: Inner) -> None:
    with pytest.raises(RemoteProtocolError, match="holds none of session 1"):
        tell(awarded(), "A", WitnessedDelivery(1, seal(inside), delivery(1, 5).vehicle))


def test_once_the_book_has_paid_the_car_gets_its_receipt() -> None:
    of = awarded()
    tell(of, "A", delivery(1, 1_863_000), 300_000)
    assert opened(happens(of, Paid(1, 0, WORTH))) == [("A", Receipt(0, 0, 1, WORTH))]
    assert happens(of, Paid(1, 0, WORTH)) == []


@pytest.mark.parametrize(("watts", "covered"), [(3_105, True), (3_106, False)])
def test_what_a_reserve_had_left_can_be_promised_again_and_no_more(watts: int, covered: bool) -> None:
    """Half was delivered; the other half of the reserve buys 3,105 W for the same time."""
    of = awarded(replace(SITE, funds_nanos=WORTH))
    pass_ticks(of, 300_000)
    tell(of, "A", delivery(1, 931_500), 300_000)
    happens(of, Paid(1, 0, WORTH // 2), 300_000)
    happens(of, Woken(), 300_000)
    tell(of, "A", offer(1, tick=10), 300_000)
    effects = opened(tell(of, "B", offer(2, (watts, CHEAP), tick=10), 300_000))
    assert (Reserve("0.10/stay 2", WORTH // 2) in effects) == covered
    assert any(isinstance(effect, NoteAward) for effect in effects) == covered


def test_who_claims_early_ends_its_award_and_may_be_called_again() -> None:
    of = awarded()
    pass_ticks(of, 60_000)
    assert tell(of, "A", delivery(1, 372_600), 60_000)[1] == Pay("0.0/stay 1", 1, 0, 62_100_000)
    calls = [effect for effect in opened(happens(of, Woken(), 60_000)) if isinstance(effect, tuple)]
    assert [to for to, _ in calls] == ["A", "B"]


def test_an_award_is_said_again_until_the_car_has_noted_it() -> None:
    of = called()
    tell(of, "A", offer(1, *FULL_STOP))
    assert wakes(tell(of, "B", offer(2))) == [30_000]
    for now_ms in (30_000, 60_000):
        pass_ticks(of, now_ms, since_ms=now_ms - 30_000)
        assert opened(happens(of, Woken(), now_ms))[0] == ("A", AWARD)
    tell(of, "A", Noted(messages.AWARD, 1, 0), 60_000)
    pass_ticks(of, 90_000, since_ms=60_000)
    assert opened(happens(of, Woken(), 90_000)) == [("A", grant(1, 4_790, 0)), ("B", grant(2, 11_000, 0))]


def test_a_tick_after_its_window_an_award_asks_for_its_delivery_until_it_comes() -> None:
    of = awarded()
    pass_ticks(of, 330_000)
    assert ("A", AWARD) in opened(happens(of, Woken(), 330_000))
    tell(of, "A", delivery(1, 1_863_000), 331_000)
    assert ("A", AWARD) not in opened(happens(of, Woken(), 360_000))


def test_what_is_noted_and_not_owed_changes_nothing() -> None:
    of = awarded()
    for kind, session, tick in ((messages.AWARD, 1, 7), (messages.AWARD, 9, 0), (MANDATE, 1, 0), (DEPARTED, 1, 0)):
        assert tell(of, "A", Noted(kind, session, tick)) == []


def test_a_payment_nobody_asked_for_is_ignored() -> None:
    assert happens(street(), Paid(1, 0, 5)) == []


def test_awards_whose_window_is_over_bind_no_longer_and_are_still_paid() -> None:
    of = awarded()
    pass_ticks(of, 300_000)
    assert opened(happens(of, Woken(), 300_000)) == [
        ("A", Call(0, 10, 5_800, 5 * IOTA, 300_000, 600_000, 302_000)),
        ("B", Call(0, 10, 5_800, 5 * IOTA, 300_000, 600_000, 302_000)),
    ]
    assert tell(of, "A", delivery(1, 1_863_000), 301_000)[1] == Pay("0.0/stay 1", 1, 0, WORTH)


def test_awards_no_longer_needed_are_released_and_their_power_is_granted_again() -> None:
    of = awarded()
    pass_ticks(of, 60_000)
    tell(of, "homes", BaseReport(-3_200), 60_000)
    assert opened(happens(of, Woken(), 60_000)) == [
        ("A", Release(0, 0, 1)),
        ("B", grant(2, 11_000, 0)),
        ("A", grant(1, 11_000, 0)),
    ]
    assert tell(of, "A", delivery(1, 372_600), 60_000)[1] == Pay("0.0/stay 1", 1, 0, 62_100_000)


def test_a_watt_too_much_and_awards_stay() -> None:
    of = awarded()
    pass_ticks(of, 60_000)
    tell(of, "homes", BaseReport(-3_199), 60_000)
    assert opened(happens(of, Woken(), 60_000)) == [("A", grant(1, 4_790, 0)), ("B", grant(2, 11_000, 0))]


def test_a_departed_car_is_billed_once() -> None:
    of = street()
    noted = ("A", Noted(DEPARTED, 1))
    assert opened(tell(of, "A", Departed(1, 10 * KWH, 2 * KWH))) == [noted, Bill(1, 24 * IOTA)]
    assert tell(of, "A", Departed(1, 10 * KWH, 2 * KWH)) == [Send(*noted)]
    happens(of, Woken())
    assert tell(of, "A", report(1, seq=2)) == []


def test_a_departure_is_made_durable_before_it_is_noted_and_billed() -> None:
    kinds = [type(effect) for effect in tell(street(), "A", Departed(1, 10 * KWH, 2 * KWH))]
    assert kinds == [Remember, Remember, Forget, Send, Bill, Forget]


def test_a_bill_waits_until_the_award_is_settled() -> None:
    of = awarded()
    assert opened(tell(of, "A", Departed(1, KWH, 0), 60_000)) == [("A", Noted(DEPARTED, 1))]
    assert of.owes
    assert tell(of, "A", delivery(1, 372_600), 61_000)[1] == Pay("0.0/stay 1", 1, 0, 62_100_000)
    assert opened(happens(of, Paid(1, 0, 62_100_000), 61_000)) == [
        ("A", Receipt(0, 0, 1, 62_100_000)),
        Bill(1, 3 * IOTA),
    ]
    assert not of.owes


def test_a_car_without_a_mandate_owes_nothing() -> None:
    assert opened(tell(street(), "C", Departed(3, KWH, 0))) == [("C", Noted(DEPARTED, 3))]


def test_a_mandate_that_comes_after_its_departure_is_void() -> None:
    of = street()
    tell(of, "C", Departed(3, 0, 0))
    assert tell(of, "C", seal(mandate(3))) == [Send("C", Noted(MANDATE, 3))]
    assert tell(of, "C", report(3)) == []


def test_what_a_bill_brings_can_be_promised() -> None:
    of = called(replace(SITE, funds_nanos=0))
    happens(of, Billed(9, WORTH))
    tell(of, "A", offer(1, *FULL_STOP))
    assert opened(tell(of, "B", offer(2))) == CLEARED


# -- who may say what -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [report(1, 0, seq=9), offer(1, *FULL_STOP), delivery(1, 5), Departed(1, 0, 0), Noted(messages.AWARD, 1, 0)],
    ids=lambda m: type(m).__name__,
)
def test_a_charger_speaks_for_its_own_car_only(message: Message) -> None:
    of = called()
    for stranger in ("B", "homes", "car 1"):
        with pytest.raises(RemoteProtocolError, match=f"{stranger} speaks for session 1 at A"):
            tell(of, stranger, message)
    tell(of, "A", offer(1, *FULL_STOP))
    assert opened(tell(of, "B", offer(2))) == CLEARED


@pytest.mark.parametrize(
    "message",
    [report(9), offer(9, *FULL_STOP), delivery(9, 5), Noted(messages.AWARD, 9, 0)],
    ids=lambda m: type(m).__name__,
)
def test_of_a_car_that_is_not_plugged_in_any_more_nothing_counts(message: Message) -> None:
    assert tell(called(), "A", message) == []


def test_a_charger_cannot_pass_on_another_cars_offer_as_its_own() -> None:
    with pytest.raises(RemoteProtocolError, match="holds no offer of its car"):
        tell(called(), "B", CappedOffer(2, 11_000, offer(1, *FULL_STOP).offer))


@pytest.mark.parametrize("inside", [mandate(1), Delivery(0, 0, 1, (5, 0, 0), 5)], ids=repr)
def test_what_is_no_offer_is_not_taken_for_one(inside: Inner) -> None:
    with pytest.raises(RemoteProtocolError, match="holds no offer of its car"):
        tell(called(), "A", CappedOffer(1, 11_000, seal(inside)))


def test_a_mandate_said_again_is_noted_again_and_changes_nothing() -> None:
    of = awarded()
    for charger in ("A", "B"):
        assert tell(of, charger, seal(mandate(1))) == [Send(charger, Noted(MANDATE, 1))]
    assert tell(of, "A", delivery(1, 1_863_000), 300_000)[1] == Pay("0.0/stay 1", 1, 0, WORTH)


@pytest.mark.parametrize("message", [grant(1, 1, 1), Release(0, 0, 1), seal(Receipt(0, 0, 1, 5)), seal(CALL)], ids=repr)
def test_what_only_it_says_itself_is_not_for_it(message: Message) -> None:
    of = street()
    assert tell(of, "A", message) == []
    assert opened(happens(of, Woken()))[0] == ("A", CALL)


def trusting() -> Transformer:
    """The same street where everyone signs and every key is known."""
    keys = {name: signer.public_key for name, signer in KEYS.items()}
    of = Transformer("transformer", SITE, RULES, signer=KEYS["transformer"], trusted=keys)
    for charger, session in (("A", 1), ("B", 2)):
        tell(of, charger, seal(mandate(session), KEYS[f"car {session}"]))
        tell(of, charger, report(session))
    tell(of, "homes", BaseReport(3_000))
    happens(of, Woken())
    return of


def signed_offer(session: int, signer: Signer | None, *tranches: tuple[int, int]) -> CappedOffer:
    plain = unseal(offer(session, *tranches).offer)
    return CappedOffer(session, 11_000, seal(plain, signer))


def test_signed_offers_are_taken_and_the_award_is_signed() -> None:
    of = trusting()
    tell(of, "A", signed_offer(1, KEYS["car 1"], *FULL_STOP))
    effects = tell(of, "B", signed_offer(2, KEYS["car 2"]))
    assert opened(effects) == CLEARED
    sent = [effect.message for effect in effects if isinstance(effect, Send) and isinstance(effect.message, Sealed)]
    assert [unseal(sealed, KEYS["transformer"].public_key) for sealed in sent] == [AWARD]


@pytest.mark.parametrize("signer", [None, KEYS["car 2"], KEYS["A"], KEYS["transformer"]], ids=repr)
def test_an_offer_its_car_did_not_sign_is_refused_and_the_real_one_still_counts(signer: Signer | None) -> None:
    of = trusting()
    with pytest.raises(RemoteProtocolError, match="not signed by who should have said it"):
        tell(of, "A", signed_offer(1, signer, (6_860, 0), (4_140, 0)))
    tell(of, "A", signed_offer(1, KEYS["car 1"], *FULL_STOP))
    assert opened(tell(of, "B", signed_offer(2, KEYS["car 2"]))) == CLEARED


def test_an_offer_altered_on_the_way_is_refused() -> None:
    real = signed_offer(1, KEYS["car 1"], *FULL_STOP).offer
    cheaper = Sealed(real.kind, offer(1, (6_860, 0), (4_140, 0)).offer.payload, real.signature)
    with pytest.raises(RemoteProtocolError, match="not signed by who should have said it"):
        tell(trusting(), "A", CappedOffer(1, 11_000, cheaper))


def test_both_the_charger_and_the_car_sign_what_was_delivered() -> None:
    def claim(charger: Signer | None, car: Signer | None) -> WitnessedDelivery:
        plain = Delivery(0, 0, 1, (1_863_000, 0, 0), 3_300_000)
        return WitnessedDelivery(1, seal(plain, charger), seal(plain, car))

    of = trusting()
    tell(of, "A", signed_offer(1, KEYS["car 1"], *FULL_STOP))
    tell(of, "B", signed_offer(2, KEYS["car 2"]))
    for charger, car in ((None, "car 1"), ("A", None), ("car 1", "car 1"), ("A", "A"), ("B", "car 1")):
        with pytest.raises(RemoteProtocolError, match="not signed by who should have said it"):
            tell(of, "A", claim(KEYS[charger] if charger else None, KEYS[car] if car else None), 300_000)
    assert tell(of, "A", claim(KEYS["A"], KEYS["car 1"]), 300_000)[1] == Pay("0.0/stay 1", 1, 0, WORTH)


@pytest.mark.parametrize("signer", [None, KEYS["car 2"], KEYS["A"]], ids=repr)
def test_a_car_is_plugged_in_by_its_own_signature_only(signer: Signer | None) -> None:
    stranger = Mandate(3, "stay 3", 10 * KWH, 6 * HOUR, "car 1")
    of = trusting()
    with pytest.raises(RemoteProtocolError, match="not signed by who should have said it"):
        tell(of, "C", seal(stranger, signer))
    assert tell(of, "C", report(3)) == []
    assert of.worst_import_w(3, 0) is None


def test_a_car_whose_key_nobody_knows_is_not_plugged_in() -> None:
    with pytest.raises(RemoteProtocolError, match="not signed by who should have said it"):
        tell(trusting(), "C", seal(Mandate(3, "stay 3", 10 * KWH, 6 * HOUR, "unknown"), Signer(bytes([99] * 32))))


def replace_call(**changes: int) -> Call:
    fields = {name: getattr(CALL, name) for name in CALL.__struct_fields__}
    return Call(**(fields | changes))


# -- after a crash ----------------------------------------------------------------------------------------------------


def remembers(kept: dict[str, bytes], effects: list[Effect]) -> None:
    """What an outbox keeps of these effects."""
    for effect in effects:
        match effect:
            case Remember(key, value):
                kept[key] = value
            case Forget(key):
                kept.pop(key, None)
            case _:
                pass


def restarted(kept: dict[str, bytes], now_ms: int, site: Site = SITE) -> tuple[Transformer, list[Effect]]:
    """Another transformer that starts with what the one before had made durable."""
    of = Transformer("transformer", site, RULES)
    return of, happens(of, Restarted(2, kept, site.funds_nanos), now_ms)


def kept_after_an_award() -> dict[str, bytes]:
    kept = dict[str, bytes]()
    of = Transformer("transformer", SITE, RULES)
    for charger, session in (("A", 1), ("B", 2)):
        remembers(kept, tell(of, charger, seal(mandate(session))))
        tell(of, charger, report(session))
    tell(of, "homes", BaseReport(3_000))
    happens(of, Woken())
    tell(of, "A", offer(1, *FULL_STOP))
    remembers(kept, tell(of, "B", offer(2)))
    return kept


def test_after_a_crash_it_asks_for_what_it_was_promised_and_wakes_at_the_next_tick() -> None:
    kept = kept_after_an_award()
    assert sorted(kept) == ["award/0.0/stay 1", "session/1", "session/2"]
    of, effects = restarted(kept, 61_000)
    assert opened(effects) == [("A", AWARD)]
    assert wakes(effects) == [91_000, 90_000]
    assert tell(of, "A", delivery(1, 372_600), 62_000)[1] == Pay("0.0/stay 1", 1, 0, 62_100_000)


def test_after_a_crash_it_keeps_quiet_until_all_grants_from_before_are_certainly_over() -> None:
    of, _ = restarted(kept_after_an_award(), 1_000)
    quiet_until_ms = 1_000 + RULES.quiet_ms
    tell(of, "A", Noted(messages.AWARD, 1, 0), 1_000)
    for now_ms in (30_000, 60_000, 90_000, 120_000):
        for charger, session in (("A", 1), ("B", 2)):
            beat = report(session, seq=1 + now_ms // 30_000, stamp_ms=now_ms, heard=(1, session))
            assert tell(of, charger, beat, now_ms) == []
        tell(of, "homes", BaseReport(3_000), now_ms)
        assert opened(happens(of, Woken(), now_ms)) == []
        assert of.worst_import_w(1, now_ms) is None
    assert 120_000 < quiet_until_ms < 150_000
    tell(of, "homes", BaseReport(3_000), 150_000)
    effects = [effect for effect in happens(of, Woken(), 150_000) if isinstance(effect, Send)]
    assert [(effect.to, effect.message) for effect in effects] == [
        ("A", Grant(1, 4_790, 0, 2, 1, 1, 120_000, 90_000)),
        ("B", Grant(2, 11_000, 0, 2, 2, 1, 120_000, 90_000)),
    ]


def test_after_a_crash_what_is_settled_is_not_paid_again() -> None:
    kept, of = dict[str, bytes](), awarded()
    remembers(kept, tell(of, "A", delivery(1, 1_863_000), 300_000))
    remembers(kept, happens(of, Paid(1, 0, WORTH), 300_000))
    again, effects = restarted(kept, 301_000)
    assert opened(effects) == []
    assert opened(tell(again, "A", delivery(1, 1_863_000), 302_000)) == [("A", Receipt(0, 0, 1, WORTH))]


def test_after_a_crash_a_bill_still_waits_for_its_award() -> None:
    kept, of = kept_after_an_award(), awarded()
    remembers(kept, tell(of, "A", Departed(1, KWH, 0), 60_000))
    again, effects = restarted(kept, 61_000)
    assert opened(effects) == [("A", AWARD)]
    assert tell(again, "A", report(1, seq=9), 61_000) == []
    tell(again, "A", delivery(1, 0), 62_000)
    assert Bill(1, 3 * IOTA) in happens(again, Paid(1, 0, 0), 62_000)
    assert opened(tell(again, "A", Departed(1, KWH, 0), 63_000)) == [("A", Noted(DEPARTED, 1))]
