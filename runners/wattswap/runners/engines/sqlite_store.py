"""A node's store in one SQLite file, which only its owner may read.

A transaction that has returned is on the disk (WAL, ``synchronous=FULL``); one that was cut off by a crash or a loss of
power never happened. Amounts are whole nanos.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.ledger.book import Entry, Leg
from wattswap.ledger.database import Database, Kind, Stored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SCHEMA: Final = """
CREATE TABLE starts (
    node INTEGER PRIMARY KEY CHECK (node = 1),
    epoch INTEGER NOT NULL CHECK (epoch >= 0)
) STRICT;
INSERT INTO starts VALUES (1, 0);
CREATE TABLE memories (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    value BLOB NOT NULL
) STRICT;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    subject TEXT NOT NULL,
    nanos INTEGER NOT NULL,
    legs BLOB NOT NULL
) STRICT;
"""
KIND: Final = Kind(name="node's store", application_id=0x57_53_4E_31, version=1, schema=_SCHEMA)

_REMEMBER: Final = (
    "INSERT INTO memories (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_FORGET: Final = "DELETE FROM memories WHERE key = ?"
_ENTER: Final = "INSERT INTO entries (operation, key, subject, nanos, legs) VALUES (?, ?, ?, ?, ?)"


class SqliteStore(Stored):
    """The file of one node; a second process that opens it is refused. Without a path it is in memory, for tests.

    Raises:
        InputError: the path cannot be used; says why, in one line.
    """

    def __init__(self, path: Path | None) -> None:
        self._database = Database(path, KIND)

    def commit(self, memories: Sequence[tuple[str, bytes | None]], entries: Sequence[Entry]) -> None:
        """Write it in one transaction.

        Raises:
            LedgerDownError: the disk failed; nothing more can be written until the file is opened again.
        """
        with self._database.transaction() as connection:
            for key, value in memories:
                if value is None:
                    connection.execute(_FORGET, (key,))
                else:
                    connection.execute(_REMEMBER, (key, value))
            connection.executemany(_ENTER, [(*entry[:4], msgspec.msgpack.encode(entry[4])) for entry in entries])

    def next_epoch(self, least: int = 1) -> int:
        """Count one more start of the node."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE starts SET epoch = max(epoch + 1, ?)", (least,))
            (epoch,) = connection.execute("SELECT epoch FROM starts").fetchone()
            return int(epoch)

    def remembered(self) -> dict[str, bytes]:
        """All that is remembered."""
        return dict(self._database.rows("SELECT key, value FROM memories ORDER BY id"))

    def entries(self) -> list[Entry]:
        """The book's entries."""
        rows = self._database.rows("SELECT operation, key, subject, nanos, legs FROM entries ORDER BY id")
        return [(*row, msgspec.msgpack.decode(legs, type=tuple[Leg, ...])) for *row, legs in rows]
