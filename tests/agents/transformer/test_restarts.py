"""A transformer that has crashed and starts again with what it had made durable."""

from __future__ import annotations

from msgspec import msgpack, structs
from tests.agents.transformer.two_cars import AWARD, awarded, opened, report, tell, until_an_award, wakes
from tests.agents.words import (
    CHEAP,
    IOTA,
    KWH,
    LATER,
    ROSTER,
    RULES,
    SITE,
    SOON,
    WORTH,
    award,
    happens,
    mandate,
    of_kind,
    remembered,
    survived,
    witnessed,
)

from wattswap.agents.award_book import MOST_REPEATED, AwardRecord
from wattswap.agents.obligations import MOST
from wattswap.agents.parties import Party
from wattswap.agents.transformer import Transformer
from wattswap.protocol import messages
from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Bill, Effect, Pay, Send
from wattswap.protocol.events import Paid, Restarted, Woken
from wattswap.protocol.messages import DEPARTED, Ack, BaseReport, Departed, Grant, Receipt


def restarted(now_ms: int, *steps: list[Effect]) -> tuple[Transformer, list[Effect]]:
    """Another transformer that starts with what the one before had made durable."""
    of = Transformer("transformer", SITE, RULES, ROSTER)
    return of, happens(of, survived(*steps, site_nanos=SITE.funds_nanos), now_ms)


def test_after_a_crash_it_asks_for_what_it_was_promised_and_wakes_at_the_next_tick() -> None:
    before = until_an_award()
    assert sorted(remembered(before)) == ["award/0.0/stay 1", "session/1", "session/2"]
    of, effects = restarted(61_000, before)
    assert opened(effects) == [("A", AWARD)]
    assert wakes(effects) == [91_000, 90_000]
    assert tell(of, "A", witnessed(1, 372_600), 62_000)[-1] == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", SOON)


def test_after_a_crash_it_keeps_quiet_until_all_grants_from_before_are_certainly_over() -> None:
    of, _ = restarted(1_000, until_an_award())
    quiet_until_ms = 1_000 + RULES.quiet_ms
    tell(of, "A", Ack(messages.AWARD, 1, 0), 1_000)
    for now_ms in (30_000, 60_000, 90_000, 120_000):
        for charger, session in (("A", 1), ("B", 2)):
            heartbeat = report(session, seq=1 + now_ms // 30_000, stamp_ms=now_ms, heard=(1, session))
            assert tell(of, charger, heartbeat, now_ms) == []
        tell(of, "homes", BaseReport(3_000), now_ms)
        assert opened(happens(of, Woken(), now_ms)) == []
        assert of.worst_import_w(1, now_ms) is None
    assert 120_000 < quiet_until_ms < 150_000
    tell(of, "homes", BaseReport(3_000), 150_000)
    effects = of_kind(happens(of, Woken(), 150_000), Send)
    assert [(effect.to, effect.message) for effect in effects] == [
        ("A", Grant(1, 4_790, 0, 2, 1, 1, 120_000, 90_000)),
        ("B", Grant(2, 11_000, 0, 2, 2, 1, 120_000, 90_000)),
    ]


def test_after_a_crash_it_repeats_the_newest_awards_of_each_car_however_many_cars_there_are() -> None:
    """On a long street of honest cars there are more of them than any other agent may owe."""
    crowd = range(MOST // MOST_REPEATED + 1)
    kept = dict[str, bytes]()
    for session in crowd:
        for window in range(MOST_REPEATED + 1):
            bought = structs.replace(award(session), tick=10 * window)
            record = AwardRecord(bought, Party(f"stay {session}", "A", "car 1"), (6_860, 0, 0), (CHEAP, 0, 0), 10, 0)
            kept[f"award/{record.payment_id}"] = msgpack.encode(record)
    of = Transformer("transformer", SITE, RULES, ROSTER)
    happens(of, Restarted(2, kept, SITE.funds_nanos), LATER)
    assert of.owes == len(crowd) * MOST_REPEATED > MOST


def test_after_a_crash_what_is_settled_is_not_paid_again() -> None:
    of = awarded()
    claimed = tell(of, "A", witnessed(1, 1_863_000), LATER)
    paid = happens(of, Paid(1, 0, WORTH, 0), 300_000)
    again, effects = restarted(301_000, claimed, paid)
    assert opened(effects) == []
    assert opened(tell(again, "A", witnessed(1, 1_863_000), 302_000)) == [("A", Receipt(0, 0, 1, WORTH))]


def test_after_a_crash_a_bill_still_waits_for_its_award() -> None:
    left = tell(awarded(), "A", Departed(1, KWH, 0), 60_000)
    again, effects = restarted(61_000, until_an_award(), left)
    assert opened(effects) == [("A", AWARD)]
    assert tell(again, "A", report(1, seq=9), 61_000) == []
    tell(again, "A", witnessed(1, 0), 62_000)
    assert Bill(1, "stay 1", "car 1", 3 * IOTA) in happens(again, Paid(1, 0, 0, WORTH), 62_000)
    assert opened(tell(again, "A", Departed(1, KWH, 0), 63_000)) == [("A", Ack(DEPARTED, 1))]


def test_after_a_crash_a_late_mandate_of_a_car_that_has_left_is_void() -> None:
    """Its first mandates were lost, so the transformer hears of its departure before it hears of the car."""
    left = tell(Transformer("transformer", SITE, RULES, ROSTER), "A", Departed(1, KWH, 0))
    again, _ = restarted(61_000, left)
    tell(again, "A", seal(mandate(1)), 62_000)
    assert tell(again, "A", report(1), 62_000) == []
    assert again.worst_import_w(1, 200_000) is None
