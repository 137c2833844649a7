"""What others claim is believed within bounds: what was bought, what the time allows, what the car's mandate says.

Each is an attack that once worked, by a charger and a car of one owner, or by one of them alone.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from tests.agents.transformer.two_cars import (
    awarded,
    grant,
    offer,
    opened,
    pass_ticks,
    report,
    street,
    tell,
    until_an_award,
)
from tests.agents.words import (
    CHEAP,
    HOUR,
    IOTA,
    KWH,
    ROSTER,
    RULES,
    SITE,
    award,
    happens,
    mandate,
    of_kind,
    remembered,
    survived,
    witnessed,
)

from wattswap.agents import claims
from wattswap.agents.bought_feed import BoughtFeed
from wattswap.agents.parties import Party, Session
from wattswap.agents.transformer import Transformer
from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Bill, Effect, NoteAward, Pay, Send
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Paid, Woken
from wattswap.protocol.messages import (
    MANDATE,
    Ack,
    BaseReport,
    CappedOffer,
    Departed,
    Mandate,
    Offer,
    ReliefCall,
    Tranche,
)
from wattswap.protocol.units import MOST_NANOS, MOST_W, MOST_WS

OVER = 300_000
"""The end of the award's window."""


def named(session: int, session_id: str) -> Mandate:
    return msgspec.structs.replace(mandate(1), session=session, session_id=session_id)


def test_a_claim_right_after_its_award_is_worth_two_ticks_of_waiting_at_most() -> None:
    """The two meters agree on all that was bought and on two hours of rent, a millisecond after the award."""
    *_, pay = tell(awarded(), "A", witnessed(1, 1_863_000), 1)
    assert isinstance(pay, Pay)
    sold_ws = 6_210 * 60_001 // 1_000  # of the millisecond and two ticks
    assert pay.nanos == 300 * sold_ws * 2 * 30 // 12_960


def test_an_id_that_is_billed_is_never_billed_again() -> None:
    """A second bill under one key is refused by the book, and stopped the transformer for good."""
    of = street()
    done = tell(of, "A", Departed(1, KWH, 0), HOUR)
    assert [bill.session_id for bill in of_kind(done, Bill)] == ["stay 1"]
    again = Transformer("transformer", SITE, RULES, ROSTER)
    happens(again, survived(done, site_nanos=SITE.funds_nanos), HOUR)
    for transformer in (of, again):
        with pytest.raises(RemoteProtocolError, match="a mandate for session stay 1, which is billed already"):
            tell(transformer, "A", seal(named(7, "stay 1")), HOUR)


@pytest.mark.parametrize(("charger", "car"), [("C", "car 3"), ("A", "car 1")], ids=["another car", "the same car"])
@pytest.mark.parametrize(("number", "id_"), [(9, "stay 1"), (1, "stay 9")], ids=["its id", "its number"])
def test_nobody_takes_the_session_of_a_car_that_has_left_and_is_not_billed_yet(
    charger: str, car: str, number: int, id_: str
) -> None:
    """Its id would be billed twice, which stopped the transformer for good; its number lost its bill."""
    of = awarded()
    left = tell(of, "A", Departed(1, KWH, 0), 60_000)
    again = Transformer("transformer", SITE, RULES, ROSTER)
    happens(again, survived(until_an_award(), left, site_nanos=SITE.funds_nanos), 60_000)
    for transformer in (of, again):
        if (charger, number) == ("A", 1):
            assert tell(transformer, charger, seal(named(1, id_)), 60_000) == [Send("A", Ack(MANDATE, 1))]
        else:
            with pytest.raises(RemoteProtocolError, match="1, stay 1 is not billed yet"):
                tell(transformer, charger, seal(msgspec.structs.replace(named(number, id_), payee=car)), 60_000)
        assert transformer.worst_import_w(number, 300_000) is None
        tell(transformer, "A", witnessed(1, 0), 90_000)
        assert [bill.session_id for bill in of_kind(happens(transformer, Paid(1, 0, 0, 0), 90_000), Bill)] == ["stay 1"]


