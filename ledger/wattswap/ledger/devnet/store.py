"""The state of the chain in one SQLite file: every transaction, and every version of every coin.

A transaction's outcome is written in one SQLite transaction, flushed to the disk before it returns: after a kill or a
power cut all of it is there or nothing. The tables are a second guard: no coin's version is ever spent twice, and of
no coin are there two versions at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

from wattswap.ledger.database import Database, Kind
from wattswap.ledger.devnet.model import CoinObject

_TABLES: Final = """
CREATE TABLE chain (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE transactions (
    seq INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, sender BLOB NOT NULL, signed BLOB NOT NULL,
    effects BLOB NOT NULL, checkpoint BLOB NOT NULL, checkpoint_digest BLOB NOT NULL UNIQUE,
    burned INTEGER NOT NULL, deposited INTEGER NOT NULL, rebated INTEGER NOT NULL);
CREATE INDEX sent ON transactions (sender, seq);
CREATE TABLE calls (function BLOB, seq INTEGER, PRIMARY KEY (function, seq)) WITHOUT ROWID;
CREATE TABLE coins (
    id BLOB, version INTEGER, owner BLOB NOT NULL, nanos INTEGER NOT NULL CHECK (nanos >= 0),
    previous BLOB NOT NULL, digest BLOB NOT NULL, made INTEGER NOT NULL, spent INTEGER,
    PRIMARY KEY (id, version)) WITHOUT ROWID;
CREATE UNIQUE INDEX live ON coins (id) WHERE spent IS NULL;
CREATE INDEX owned ON coins (owner, id, nanos) WHERE spent IS NULL;
CREATE INDEX received ON coins (owner, made) WHERE made >= 0;
CREATE TRIGGER once BEFORE UPDATE ON coins WHEN old.spent IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'this version of the coin is spent'); END;
"""
# ``made >= 0`` always holds; it keeps SQLite from taking ``received`` where ``owned`` is meant
KIND: Final = Kind(name="devnet chain", application_id=0x77617474, version=3, schema=_TABLES)


class Entry(Struct, frozen=True):
    """A transaction with its checkpoint, as it is kept. ``burned`` and its like are sums since the chain began."""

    seq: int
    digest: bytes
    sender: bytes
    signed: bytes
    effects: bytes
    checkpoint: bytes
    checkpoint_digest: bytes
    burned: int
    deposited: int
    rebated: int


Row = TypeVar("Row", CoinObject, Entry)
Condition = tuple[Any, ...]
"""SQL of this package's own words, and the values for its question marks: what comes from outside is one of these."""
LIVE: Final = ("spent IS NULL",)
"""Of coins: as they are now."""
_LAST: Final = "seq DESC"


class ChainStore:
    """One open database; ``file`` None keeps it in memory, for this process only.

    Raises ``InputError`` if the file cannot be used: another node has it, it is damaged, or it is no chain of ours.
    """

    def __init__(self, file: Path | None) -> None:
        self._database = Database(file, KIND)
        self.close = self._database.close
        self._rows = self._database.rows
        self._rows("PRAGMA cache_size = -16000")
        self._last = self.entry()

    def write(
        self,
        entry: Entry,
        spent: Iterable[CoinObject],
        written: Iterable[CoinObject],
        functions: Iterable[bytes] = (),
        about: Iterable[tuple[str, bytes]] = (),
    ) -> None:
        """A transaction with all it changed and called, or, if anything goes wrong, nothing of it."""
        used = [(entry.seq, coin.id, coin.version) for coin in spent]
        coins = [(*structs.astuple(coin), entry.seq) for coin in written]
        with self._database.transaction() as sql:
            sql.executemany("UPDATE coins SET spent = ? WHERE id = ? AND version = ?", used)
            sql.executemany("INSERT INTO coins VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", coins)
            sql.executemany("INSERT INTO calls VALUES (?, ?)", [(function, entry.seq) for function in functions])
            sql.execute("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", structs.astuple(entry))
            sql.executemany("INSERT INTO chain VALUES (?, ?)", about)
        self._last = entry

    def about(self, key: str) -> bytes:
        """What genesis noted about the chain; nothing if it did not."""
        return b"".join(value for (value,) in self._rows("SELECT value FROM chain WHERE key = ?", key))

    def find(self, kind: type[Row], *conditions: Condition, order: str, count: int = -1) -> list[Row]:
        """All coins, in every version, or transactions of which all this holds."""
        columns, table = ", ".join(kind.__struct_fields__), "coins" if kind is CoinObject else "transactions"
        where, values = _where(conditions)
        query = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608 - our own words
        return [kind(*row) for row in self._rows(query, *values, count)]

    def entry(self, *conditions: Condition) -> Entry | None:
        """The last transaction of which all this holds."""
        return next(iter(self.find(Entry, *conditions, order=_LAST, count=1)), None)

    def last(self) -> Entry:
        """The last transaction, known without a look: nobody else writes. There is one, for genesis is the first."""
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
        return LIVE if seq == self.last().seq else ("made BETWEEN 0 AND ? AND (spent IS NULL OR spent > ?)", seq, seq)

    def balance(self, *conditions: Condition) -> tuple[int, int]:
        """The sum of the coins of which all this holds, and how many they are."""
        where, values = _where(conditions)
        nanos, count = self._rows(f"SELECT COALESCE(SUM(nanos), 0), COUNT(*) FROM coins WHERE {where}", *values)[0]  # noqa: S608
        return nanos, count

    def state_hash(self) -> str:
        """One hash over all coins and the last transaction: two states with the same hash are the same."""
        state = blake2b(digest_size=32)
        for (digest,) in self._rows("SELECT digest FROM coins WHERE spent IS NULL ORDER BY id"):
            state.update(digest)
        state.update(self.last().checkpoint_digest)
        return state.hexdigest()


def _where(conditions: Sequence[Condition]) -> tuple[str, list[Any]]:
    return " AND ".join(one[0] for one in conditions) or "TRUE", [value for one in conditions for value in one[1:]]
