"""A book as it lies in a file, beside the payments it makes: written as it grows, in the same transaction as these."""

from __future__ import annotations

import sqlite3
from typing import Final

from wattswap.ledger.base import DamagedError
from wattswap.ledger.book import Book, Entry, Leg
from wattswap.ledger.database import Database
from wattswap.protocol.units import MOST_NANOS

BOOK_SCHEMA: Final = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    feeder TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    account TEXT NOT NULL,
    nanos INTEGER NOT NULL
) STRICT;
CREATE INDEX entries_by_feeder ON entries (feeder, seq);
CREATE TABLE postings (
    seq INTEGER NOT NULL REFERENCES entries,
    from_account TEXT NOT NULL,
    to_account TEXT NOT NULL,
    nanos INTEGER NOT NULL CHECK (nanos > 0)
) STRICT;
"""
"""``account`` of an entry is what the book calls its subject: an account, a vehicle, or nothing. ``feeder`` is empty
where there is only one."""


class BookFile:
    """The books in a file, one for each feeder."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._compared: dict[str, Book] = {}
        """Of each feeder the book whose beginning is what stands in the file."""

    def knows(self, book: Book, feeder: str = "") -> bool:
        """Whether this book was compared with all that stands in the file."""
        return self._compared.get(feeder) is book

    def read(self, feeder: str = "", first: int = 0) -> list[Entry]:
        """The entries of a feeder's book from the ``first`` (counted from 0) on."""
        rows = self._database.rows(
            "SELECT seq, operation, key, account, nanos FROM entries WHERE feeder = ? ORDER BY seq LIMIT -1 OFFSET ?",
            feeder,
            first,
        )
        legs: dict[int, list[Leg]] = {}
        for seq, *leg in self._database.rows(
            "SELECT seq, from_account, to_account, nanos FROM postings WHERE seq >= ? ORDER BY rowid",
            rows[0][0] if rows else MOST_NANOS,
        ):
            legs.setdefault(seq, []).append((leg[0], leg[1], leg[2]))
        return [(*entry, tuple(legs.get(seq, ()))) for seq, *entry in rows]

    def append(self, sql: sqlite3.Connection, book: Book, feeder: str = "") -> list[Entry]:
        """Write down what is new in a feeder's book, inside the caller's write, and return it.

        All that stands in the file is compared with a book that comes for the first time; then the last entry does,
        for nobody else writes the file.

        Raises ``DamagedError`` if the file holds another book's entries, or more than this book has.
        """
        known = self._database.number("SELECT count(*) FROM entries WHERE feeder = ?", feeder)
        first = max(known - 1, 0) if self.knows(book, feeder) else 0
        written, has = self.read(feeder, first), book.entries_since(first)
        if written != has[: len(written)]:
            raise DamagedError(
                f"{self._database.path} holds entries that this book does not have: it is another book's file"
            )
        self._compared[feeder] = book
        new = has[len(written) :]
        numbered = list(enumerate(new, 1 + self._database.number("SELECT max(seq) FROM entries")))
        sql.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", [(seq, feeder, *entry[:4]) for seq, entry in numbered]
        )
        sql.executemany(
            "INSERT INTO postings VALUES (?, ?, ?, ?)",
            [(seq, *leg) for seq, entry in numbered for leg in entry[4]],
        )
        return new
