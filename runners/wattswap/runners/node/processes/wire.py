"""What a command and the processes of its street say to each other.

    process -> command   joined, ready, account, failed; in lockstep done; on the wall clock news
    command -> process   peers, close books, stop; in lockstep order; on the wall clock begin, beat
    process -> process   knock, letters

All processes are children of one command and share its code, so these messages have no version and need no gate.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from wattswap.ledger.book import Entry
from wattswap.protocol.effects import NoteAward, NoteEnd, NoteForced, NoteRound, NoteTrade
from wattswap.protocol.events import Event
from wattswap.protocol.messages import CappedOffer, Message
from wattswap.runners.watching.funds import Funds


class _Wire(Struct, frozen=True, array_like=True, gc=False):
    """Base of all of them."""


class Joined(_Wire, frozen=True, tag=1):
    """A worker is there; others may connect to it at this port."""

    port: int


class PeerSockets(_Wire, frozen=True, tag=2):
    """The ports of all workers, by their number: connect to those that you talk to and that come before you."""

    ports: tuple[int, ...]


class Knock(_Wire, frozen=True, tag=3):
    """Opens the connection between two workers, in both directions."""


class Ready(_Wire, frozen=True, tag=4):
    """A worker's connections are open."""


class SensedEvent(_Wire, frozen=True):
    """What the world tells an agent; ``sequence`` is the world's own."""

    sequence: int
    to: str
    event: Event


class Order(_Wire, frozen=True, tag=5):
    """Handle your part of this stage, once so many letters of earlier stages have come in all."""

    stage: int
    at_ms: int
    rank: int
    letters: int
    sensed: tuple[SensedEvent, ...]


class Letter(_Wire, frozen=True):
    """A message between agents; ``sequence`` counts what this sender's process has sent."""

    sender: str
    sequence: int
    to: str
    message: Message


class Letters(_Wire, frozen=True, tag=6):
    """All that one process has to say to another at once."""

    stage: int
    """In lockstep; on the wall clock there are no stages."""
    at_ms: int
    letters: tuple[Letter, ...]


class Sent(_Wire, frozen=True):
    """So many letters of this rank went to this worker."""

    worker: int
    rank: int
    count: int


class Done(_Wire, frozen=True, tag=7):
    """A worker has handled its part of a stage."""

    stage: int
    sent: tuple[Sent, ...]
    pending: tuple[tuple[int, int], ...]
    """(instant, rank) of what it has to handle by itself: wake-ups, and what its agents say to each other."""
    powers: tuple[tuple[int, int, int], ...]
    """(session, import_w, export_w) that its chargers have set."""
    notes: tuple[tuple[str, NoteRound | NoteAward | NoteEnd | NoteTrade | NoteForced], ...]
    bills: tuple[tuple[int, int, int], ...]
    """(session, billed nanos, receivable nanos)."""
    refused: tuple[tuple[str, Event], ...]


class CloseBooks(_Wire, frozen=True, tag=8):
    """Tell the entries of your transformers' books."""


class Account(_Wire, frozen=True, tag=9):
    """The entries of a transformer's book."""

    transformer: str
    entries: tuple[Entry, ...]


class Failed(_Wire, frozen=True, tag=10):
    """A worker cannot go on."""

    text: str


class Begin(_Wire, frozen=True, tag=12):
    """On the wall clock: the run began at this count of the machine's monotonic clock."""

    began_ns: int


class Beat(_Wire, frozen=True, tag=13):
    """On the wall clock: what the world tells agents, in this order; what is for a car passes through its charger."""

    told: tuple[tuple[str, Event], ...]


class Inside(_Wire, frozen=True):
    """What the agents of a process know and no other process sees, as far as it has changed; for whoever watches."""

    offers: tuple[CappedOffer, ...]
    """Those that reached a transformer, in their order."""
    leases: dict[str, int | None]
    """By charger: when its lease ends; None without one."""
    funds: dict[str, Funds]
    """By transformer."""


class News(_Wire, frozen=True, tag=14):
    """On the wall clock: what came of what a process's agents have just handled."""

    powers: tuple[tuple[int, int, int], ...]
    """(session, import_w, export_w) that its chargers have set."""
    notes: tuple[tuple[str, NoteRound | NoteAward | NoteEnd | NoteTrade | NoteForced], ...]
    bills: tuple[tuple[int, int, int], ...]
    """(session, billed nanos, receivable nanos)."""
    refused: tuple[tuple[int, str, Event], ...]
    inside: Inside | None = None
    """Only where somebody watches."""


class Stop(_Wire, frozen=True, tag=11):
    """The run is over."""


Wire = (
    Joined
    | PeerSockets
    | Knock
    | Ready
    | Order
    | Letters
    | Done
    | CloseBooks
    | Account
    | Failed
    | Stop
    | Begin
    | Beat
    | News
)

encode_wire: Final = msgspec.msgpack.Encoder().encode
_decoder: Final[msgspec.msgpack.Decoder[Wire]] = msgspec.msgpack.Decoder(Wire)


def decode_wire(data: bytes) -> Wire:
    """Read one."""
    return _decoder.decode(data)
