"""The journal of one process of a street on the wall clock: all that its agents learned and did, in that order.

    header    a map, as that of a street's journal, but for its format
    handled   [now_ms, agent, event, effects] for each event; effects are nil where a message was refused

Nobody orders what happens on the wall clock, so the journal holds every event with its instant, messages included. An
agent's doings follow from these alone: a replay tells each agent the same again and compares what it wants done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgpack
import msgspec

from wattswap.protocol.effects import Effect
from wattswap.protocol.errors import InputError
from wattswap.protocol.events import Event
from wattswap.runners.recording.journal import Header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORMAT: Final = "wattswap process journal"
VERSION: Final = 1


class HandledHere(msgspec.Struct, frozen=True, array_like=True):
    """An agent learned of something, and wanted this done."""

    now_ms: int
    agent: str
    event: Event
    effects: list[Effect] | None
    """None: it refused the message."""


def journal_name(number: int) -> str:
    """The file of a process's journal."""
    return f"process-{number}.msgpack"


class ProcessJournal:
    """A journal being written."""

    def __init__(self, path: Path, header: Header) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._file = path.open("xb", buffering=1 << 20)
        self._file.write(self._encode(msgspec.structs.replace(header, format=FORMAT, format_version=VERSION)))
        self._file.flush()

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect] | None) -> None:
        """Keep what an agent learned and did."""
        self._file.write(self._encode((now_ms, agent, event, effects)))

    def flush(self) -> None:
        """Hand over to the system what there is: a process that is killed has lost nothing before this."""
        self._file.flush()

    def close(self) -> None:
        """Write what is still to be written."""
        self._file.close()


def read_process_journal(path: Path) -> tuple[Header, Iterator[HandledHere]]:
    """The header of a journal and what it holds; a torn end is where it ends.

    Raises:
        InputError: this is none, or it is damaged.
    """
    try:
        unpacked = _objects(path)
        head = next(unpacked, None)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise InputError(f"{path}: this is no journal of a process; run the scenario again")
    if head.get("format_version") != VERSION:
        raise InputError(f"{path}: of format version {head.get('format_version')!r}, this version reads {VERSION}")
    try:
        header = msgspec.convert(head, Header)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: the header is damaged ({error})") from None
    return header, _handled(path, unpacked)


def _handled(path: Path, objects: Iterator[object]) -> Iterator[HandledHere]:
    for number, one in enumerate(objects, 1):
        try:
            yield msgspec.convert(one, HandledHere)
        except msgspec.ValidationError as error:
            raise InputError(f"{path}: event {number} is damaged ({error}); run the scenario again") from None


def _objects(path: Path) -> Iterator[object]:
    with path.open("rb") as file:
        try:
            yield from msgpack.Unpacker(file)
        except (msgpack.UnpackException, ValueError):
            raise InputError(f"{path}: damaged, not MessagePack; run the scenario again") from None
