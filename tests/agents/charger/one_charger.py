"""The charger under test: it has one car, of session 7, and what is said to it and of it."""

from __future__ import annotations

from msgspec import structs
from tests.agents.words import (
    CHEAP,
    DAY_S,
    KWH,
    award,
    delivered,
    happens,
    said_by,
    shown,
)

from wattswap.agents.charger import Charger
from wattswap.agents.rules import Rules
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.effects import Effect, Send
from wattswap.protocol.events import CarStatus, Event, Metered, PluggedIn, Unplugged
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import (
    Award,
    Delivery,
    Departed,
    Grant,
    Inner,
    Message,
    Offer,
    Release,
    Report,
    Sealed,
    Tranche,
    WitnessedDelivery,
)

PLUG = PluggedIn(7, "stay 7", "car", 10 * KWH, None, 11_000, 0, 60 * KWH, 0)
AWARD = award(7)
STATUS = CarStatus(7, 9_000, 11_000, drew=True)
NEXT = structs.replace(PLUG, session=8, session_id="stay 8", peer="other")
LEAVE, LEFT = Unplugged(7, 473_700, 60_000), Departed(7, 473_700, 60_000)
REDUCED = Metered(7, 4_790, 0, 11_000, 4_790, 0)
BACK = Metered(7, 11_000, 0, 4_790, 11_000, 40)
"""Twenty minutes later the car draws as much beyond its baseline as it gave up in a tick."""
CHARGES = Metered(7, 11_000, 0, 11_000, 11_000, 41)
RETURNED = delivered(7, 30, back_ws=186_300, ticks=40)
CLAIM, NOTHING = delivered(7, 30), delivered(7, 0)
NEWER, NEWER_CLAIM = Award(0, 5, 7, 300_000, (690, 0, 0), (CHEAP, 0, 0), DAY_S), delivered(7, 30, sold_w=690, tick=5)
OFFER = seal(Offer(0, 0, 7, (Tranche(6_860, 600_000_000),)), Signer(bytes([9] * 32)))


def charger(*events: Event | Message | Inner, **keys: Signer | bytes | None) -> Charger:
    """A charger with a car of session 7, after these events; messages in it are the transformer's."""
    of = empty(**keys)
    for event in (PLUG, *events):
        tell(of, event)
    return of


def empty(**keys: Signer | bytes | None) -> Charger:
    """One without a car."""
    return Charger("charger", "transformer", 22_000, Rules(), **keys)  # type: ignore[arg-type]


def tell(of: Charger, event: Event | Message | Inner, now_ms: int = 30_000) -> list[Effect]:
    """What it says and sets about an event, or about a message of the transformer."""
    return shown(does(of, event, now_ms))


def does(of: Charger, event: Event | Message | Inner, now_ms: int = 30_000) -> list[Effect]:
    """The same, with what it wants remembered and when it wants to be woken."""
    return happens(of, said_by("transformer", event), now_ms)


def grant(import_w: int, export_w: int = 0, *, session: int = 7, seq: int = 1, epoch: int = 1) -> Grant:
    """A grant for 90 s from 30 s on, the instant at which these tests begin."""
    return Grant(session, import_w, export_w, epoch, seq, 1, 30_000, 90_000)


def report(
    seq: int = 1,
    stamp_ms: int = 30_000,
    heard: tuple[int, int] = (0, 0),
    epoch: int = 1,
    owed_ws: int = 0,
    price: int = 0,
) -> Send:
    """The heartbeat of a charger whose car says what ``STATUS`` does, and owes nothing."""
    return Send("transformer", Report(7, 9_000, 11_000, True, owed_ws, price, epoch, seq, stamp_ms, *heard))


def from_car(of: Charger, message: Inner | Sealed) -> list[Effect]:
    return tell(of, said_by("car", message))


def claim_after(of: Charger, message: Delivery | Sealed) -> list[Effect]:
    """What comes of the car's claim when its award has ended for the charger too, and its meter has counted again."""
    claim = unseal(message) if isinstance(message, Sealed) else message
    assert isinstance(claim, Delivery)
    tell(of, Release(*claim.part))
    return from_car(of, message) or tell(of, CHARGES)


def claimed(effects: list[Effect]) -> tuple[object, object]:
    """The charger's and the car's word in the one witnessed delivery that is said."""
    (effect,) = effects
    assert isinstance(effect, Send)
    assert isinstance(effect.message, WitnessedDelivery)
    assert (effect.to, effect.message.session) == ("transformer", 7)
    return unseal(effect.message.charger), unseal(effect.message.vehicle)
