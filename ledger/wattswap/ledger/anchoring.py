"""Makes a site's records, one per slot, and keeps them: written down before anything is anchored, so no chain forks.

Readings come in as they are metered. When a slot is over they are sealed into the next record, unless the one before is
still on its way: then they wait and become part of the next (a missed slot is merged, not lost). What was sealed is
handed to the outbox, again after a crash if need be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol, Self

import msgspec

from wattswap.ledger.anchors import GENESIS, Detail, MeterReading, Proof, hash_of, prove, seal
from wattswap.ledger.base import MOST_ANCHOR_BYTES, Anchor
from wattswap.ledger.database import Database, Kind
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import Signer

SLOT_MS: Final = 30_000
_MOST_READING_BYTES: Final = MOST_ANCHOR_BYTES - 2_000
"""What a record's readings may come to, so that the signed line around them still fits."""

_SCHEMA: Final = """
CREATE TABLE site (site TEXT NOT NULL, public_key BLOB NOT NULL) STRICT;
CREATE TABLE waiting (id INTEGER PRIMARY KEY, reading BLOB NOT NULL) STRICT;
CREATE TABLE records (
    sequence INTEGER PRIMARY KEY,
    content BLOB NOT NULL,
    hash TEXT NOT NULL,
    to_ms INTEGER NOT NULL,
    readings BLOB NOT NULL
) STRICT;
"""

KIND: Final = Kind(name="meter archive", application_id=0x57_53_4D_31, version=1, schema=_SCHEMA)


class Keeper(Protocol):
    """Where sealed records go."""

    def keep(self, anchor: Anchor) -> None:
        """Anchor this, some time; a repeat is harmless."""
        ...

    def is_anchored(self, anchor: Anchor) -> bool:
        """Whether it is on the ledger for good."""
        ...


