"""What was said in a round, message by message, read from a journal that holds every event."""

from __future__ import annotations

import tomllib
from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wattswap.protocol.codec import KIND_OF, unseal
from wattswap.protocol.errors import InputError, RemoteProtocolError
from wattswap.protocol.events import Received
from wattswap.protocol.identity import LOCAL_NETWORK, seeded_signer
from wattswap.protocol.messages import Award, Receipt, ReliefCall, Sealed
from wattswap.runners.engines.agent_factory import agent_name
from wattswap.runners.recording.journal import STREET, HandledEvent, Reader
from wattswap.runners.recording.rundir import SCENARIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_OF_THE_TRANSFORMER: Final = frozenset(KIND_OF[kind] for kind in (ReliefCall, Award, Receipt))
_CHARGERS_OWN: Final = "charger"
"""The field of a witnessed delivery with what the charger signed itself; other messages inside one are its car's."""
LATEST_TICKS: Final = 2_880
"""So long after its call a round's messages are looked for: what was put off is paid when it has been drawn back."""


class SignedBytes(msgspec.Struct, frozen=True):
    """The bytes that an author signed, so that whoever reads them can check it."""

    author: str
    public_key: str
    network: str
    payload: str
    signature: str


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
    signed: SignedBytes | None = None
    """Where agents sign, what its author signed."""
    inside: dict[str, SignedBytes] = {}
    """Where agents sign, what the authors of the messages inside it signed, by its fields."""


class Transcript(msgspec.Struct, frozen=True):
    """What a journal holds of a round."""

    steps: list[Step]
    """In the order in which they arrived."""
    breaks_off_tick: int | None
    """Where the journal breaks off before the round's messages are over for certain."""


def transcript(run_dir: Path, feeder: int, tick: int) -> Transcript:
    """The messages of the round whose call went out on a feeder at a tick.

    Raises:
        InputError: there is no journal, it is damaged, or it does not hold every event.
    """
    path = run_dir / STREET
    if not path.is_file():
        raise InputError("this run has no journal; run the scenario again with --journal full")
    reader = Reader(path)
    if reader.header.contents != "full":
        raise InputError("this run's journal holds only what came from outside; run it again with --journal full")
    header = reader.header
    authors = _Authors(header.seed, _feeder_name(run_dir, feeder)) if header.sign else None
    after = dropwhile(lambda line: line.tick < tick, reader.lines())
    lines = takewhile(lambda line: line.tick <= tick + LATEST_TICKS, after)
    steps = list(_of_the_round((raw for line in lines for raw in line.events), feeder, tick, authors))
    is_whole = reader.ended or reader.ticks > tick + LATEST_TICKS
    return Transcript(steps, None if is_whole else reader.ticks)


def _feeder_name(run_dir: Path, feeder: int) -> str:
    try:
        scenario = tomllib.loads((run_dir / SCENARIO).read_text(encoding="utf-8"))
        return str(scenario["feeder"][feeder]["name"]) if scenario.get("feeder") else ""
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"{run_dir / SCENARIO}: cannot be read ({error}), so nobody knows who signed") from None


class _Authors:
    """Who signed what, in a run whose agents sign with the keys of its seed."""

    def __init__(self, seed: int, feeder: str) -> None:
        self._seed, self._transformer = seed, agent_name("transformer", feeder)
        self._cars: dict[int, str] = {}
        """By session, as they spoke for themselves."""

    def of(self, event: Received) -> SignedBytes | None:
        """Of a message that its author sealed: a car, or the transformer, though a charger passed it on."""
        sealed = event.message
        if not isinstance(sealed, Sealed):
            return None
        author = self._transformer if sealed.kind in _OF_THE_TRANSFORMER else event.sender
        if author == event.sender and "vehicle/" not in author and author != self._transformer:
            return None  # a charger passes a car's mandate on
        return self._signed(author, sealed)

    def inside(self, event: Received) -> dict[str, SignedBytes]:
        """Of the messages inside one that is a charger's: the charger's own count, else its car's; by field."""
        message, found = event.message, dict[str, SignedBytes]()
        for name in message.__struct_fields__:
            sealed = getattr(message, name)
            author = event.sender if name == _CHARGERS_OWN else self._cars.get(getattr(message, "session", -1))
            if isinstance(sealed, Sealed) and author is not None:
                found[name] = self._signed(author, sealed)
        return found

    def meet(self, session: int, sender: str) -> None:
        """Somebody says something of a session; a car does so of its own."""
        if "vehicle/" in sender:
            self._cars[session] = sender

    def _signed(self, author: str, sealed: Sealed) -> SignedBytes:
        key = seeded_signer(self._seed, author).public_key
        return SignedBytes(author, key.hex(), LOCAL_NETWORK, sealed.payload.hex(), sealed.signature.hex())


def _of_the_round(
    happenings: Iterable[msgspec.Raw], feeder: int, tick: int, authors: _Authors | None
) -> Iterator[Step]:
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
        if authors is None:
            yield Step(happened.now_ms, event.sender, happened.agent, kind, fields)
            continue
        authors.meet(fields.get("session", -1), event.sender)
        signed, inside = authors.of(event), authors.inside(event)
        yield Step(happened.now_ms, event.sender, happened.agent, kind, fields, signed, inside)


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
