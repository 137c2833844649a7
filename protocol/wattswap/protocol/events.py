"""What happens to an agent: the only things it ever learns of."""

from __future__ import annotations

from msgspec import Struct

from wattswap.protocol.messages import Energy, Instant, Message, Name, Number, Power, SessionNumber


class _Event(Struct, frozen=True, array_like=True, gc=False):
    """Base of all events."""


class Received(_Event, frozen=True, tag=1):
    """A message arrived. It may arrive twice, late or never."""

    sender: str
    message: Message


class Woken(_Event, frozen=True, tag=2):
    """A wake-up that was asked for. One that is late, repeated or needless is harmless; an early one is asked again."""

    at_ms: int = 0
    """The instant that was asked for; 0 if nobody asked."""


class PluggedIn(_Event, frozen=True, tag=3):
    """The cable is in; told to the charger and to the vehicle, which knows its battery and its driver's plans."""

    session: SessionNumber
    session_id: Name
    peer: Name
    """The agent at the other end of the cable."""
    need_ws: Energy
    departure_ms: Instant | None
    """When the car expects to leave; told to nobody unless cars disclose it."""
    max_w: Power
    """What cable, charger and car carry together."""
    feed_w: Power
    capacity_ws: Energy
    reserve_ws: Energy


class Unplugged(_Event, frozen=True, tag=4):
    """The cable is out; told to the charger and the vehicle, with the totals of the charger's meter."""

    session: SessionNumber
    imported_ws: Energy
    exported_ws: Energy


class Metered(_Event, frozen=True, tag=5):
    """The meter of the tick that ended, told to charger and vehicle as long as they have a lot open: mean watts."""

    session: SessionNumber
    import_w: Power
    export_w: Power
    baseline_w: Power
    """The session's baseline power over the same tick."""
    granted_w: Power
    """What the charger let the car draw."""
    tick: Number
    """The number of the tick that ended."""


class CarStatus(_Event, frozen=True, tag=12):
    """What a car tells its charger through the cable at every tick in which power matters: no word of its plans."""

    session: SessionNumber
    firm_w: Power
    wanted_w: Power
    drew: bool
    due_ms: Instant | None = None
    """Only where cars disclose when they expect to leave."""
    feed_w: Power | None = None
    """What its battery could feed, only where cars disclose that too."""


class Reading(_Event, frozen=True, tag=6):
    """Where the session stands now, told to the vehicle whenever it changed."""

    session: SessionNumber
    remaining_ws: Energy
    baseline_remaining_ws: Energy
    stored_ws: Energy
    wanted_w: Power
    baseline_w: Power
    firm_w: Power
    due_ms: Instant
    drew: bool


class DriverWish(_Event, frozen=True, tag=13):
    """What its driver wants of a plugged car from now on; told to the vehicle, which tells nobody."""

    session: SessionNumber
    sells: bool
    """Whether it may give way for pay; if not, it answers every call by charging on."""
    departure_ms: Instant
    """When the car is to be full; the instant of the wish if its driver will not wait at all."""
    least_ws: Energy = 0
    """So much its battery must hold before it gives way for pay, and after it has fed."""


class BaseRead(_Event, frozen=True, tag=7):
    """A household's meter over the tick that ended."""

    base_w: int


class LimitChanged(_Event, frozen=True, tag=8):
    """The transformer's limit from now on: a grid operator's order, a dashboard's slider."""

    limit_w: int


class Paid(_Event, frozen=True, tag=9):
    """The ledger's book carried out a ``Pay``, now or, if it is repeated, before."""

    session: int
    tick: int
    nanos: int
    returned_nanos: int
    """What the site got back of the reserve by this ``Pay``: nothing by one that is repeated."""


class Billed(_Event, frozen=True, tag=10):
    """The ledger's book carried out a ``Bill``: what the site received, negative when it had to pay."""

    session: int
    received_nanos: int


class Restarted(_Event, frozen=True, tag=11):
    """The agent has just started again: the first thing it learns, with what it had asked to be remembered."""

    epoch: int
    """How often it has started, this time included; made durable before anything is sent."""
    remembered: dict[str, bytes]
    site_nanos: int = 0
    """Transformer: the site's uncommitted tokens, from the book."""


Event = (
    Received
    | Woken
    | PluggedIn
    | Unplugged
    | Metered
    | CarStatus
    | Reading
    | DriverWish
    | BaseRead
    | LimitChanged
    | Paid
    | Billed
    | Restarted
)
