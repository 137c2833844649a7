"""What is delivered, paid and receipted; releases, departures and bills."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.agents.transformer.two_cars import (
    AWARD,
    CLEARED,
    FULL_STOP,
    awarded,
    called,
    grant,
    offer,
    opened,
    pass_ticks,
    report,
    street,
    tell,
    wakes,
)
from tests.agents.words import (
    CHEAP,
    HOUR,
    IOTA,
    KWH,
    LATER,
    MOST,
    SITE,
    SOON,
    WAITED,
    WORTH,
    happens,
    mandate,
    of_kind,
    witnessed,
)

from wattswap.protocol import messages
from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Bill, Forget, NoteAward, NoteEnd, NoteTrade, Pay, Remember, Reserve, Send
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Billed, Paid, Woken
from wattswap.protocol.messages import (
    DEPARTED,
    MANDATE,
    Ack,
    BaseReport,
    Delivery,
    Departed,
    Inner,
    Offer,
    Receipt,
    Release,
    ReliefCall,
    WitnessedDelivery,
)


def test_a_delivery_is_noted_and_paid() -> None:
    assert tell(awarded(), "A", witnessed(1, 1_863_000), LATER) == [
        NoteEnd(0, 1),
        NoteTrade(
            tick=0,
            session=1,
            payment_id="0.0/stay 1",
            award_w=(6_210, 0, 0),
            price_nanos_per_kwh_h=(CHEAP, 0, 0),
            delivered_ws=(1_863_000, 0, 0),
            returned_ws=1_863_000,
            rent=1_863_000 * WAITED,
            nanos=(WORTH, 0, 0),
            offered_w=(6_860, 4_140, 0),
            ask_nanos_per_kwh_h=(CHEAP, CHEAP, 0),
            baseline_ws=3_300_000,
            disputed=False,
        ),
        Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", WORTH),
    ]


@pytest.mark.parametrize(
    ("charger_ws", "car_ws", "counts_ws", "disputed"),
    [(1_800_000, 1_700_000, 1_700_000, False), (1_700_000, 1_800_000, 1_700_000, False), (0, 1_863_000, 0, True)],
)
def test_the_lower_of_two_meters_is_paid(charger_ws: int, car_ws: int, counts_ws: int, disputed: bool) -> None:
    *_, note, pay = tell(awarded(), "A", witnessed(1, charger_ws, car_ws), LATER)
    assert isinstance(note, NoteTrade)
    assert note.delivered_ws == (counts_ws, 0, 0)
    assert note.disputed is disputed
    assert pay == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", 2 * CHEAP * counts_ws // KWH)


def test_no_claim_is_paid_beyond_what_was_awarded() -> None:
    """Charger and car may belong to the same person; its reserve is the most they get."""
    assert tell(awarded(), "A", witnessed(1, 10**12), LATER)[-1] == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", MOST)


def test_a_delivery_said_again_is_paid_once() -> None:
    of = awarded()
    tell(of, "A", witnessed(1, 1_863_000), LATER)
    assert tell(of, "A", witnessed(1, 1_863_000), LATER) == []
    receipt = happens(of, Paid(1, 0, WORTH, 0), 300_000)
    again = tell(of, "A", witnessed(1, 1_863_000), 330_000)  # who says it again has missed the receipt
    assert opened(again) == opened(receipt)
    assert tell(of, "A", witnessed(1, 1_863_000, tick=3), 330_000) == []


def test_a_delivery_without_an_award_is_not_paid() -> None:
    of = awarded()
    assert tell(of, "B", witnessed(2, 1_863_000)) == []
    assert tell(of, "A", witnessed(1, 1_863_000, tick=1)) == []
    elsewhere = seal(Delivery(1, 0, 1, (5, 0, 0), 5, 0, 0))
    assert tell(of, "A", WitnessedDelivery(1, elsewhere, elsewhere)) == []


def test_charger_and_car_must_claim_the_same_award() -> None:
    mixed = WitnessedDelivery(1, witnessed(1, 5, tick=1).charger, witnessed(1, 5).vehicle)
    with pytest.raises(RemoteProtocolError, match="two different awards"):
        tell(awarded(), "A", mixed)


def test_nobody_claims_with_another_cars_word() -> None:
    stolen = WitnessedDelivery(1, witnessed(1, 5).charger, witnessed(2, 5).vehicle)
    with pytest.raises(RemoteProtocolError, match="holds none of session 1"):
        tell(awarded(), "A", stolen)


@pytest.mark.parametrize("inside", [mandate(1), Offer(0, 0, 1, ())], ids=repr)
def test_what_is_no_delivery_is_refused(inside: Inner) -> None:
    with pytest.raises(RemoteProtocolError, match="holds none of session 1"):
        tell(awarded(), "A", WitnessedDelivery(1, seal(inside), witnessed(1, 5).vehicle))


def test_once_the_book_has_paid_the_car_gets_its_receipt() -> None:
    of = awarded()
    tell(of, "A", witnessed(1, 1_863_000), LATER)
    assert opened(happens(of, Paid(1, 0, WORTH, 0))) == [("A", Receipt(0, 0, 1, WORTH))]
    assert happens(of, Paid(1, 0, WORTH, 0)) == []


@pytest.mark.parametrize(("watts", "covered"), [(3_105, True), (3_106, False)])
def test_what_a_reserve_had_left_can_be_promised_again_and_no_more(watts: int, covered: bool) -> None:
    """Half of the reserve was paid; the other half buys 3,105 W for the same time."""
    of = awarded(replace(SITE, funds_nanos=MOST))
    pass_ticks(of, 300_000)
    tell(of, "A", witnessed(1, 931_500), LATER)
    happens(of, Paid(1, 0, MOST // 2, MOST - MOST // 2), 300_000)
    happens(of, Woken(), 300_000)
    tell(of, "A", offer(1, tick=10), 300_000)
    effects = opened(tell(of, "B", offer(2, (watts, CHEAP), tick=10), 300_000))
    assert (Reserve("0.10/stay 2", MOST // 2) in effects) == covered
    assert any(isinstance(effect, NoteAward) for effect in effects) == covered


def test_who_claims_early_ends_its_award_and_may_be_called_again() -> None:
    of = awarded()
    pass_ticks(of, 60_000)
    assert tell(of, "A", witnessed(1, 372_600), 60_000)[-1] == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", SOON)
    calls = of_kind(opened(happens(of, Woken(), 60_000)), tuple)
    assert [to for to, _ in calls] == ["A", "B"]


def test_an_award_is_said_again_until_the_car_has_noted_it() -> None:
    of = called()
    tell(of, "A", offer(1, *FULL_STOP))
    assert wakes(tell(of, "B", offer(2))) == [30_000]
    for now_ms in (30_000, 60_000):
        pass_ticks(of, now_ms, since_ms=now_ms - 30_000)
        assert opened(happens(of, Woken(), now_ms))[0] == ("A", AWARD)
    tell(of, "A", Ack(messages.AWARD, 1, 0), 60_000)
    pass_ticks(of, 90_000, since_ms=60_000)
    assert opened(happens(of, Woken(), 90_000)) == [("A", grant(1, 4_790, 0)), ("B", grant(2, 11_000, 0))]


def test_once_its_car_has_left_an_award_asks_for_its_delivery_until_it_comes() -> None:
    of = awarded()
    tell(of, "A", Departed(1, KWH, 0), 301_000)
    assert ("A", AWARD) in opened(happens(of, Woken(), 331_000))
    tell(of, "A", witnessed(1, 1_863_000), 332_000)
    assert ("A", AWARD) not in opened(happens(of, Woken(), 361_000))


def test_what_is_noted_and_not_owed_changes_nothing() -> None:
    of = awarded()
    for kind, session, tick in ((messages.AWARD, 1, 7), (messages.AWARD, 9, 0), (MANDATE, 1, 0), (DEPARTED, 1, 0)):
        assert tell(of, "A", Ack(kind, session, tick)) == []


def test_a_payment_nobody_asked_for_is_ignored() -> None:
    assert happens(street(), Paid(1, 0, 5, 0)) == []


def test_awards_whose_window_is_over_bind_no_longer_and_are_still_paid() -> None:
    of = awarded()
    pass_ticks(of, 300_000)
    assert opened(happens(of, Woken(), 300_000)) == [
        NoteEnd(0, 1),
        ("A", ReliefCall(0, 10, 5_800, 300_000, 600_000, 302_000)),
        ("B", ReliefCall(0, 10, 5_800, 300_000, 600_000, 302_000)),
    ]
    assert tell(of, "A", witnessed(1, 1_863_000), LATER)[-1] == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", WORTH)


def test_awards_no_longer_needed_are_released_and_their_power_is_granted_again() -> None:
    of = awarded()
    pass_ticks(of, 60_000)
    tell(of, "homes", BaseReport(-3_200), 60_000)
    assert opened(happens(of, Woken(), 60_000)) == [
        NoteEnd(0, 1),
        ("A", Release(0, 0, 1)),
        ("B", grant(2, 11_000, 0)),
        ("A", grant(1, 11_000, 0)),
    ]
    assert tell(of, "A", witnessed(1, 372_600), 60_000)[-1] == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", SOON)


def test_a_watt_too_much_and_awards_stay() -> None:
    of = awarded()
    pass_ticks(of, 60_000)
    tell(of, "homes", BaseReport(-3_199), 60_000)
    assert opened(happens(of, Woken(), 60_000)) == [("A", grant(1, 4_790, 0)), ("B", grant(2, 11_000, 0))]


def test_a_departed_car_is_billed_once() -> None:
    of = street()
    ack = ("A", Ack(DEPARTED, 1))
    done = opened(tell(of, "A", Departed(1, 10 * KWH, 2 * KWH), HOUR))
    assert done == [ack, Bill(1, "stay 1", "car 1", 30 * IOTA)], "nobody bought what its charger says it fed"
    assert tell(of, "A", Departed(1, 10 * KWH, 2 * KWH), HOUR) == [Send(*ack)]
    happens(of, Woken())
    assert tell(of, "A", report(1, seq=2)) == []


def test_a_departure_is_made_durable_before_it_is_noted_and_billed() -> None:
    kinds = [type(effect) for effect in tell(street(), "A", Departed(1, 10 * KWH, 2 * KWH), HOUR)]
    assert kinds == [Remember, Remember, Forget, Send, Bill, Remember, Forget]


def test_a_car_that_left_and_never_claims_is_billed_after_a_day() -> None:
    """It would have charged for nothing, and kept the site's tokens reserved for ever."""
    of = awarded()
    tell(of, "A", Departed(1, KWH, 0), 60_000)
    day_later_ms = 60_000 + 24 * HOUR
    assert of_kind(happens(of, Woken(), day_later_ms - 30_000), Pay) == []
    [pay] = of_kind(happens(of, Woken(), day_later_ms), Pay)
    assert pay == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", 0)
    [bill] = of_kind(happens(of, Paid(1, 0, 0, MOST), day_later_ms), Bill)
    assert bill == Bill(1, "stay 1", "car 1", 3 * IOTA)
    assert of.uncommitted_nanos == SITE.funds_nanos
    assert not of.owes
    late = tell(of, "A", witnessed(1, 372_600), day_later_ms + 1)
    assert opened(late) == [("A", Receipt(0, 0, 1, 0))], "who comes later hears that nothing was paid"


