"""What an agent wants done. Whoever drives it carries these out, in order; an agent itself does nothing."""

from __future__ import annotations

from msgspec import Struct

from wattswap.protocol.messages import Message


class _Effect(Struct, frozen=True, array_like=True, gc=False):
    """Base of all effects."""


class Send(_Effect, frozen=True, tag=1):
    """Say this to that agent."""

    to: str
    message: Message


class WakeAt(_Effect, frozen=True, tag=2):
    """Wake me at this instant."""

    at_ms: int


class SetPower(_Effect, frozen=True, tag=3):
    """Charger: let the car draw and feed so much from now on."""

    session: int
    import_w: int
    export_w: int


class Reserve(_Effect, frozen=True, tag=4):
    """Transformer: set tokens aside for an award, before it is sent."""

    payment_id: str
    nanos: int


class Pay(_Effect, frozen=True, tag=5):
    """Transformer: pay an award from its reserve; what is left of the reserve is free again."""

    payment_id: str
    session: int
    tick: int
    session_id: str
    payee: str
    """The agent that is paid: the one that the car's signed mandate names."""
    nanos: int


class Bill(_Effect, frozen=True, tag=6):
    """Transformer: net a departed session's energy bill against its rewards."""

    session: int
    session_id: str
    payee: str
    """The agent whose rewards and tokens are netted: the one that the car's signed mandate names."""
    nanos: int


class NoteRound(_Effect, frozen=True, tag=7):
    """For the record: one call and what came of it. With the feeder's number, the columns of ``rounds.parquet``."""

    tick: int
    need_w: int
    called: int
    kept: int
    """Called cars that could have given way and kept charging."""
    offered_w: int
    awarded_w: int
    price_nanos_per_kwh_h: int
    """The highest accepted price."""
    reduce_awards: int
    feed_awards: int


class NoteAward(_Effect, frozen=True, tag=10):
    """For the record: a session holds an award from now on; tranches side by side."""

    tick: int
    session: int
    payment_id: str
    award_w: tuple[int, ...]
    price_nanos_per_kwh_h: tuple[int, ...]
    offered_w: tuple[int, ...]
    ask_nanos_per_kwh_h: tuple[int, ...]


class NoteEnd(_Effect, frozen=True, tag=13):
    """For the record: a session's award has ended; its lot may stay open."""

    tick: int
    session: int


class NoteTrade(_Effect, frozen=True, tag=8):
    """For the record: an award was settled; tranches side by side, and what came back of its lot."""

    tick: int
    session: int
    payment_id: str
    award_w: tuple[int, ...]
    price_nanos_per_kwh_h: tuple[int, ...]
    delivered_ws: tuple[int, ...]
    returned_ws: int
    rent: int
    nanos: tuple[int, ...]
    offered_w: tuple[int, ...]
    ask_nanos_per_kwh_h: tuple[int, ...]
    baseline_ws: int
    disputed: bool


class NoteForced(_Effect, frozen=True, tag=9):
    """For the record: what the last resort took from a session at a tick."""

    tick: int
    session: int
    forced_w: int


class Remember(_Effect, frozen=True, tag=11):
    """Make this durable, in one transaction with all else that one event changes and before anything is sent."""

    key: str
    value: bytes


class Forget(_Effect, frozen=True, tag=12):
    """This need not be remembered any longer."""

    key: str


Effect = (
    Send
    | WakeAt
    | SetPower
    | Reserve
    | Pay
    | Bill
    | NoteRound
    | NoteAward
    | NoteEnd
    | NoteTrade
    | NoteForced
    | Remember
    | Forget
)
