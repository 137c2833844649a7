"""The car under test, in session 7 at its charger, and what is said to it and of it."""

from __future__ import annotations

from tests.agents.words import (
    CALL,
    CHEAP,
    HOUR,
    IOTA,
    KWH,
    award,
    delivered,
    happens,
    plain,
    said_by,
    shown,
)

from wattswap.agents.offers import Call, Memory, OfferBook, Own, Strategy
from wattswap.agents.rules import Rules
from wattswap.agents.vehicle import Vehicle, VehicleProfile
from wattswap.protocol.draws import Draws
from wattswap.protocol.effects import Effect, Send
from wattswap.protocol.events import Event, Metered, PluggedIn, Reading, Received, Unplugged
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import AWARD as AN_AWARD
from wattswap.protocol.messages import (
    MANDATE,
    Ack,
    Cleared,
    Inner,
    Release,
)

PLUG = PluggedIn(7, "stay 7", "charger", 10 * KWH, None, 11_000, 11_000, 60 * KWH, 18 * KWH)
READING = Reading(7, 10 * KWH, 10 * KWH, 30 * KWH, 11_000, 11_000, 11_000, 3 * HOUR, drew=True)
AWARD = award(7)
REDUCED, FULL = Metered(7, 4_790, 0, 11_000, 4_790, 0), Metered(7, 11_000, 0, 11_000, 11_000, 1)
BACK = Metered(7, 11_000, 0, 4_790, 11_000, 40)
"""Twenty minutes later it draws as much beyond its baseline as it gave up in a tick."""
ONE_TICK, NOTHING = delivered(7, 30), delivered(7, 0)
RETURNED = delivered(7, 30, back_ws=186_300, ticks=40)
ACKED = Ack(AN_AWARD, 7, 0)
LEAVE = Unplugged(7, 5 * KWH, 0)


def cheap(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Would stop for as little as the award pays."""
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=CHEAP)


def car(strategy: Strategy = cheap, **keys: Signer | bytes | None) -> Vehicle:
    profile = VehicleProfile(strategy, "mine", 1, 880, IOTA // 2, 3 * IOTA)
    return Vehicle("car", profile, Rules(), **keys)  # type: ignore[arg-type]


def at_work(*events: Event | Inner | Release | Cleared, strategy: Strategy = cheap) -> Vehicle:
    """A car that is plugged in, its mandate acknowledged, and knows where it stands, after these events."""
    vehicle = car(strategy)
    for event in (PLUG, Received("charger", Ack(MANDATE, 7)), READING, *events):
        tell(vehicle, event)
    return vehicle


def awarded(*events: Event | Inner | Release | Cleared) -> Vehicle:
    """A car that answered a call and won, after these events."""
    return at_work(CALL, AWARD, *events)


def tell(vehicle: Vehicle, event: Event | Inner | Release | Cleared, now_ms: int = 30_000) -> list[object]:
    """What the car says to its charger, unsealed. Messages come from the charger, sealed where they travel so."""
    return [said(effect) for effect in shown(does(vehicle, event, now_ms))]


def does(vehicle: Vehicle, event: Event | Inner | Release | Cleared, now_ms: int = 30_000) -> list[Effect]:
    """The same as it stands, with what it wants remembered and when it wants to be woken."""
    return happens(vehicle, said_by("charger", event), now_ms)


def said(effect: Effect) -> object:
    assert isinstance(effect, Send)
    assert effect.to == "charger"
    return plain(effect.message)
