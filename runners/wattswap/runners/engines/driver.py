"""The only place that carries effects out. An agent says what it wants done; the driver does it, in order.

What differs between a simulated street and a Pi is handed in as a ``Host``; everything else is the same everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import msgspec

from wattswap.protocol.effects import (
    Bill,
    Forget,
    NoteAward,
    NoteForced,
    NoteRound,
    NoteTrade,
    Pay,
    Remember,
    Reserve,
    Send,
    SetPower,
    WakeAt,
)
from wattswap.protocol.events import Billed, Paid

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattswap.agents.base import Agent
    from wattswap.ledger.book import Book
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.messages import Message


_Happening: TypeAlias = "tuple[int, str, Event, list[Effect]]"

_HASHED_AT_ONCE: Final = 1_024
"""Far fewer than 65,536, the length from which on MessagePack writes an array with a longer header."""
_SHORT_ARRAY: Final = 16


class Host(Protocol):
    """What the driver needs of the place it runs in."""

    def post(self, sender: str, to: str, message: Message) -> None:
        """Bring a message on its way."""

    def tell(self, agent: str, event: Event) -> None:
        """Let an agent learn of something at once."""

    def wake_at(self, agent: str, at_ms: int) -> None:
        """Wake an agent at an instant."""

    def set_power(self, session: int, import_w: int, export_w: int) -> None:
        """Let a session's car draw and feed so much from now on."""

    def vehicle_of(self, session: int) -> tuple[str, str]:
        """A session's id and the name of the wallet its money goes to."""

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """A departed session's bill is netted; the session is closed."""

    def note(self, note: NoteRound | NoteAward | NoteTrade | NoteForced) -> None:
        """Keep a note for the record."""


class Driver:
    """Hands events to agents and carries out what they want done."""

    def __init__(self, host: Host, book: Book) -> None:
        self._host, self._book = host, book
        self.remembered: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        """What each agent asked to be made durable."""
        self.witness: Callable[[bytes], None] | None = None
        """Is shown every (now_ms, agent, event, effects) in MessagePack, in their order."""
        self._digest = blake2b(digest_size=32)
        self._unhashed: list[_Happening] = []
        self._encode = msgspec.msgpack.Encoder().encode

    def feed(self, agent: Agent, event: Event, now_ms: int, most: int | None = None) -> list[Effect]:
        """Let something happen to an agent; the effects carried out, at ``most`` so many: then it has crashed."""
        effects = agent.handle(event, now_ms)[:most]
        self._unhashed.append((now_ms, agent.name, event, effects))
        if self.witness is not None:
            self.witness(self._encode(self._unhashed[-1]))
        if len(self._unhashed) == _HASHED_AT_ONCE:
            self._hash()
        for effect in effects:
            self._perform(agent.name, effect)
        return effects

    def hash_so_far(self) -> bytes:
        """The first eight bytes of what :meth:`events_hash` says now."""
        self._hash()
        return self._digest.digest()[:8]

    def events_hash(self) -> str:
        """blake2b-256 over all events and effects so far, in their order."""
        self._hash()
        return self._digest.hexdigest()

    def _hash(self) -> None:
        """Hash what has happened since the last time: MessagePack of each happening, one after the other."""
        array = self._encode(self._unhashed)
        header = 1 if len(self._unhashed) < _SHORT_ARRAY else 3
        self._digest.update(memoryview(array)[header:])
        self._unhashed.clear()

    def _perform(self, agent: str, effect: Effect) -> None:
        match effect:
            case Send(to, message):
                self._host.post(agent, to, message)
            case SetPower(session, import_w, export_w):
                self._host.set_power(session, import_w, export_w)
            case WakeAt(at_ms):
                self._host.wake_at(agent, at_ms)
            case Reserve(payment_id, nanos):
                covered = self._book.reserve(payment_id, nanos)
                assert covered, f"{agent} promised {nanos} nanos it does not have"
            case Pay(payment_id, session, tick, nanos):
                if (paid_nanos := self._book.settled_nanos(payment_id)) is None:
                    self._book.settle(payment_id, self._host.vehicle_of(session)[1], paid_nanos := nanos)
                self._host.tell(agent, Paid(session, tick, paid_nanos))
            case Remember(key, value):
                self.remembered[agent][key] = value
            case Forget(key):
                self.remembered[agent].pop(key, None)
            case Bill(session, nanos):
                self._bill(agent, session, nanos)
            case NoteRound() | NoteAward() | NoteTrade() | NoteForced():
                self._host.note(effect)

    def _bill(self, agent: str, session: int, nanos: int) -> None:
        before_nanos = self._book.site_uncommitted_nanos
        bill = self._book.bill(*self._host.vehicle_of(session), nanos)
        self._host.billed(session, nanos, bill.receivable_nanos)
        self._host.tell(agent, Billed(session, self._book.site_uncommitted_nanos - before_nanos))
