"""Where a replay parts from what was recorded, as a pair that can be read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.protocol.codec import unseal
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.messages import Sealed
from wattswap.runners.engines.observer import Observer
from wattswap.runners.recording.journal import HandledEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.recording.journal import JournalLine, Reader

_MOST: Final = 400
"""Characters of a text; what is longer is cut."""
_HASH: Final = "the hash of all events and effects so far"


@dataclass(frozen=True)
class Difference:
    """The first thing that a replay gives otherwise than it was recorded."""

    tick: int
    what: str
    recorded: str
    replayed: str


class Lines:
    """A journal's ticks one after the other, with a look at the next."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self._lines = reader, reader.lines()
        self.now: JournalLine | None = None
        self.next: JournalLine | None = next(self._lines, None)

    def advance(self) -> JournalLine | None:
        """The next tick is the present one."""
        self.now, self.next = self.next, next(self._lines, None)
        return self.now


class Check(Observer):
    """Watches a replay and compares: each event where the journal holds them, else the hash of each tick."""

    def __init__(self, lines: Lines, *, full: bool) -> None:
        self._lines, self._is_full = lines, full
        self.passed_lines = 0
        self.difference: Difference | None = None
        self._seen = 0
        self._encode = msgspec.msgpack.Encoder().encode

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:
        """Compare the event and its effects."""
        if self._is_full:
            self._compare(self._encode((now_ms, agent, event, effects)))

    def tick_handled(self, tick: int, events_hash: bytes) -> None:
        """Compare the hash."""
        line, seen = self._lines.now, self._seen
        assert line is not None
        self.passed_lines, self._seen = self.passed_lines + 1, 0
        if self.difference is not None:
            return
        if self._is_full and seen < len(line.events):
            recorded = _told(_happening(line.events[seen]))
            self.difference = Difference(tick, _nth(seen), recorded, "nothing more happens at this tick")
        elif line.hash != events_hash:
            self.difference = Difference(tick, _HASH, line.hash.hex(), events_hash.hex())

    def fails(self, tick: int, error: Exception) -> None:
        """The replay cannot go on; that is the difference, unless there was one before."""
        if self.difference is None:
            problem = " ".join(f"{type(error).__name__} {error}".split())
            self.difference = Difference(tick, "the tick itself", "it passed", f"it ends with {problem}")

    def _compare(self, replayed: bytes) -> None:
        line, seen = self._lines.now, self._seen
        assert line is not None
        self._seen += 1
        if self.difference is not None:
            return
        if seen >= len(line.events):
            text = _told(_happening(replayed))
            self.difference = Difference(line.tick, _nth(seen), "nothing more happened at this tick", text)
        elif bytes(line.events[seen]) != replayed:
            texts = _pair(_happening(line.events[seen]), _happening(replayed))
            self.difference = Difference(line.tick, _nth(seen), *texts)


def _nth(seen: int) -> str:
    return f"event {seen + 1} of the tick"


def _happening(raw: bytes | msgspec.Raw) -> HandledEvent | None:
    try:
        return msgspec.msgpack.decode(raw, type=HandledEvent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _pair(recorded: HandledEvent | None, replayed: HandledEvent | None) -> tuple[str, str]:
    """Two happenings as texts: what the agents learned of if that differs, else the first effect that does."""
    if recorded is None or replayed is None or _before(recorded) != _before(replayed):
        return _told(recorded), _told(replayed)
    effects = zip_longest(recorded.effects, replayed.effects)
    one, other = next(((one, other) for one, other in effects if one != other), (None, None))
    return f"{_told(recorded)} and wanted {_effect(one)}", f"{_told(replayed)} and wants {_effect(other)}"


def _before(happening: HandledEvent) -> tuple[int, str, Event]:
    return happening.now_ms, happening.agent, happening.event


def _told(happening: HandledEvent | None) -> str:
    if happening is None:
        return "what cannot be read"
    return f"{happening.agent}, at {happening.now_ms} ms, told {_short(happening.event)}"


def _effect(effect: object) -> str:
    return "nothing more" if effect is None else _short(effect)


def _short(thing: object) -> str:
    text = readable(thing)
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."


def readable(thing: object) -> str:
    """An event, effect or message as text, sealed messages opened."""
    if isinstance(thing, Sealed):
        try:
            return readable(unseal(thing))
        except RemoteProtocolError:
            return repr(thing)
    if isinstance(thing, msgspec.Struct):
        fields = (f"{name}={readable(getattr(thing, name))}" for name in thing.__struct_fields__)
        return f"{type(thing).__name__}({', '.join(fields)})"
    return repr(thing)