@pytest.mark.parametrize(
    ("departed", "says"),
    [
        (Departed(1, 0, 10**14), "cannot have fed 100000000000000 ws in 4200 s"),
        (Departed(1, 0, 11_000 * 4_200 + 1), "cannot have fed"),
        (Departed(1, 10 * KWH + 11_000 * 4_200 + 1, 0), "cannot have drawn 82200001 ws in 4200 s"),
        (Departed(1, MOST_WS, 11_000 * 4_200), "cannot have drawn"),
    ],
)
def test_totals_that_cannot_be_are_not_billed(departed: Departed, says: str) -> None:
    """A charger alone could empty the site's account, or its car's, by a single message."""
    of = street()
    with pytest.raises(RemoteProtocolError, match=says):
        tell(of, "A", departed, HOUR)
    honest: list[Effect] = tell(of, "A", Departed(1, 10 * KWH, 0), HOUR)
    assert [bill.nanos for bill in of_kind(honest, Bill)] == [30 * IOTA], "the right totals are taken all the same"


def test_a_charger_is_paid_for_no_feeding_that_nobody_bought() -> None:
    """Its word alone emptied the site's account: ten hours at full power, and not one award."""
    of = street()
    assert [bill.nanos for bill in of_kind(tell(of, "A", Departed(1, 0, 11_000 * 36_000), 10 * HOUR), Bill)] == [0]


def test_what_a_car_fed_under_awards_counts_up_to_their_last_leases_and_outlives_a_crash() -> None:
    """300 s at 5 kW, and as long as a charger that hears nothing may go on."""
    feeds = msgspec.structs.replace(award(1), award_w=(6_860, 4_140, 5_000))
    most_ws = 5_000 * (300_000 + RULES.certain_lease_ms + 60_000) // 1_000
    first = BoughtFeed(RULES)
    kept = remembered(first.buy(feeds, 0))
    again = BoughtFeed(RULES)
    again.restore(kept)
    for of in (first, again):
        assert of.leave(Departed(1, KWH, most_ws + 1))[0] == Departed(1, KWH, most_ws)
        assert of.leave(Departed(1, KWH, most_ws))[0] == Departed(1, KWH, 0), "once it has left there is nothing more"
    honest = BoughtFeed(RULES)
    honest.buy(feeds, 0)
    honest.buy(msgspec.structs.replace(feeds, tick=10), 0)
    left, forget = honest.leave(Departed(1, KWH, most_ws + 1))
    assert (left.exported_ws, len(forget)) == (most_ws + 1, 1)


def test_a_car_is_no_greater_than_its_mandate_says() -> None:
    """A charger that reports 100 MW made a call that no car could read, or crowded its neighbours out."""
    of = street(base_w=6_000)
    tell(of, "A", report(1, MOST_W, seq=2))
    [call, _] = [what for _, what in of_kind(opened(happens(of, Woken())), tuple)]
    assert isinstance(call, ReliefCall)
    assert call.need_w == 6_000 + 11_000 + 11_000 - (20_000 - 800)


def test_a_car_is_no_greater_than_its_charger() -> None:
    """A mandate may state anything; what its charger is rated for is known to the transformer itself."""
    of = Transformer("transformer", SITE, RULES, ROSTER)
    tell(of, "A", seal(msgspec.structs.replace(mandate(1), max_w=MOST_W)))
    tell(of, "A", report(1, MOST_W))
    tell(of, "homes", BaseReport(6_000))
    [call] = [what for _, what in of_kind(opened(happens(of, Woken())), tuple) if isinstance(what, ReliefCall)]
    assert call.need_w == 6_000 + 22_000 - (20_000 - 800)


