"""One round from reading to receipt, message by message; see ``two_chargers`` for the evening it tells of."""

from __future__ import annotations

from tests.agents.two_chargers import (
    HASTY,
    PATIENT,
    SOLD_WS,
    draw_back,
    earned,
    heartbeat,
    meter,
    paid,
    plug_in,
    read,
    street,
    waited,
    whole_round,
    worth,
)
from tests.agents.words import (
    CALL,
    CHEAP,
    DEAR,
    HOUR,
    IOTA,
    KWH,
    MOST,
    WAITED,
    award,
    full_stop,
    of_kind,
)

from wattswap.protocol import messages
from wattswap.protocol.effects import (
    Bill,
    NoteAward,
    NoteEnd,
    NoteForced,
    NoteRound,
    NoteTrade,
    Pay,
    Reserve,
    SetPower,
)
from wattswap.protocol.events import (
    Metered,
    Unplugged,
    Woken,
)
from wattswap.protocol.messages import (
    DEPARTED,
    MANDATE,
    Ack,
    BaseReport,
    Cleared,
    Delivery,
    Departed,
    Grant,
    Mandate,
    Receipt,
    Release,
    ReliefCall,
    Report,
)

OFFER, AWARD = full_stop(PATIENT), award(PATIENT)
CLEARED = Cleared(0, 0, CHEAP, IOTA)
BACK = Metered(PATIENT, 11_000, 0, 4_790, 11_000, WAITED + 9)


def drawn_back(gave_way: int, back: int | None = None) -> Delivery:
    """The claim of who gave way for so many ticks and drew what it gave up in so many of them, or in all, back."""
    back = gave_way if back is None else back
    return Delivery(0, 0, PATIENT, (SOLD_WS * gave_way, 0, 0), 330_000 * gave_way, SOLD_WS * back, waited(back))


