"""Makes a site's records, one per slot, and keeps them: written down before anything is anchored, so no chain forks.

What was metered up to an instant is sealed into the next record, whatever is still on its way to the ledger. Before it
signs anything, an anchorer compares its newest record with the ledger. An archive that was restored from a backup would
sign other records in places that are taken: it raises an alarm instead, and makes no record.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from wattswap.ledger.anchors import GENESIS, SALT_KEY_BYTES, Detail, MeterReading, Whose, seal
from wattswap.ledger.archive import KIND, RecordFile
from wattswap.ledger.base import MOST_ANCHOR_BYTES, Anchor, LedgerDownError
from wattswap.ledger.database import Database
from wattswap.ledger.ledger import Ledger
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import Signer

_MOST_READING_BYTES: Final = MOST_ANCHOR_BYTES - 2_000
"""What a record's readings may come to, so that the signed line around them still fits."""


class Anchorer(RecordFile):
    """The records of one site, in a file or (path ``None``) in memory.

    Raises ``InputError`` if the file is another site's or run's, or cannot be used.
    """

    def __init__(
        self,
        path: Path | None,
        signer: Signer,
        whose: Whose,
        keeper: Ledger,
        *,
        detail: Detail = Detail.ROOT,
        begins_ms: int = 0,
    ) -> None:
        super().__init__(Database(path, KIND, run=whose.run))
        self._signer, self._whose, self._keeper = signer, whose, keeper
        self._detail, self._begins_ms = detail, begins_ms
        self._unkept: list[Anchor] = []
        with self._database.closed_if_bad():
            self._own()
            self.alarm = self._fork()
            """Why it makes no records; empty if all is well."""
            if not self.alarm:
                self._unkept += [anchor for anchor in self.records() if not keeper.is_anchored(anchor)]
                self.hand_over()

    def add(self, slots: Iterable[tuple[int, Sequence[MeterReading]]]) -> None:
        """Make a record of each (instant, readings), whatever is still on its way, all in one write.

        Records then depend on what was metered, not on who was quick. Readings that fill more than a record become
        several. An anchorer with an ``alarm`` makes none.
        """
        if self.alarm:
            return
        with self._database.transaction() as sql:
            sealed = [self._seal(sql, part, now_ms) for now_ms, readings in slots for part in _parts(tuple(readings))]
        self._unkept += sealed
        with suppress(LedgerDownError):  # what is sealed is in the archive; a ledger that is down gets it later
            self.hand_over()

    def hand_over(self) -> None:
        """Hand over what a ledger that was down has not taken yet. Raises ``LedgerDownError`` if it still is."""
        if self._unkept:
            self._keeper.keep(self._unkept)
            self._unkept = []

    @property
    def site(self) -> str:
        """Whose records these are."""
        return self._whose.site

    @property
    def made(self) -> int:
        """How many records there are."""
        return self.extent()[1] + 1

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
        newest = self.made - 1
        ours = self.records(newest)
        for anchor in self._keeper.anchored(self.site, run=self._whose.run, first=max(newest, 0)):
            if anchor not in ours:
                return (
                    f"meter records stopped: record {anchor.sequence} of {self.site} on the ledger is not in its"
                    " archive, which was restored from a backup or is another one; put the newest archive back"
                )
        return ""

    def _seal(self, sql: sqlite3.Connection, readings: tuple[MeterReading, ...], ends_ms: int) -> Anchor:
        """The next record, of exactly these readings."""
        row = self._database.row("SELECT sequence, hash, to_ms FROM records ORDER BY sequence DESC LIMIT 1")
        last, previous, begins_ms = (-1, GENESIS, self._begins_ms) if row is None else row
        key = secrets.token_bytes(SALT_KEY_BYTES) if self._detail is Detail.ROOT else b""
        anchor = seal(self._signer, self._whose, last + 1, previous, (begins_ms, ends_ms), readings, self._detail, key)
        self.append(sql, anchor, readings, ends_ms, key)
        return anchor


def _parts(readings: tuple[MeterReading, ...]) -> Iterator[tuple[MeterReading, ...]]:
    """The readings, in parts that fit into a record each; nothing metered is one part too."""
    if len(msgspec.json.encode(readings)) <= _MOST_READING_BYTES:
        yield readings
        return
    first, size = 0, 0
    for place, reading in enumerate(readings):
        size += len(msgspec.json.encode(reading)) + 1
        if size > _MOST_READING_BYTES:
            yield readings[first:place]
            first, size = place, len(msgspec.json.encode(reading)) + 1
    yield readings[first:]
