"""The state of the chain in one SQLite file: every transaction, and every version of every coin.

A transaction's outcome is written in one SQLite transaction, flushed to the disk before it returns: after a kill or a
power cut all of it is there or nothing. The tables are a second guard: no coin's version is ever spent twice, and of
no coin are there two versions at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

from wattswap.ledger.base import require
from wattswap.ledger.database import Database, Kind
from wattswap.ledger.devnet.model import CoinObject
from wattswap.ledger.devnet.rules import COIN_DEPOSIT

_TABLES: Final = """
CREATE TABLE transactions (
    seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, digest BLOB NOT NULL UNIQUE, sender BLOB NOT NULL,
    signed BLOB NOT NULL, effects BLOB NOT NULL, minted INTEGER NOT NULL, burned INTEGER NOT NULL);
CREATE INDEX sent ON transactions (sender, seq);
CREATE TABLE coins (
    id BLOB, version INTEGER, owner BLOB NOT NULL, nanos INTEGER NOT NULL CHECK (nanos >= 0),
    previous BLOB NOT NULL, digest BLOB NOT NULL, made INTEGER NOT NULL, spent INTEGER,
    PRIMARY KEY (id, version)) WITHOUT ROWID;
CREATE UNIQUE INDEX live ON coins (id) WHERE spent IS NULL;
CREATE INDEX owned ON coins (owner, spent, id, nanos);
CREATE TRIGGER once BEFORE UPDATE ON coins WHEN old.spent IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'this version of the coin is spent'); END;
"""
KIND: Final = Kind(name="devnet chain", application_id=0x77617474, version=4, schema=_TABLES)


class Entry(Struct, frozen=True):
    """A transaction as it is kept. ``minted`` and ``burned`` are sums since the chain began."""

    seq: int
    time_ms: int
    digest: bytes
    sender: bytes
    signed: bytes
    effects: bytes
    minted: int
    burned: int


Row = TypeVar("Row", CoinObject, Entry)
Condition = tuple[Any, ...]
"""SQL of this package's own words, and the values for its question marks: what comes from outside is one of these."""
LIVE: Final = ("spent IS NULL",)
"""Of coins: as they are now."""


class ChainStore:
    """One open database; ``file`` None keeps it in memory, for this process only.

    Raises ``InputError`` if the file cannot be used: another node has it, it is damaged, or it is no chain of ours.
    """

    def __init__(self, file: Path | None) -> None:
        self._database = Database(file, KIND)
        self.close = self._database.close
        self._rows = self._database.rows
        self._rows("PRAGMA cache_size = -16000")
        with self._database.closed_if_bad():
            self._last = last = self.entry()
            nanos, coins = self.supply()
            adds_up = last is None or nanos + coins * COIN_DEPOSIT + last.burned == last.minted
            require(adds_up, "its tokens do not add up")  # changed by something else: better to stop than to go on

    def write(self, entry: Entry, spent: Iterable[CoinObject], written: Iterable[CoinObject]) -> None:
        """A transaction with all it changed, or, if anything goes wrong, nothing of it."""
        used = [(entry.seq, coin.id, coin.version) for coin in spent]
        coins = [(*structs.astuple(coin), entry.seq) for coin in written]
        with self._database.transaction() as sql:
            sql.executemany("UPDATE coins SET spent = ? WHERE id = ? AND version = ?", used)
            sql.executemany("INSERT INTO coins VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", coins)
            sql.execute("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", structs.astuple(entry))
        self._last = entry

    def find(self, kind: type[Row], *conditions: Condition, order: str, count: int = -1) -> list[Row]:
        """All coins, in every version, or transactions of which all this holds."""
        columns, table = ", ".join(kind.__struct_fields__), "coins" if kind is CoinObject else "transactions"
        where = " AND ".join(sql for sql, *_ in conditions) or "TRUE"
        values = [value for _, *given in conditions for value in given]
        query = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608 - our own words
        return [kind(*row) for row in self._rows(query, *values, count)]

    def entry(self, *conditions: Condition) -> Entry | None:
        """The last transaction of which all this holds."""
        return next(iter(self.find(Entry, *conditions, order="seq DESC", count=1)), None)

    def last(self) -> Entry:
        """The last transaction, known without a look: nobody else writes. There is one: a chain begins with it."""
        assert self._last
        return self._last

    def coin(self, coin_id: bytes, *conditions: Condition) -> CoinObject | None:
        """The coin as it is now, or as it was when this held."""
        found = self.find(CoinObject, ("id = ?", coin_id), *(conditions or [LIVE]), order="version", count=1)
        return found[0] if found else None

    def spender(self, coin_id: bytes, version: int) -> bytes | None:
        """The digest of the transaction that used up this version."""
        entry = self.entry(("seq = (SELECT spent FROM coins WHERE id = ? AND version = ?)", coin_id, version))
        return entry.digest if entry else None

    def at(self, seq: int) -> Condition:
        """Of coins: as they were after a transaction."""
        return LIVE if seq == self.last().seq else ("made <= ? AND (spent IS NULL OR spent > ?)", seq, seq)

    def supply(self) -> tuple[int, int]:
        """The sum of all coins as they are now, and how many they are."""
        ((nanos, count),) = self._rows("SELECT COALESCE(SUM(nanos), 0), COUNT(*) FROM coins WHERE spent IS NULL")
        return nanos, count
