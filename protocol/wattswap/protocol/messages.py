"""What agents say to each other: one class per message, closed, positional and bounded; integers and bytes only.

On the wire a message is the MessagePack array ``[tag, field, ...]``. Those that carry rights or money (call, offer,
award, delivery, receipt, mandate) travel ``Sealed``: as the very bytes that were signed, so that whoever passes them on
cannot alter them and no one re-encodes them.

A session is known by its number and a round by (feeder, tick): the tick at which its call went out.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from wattswap.protocol.units import MOST_MS, MOST_NANOS, MOST_W, MOST_WS

Power = Annotated[int, Meta(ge=0, le=MOST_W)]
SignedPower = Annotated[int, Meta(ge=-MOST_W, le=MOST_W)]
Energy = Annotated[int, Meta(ge=0, le=MOST_WS)]
Instant = Annotated[int, Meta(ge=-MOST_MS, le=MOST_MS)]
Price = Annotated[int, Meta(ge=0, le=MOST_NANOS)]
Nanos = Annotated[int, Meta(ge=-MOST_NANOS, le=MOST_NANOS)]
Number = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
Payload = Annotated[bytes, Meta(max_length=768)]
"""Room for a mandate with two names of 80 characters of any script; two of these fit into one frame."""
Signature = Annotated[bytes, Meta(max_length=64)]
Name = Annotated[str, Meta(max_length=80)]


class _Said(Struct, frozen=True, array_like=True, gc=False):
    """Base of all messages: immutable and positional."""


class Tranche(_Said, frozen=True):
    """One step of an offer: so much relief, for at least this price."""

    relief_w: Power
    ask_nanos_per_kwh_h: Price


Tranches = Annotated[tuple[Tranche, ...], Meta(max_length=4)]
TrancheEnergies = Annotated[tuple[Energy, ...], Meta(max_length=4)]
TranchePowers = Annotated[tuple[Power, ...], Meta(max_length=4)]
TranchePrices = Annotated[tuple[Price, ...], Meta(max_length=4)]


class Mandate(_Said, frozen=True, tag=1):
    """Vehicle -> charger -> transformer, at plug-in: its need and departure, and that its bill may be taken.

    The transformer enters the session; the need fixes the baseline until the car leaves.
    """

    session: Number
    session_id: Name
    need_ws: Energy
    departure_ms: Instant
    payee: Name


class Report(_Said, frozen=True, tag=2):
    """Charger -> transformer: its beat, and where its car stands. Replaces the report before.

    It comes with the charger's own reading, so it stops when the charger's mind does. The transformer may answer with
    a grant, whose lease is counted from ``stamp_ms``: two clocks need not agree.
    """

    session: Number
    firm_w: Power
    wanted_w: Power
    due_ms: Instant
    drew: bool
    epoch: Number
    """How often the charger has started."""
    seq: Number
    stamp_ms: Instant
    """The charger's own clock."""
    heard_epoch: Number
    heard_seq: Number
    """The grant in force, or the last one that was."""


class BaseReport(_Said, frozen=True, tag=3):
    """Household -> transformer, each tick: the homes' mean power over the tick that ended; negative with much sun."""

    base_w: SignedPower


class ReliefCall(_Said, frozen=True, tag=4):
    """Transformer -> charger -> vehicle: its bid. The vehicle answers with an offer before ``offers_due_ms``."""

    feeder: Number
    tick: Number
    need_w: Power
    from_ms: Instant
    until_ms: Instant
    offers_due_ms: Instant


class Offer(_Said, frozen=True, tag=5):
    """Vehicle -> charger: its answer; no tranche means keep. The charger adds its cap and passes it on."""

    feeder: Number
    tick: Number
    session: Number
    tranches: Tranches


class Award(_Said, frozen=True, tag=6):
    """Transformer -> charger -> vehicle: relief bought until the window's end. It sets no power; a grant does."""

    feeder: Number
    tick: Number
    session: Number
    until_ms: Instant
    award_w: TranchePowers
    price_nanos_per_kwh_h: TranchePrices


class Release(_Said, frozen=True, tag=7):
    """Transformer -> charger -> vehicle: the award ends now; what was delivered until now is paid."""

    feeder: Number
    tick: Number
    session: Number


class Grant(_Said, frozen=True, tag=8):
    """Transformer -> charger: what the car may draw and shall feed, until the next grant or until the lease is over.

    The lease runs ``lease_ms`` from ``echo_ms``, the stamp of the report it answers; then the charger falls back to
    its guaranteed minimum. A grant that is older than another, or answers a stamp from before a restart, is void.
    """

    session: Number
    import_w: Power
    export_w: Power
    epoch: Number
    """How often the transformer has started."""
    seq: Number
    echo_epoch: Number
    echo_ms: Instant
    lease_ms: Instant


class Delivery(_Said, frozen=True, tag=9):
    """Vehicle -> charger -> transformer, when an award ended: what one meter saw of each tranche."""

    feeder: Number
    tick: Number
    session: Number
    delivered_ws: TrancheEnergies
    baseline_ws: Energy


class Receipt(_Said, frozen=True, tag=10):
    """Transformer -> charger -> vehicle: this award is settled with so many nanos."""

    feeder: Number
    tick: Number
    session: Number
    nanos: Nanos


class Departed(_Said, frozen=True, tag=11):
    """Charger -> transformer: the car unplugged; its meter's totals, from which the bill is made."""

    session: Number
    imported_ws: Energy
    exported_ws: Energy


class Sealed(_Said, frozen=True, tag=12):
    """A message as the bytes its author signed. The signature is empty in runs that leave signatures out."""

    kind: Number
    """The tag of the message inside, for whoever orders messages without opening them."""
    payload: Payload
    signature: Signature = b""


class CappedOffer(_Said, frozen=True, tag=13):
    """Charger -> transformer: a vehicle's sealed offer, untouched, beside what this charger can carry out of it."""

    session: Number
    cap_w: Power
    offer: Sealed


class WitnessedDelivery(_Said, frozen=True, tag=14):
    """Charger -> transformer: a vehicle's sealed delivery, untouched, beside the charger's own sealed one."""

    session: Number
    charger: Sealed
    vehicle: Sealed


class Ack(_Said, frozen=True, tag=15):
    """Transformer -> vehicle of a mandate, or -> charger of a departure; vehicle -> transformer of an award.

    It was received at the other end: whoever owed it stops repeating it.
    """

    kind: Number
    """The tag of what was noted."""
    session: Number
    tick: Number = 0


MANDATE: Final = 1
AWARD: Final = 6
DEPARTED: Final = 11
"""The kinds that are noted."""

Inner = Mandate | ReliefCall | Offer | Award | Delivery | Receipt
"""What travels sealed."""
SEALED: Final = (Mandate, ReliefCall, Offer, Award, Delivery, Receipt)
"""The same, for those who look messages up by class."""
Message = Report | BaseReport | Release | Grant | Departed | Sealed | CappedOffer | WitnessedDelivery | Ack
"""What is sent; the closed union that the codec reads."""
