"""The journal of a run: all that came into it from outside, and a running hash of what its agents made of it.

    header    a map: what the file is, and the options of the run
    tick      ["tick", tick, base_w, told, recovered, hash, events, before], one for each tick and one for the closing
              step
              base_w   by feeder: the base load's mean over the tick before
              told     [[who, event], ...] as the world told them; ``who`` is 1 for the session's charger, 2 for its
                       vehicle, 3 for both in this order, 4 for both in the other one, or an agent's name; an empty
                       name is nobody's: a meter that counts for no award
              recovered
                       [[agent, [event, ...]], ...] what each agent sensed that had crashed and started again
              hash     the first 8 bytes of blake2b-256 over [now_ms, agent, event, effects] of all events so far
              events   those of this tick, where the journal is to hold everything, else empty
              before   the first 8 bytes of blake2b-256 over all bytes of the file before this line
    end       ["end", lines, digest], of a run that came to its end: the number of ticks, and the whole blake2b-256 over
              all bytes before. A run that was interrupted has none

So a line that is altered is found by the line after it, and one that is missing or added by the end. Readers leave
alone what stands in a line behind the fields that they know.

A stream of MessagePack objects, so agents in other languages can read it. Events are arrays, [tag, fields ...] in the
order of ``protocol/events.py``. With the journal a run can be told again, to agents that are changed or mended since.
"""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgpack
import msgspec

from wattswap.protocol.effects import Effect
from wattswap.protocol.errors import InputError
from wattswap.protocol.events import Event
from wattswap.runners.engines.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from wattswap.runners.engines.observer import Sensed
    from wattswap.runners.engines.run import Run

Contents = Literal["inputs", "full"]
FORMAT: Final = "wattswap journal"
VERSION: Final = 3
FOLDER: Final = "journal"
STREET: Final = f"{FOLDER}/street.msgpack"
"""The journal of a whole street in one process."""

_FLUSH_EVERY: Final = 10
_BEFORE_BYTES: Final = 8


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal begins with."""

    format: str = FORMAT
    format_version: int = VERSION
    wattswap: str
    """The version that wrote it."""
    scenario: str
    scenario_sha256: str
    """Of the run's ``scenario.toml``."""
    seed: int
    controller: str
    engine: str
    strategy: str
    sign: bool
    contents: Contents


class HandledEvent(msgspec.Struct, frozen=True, array_like=True):
    """An agent learned of something and wanted this done: what the hashes are over."""

    now_ms: int
    """The true time."""
    agent: str
    event: Event
    effects: list[Effect]


class JournalLine(msgspec.Struct, frozen=True, array_like=True, tag="tick"):
    """One tick."""

    tick: int
    base_w: list[int]
    told: list[tuple[int | str, Event]]
    recovered: list[tuple[str, list[Event]]]
    hash: bytes
    events: list[msgspec.Raw] = []
    before: bytes = b""