@pytest.mark.parametrize("claimed", [(0, 0), (KWH, 10 * IOTA), (MOST_WS, MOST_NANOS)])
def test_who_only_claims_to_have_waited_comes_after_who_has(claimed: tuple[int, int]) -> None:
    """Car 1 gave way for five minutes; car 2 never did, whatever its charger reports. There is room for one of them."""
    of = awarded()
    pass_ticks(of, OVER)
    for charger, session, (owed_ws, price) in (("A", 1, (6_210 * 300, CHEAP)), ("B", 2, claimed)):
        said = report(session, 1_500, seq=20, stamp_ms=OVER)
        tell(of, charger, msgspec.structs.replace(said, wanted_w=11_000, owed_ws=owed_ws, rent_price=price), OVER)
    tell(of, "homes", BaseReport(5_000), OVER)
    done = opened(happens(of, Woken(), OVER))
    assert ("B", grant(2, 1_500, 0)) in done, "car 1 follows as soon as this is confirmed"


def test_a_lot_waits_for_no_more_than_was_bought_by_now() -> None:
    """A car that sold 6,210 W says after a minute that it waits for more than there is, at more than all money."""
    told = msgspec.structs.replace(report(1), owed_ws=MOST_WS, rent_price=MOST_NANOS)
    session = Session(Party("stay 1", "A", "car 1"), 1, 10 * KWH, 11_000, 22_000, 0)
    believed = claims.possible(told, session, [(award(1), 0)], 60_000, RULES)
    assert (believed.owed_ws, believed.rent_price) == (6_210 * 120, CHEAP)


def test_a_car_feeds_no_more_than_its_charger_is_rated_for() -> None:
    """Charger B, rated for 22 kW, passes on an offer to feed 100 MW beside a cap that says the same."""
    of = street(replace(SITE, funds_nanos=10**6 * IOTA), base_w=100_000)
    happens(of, Woken())
    tell(of, "A", offer(1))
    feeds = Offer(0, 0, 2, (Tranche(0, 0), Tranche(0, 0), Tranche(MOST_W, IOTA)))
    done = tell(of, "B", CappedOffer(2, MOST_W, seal(feeds)))
    assert [note.award_w for note in of_kind(done, NoteAward)] == [(0, 0, 22_000)]


def test_a_car_that_says_what_it_can_feed_says_no_more_than_its_charger_is_rated_for() -> None:
    session = Session(Party("stay 1", "A", "car 1"), 1, 10 * KWH, 11_000, 22_000, 0)
    for said_w, believed_w in ((None, None), (22_000, 22_000), (MOST_W, 22_000)):
        told = msgspec.structs.replace(report(1), feed_w=said_w)
        assert claims.possible(told, session, [], 0, RULES).feed_w == believed_w


def test_what_was_drawn_is_an_amount_of_money_by_itself() -> None:
    """A mandate may state any need. Feeding made up for the rest, and then was none, for nobody had bought it."""
    of = Transformer("transformer", replace(SITE, tariff_nanos_per_kwh=30 * IOTA), RULES, ROSTER)
    tell(of, "A", seal(msgspec.structs.replace(mandate(1), need_ws=MOST_WS)))
    most_ws = MOST_NANOS // (30 * IOTA) * KWH
    with pytest.raises(RemoteProtocolError, match="is no amount of money"):
        tell(of, "A", Departed(1, most_ws + 2 * KWH, 2 * KWH), HOUR)


def test_a_call_asks_for_no_more_than_a_call_can_say() -> None:
    of = street(replace(SITE, limit_w=-MOST_W), base_w=MOST_W)
    calls = [what for _, what in of_kind(opened(happens(of, Woken())), tuple) if isinstance(what, ReliefCall)]
    assert [call.need_w for call in calls] == [MOST_W, MOST_W]


def test_a_charger_opens_no_more_sessions_than_can_be() -> None:
    of = street()
    for session in range(10, 13):
        tell(of, "A", seal(named(session, f"stay {session}")))
    with pytest.raises(RemoteProtocolError, match="A has 4 cars already, and opens session 13"):
        tell(of, "A", seal(named(13, "stay 13")))
    assert tell(of, "A", seal(named(12, "stay 12"))), "one that is open is acknowledged again"
    tell(of, "A", Departed(10, 0, 0))
    assert tell(of, "A", seal(named(13, "stay 13")))
