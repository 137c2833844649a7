"""The records that a site kept, in a file: each line as it was signed, and once, compactly, the readings behind it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from wattswap.ledger.anchors import SALT_KEY_BYTES, Fault, MeterReading, Record, hash_of, root_of, said
from wattswap.ledger.base import Anchor
from wattswap.ledger.database import MOST_DICTIONARY_BYTES, Database, Kind, Stored, checksum, deflated, inflated
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MOST_NANOS

_KEY_EVERY: Final = 32
"""Each so manieth record stands for itself; the readings of those after it are deflated with its own as dictionary."""

_SCHEMA: Final = """
CREATE TABLE site (
    site TEXT NOT NULL, public_key BLOB NOT NULL, network TEXT NOT NULL, run TEXT NOT NULL, begins TEXT NOT NULL,
    dictionary BLOB NOT NULL DEFAULT x''
) STRICT;
CREATE TABLE records (
    sequence INTEGER PRIMARY KEY,
    hash TEXT NOT NULL,
    to_ms INTEGER NOT NULL,
    salt_key BLOB NOT NULL,
    line BLOB NOT NULL,
    readings_hash BLOB NOT NULL,
    readings BLOB NOT NULL
) STRICT;
"""
"""``line`` is deflated with the site's ``dictionary``. ``readings`` are columns (the names, the instants, and so on,
each as a list), deflated with those of the last record whose number is a multiple of 32, and named by hash."""

KIND: Final = Kind(name="meter archive", application_id=0x57_53_4D_31, version=3, schema=_SCHEMA)


class RecordFile(Stored):
    """The records in an open archive."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key: tuple[int, bytes] = (-1, b"")
        """The columns that serve as a dictionary, and of which record they are."""

    @property
    def public_key(self) -> bytes:
        """Of the key that signs the records; empty before a site has begun."""
        row = self._database.row("SELECT public_key FROM site")
        return b"" if row is None else bytes(row[0])

    def extent(self) -> tuple[int, int]:
        """How many records there are, and the last one's sequence (-1 for none)."""
        [(count, last)] = self._database.rows("SELECT count(*), coalesce(max(sequence), -1) FROM records")
        return count, last

    def records(self, first: int = 0, last: int = MOST_NANOS) -> list[Anchor]:
        """The records from ``first`` to ``last``, both included, oldest first."""
        site = self._database.row("SELECT site, dictionary FROM site")
        rows = self._database.rows(
            "SELECT sequence, line FROM records WHERE sequence BETWEEN ? AND ? ORDER BY sequence", first, last
        )
        if site is None:
            return []
        return [Anchor(site=site[0], sequence=number, content=inflated(line, site[1])) for number, line in rows]

    def readings(self, sequence: int) -> tuple[MeterReading, ...]:
        """What a record stands for; nothing for a record that is not here, or whose readings cannot be read."""
        try:
            columns = msgspec.json.decode(self._raw_columns(sequence), type=list[list[str | int]])
            rows = [dict(zip(_NAMES, row, strict=True)) for row in zip(*columns, strict=True)]
            return msgspec.convert(rows, tuple[MeterReading, ...])
        except (ValueError, msgspec.MsgspecError):
            return ()

    def salt_key(self, sequence: int) -> bytes:
        """The random key of a record's salts; empty for a record that shows its readings."""
        row = self._database.row("SELECT salt_key FROM records WHERE sequence = ?", sequence)
        return b"" if row is None else bytes(row[0])

    def append(
        self, sql: sqlite3.Connection, anchor: Anchor, readings: Sequence[MeterReading], to_ms: int, salt_key: bytes
    ) -> None:
        """Keep the next record, inside the caller's write."""
        [(dictionary,)] = self._database.rows("SELECT dictionary FROM site")
        if not dictionary:
            dictionary = anchor.content[:MOST_DICTIONARY_BYTES]
            sql.execute("UPDATE site SET dictionary = ?", (dictionary,))
        columns = msgspec.json.encode([[getattr(one, name) for one in readings] for name in _NAMES])
        line, packed = deflated(anchor.content, dictionary), deflated(columns, self._key_of(anchor.sequence))
        row = (anchor.sequence, hash_of(anchor), to_ms, salt_key, line, checksum(columns), packed)
        sql.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _raw_columns(self, sequence: int) -> bytes:
        """The columns of a record; nothing if they are damaged, or if there is no such record."""
        row = self._database.row("SELECT readings_hash, readings FROM records WHERE sequence = ?", sequence)
        if row is None:
            return b""
        columns = inflated(row[1], self._key_of(sequence))
        return columns if checksum(columns) == row[0] else b""

    def _key_of(self, sequence: int) -> bytes:
        """What a record's columns are deflated with."""
        key = sequence - sequence % _KEY_EVERY
        if key == sequence:
            return b""
        if self._key[0] != key:
            self._key = (key, self._raw_columns(key))
        return self._key[1]


class Archive(RecordFile):
    """The file of an ``Anchorer``, to be read only, perhaps while the site is at work.

    Raises ``InputError`` if there is no such file, or if it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(Database(path, KIND, reads_only=True))
        row = self._database.row("SELECT site, run FROM site")
        if row is None:
            self.close()
            raise InputError(f"{path} holds no site's records yet")
        self.site, self.run = str(row[0]), str(row[1])

    def damaged(self, anchors: Sequence[Anchor]) -> list[Fault]:
        """Where what lies beside these records is not what they say; whether they are sound is not asked."""
        faults = []
        for anchor in anchors:
            row = self._database.row("SELECT hash FROM records WHERE sequence = ?", anchor.sequence)
            if row is None or row[0] != hash_of(anchor):
                faults.append(Fault(anchor.sequence, "its hash is not the one written down when it was sealed"))
            elif (record := said(anchor)) is not None and not self._stands_for(record):
                faults.append(Fault(anchor.sequence, "the readings kept beside it are not those it stands for"))
        return faults

    def _stands_for(self, record: Record) -> bool:
        readings, key = self.readings(record.sequence), self.salt_key(record.sequence)
        if record.root and (len(key) != SALT_KEY_BYTES or root_of(key, readings) != record.root):
            return False
        return len(readings) == record.count and (bool(record.root) or record.readings == readings)

    def meters(self) -> set[str]:
        """The names of all meters that stand in any record. Reads everything."""
        return {reading.meter for sequence in range(self.extent()[1] + 1) for reading in self.readings(sequence)}

    def record_at(self, at_ms: int) -> int:
        """The record whose time holds an instant, or the newest one."""
        row = self._database.row("SELECT min(sequence) FROM records WHERE to_ms >= ?", at_ms)
        return self.extent()[1] if row is None or row[0] is None else int(row[0])

    def newest_ms(self) -> int:
        """Until when there are records; 0 if there is none."""
        return self._database.number("SELECT max(to_ms) FROM records")

    def last_before(self, meter: str, at_ms: int) -> tuple[int, int] | None:
        """(record, place in it) of the last reading of a meter at or before an instant; None if there is none.

        Looked for in the record of that instant and then in those before it.
        """
        for sequence in range(self.record_at(at_ms), -1, -1):
            readings = self.readings(sequence)
            places = [place for place, one in enumerate(readings) if one.meter == meter and one.at_ms <= at_ms]
            if places:
                return sequence, max(places, key=lambda place: readings[place].at_ms)
        return None


_NAMES: Final = MeterReading.__struct_fields__