def test_a_bill_waits_until_the_award_is_settled() -> None:
    of = awarded()
    assert opened(tell(of, "A", Departed(1, KWH, 0), 60_000)) == [("A", Ack(DEPARTED, 1)), NoteEnd(0, 1)]
    assert of.owes
    assert tell(of, "A", witnessed(1, 372_600), 61_000)[-1] == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", SOON)
    assert opened(happens(of, Paid(1, 0, SOON, MOST - SOON), 61_000)) == [
        ("A", Receipt(0, 0, 1, SOON)),
        Bill(1, "stay 1", "car 1", 3 * IOTA),
    ]
    assert not of.owes


def test_a_car_without_a_mandate_owes_nothing() -> None:
    assert opened(tell(street(), "C", Departed(3, KWH, 0))) == [("C", Ack(DEPARTED, 3))]


def test_a_mandate_that_comes_after_its_departure_is_void() -> None:
    of = street()
    tell(of, "C", Departed(3, 0, 0))
    assert tell(of, "C", seal(mandate(3))) == [Send("C", Ack(MANDATE, 3))]
    assert tell(of, "C", report(3)) == []


def test_what_a_bill_brings_can_be_promised() -> None:
    of = called(replace(SITE, funds_nanos=0))
    happens(of, Billed(9, MOST))
    tell(of, "A", offer(1, *FULL_STOP))
    assert opened(tell(of, "B", offer(2))) == CLEARED
