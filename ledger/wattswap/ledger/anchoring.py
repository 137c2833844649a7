"""Makes a site's records, one per slot, and keeps them: written down before anything is anchored, so no chain forks.

Readings come in as they are metered. When a slot is over they are sealed into the next record, unless the one before is
still on its way: then they wait and become part of the next (a missed slot is merged, not lost). Before it signs
anything, an anchorer compares its newest record with the ledger. An archive that was restored from a backup would sign
other records in places that are taken: it raises an alarm instead, and makes no record.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, Self

import msgspec

from wattswap.ledger.anchors import GENESIS, SALT_KEY_BYTES, Detail, MeterReading, Proof, Whose, prove, seal
from wattswap.ledger.archive import KIND, RecordFile
from wattswap.ledger.base import MOST_ANCHOR_BYTES, Anchor, LedgerDownError
from wattswap.ledger.database import Database
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import Signer

SLOT_MS: Final = 30_000
_MOST_READING_BYTES: Final = MOST_ANCHOR_BYTES - 2_000
"""What a record's readings may come to, so that the signed line around them still fits."""


class Keeper(Protocol):
    """Where sealed records go."""

    def keep(self, anchors: Sequence[Anchor]) -> None:
        """Anchor these, some time; a repeat is harmless."""
        ...

    def is_anchored(self, anchor: Anchor) -> bool:
        """Whether it is on the ledger for good."""
        ...

    def anchored(self, site: str, first: int) -> list[Anchor]:
        """The site's records from this sequence on, as the ledger lists them."""
        ...