def test_a_round_is_said_in_this_order() -> None:
    wire = street()

    # A car says what it needs when it is plugged in; then everyone says where it stands.
    plug_in(wire)
    assert wire.heard() == [
        ("car A", "charger A", Mandate(PATIENT, "stay A", 10 * KWH, 11_000, "car A", 3 * HOUR + 3_272_728)),
        ("charger A", "transformer", Mandate(PATIENT, "stay A", 10 * KWH, 11_000, "car A", 3 * HOUR + 3_272_728)),
        ("transformer", "charger A", Ack(MANDATE, PATIENT)),
        ("charger A", "car A", Ack(MANDATE, PATIENT)),
        ("car B", "charger B", Mandate(HASTY, "stay B", 10 * KWH, 11_000, "car B", 1 * HOUR + 3_272_728)),
        ("charger B", "transformer", Mandate(HASTY, "stay B", 10 * KWH, 11_000, "car B", 1 * HOUR + 3_272_728)),
        ("transformer", "charger B", Ack(MANDATE, HASTY)),
        ("charger B", "car B", Ack(MANDATE, HASTY)),
        ("charger A", "transformer", heartbeat(PATIENT, 1)),
        ("charger B", "transformer", heartbeat(HASTY, 1)),
        ("homes", "transformer", BaseReport(3_000)),
    ]
    assert wire.did() == []

    # Nobody wants to be woken but those who would repeat their mandates, which is needless.
    assert wire.alarms == {"car A": {30_000}, "car B": {30_000}}

    # The transformer calls; the cars answer; the last answer clears the round: award, then grants.
    wire.happens("transformer", Woken())
    hasty_offer = full_stop(HASTY, DEAR)
    assert wire.heard() == [
        ("transformer", "charger A", CALL),
        ("transformer", "charger B", CALL),
        ("charger A", "car A", CALL),
        ("charger B", "car B", CALL),
        ("car A", "charger A", OFFER),
        ("car B", "charger B", hasty_offer),
        ("charger A", "transformer", (PATIENT, 11_000, OFFER)),
        ("charger B", "transformer", (HASTY, 11_000, hasty_offer)),
        ("transformer", "charger A", AWARD),
        ("transformer", "charger A", CLEARED),
        ("transformer", "charger B", CLEARED),
        ("transformer", "charger A", Grant(PATIENT, 4_790, 0, 1, 1, 1, 0, 90_000)),
        ("transformer", "charger B", Grant(HASTY, 11_000, 0, 1, 2, 1, 0, 90_000)),
        ("charger A", "transformer", heartbeat(PATIENT, 2)),
        ("charger A", "car A", AWARD),
        ("charger A", "car A", CLEARED),
        ("charger B", "car B", CLEARED),
        ("car A", "charger A", Ack(messages.AWARD, PATIENT, 0)),
        ("charger A", "transformer", Ack(messages.AWARD, PATIENT, 0)),
    ]
    assert wire.alarms["transformer"] == {2_000, 30_000}
    assert wire.alarms["charger A"] == wire.alarms["charger B"] == {90_000}
    assert wire.did() == [
        NoteRound(
            tick=0,
            need_w=5_800,
            called=2,
            kept=0,
            offered_w=22_000,
            awarded_w=6_210,
            price_nanos_per_kwh_h=CHEAP,
            reduce_awards=1,
            feed_awards=0,
        ),
        Reserve("0.0/stay A", MOST),
        NoteAward(0, PATIENT, "0.0/stay A", (6_210, 0, 0), (CHEAP, 0, 0), (6_860, 4_140, 0), (CHEAP, CHEAP, 0)),
        SetPower(PATIENT, 4_790, 0),
        SetPower(HASTY, 11_000, 0),
    ]

    # The deadline passes and is needless. With the next tick all report and all grants are renewed; so it goes on.
    wire.now_ms = 2_000
    wire.happens("transformer", Woken())
    meter(wire, 4_790)
    assert (wire.heard(), wire.did()) == ([], [])
    meter(wire, 4_790)
    assert wire.heard() == [
        ("charger A", "transformer", heartbeat(PATIENT, 3, 30_000, heard=1, gave_way=1)),
        ("charger B", "transformer", heartbeat(HASTY, 2, 30_000, heard=2)),
        ("homes", "transformer", BaseReport(3_000)),
        ("transformer", "charger A", Grant(PATIENT, 4_790, 0, 1, 3, 1, 30_000, 90_000)),
        ("transformer", "charger B", Grant(HASTY, 11_000, 0, 1, 4, 1, 30_000, 90_000)),
    ]
    meter(wire, 4_790, ticks=7)
    assert {type(message) for _, _, message in wire.heard()} == {Report, BaseReport, Grant}
    assert wire.did() == []

    # The tenth tick begins likewise.
    read(wire)
    wire.wake()
    wire.heard()

    # With the tenth the window is over. What was given up waits; nothing is said of it.
    meter(wire, 4_790)
    assert (wire.heard(), wire.did()) == ([], [])
    draw_back(wire, ticks=9)
    assert (wire.heard(), paid(wire.did())) == ([], [])

    # All is drawn back: the car claims, its charger bears witness, it is paid and receipted.
    wire.happens("charger A", BACK)
    wire.happens("car A", BACK)
    delivery = drawn_back(10)
    assert wire.heard() == [
        ("car A", "charger A", delivery),
        ("charger A", "transformer", (PATIENT, delivery, delivery)),
        ("transformer", "charger A", Receipt(0, 0, PATIENT, worth())),
        ("charger A", "car A", Receipt(0, 0, PATIENT, worth())),
    ]
    assert wire.did() == [
        NoteEnd(0, PATIENT),  # it has slept since the window's end
        NoteTrade(
            tick=0,
            session=PATIENT,
            payment_id="0.0/stay A",
            award_w=(6_210, 0, 0),
            price_nanos_per_kwh_h=(CHEAP, 0, 0),
            delivered_ws=(1_863_000, 0, 0),
            returned_ws=1_863_000,
            rent=waited(),
            nanos=(worth(), 0, 0),
            offered_w=(6_860, 4_140, 0),
            ask_nanos_per_kwh_h=(CHEAP, CHEAP, 0),
            baseline_ws=3_300_000,
            disputed=False,
        ),
        Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", worth()),
    ]
    assert earned(wire, "car A") == worth()
    assert earned(wire, "car B") == 0

    # The car leaves: its energy is billed, 47.9 kW-ticks of 30 s at 3 IOTA/kWh.
    for agent in ("car A", "charger A"):
        wire.happens(agent, Unplugged(PATIENT, 4_790 * 300, 0))
    assert wire.heard() == [
        ("charger A", "transformer", Departed(PATIENT, 4_790 * 300, 0)),
        ("transformer", "charger A", Ack(DEPARTED, PATIENT)),
    ]
    assert wire.did() == [SetPower(PATIENT, 0, 0), Bill(PATIENT, "stay A", "car A", 4_790 * 300 * 3 * IOTA // KWH)]


def test_signed_or_not_the_same_is_said_and_done() -> None:
    assert whole_round(street(signed=True)) == whole_round(street())


def test_when_every_message_comes_twice_the_same_is_done() -> None:
    """Or three times: what is said grows, but rounds, awards, payments and earnings stay as they are."""
    expected = whole_round(street())[1]
    for times in (2, 3):
        wire = street(lambda sender, to, message, times=times: times)  # type: ignore[misc]
        did = [effect for effect in whole_round(wire)[1] if not isinstance(effect, SetPower)]
        assert did == [effect for effect in expected if not isinstance(effect, SetPower)]
        assert earned(wire, "car A") == worth()


def test_a_release_pays_what_was_delivered_until_then() -> None:
    """After four ticks the homes go dark: 18.6 kW of 19.2 are enough below the target."""
    wire = street()
    plug_in(wire)
    wire.happens("transformer", Woken())
    meter(wire, 4_790, ticks=4)
    read(wire, base_w=-3_400)
    wire.heard(), wire.did()
    wire.happens("transformer", Woken())
    assert wire.heard() == [
        ("transformer", "charger A", Release(0, 0, PATIENT)),
        ("transformer", "charger B", Grant(HASTY, 11_000, 0, 1, 9, 1, 120_000, 90_000)),
        ("transformer", "charger A", Grant(PATIENT, 11_000, 0, 1, 10, 1, 120_000, 90_000)),
        ("charger A", "car A", Release(0, 0, PATIENT)),
    ]
    draw_back(wire, ticks=4)
    delivery = drawn_back(4)
    assert wire.heard() == [
        ("car A", "charger A", delivery),
        ("charger A", "transformer", (PATIENT, delivery, delivery)),
        ("transformer", "charger A", Receipt(0, 0, PATIENT, worth(4))),
        ("charger A", "car A", Receipt(0, 0, PATIENT, worth(4))),
    ]
    assert paid(wire.did()) == [Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", worth(4))]


def test_after_a_release_a_new_call_in_the_same_window_is_a_new_round() -> None:
    wire = street()
    plug_in(wire)
    wire.happens("transformer", Woken())
    meter(wire, 4_790, ticks=4)
    read(wire, base_w=-3_400)
    wire.happens("transformer", Woken())
    meter(wire, 11_000)
    read(wire)
    wire.heard(), wire.did()
    wire.happens("transformer", Woken())
    calls = [message for _, _, message in wire.heard() if isinstance(message, ReliefCall)]
    assert set(calls) == {ReliefCall(0, 5, 5_800, 150_000, 300_000, 152_000)}
    meter(wire, 4_790, ticks=5)
    assert not paid(wire.did())
    draw_back(wire, ticks=9)
    # Both lots are as dear, and what is drawn back goes to the older one first.
    second = CHEAP // 1_000_000 * (waited(9, since=5) - waited(4, since=5)) * 30 // 12_960
    assert paid(wire.did()) == [
        Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", worth(4)),
        Pay("0.5/stay A", PATIENT, 5, "stay A", "car A", second),
    ]
    assert earned(wire, "car A") == worth(4) + second


def test_a_car_that_leaves_is_paid_for_what_it_drew_back_until_then() -> None:
    wire = street()
    plug_in(wire)
    wire.happens("transformer", Woken())
    meter(wire, 4_790, ticks=10)
    draw_back(wire, ticks=3)
    wire.heard(), wire.did()
    wire.happens("car A", Unplugged(PATIENT, KWH, 0))
    delivery = drawn_back(10, 3)
    assert wire.heard() == [
        ("car A", "charger A", delivery),
        ("charger A", "transformer", (PATIENT, delivery, delivery)),
        ("transformer", "charger A", Receipt(0, 0, PATIENT, worth(3))),
        ("charger A", "car A", Receipt(0, 0, PATIENT, worth(3))),
    ]
    wire.happens("charger A", Unplugged(PATIENT, KWH, 0))
    assert wire.heard() == [
        ("charger A", "transformer", Departed(PATIENT, KWH, 0)),
        ("transformer", "charger A", Ack(DEPARTED, PATIENT)),
    ]
    assert of_kind(wire.did(), Pay, Bill) == [
        Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", worth(3)),
        Bill(PATIENT, "stay A", "car A", 3 * IOTA),
    ]
    assert earned(wire, "car A") == worth(3)


def test_a_car_that_leaves_with_all_that_it_gave_up_is_paid_nothing() -> None:
    wire = street()
    plug_in(wire)
    wire.happens("transformer", Woken())
    meter(wire, 4_790, ticks=3)
    for agent in ("car A", "charger A"):
        wire.happens(agent, Unplugged(PATIENT, 4_790 * 90, 0))
    assert paid(wire.did()) == [Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", 0)]


def test_an_award_the_site_cannot_pay_is_not_made() -> None:
    """3.726 IOTA are more than nothing: the last resort cuts instead, and no token moves."""
    _, did = whole_round(street(funds_iota=0))
    assert not of_kind(did, Reserve, NoteAward, Pay)
    assert of_kind(did, NoteForced)
