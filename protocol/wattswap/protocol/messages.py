"""The messages that agents send each other: one class per message, closed, positional and bounded.

On the wire a message is the MessagePack array ``[tag, field, ...]``, and its fields are integers, short texts and
bytes. Messages that carry rights or money (call, offer, award, delivery, receipt, mandate) travel ``Sealed``, as the
very bytes that were signed: a relay cannot alter them, and nobody encodes them a second time.

A session is named by its number and a round by (feeder, tick): the tick at which its call went out.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from wattswap.protocol.round import Part
from wattswap.protocol.units import MOST_MS, MOST_NANOS, MOST_W, MOST_WS

Power = Annotated[int, Meta(ge=0, le=MOST_W)]
SignedPower = Annotated[int, Meta(ge=-MOST_W, le=MOST_W)]
Energy = Annotated[int, Meta(ge=0, le=MOST_WS)]
Instant = Annotated[int, Meta(ge=-MOST_MS, le=MOST_MS)]
Price = Annotated[int, Meta(ge=0, le=MOST_NANOS)]
Nanos = Annotated[int, Meta(ge=0, le=MOST_NANOS)]
Rent = Annotated[int, Meta(ge=0, le=MOST_NANOS)]
"""Watt-seconds times the ticks that each has waited."""
Number = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
SessionNumber = Annotated[int, Meta(ge=0, le=(1 << 52) - 1)]
"""A charger mints it: 32 bits of its key, 20 of a durable count that began at the time in seconds.

A number of JavaScript's holds it."""
Payload = Annotated[bytes, Meta(max_length=768)]
"""A mandate with two names of 80 characters of any script fits, and two payloads fit into one frame."""
Signature = Annotated[bytes, Meta(max_length=64)]
Name = Annotated[str, Meta(max_length=80)]


class _Message(Struct, frozen=True, array_like=True, gc=False):
    """The base of all messages: immutable and positional."""


class _PartMessage(_Message, frozen=True):
    """The base of messages about one car's part of a round."""

    feeder: Number
    tick: Number
    session: SessionNumber

    @property
    def part(self) -> Part:
        """The part of a round that it is about."""
        return Part(self.feeder, self.tick, self.session)


class Tranche(_Message, frozen=True):
    """One step of an offer: the car gives this much relief for at least this price."""

    relief_w: Power
    ask_nanos_per_kwh_h: Price


Tranches = Annotated[tuple[Tranche, ...], Meta(max_length=4)]
_EACH = Meta(min_length=3, max_length=3)
"""One for each tranche that can be bought: down to the floor, down to nothing, feeding."""
TrancheEnergies = Annotated[tuple[Energy, ...], _EACH]
TranchePowers = Annotated[tuple[Power, ...], _EACH]
TranchePrices = Annotated[tuple[Price, ...], _EACH]


class Mandate(_Message, frozen=True, tag=1):
    """Vehicle -> charger -> transformer, at plug-in: the car states its need and agrees to be billed.

    The transformer opens the session and sends an ``Ack``. Need and full power fix the baseline until the car leaves.
    """

    session: SessionNumber
    session_id: Name
    need_ws: Energy
    max_w: Power
    payee: Name
    departure_ms: Instant | None = None
    """Only where cars disclose when they expect to leave."""


class Report(_Message, frozen=True, tag=2):
    """Charger -> transformer: the charger's heartbeat, with the state of its car. It replaces the report before.

    The charger's own step sends it, so a charger that hangs sends none. The transformer may answer with a grant, whose
    lease is counted from ``stamp_ms``, so the two clocks need not agree.
    """

    session: SessionNumber
    firm_w: Power
    wanted_w: Power
    drew: bool
    owed_ws: Energy
    """Given up under awards and not drawn back yet, by the charger's meter."""
    rent_price: Price
    """The dearest price at which the car waits; 0 if it owes nothing, or could have drawn back and did not."""
    epoch: Number
    """How often the charger has started."""
    seq: Number
    stamp_ms: Instant
    """The time of the report on the charger's own clock."""
    heard_epoch: Number
    heard_seq: Number
    """The newest grant that the charger has accepted; (0, 0) before the first."""
    due_ms: Instant | None = None
    """The latest instant at which full power still fills the car in time, where cars disclose their departure."""
    feed_w: Power | None = None
    """What the car's battery could feed down to its owner's reserve, where cars disclose that too."""


class BaseReport(_Message, frozen=True, tag=3):
    """Household -> transformer, each tick: the homes' mean power over the tick that ended, negative with much sun."""

    base_w: SignedPower