class Anchorer:
    """The records of one site, in a file or (path ``None``) in memory.

    Raises ``InputError`` if the file is another site's or run's, or cannot be used.
    """

    def __init__(
        self,
        path: Path | None,
        signer: Signer,
        whose: Whose,
        keeper: Keeper,
        *,
        detail: Detail = Detail.ROOT,
        slot_ms: int = SLOT_MS,
        begins_ms: int = 0,
    ) -> None:
        self._database = Database(path, KIND, run=whose.run)
        self._file = RecordFile(self._database)
        self._signer, self._whose, self._keeper = signer, whose, keeper
        self._detail, self._slot_ms, self._begins_ms = detail, slot_ms, begins_ms
        self._unkept: list[Anchor] = []
        try:
            self._own()
            self.alarm = self._fork()
            """Why it makes no records; empty if all is well."""
            if not self.alarm:
                self._unkept += [anchor for anchor in self.records() if not keeper.is_anchored(anchor)]
                self.hand_over()
        except BaseException:
            self._database.close()
            raise

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
            for now_ms, readings in slots if not self.alarm else ():
                sealed += self._seal_slot(sql, tuple(readings), now_ms)
        self._keep(sealed)

    def seal(self, now_ms: int) -> None:
        """Seal what waits, whether or not the slot is over: at the end of a run, or when it grows too large."""
        if self.alarm:
            return
        with self._database.transaction() as sql:
            sealed = self._seal_all(sql, now_ms)
        self._keep(sealed)

    def hand_over(self) -> None:
        """Hand over what a ledger that was down has not taken yet. Raises ``LedgerDownError`` if it still is."""
        if self._unkept:
            self._keeper.keep(self._unkept)
            self._unkept = []

    def _keep(self, sealed: Sequence[Anchor]) -> None:
        """What is sealed is in the archive; a ledger that is down gets it later."""
        self._unkept += sealed
        with suppress(LedgerDownError):
            self.hand_over()

    @property
    def identity(self) -> str:
        """A random id that no other archive has."""
        return self._database.identity

    @property
    def made(self) -> int:
        """How many records there are."""
        return self._file.extent()[1] + 1

    def records(self, first: int = 0) -> list[Anchor]:
        """The records so far, oldest first."""
        return self._file.records(first)

    def readings(self, sequence: int) -> tuple[MeterReading, ...]:
        """What a record stands for. Raises ``InputError`` if there is no such record."""
        if not 0 <= sequence < self.made:
            raise InputError(f"there is no record {sequence} of {self._whose.site!r}")
        return self._file.readings(sequence)

    def proofs(self, sequence: int, meter: str) -> list[Proof]:
        """Proofs of all of a meter's readings in a record: what its customer is handed."""
        readings, key = self.readings(sequence), self._file.salt_key(sequence)
        return [prove(key, sequence, readings, at) for at, one in enumerate(readings) if one.meter == meter]

    # -- how ----------------------------------------------------------------------------------------------------------

    def _own(self) -> None:
        """Write down whose records these are, or compare."""
        whose = self._whose
        mine = (whose.site, self._signer.public_key, self._signer.network, whose.run, whose.begins)
        row = self._database.row("SELECT site, public_key, network, run, begins FROM site")
        if row is None:
            with self._database.transaction() as sql:
                sql.execute("INSERT INTO site (site, public_key, network, run, begins) VALUES (?, ?, ?, ?, ?)", mine)
        elif row != mine:
            raise InputError(f"{self._database.path} holds the records of {row[0]!r} under another key, name or run")

    def _fork(self) -> str:
        """What is wrong if the ledger holds other records than this archive, or more; empty if it does not."""
        last = self._last()
        there = self._keeper.anchored(self._whose.site, 0 if last is None else last.sequence)
        ours = [] if last is None else [last]
        for anchor in there:
            if anchor not in ours:
                return (
                    f"meter records stopped: record {anchor.sequence} of {self._whose.site} on the ledger is not in its"
                    " archive, which was restored from a backup or is another one; put the newest archive back"
                )
        return ""

    def _seal_all(self, sql: sqlite3.Connection, now_ms: int) -> list[Anchor]:
        """Make records of all that waits, inside the caller's write."""
        sealed = []
        while (waiting := self._waiting()) or self._ended_ms() < now_ms:
            sealed.append(self._seal(sql, waiting, now_ms))
        return sealed

    def _seal_slot(self, sql: sqlite3.Connection, readings: tuple[MeterReading, ...], now_ms: int) -> list[Anchor]:
        """Make a record of just these if they fit and nothing waits; else they wait in their turn."""
        encoded = msgspec.json.encode(readings)
        if self._size() or len(encoded) > _MOST_READING_BYTES:
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
        row = self._database.row("SELECT sequence, hash, to_ms FROM records ORDER BY sequence DESC LIMIT 1")
        last, previous, begins_ms = (-1, GENESIS, self._begins_ms) if row is None else row
        key = secrets.token_bytes(SALT_KEY_BYTES) if self._detail is Detail.ROOT else b""
        anchor = seal(self._signer, self._whose, last + 1, previous, (begins_ms, ends_ms), readings, self._detail, key)
        self._file.append(sql, anchor, readings, ends_ms, key)
        return anchor

    def _waiting(self) -> list[tuple[int, bytes]]:
        return [(number, raw) for number, raw in self._database.rows("SELECT id, reading FROM waiting ORDER BY id")]

    def _size(self) -> int:
        row = self._database.row("SELECT coalesce(sum(length(reading) + 1), 0) FROM waiting")
        return int(row[0]) if row else 0

    def _last(self) -> Anchor | None:
        row = self._database.row("SELECT max(sequence) FROM records")
        if row is None or row[0] is None:
            return None
        return self._file.records(row[0])[0]

    def _ended_ms(self) -> int:
        row = self._database.row("SELECT to_ms FROM records ORDER BY sequence DESC LIMIT 1")
        return self._begins_ms if row is None else int(row[0])


def _wait(sql: sqlite3.Connection, readings: Iterable[MeterReading]) -> None:
    """Write readings down, inside the caller's write."""
    rows = [(msgspec.json.encode(reading),) for reading in readings]
    sql.executemany("INSERT INTO waiting (reading) VALUES (?)", rows)