class JournalEnd(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """The last line of a run that came to its end."""

    lines: int
    digest: bytes


def sha256_of(scenario_toml: str) -> str:
    """What a header says of its scenario."""
    return sha256(scenario_toml.encode()).hexdigest()


class Journal(Observer):
    """A journal being written, by an observer of a run of the messages engine."""

    def __init__(self, path: Path, header: Header) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._is_full = header.contents == "full"
        self._told: list[Sensed] = []
        self._recovered: list[tuple[str, list[Event]]] = []
        self._events: list[msgspec.Raw] = []
        self._file: BinaryIO = path.open("xb", buffering=1 << 20)
        self._digest, self._lines = blake2b(digest_size=32), 0
        self._write(self._encode(header))
        self._file.flush()

    def begun(self, run: Run) -> None:
        """Learn where to look the base load up."""
        self._run = run

    def sensed(self, sensed: Sequence[Sensed]) -> None:
        """Keep what the world told."""
        self._told.extend(sensed)

    def recovered(self, agent: str, events: Sequence[Event]) -> None:
        """Keep what an agent sensed that has started again."""
        self._recovered.append((agent, list(events)))

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:
        """Keep everything, if the journal is to hold everything."""
        if self._is_full:
            self._events.append(msgspec.Raw(self._encode((now_ms, agent, event, effects))))

    def tick_handled(self, tick: int, events_hash: bytes) -> None:
        """Write the tick down."""
        base_w = self._run.world.base_w[:, tick].tolist()
        before = self._digest.digest()[:_BEFORE_BYTES]
        line = JournalLine(tick, base_w, self._told, self._recovered, events_hash, self._events, before)
        self._write(self._encode(line))
        self._told, self._recovered, self._events = [], [], []
        self._lines += 1
        if tick % _FLUSH_EVERY == 0:
            self._file.flush()

    def finished(self, run: Run) -> None:  # noqa: ARG002 - that it came to its end is all
        """Write down that there is no more."""
        self._write(self._encode(JournalEnd(self._lines, self._digest.digest())))

    def _write(self, line: bytes) -> None:
        self._digest.update(line)
        self._file.write(line)

    def close(self) -> None:
        """Write what is still to be written; nothing may be kept after this."""
        self._file.close()


# -- reading ----------------------------------------------------------------------------------------------------------

_BEGINS: Final = msgspec.msgpack.encode(JournalLine(0, [], [], [], b""))[:6]
"""How every tick begins, up to its number."""
_BLANK: Final = b"\0"
"""What a file system may leave where a power cut lost the end of a file."""


class Altered(NamedTuple):
    """Where a journal is not as it was written."""

    tick: int
    """Of the line; -1 is the header."""
    written: str
    found: str


def _of(lines: int, digest: bytes) -> str:
    return f"{lines} ticks, {digest.hex()}"


class Reader:
    """A journal being read, tick by tick; a torn end is where it ends, damage before that is refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.ticks = 0
        """So many lines have been read, the closing one counted."""
        self.torn = False
        """The last record was cut short."""
        self.ended = False
        """The journal's end was read, so no line is missing."""
        self.altered: Altered | None = None
        """The first line that is not as it was written."""
        self.header = self._header()

    def lines(self) -> Iterator[JournalLine]:
        """Every tick from the first on.

        Raises:
            InputError: the file is damaged.
        """
        decode = msgspec.msgpack.Decoder(JournalLine | JournalEnd).decode
        digest = blake2b(digest_size=32)
        for at, record in self._records():
            if self.ended:
                self._is_altered(self.ticks, "the journal's end", "another record")
                return
            if at == 0:
                digest.update(record)
                continue
            try:
                line = decode(record)
            except (msgspec.ValidationError, UnicodeDecodeError) as error:
                raise self._damaged(at, f"no tick of a journal: {error}") from None
            so_far = digest.digest()
            if isinstance(line, JournalEnd):
                self.ended = True
                if line.digest != so_far or line.lines != self.ticks:
                    self._is_altered(self.ticks - 1, _of(line.lines, line.digest), _of(self.ticks, so_far))
                continue
            if line.tick != self.ticks:
                raise self._damaged(at, f"tick {line.tick} where {self.ticks} is due")
            if line.before != so_far[:_BEFORE_BYTES]:
                self._is_altered(self.ticks - 1, line.before.hex(), so_far[:_BEFORE_BYTES].hex())
            digest.update(record)
            self.ticks += 1
            yield line
        if self.ended and self.torn:
            self._is_altered(self.ticks, "the journal's end", "more bytes")

    def _is_altered(self, tick: int, written: str, found: str) -> None:
        if self.altered is None:
            self.altered = Altered(tick, written, found)

    def _header(self) -> Header:
        try:
            record = next((record for _, record in self._records()), b"")
            found = msgspec.msgpack.decode(record)
        except OSError as error:
            raise InputError(f"{self._path}: cannot be read ({error.strerror})") from None
        except ValueError:  # not MessagePack, or not UTF-8
            found = None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise InputError(f"{self._path}: this is no journal of wattswap, it has no header; run the scenario again")
        if found.get("format_version") != VERSION:
            raise InputError(
                f"{self._path}: journal of format version {found.get('format_version')!r}, this version reads"
                f" {VERSION}; use wattswap {found.get('wattswap')}, which wrote it"
            )
        try:
            return msgspec.convert(found, Header)
        except msgspec.ValidationError as error:
            raise InputError(f"{self._path}: the journal's header is damaged ({error})") from None

    def _records(self) -> Iterator[tuple[int, bytes]]:
        """Every whole record with the place where it begins."""
        begins = 0
        with self._path.open("rb") as stream, self._path.open("rb") as file:
            unpacker = msgpack.Unpacker(stream)
            while True:
                try:
                    unpacker.skip()
                except msgpack.OutOfData:
                    self._end(file, begins)
                    return
                except (msgpack.UnpackException, ValueError):
                    if self.ended:
                        self.torn = True
                        return
                    raise self._damaged(begins, "not MessagePack") from None
                ends = unpacker.tell()
                record = file.read(ends - begins)
                if record == _BLANK and not file.read().strip(_BLANK):
                    self.torn = True
                    return
                yield begins, record
                begins = ends

    def _end(self, file: BinaryIO, begins: int) -> None:
        """The file ends within a record, or there is nothing more."""
        rest = file.read()
        if _BEGINS + msgspec.msgpack.encode(self.ticks + 1) in rest:
            raise self._damaged(begins, "this record runs on into the next one")
        self.torn = bool(rest)

    def _damaged(self, at: int, what: str) -> InputError:
        return InputError(
            f"{self._path}: damaged after tick {self.ticks - 1}, at byte {at} ({what}); run the scenario again"
        )