class ReliefCall(_Message, frozen=True, tag=4):
    """Transformer -> charger -> vehicle: the transformer asks for so much relief in a window. Its price stays sealed.

    The vehicle answers with an offer before ``offers_due_ms``.
    """

    feeder: Number
    tick: Number
    need_w: Power
    from_ms: Instant
    until_ms: Instant
    offers_due_ms: Instant


class Offer(_PartMessage, frozen=True, tag=5):
    """Vehicle -> charger: the answer to a call. No tranche means that the car goes on charging.

    The charger adds what it can carry and passes it on as a ``CappedOffer``.
    """

    tranches: Tranches


class Award(_PartMessage, frozen=True, tag=6):
    """Transformer -> charger -> vehicle: relief is bought until the window's end. Only a grant sets power.

    What is given up earns the price for every kWh and hour until it has been drawn back, up to ``rent_cap_s``.
    """

    until_ms: Instant
    award_w: TranchePowers
    price_nanos_per_kwh_h: TranchePrices
    rent_cap_s: Number


class Release(_PartMessage, frozen=True, tag=7):
    """Transformer -> charger -> vehicle: the award ends now, and no more is given up under it."""


class Grant(_Message, frozen=True, tag=8):
    """Transformer -> charger: what the car may draw and shall feed until the next grant, or until the lease is over.

    The lease runs for ``lease_ms`` from ``echo_ms``, the stamp of the report that the grant answers; then the charger
    falls back to its guaranteed minimum. A grant is void if a newer one was accepted or if it answers a report from
    before the charger's restart.
    """

    session: SessionNumber
    import_w: Power
    export_w: Power
    epoch: Number
    """How often the transformer has started."""
    seq: Number
    echo_epoch: Number
    echo_ms: Instant
    lease_ms: Instant


class Delivery(_PartMessage, frozen=True, tag=9):
    """Vehicle -> charger -> transformer, when a lot closes: what one meter counted of the award and what came back.

    A lot closes when what was given up has been drawn back, or when the car leaves.
    """

    delivered_ws: TrancheEnergies
    baseline_ws: Energy
    returned_ws: Energy
    rent: Rent


class Receipt(_PartMessage, frozen=True, tag=10):
    """Transformer -> charger -> vehicle: this award is settled, and so many nanos were paid."""

    nanos: Nanos


class Departed(_Message, frozen=True, tag=11):
    """Charger -> transformer: the car unplugged. The bill is made from these totals of the charger's meter.

    The transformer sends an ``Ack``.
    """

    session: SessionNumber
    imported_ws: Energy
    exported_ws: Energy


class Sealed(_Message, frozen=True, tag=12):
    """A message as the bytes that its author signed. The signature is empty where nobody signs."""

    kind: Number
    """The tag of the message inside, so that messages can be ordered without being opened."""
    payload: Payload
    signature: Signature = b""


class CappedOffer(_Message, frozen=True, tag=13):
    """Charger -> transformer: a vehicle's sealed offer, and the most that this charger can carry."""

    session: SessionNumber
    cap_w: Power
    offer: Sealed


class WitnessedDelivery(_Message, frozen=True, tag=14):
    """Charger -> transformer: a vehicle's sealed delivery, and the charger's own sealed one for the same award."""

    session: SessionNumber
    charger: Sealed
    vehicle: Sealed


class Ack(_Message, frozen=True, tag=15):
    """Transformer -> vehicle (of a mandate) or charger (of a departure), vehicle -> transformer (of an award).

    The message has arrived and is durable at the other end, so its sender stops repeating it.
    """

    kind: Number
    """The tag of the message that is acknowledged."""
    session: SessionNumber
    tick: Number = 0


class Cleared(_Message, frozen=True, tag=16):
    """Transformer -> charger -> vehicle: a round to which the car was called is over, whether it won or not.

    No money follows from it, so it is not signed; strategies may learn from it.
    """

    feeder: Number
    tick: Number
    price_nanos_per_kwh_h: Price
    """The highest price that is paid; 0 if nothing was bought."""
    reserve_nanos_per_kwh_h: Price


MANDATE: Final = 1
AWARD: Final = 6
DEPARTED: Final = 11
"""The tags of the messages that are acknowledged."""

Inner = Mandate | ReliefCall | Offer | Award | Delivery | Receipt
"""The messages that travel sealed."""
SEALED: Final = (Mandate, ReliefCall, Offer, Award, Delivery, Receipt)
"""The same as a tuple of classes."""
Message = Report | BaseReport | Release | Grant | Departed | Sealed | CappedOffer | WitnessedDelivery | Ack | Cleared
"""The messages as they are sent: the closed union that the codec reads."""
