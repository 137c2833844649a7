"""What was said in a round, message by message, read from a journal that holds every event."""

from __future__ import annotations

from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wattswap.protocol.codec import unseal
from wattswap.protocol.errors import InputError, RemoteProtocolError
from wattswap.protocol.events import Received
from wattswap.protocol.messages import Sealed
from wattswap.runners.recording.journal import STREET, HandledEvent, Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LATEST_TICKS: Final = 45
"""So long after its call a round's messages are looked for: its awards end within a window, then they are settled."""


class Step(msgspec.Struct, frozen=True):
    """A message as it arrived."""

    at_ms: int
    """Since the run's start."""
    sender: str
    to: str
    kind: str
    """The message's class."""
    fields: dict[str, Any]
    """What it says; messages inside it are fields of their own."""


def transcript(run_dir: Path, feeder: int, tick: int) -> list[Step]:
    """The messages of the round whose call went out on a feeder at a tick, in the order in which they arrived.

    Raises:
        InputError: there is no journal, it is damaged, or it does not hold every event.
    """
    path = run_dir / STREET
    if not path.is_file():
        raise InputError("this run has no journal; run the scenario again with --journal full")
    reader = Reader(path)
    if reader.header.contents != "full":
        raise InputError("this run's journal holds only what came from outside; run it again with --journal full")
    after = dropwhile(lambda line: line.tick < tick, reader.lines())
    lines = takewhile(lambda line: line.tick <= tick + LATEST_TICKS, after)
    return list(_of_the_round((raw for line in lines for raw in line.events), feeder, tick))


def _of_the_round(happenings: Iterable[msgspec.Raw], feeder: int, tick: int) -> Iterator[Step]:
    sessions: set[int] = set()
    """Those that the round's messages have named: an acknowledgement names no feeder."""
    for raw in happenings:
        happened = msgspec.msgpack.decode(raw, type=HandledEvent)
        event = happened.event
        if not isinstance(event, Received):
            continue
        kind, fields = _opened(event.message)
        if _is_of(fields, feeder, tick):
            sessions.add(fields.get("session", -1))
        elif fields.get("tick") != tick or fields.get("session") not in sessions or "feeder" in fields:
            continue
        yield Step(happened.now_ms, event.sender, happened.agent, kind, fields)


def _is_of(fields: dict[str, Any], feeder: int, tick: int) -> bool:
    """Whether a message, or one inside it, names the round."""
    if (fields.get("feeder"), fields.get("tick")) == (feeder, tick):
        return True
    return any(_is_of(inner, feeder, tick) for inner in fields.values() if isinstance(inner, dict))


def _opened(message: msgspec.Struct) -> tuple[str, dict[str, Any]]:
    """A message's kind and its fields by name, sealed ones opened."""
    if isinstance(message, Sealed):
        try:
            return _opened(unseal(message))
        except RemoteProtocolError:
            return "Unreadable", {}
    return type(message).__name__, {name: _plain(getattr(message, name)) for name in message.__struct_fields__}


def _plain(value: object) -> Any:
    if isinstance(value, msgspec.Struct):
        return _opened(value)[1]
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value