class Anchorer:
    """The records of one site, in a file or (path ``None``) in memory.

    Raises ``InputError`` if the file is another site's, or cannot be used.
    """

    def __init__(
        self,
        path: Path | None,
        signer: Signer,
        site: str,
        keeper: Keeper,
        *,
        detail: Detail = Detail.FULL,
        slot_ms: int = SLOT_MS,
        begins_ms: int = 0,
    ) -> None:
        self._database = Database(path, KIND)
        self._signer, self._site, self._keeper = signer, site, keeper
        self._detail, self._slot_ms, self._begins_ms = detail, slot_ms, begins_ms
        try:
            self._own()
        except BaseException:
            self._database.close()
            raise
        for anchor in self.records():
            if not keeper.is_anchored(anchor):
                keeper.keep(anchor)

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, readings: Iterable[MeterReading], now_ms: int) -> None:
        """Write readings down, and seal the slot if it is over."""
        with self._database.transaction() as sql:
            _wait(sql, readings)
        last = self._last()
        over = now_ms - self._ended_ms() >= self._slot_ms
        if (over and (last is None or self._keeper.is_anchored(last))) or self._size() > _MOST_READING_BYTES:
            self.seal(now_ms)

    def add_each(self, slots: Iterable[tuple[int, Iterable[MeterReading]]]) -> None:
        """Make a record of each (instant, readings), whatever is still on its way, all in one write.

        For a run that is faster than its ledger: its records then depend on what was metered, not on who was quick.
        """
        sealed: list[Anchor] = []
        with self._database.transaction() as sql:
            for now_ms, readings in slots:
                sealed += self._seal_slot(sql, tuple(readings), now_ms)
        self._keep(sealed)

    def seal(self, now_ms: int) -> None:
        """Seal what waits, whether or not the slot is over: at the end of a run, or when it grows too large."""
        with self._database.transaction() as sql:
            sealed = self._seal_all(sql, now_ms)
        self._keep(sealed)

    @property
    def made(self) -> int:
        """How many records there are."""
        last = self._last()
        return 0 if last is None else last.sequence + 1

    def records(self, first: int = 0) -> list[Anchor]:
        """The records so far, oldest first."""
        rows = self._database.rows("SELECT sequence, content FROM records WHERE sequence >= ? ORDER BY sequence", first)
        return [Anchor(site=self._site, sequence=sequence, content=content) for sequence, content in rows]

    def readings(self, sequence: int) -> tuple[MeterReading, ...]:
        """What a record stands for. Raises ``InputError`` if there is no such record."""
        row = self._database.row("SELECT readings FROM records WHERE sequence = ?", sequence)
        if row is None:
            raise InputError(f"there is no record {sequence} of {self._site!r}")
        return msgspec.json.decode(row[0], type=tuple[MeterReading, ...])

    def proofs(self, sequence: int, meter: str) -> list[Proof]:
        """One proof for each reading of a meter in a ``root`` record."""
        readings = self.readings(sequence)
        chosen = [index for index, reading in enumerate(readings) if reading.meter == meter]
        return [prove(self._signer, sequence, readings, index) for index in chosen]

    # -- how ----------------------------------------------------------------------------------------------------------

    def _own(self) -> None:
        """Write down whose records these are, or compare."""
        mine = (self._site, self._signer.public_key)
        row = self._database.row("SELECT site, public_key FROM site")
        if row is None:
            with self._database.transaction() as sql:
                sql.execute("INSERT INTO site VALUES (?, ?)", mine)
        elif row != mine:
            raise InputError(f"{self._database.path} holds the records of {row[0]!r} under another key or name")

    def _keep(self, anchors: Iterable[Anchor]) -> None:
        for anchor in anchors:
            self._keeper.keep(anchor)

    def _seal_all(self, sql: sqlite3.Connection, now_ms: int) -> list[Anchor]:
        """Make records of all that waits, inside the caller's write."""
        sealed = []
        while (waiting := self._waiting()) or self._ended_ms() < now_ms:
            sealed.append(self._seal(sql, waiting, now_ms))
        return sealed

    def _seal_slot(self, sql: sqlite3.Connection, readings: tuple[MeterReading, ...], now_ms: int) -> list[Anchor]:
        """Make a record of just these if they fit and nothing waits; else they wait in their turn."""
        if self._size() or len(msgspec.json.encode(readings)) > _MOST_READING_BYTES:
            _wait(sql, readings)
            return self._seal_all(sql, now_ms)
        return [self._record(sql, readings, now_ms)]

    def _seal(self, sql: sqlite3.Connection, waiting: Sequence[tuple[int, bytes]], now_ms: int) -> Anchor:
        """Make the next record of as many readings as fit; they wait no longer."""
        chosen, size = 0, 0
        for _, raw in waiting:
            size += len(raw) + 1
            if size > _MOST_READING_BYTES:
                break
            chosen += 1
        readings = tuple(msgspec.json.decode(raw, type=MeterReading) for _, raw in waiting[:chosen])
        ends_ms = now_ms if chosen == len(waiting) else max(readings[-1].at_ms, self._ended_ms())
        sql.executemany("DELETE FROM waiting WHERE id = ?", [(number,) for number, _ in waiting[:chosen]])
        return self._record(sql, readings, ends_ms)

    def _record(self, sql: sqlite3.Connection, readings: tuple[MeterReading, ...], ends_ms: int) -> Anchor:
        """The next record, of exactly these readings."""
        last = self._database.row("SELECT sequence, hash, to_ms FROM records ORDER BY sequence DESC LIMIT 1")
        sequence, previous, begins_ms = (-1, GENESIS, self._begins_ms) if last is None else last
        anchor = seal(self._signer, self._site, sequence + 1, previous, (begins_ms, ends_ms), readings, self._detail)
        row = (anchor.sequence, anchor.content, hash_of(anchor), ends_ms, msgspec.json.encode(readings))
        sql.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?)", row)
        return anchor

    def _waiting(self) -> list[tuple[int, bytes]]:
        return [(number, raw) for number, raw in self._database.rows("SELECT id, reading FROM waiting ORDER BY id")]

    def _size(self) -> int:
        row = self._database.row("SELECT coalesce(sum(length(reading) + 1), 0) FROM waiting")
        return int(row[0]) if row else 0

    def _last(self) -> Anchor | None:
        row = self._database.row("SELECT sequence, content FROM records ORDER BY sequence DESC LIMIT 1")
        return None if row is None else Anchor(site=self._site, sequence=row[0], content=row[1])

    def _ended_ms(self) -> int:
        row = self._database.row("SELECT to_ms FROM records ORDER BY sequence DESC LIMIT 1")
        return self._begins_ms if row is None else int(row[0])


def _wait(sql: sqlite3.Connection, readings: Iterable[MeterReading]) -> None:
    """Write readings down, inside the caller's write."""
    rows = [(msgspec.json.encode(reading),) for reading in readings]
    sql.executemany("INSERT INTO waiting (reading) VALUES (?)", rows)
