"""One round from reading to receipt, message by message; see ``two_chargers`` for the evening it tells of."""

from __future__ import annotations

from tests.agents.two_chargers import (
    HASTY,
    PATIENT,
    earned,
    heartbeat,
    meter,
    paid,
    plug_in,
    read,
    street,
    whole_round,
)
from tests.agents.words import (
    CALL,
    CHEAP,
    DEAR,
    HOUR,
    IOTA,
    KWH,
    WORTH,
    award,
    delivered,
    full_stop,
    of_kind,
)

from wattswap.protocol import messages
from wattswap.protocol.effects import (
    Bill,
    NoteAward,
    NoteForced,
    NoteRound,
    NoteTrade,
    Pay,
    Reserve,
    SetPower,
)
from wattswap.protocol.events import (
    Unplugged,
    Woken,
)
from wattswap.protocol.messages import (
    DEPARTED,
    MANDATE,
    Ack,
    BaseReport,
    Departed,
    Grant,
    Mandate,
    Receipt,
    Release,
    ReliefCall,
    Report,
)

OFFER, AWARD = full_stop(PATIENT), award(PATIENT)


def test_a_round_is_said_in_this_order() -> None:
    wire = street()

    # A car says what it needs when it is plugged in; then everyone says where it stands.
    plug_in(wire)
    assert wire.heard() == [
        ("car A", "charger A", Mandate(PATIENT, "stay A", 10 * KWH, 3 * HOUR + 3_272_728, "car A")),
        ("charger A", "transformer", Mandate(PATIENT, "stay A", 10 * KWH, 3 * HOUR + 3_272_728, "car A")),
        ("transformer", "charger A", Ack(MANDATE, PATIENT)),
        ("charger A", "car A", Ack(MANDATE, PATIENT)),
        ("car B", "charger B", Mandate(HASTY, "stay B", 10 * KWH, 1 * HOUR + 3_272_728, "car B")),
        ("charger B", "transformer", Mandate(HASTY, "stay B", 10 * KWH, 1 * HOUR + 3_272_728, "car B")),
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
        ("transformer", "charger A", Grant(PATIENT, 4_790, 0, 1, 1, 1, 0, 90_000)),
        ("transformer", "charger B", Grant(HASTY, 11_000, 0, 1, 2, 1, 0, 90_000)),
        ("charger A", "transformer", heartbeat(PATIENT, 2)),
        ("charger A", "car A", AWARD),
        ("car A", "charger A", Ack(messages.AWARD, PATIENT, 0)),
        ("charger A", "transformer", Ack(messages.AWARD, PATIENT, 0)),
    ]
    assert wire.alarms["transformer"] == {2_000, 30_000}
    assert wire.alarms["charger A"] == wire.alarms["charger B"] == {90_000}
    assert wire.did() == [
        NoteRound(
            tick=0,
            need_w=5_800,
            ceiling_nanos_per_kwh=5 * IOTA,
            called=2,
            kept=0,
            offered_w=22_000,
            awarded_w=6_210,
            price_nanos_per_kwh=CHEAP,
            reduce_awards=1,
            feed_awards=0,
        ),
        Reserve("0.0/stay A", WORTH),
        NoteAward(0, PATIENT, 6_210, 0),
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
        ("charger A", "transformer", heartbeat(PATIENT, 3, 30_000, heard=1)),
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

    # With the tenth the window is over: the car claims, its charger bears witness, it is paid and receipted.
    meter(wire, 4_790)
    delivery = delivered(PATIENT, 300)
    assert wire.heard() == [
        ("car A", "charger A", delivery),
        ("charger A", "transformer", (PATIENT, delivery, delivery)),
        ("transformer", "charger A", Receipt(0, 0, PATIENT, WORTH)),
        ("charger A", "car A", Receipt(0, 0, PATIENT, WORTH)),
    ]
    assert wire.did() == [
        NoteTrade(
            tick=0,
            session=PATIENT,
            payment_id="0.0/stay A",
            award_w=(6_210, 0, 0),
            price_nanos_per_kwh=(CHEAP, 0, 0),
            delivered_ws=(1_863_000, 0, 0),
            nanos=(WORTH, 0, 0),
            offered_w=(6_860, 4_140, 0),
            ask_nanos_per_kwh=(CHEAP, CHEAP, 0),
            baseline_ws=3_300_000,
            disputed=False,
        ),
        Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", WORTH),
    ]
    assert earned(wire, "car A") == WORTH
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
        assert earned(wire, "car A") == WORTH


def test_a_release_pays_what_was_delivered_until_then() -> None:
    """After four ticks the homes go dark: 18.6 kW of 19.2 are enough below the target."""
    wire = street()
    plug_in(wire)
    wire.happens("transformer", Woken())
    meter(wire, 4_790, ticks=4)
    read(wire, base_w=-3_400)
    wire.heard(), wire.did()
    wire.happens("transformer", Woken())
    delivery = delivered(PATIENT, 120)
    assert wire.heard() == [
        ("transformer", "charger A", Release(0, 0, PATIENT)),
        ("transformer", "charger B", Grant(HASTY, 11_000, 0, 1, 9, 1, 120_000, 90_000)),
        ("transformer", "charger A", Grant(PATIENT, 11_000, 0, 1, 10, 1, 120_000, 90_000)),
        ("charger A", "car A", Release(0, 0, PATIENT)),
        ("car A", "charger A", delivery),
        ("charger A", "transformer", (PATIENT, delivery, delivery)),
        ("transformer", "charger A", Receipt(0, 0, PATIENT, WORTH * 4 // 10)),
        ("charger A", "car A", Receipt(0, 0, PATIENT, WORTH * 4 // 10)),
    ]
    assert paid(wire.did()) == [Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", WORTH * 4 // 10)]


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
    assert set(calls) == {ReliefCall(0, 5, 5_800, 5 * IOTA, 150_000, 300_000, 152_000)}
    meter(wire, 4_790, ticks=5)
    half = 606_000_000 * 6_210 * 150 // KWH  # two and a half minutes later its hours are worth a little more
    assert paid(wire.did()) == [Pay("0.5/stay A", PATIENT, 5, "stay A", "car A", half)]
    assert earned(wire, "car A") == WORTH * 4 // 10 + half


def test_a_car_that_leaves_is_paid_for_what_it_delivered() -> None:
    wire = street()
    plug_in(wire)
    wire.happens("transformer", Woken())
    meter(wire, 4_790, ticks=3)
    wire.heard(), wire.did()
    wire.happens("car A", Unplugged(PATIENT, 4_790 * 90, 0))
    assert wire.heard() == [("car A", "charger A", delivered(PATIENT, 90))], (
        "its charger has not counted to the end yet"
    )
    wire.happens("charger A", Unplugged(PATIENT, 4_790 * 90, 0))
    delivery = delivered(PATIENT, 90)
    part = WORTH * 3 // 10
    assert wire.heard() == [
        ("charger A", "transformer", (PATIENT, delivery, delivery)),
        ("charger A", "transformer", Departed(PATIENT, 4_790 * 90, 0)),
        ("transformer", "charger A", Ack(DEPARTED, PATIENT)),
        ("transformer", "charger A", Receipt(0, 0, PATIENT, part)),
        ("charger A", "car A", Receipt(0, 0, PATIENT, part)),
    ]
    bill = Bill(PATIENT, "stay A", "car A", 4_790 * 90 * 3 * IOTA // KWH)
    did = wire.did()
    assert (did[0], *did[2:]) == (SetPower(PATIENT, 0, 0), Pay("0.0/stay A", PATIENT, 0, "stay A", "car A", part), bill)
    assert earned(wire, "car A") == part


def test_an_award_the_site_cannot_pay_is_not_made() -> None:
    """0.3105 IOTA are more than nothing: the last resort cuts instead, and no token moves."""
    _, did = whole_round(street(funds_iota=0))
    assert not of_kind(did, Reserve, NoteAward, Pay)
    assert of_kind(did, NoteForced)
