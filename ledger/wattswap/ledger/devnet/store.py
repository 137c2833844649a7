"""The state of the chain in one SQLite file: every transaction, every version of every coin, and what names them.

A transaction's outcome is written in one SQLite transaction, flushed to the disk before it returns: after a kill or a
power cut all of it is there or nothing. Its primary keys are a second guard: no coin's version is ever spent twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum, unique
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from wattswap.ledger.database import Database, Kind
from wattswap.ledger.devnet.model import CoinObject

_TABLES: Final = """
CREATE TABLE chain (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE transactions (
    seq INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, sender BLOB NOT NULL, signed BLOB NOT NULL,
    effects BLOB NOT NULL, checkpoint BLOB NOT NULL, checkpoint_digest BLOB NOT NULL UNIQUE,
    burned INTEGER NOT NULL, deposited INTEGER NOT NULL, rebated INTEGER NOT NULL);
CREATE INDEX sent ON transactions (sender, seq);
CREATE TABLE coins (
    id BLOB PRIMARY KEY, version INTEGER NOT NULL, owner BLOB NOT NULL, nanos INTEGER NOT NULL CHECK (nanos >= 0),
    previous BLOB NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX owned ON coins (owner, id, nanos);
CREATE TABLE versions (
    id BLOB, version INTEGER, owner BLOB NOT NULL, nanos INTEGER NOT NULL, previous BLOB NOT NULL,
    digest BLOB NOT NULL, PRIMARY KEY (id, version)) WITHOUT ROWID;
CREATE TABLE spent (id BLOB, version INTEGER, seq INTEGER NOT NULL, PRIMARY KEY (id, version)) WITHOUT ROWID;
CREATE TABLE mentions (kind INTEGER, key BLOB, seq INTEGER, PRIMARY KEY (kind, key, seq)) WITHOUT ROWID;
"""
KIND: Final = Kind(name="devnet chain", application_id=0x77617474, version=2, schema=_TABLES)

_COIN: Final = "id, version, owner, nanos, previous, digest"
_TRANSACTION: Final = "SELECT * FROM transactions WHERE"
_THEN: Final = f"""(
    SELECT {_COIN} FROM versions JOIN (SELECT digest AS previous, seq FROM transactions) USING (previous)
    WHERE seq <= %d AND NOT EXISTS (
        SELECT 1 FROM spent WHERE spent.id = versions.id AND spent.version = versions.version AND spent.seq <= %d))"""  # noqa: S608 - our own words
"""The coins as they were after a transaction."""
_LIVE: Final = f"SELECT {_COIN} FROM coins WHERE id = ?"  # noqa: S608 - our own words
_AT: Final = f"SELECT {_COIN} FROM versions WHERE id = ? AND version = ?"  # noqa: S608 - our own words
_HISTORY: Final = f"SELECT {_COIN} FROM versions WHERE id = ? ORDER BY version"  # noqa: S608 - our own words
# Conditions and columns in the queries below are this package's own words; what comes from outside is a parameter.


@unique
class Mention(IntEnum):
    """How a transaction names something it can be found by."""

    RECIPIENT = 1
    INPUT = 2
    CHANGED = 3
    DELETED = 4
    FUNCTION = 5


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


class Sums(Struct, frozen=True):
    """Where all tokens are, in nanos."""

    supply: int
    burned: int
    deposits: int


class ChainStore:
    """One open database; ``file`` None keeps it in memory, for this process only.

    Raises ``InputError`` if the file cannot be used: another node has it, it is damaged, or it is no chain of ours.
    """

    def __init__(self, file: Path | None) -> None:
        self._database = Database(file, KIND)
        self._all, self.close = self._database.rows, self._database.close
        self._all("PRAGMA cache_size = -16000")

    def _one(self, statement: str, *values: object) -> tuple[Any, ...]:
        return self._database.row(statement, *values) or ()

    # --- writing

    def write(
        self,
        entry: Entry,
        spent: Iterable[CoinObject],
        written: Sequence[CoinObject],
        mentions: Iterable[tuple[Mention, bytes]],
        about: Iterable[tuple[str, bytes]] = (),
    ) -> None:
        """A transaction and all it changed, or, if anything goes wrong, nothing of it."""
        used = [(coin.id, coin.version, entry.seq) for coin in spent]
        coins = [(coin.id, coin.version, coin.owner, coin.nanos, coin.previous, coin.digest) for coin in written]
        fields = (entry.seq, entry.digest, entry.sender, entry.signed, entry.effects, entry.checkpoint)
        sums = (entry.checkpoint_digest, entry.burned, entry.deposited, entry.rebated)
        with self._database.transaction() as sql:
            many = sql.executemany
            many("INSERT INTO spent VALUES (?, ?, ?)", used)
            many("DELETE FROM coins WHERE id = ?", [row[:1] for row in used])
            many("INSERT INTO coins VALUES (?, ?, ?, ?, ?, ?)", coins)
            many("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)", coins)
            many("INSERT INTO mentions VALUES (?, ?, ?)", [(kind, key, entry.seq) for kind, key in mentions])
            many("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [fields + sums])
            many("INSERT INTO chain VALUES (?, ?)", about)

    # --- reading

    def about(self, key: str) -> bytes | None:
        """What genesis noted about the chain."""
        row = self._one("SELECT value FROM chain WHERE key = ?", key)
        return bytes(row[0]) if row else None

    def coin(self, coin_id: bytes) -> CoinObject | None:
        """The coin as it is now."""
        row = self._one(_LIVE, coin_id)
        return CoinObject(*row) if row else None

    def version(self, coin_id: bytes, version: int) -> CoinObject | None:
        """The coin as it was in this version."""
        row = self._one(_AT, coin_id, version)
        return CoinObject(*row) if row else None

    def versions(self, coin_id: bytes) -> list[CoinObject]:
        """Every version of a coin that there ever was, the first one first."""
        return [CoinObject(*row) for row in self._all(_HISTORY, coin_id)]

    def spender(self, coin_id: bytes, version: int) -> bytes | None:
        """The digest of the transaction that used up this version."""
        query = "SELECT digest FROM spent JOIN transactions USING (seq) WHERE id = ? AND version = ?"
        row = self._one(query, coin_id, version)
        return row[0] if row else None

    def balance(self, owner: bytes, newest: int) -> tuple[int, int]:
        """The sum of an owner's coins after a transaction, and how many they are."""
        found = f"SELECT COALESCE(SUM(nanos), 0), COUNT(*) FROM {self._coins_at(newest)} WHERE owner = ?"  # noqa: S608
        nanos, count = self._one(found, owner)
        return nanos, count

    def entry(
        self, *, seq: int | None = None, digest: bytes | None = None, checkpoint: bytes | None = None
    ) -> Entry | None:
        """A transaction by its number, its digest or its checkpoint's digest; the last one if none is given."""
        given = {"seq": seq, "digest": digest, "checkpoint_digest": checkpoint}
        wanted = {name: value for name, value in given.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in wanted) or "TRUE"
        row = self._one(f"{_TRANSACTION} {where} ORDER BY seq DESC LIMIT 1", *wanted.values())
        return Entry(*row) if row else None

    def coins(
        self, where: Sequence[str], values: Sequence[object], newest: int, *, count: int, backwards: bool
    ) -> list[CoinObject]:
        """Coins under conditions, as they were after a transaction, by id."""
        order = "DESC" if backwards else "ASC"
        conditions = " AND ".join(where) or "TRUE"
        query = f"SELECT {_COIN} FROM {self._coins_at(newest)} WHERE {conditions} ORDER BY id {order} LIMIT ?"  # noqa: S608
        return [CoinObject(*row) for row in self._all(query, *values, count)]

    def _coins_at(self, newest: int) -> str:
        """Where the coins are as they were after a transaction."""
        last = self._one("SELECT MAX(seq) FROM transactions")[0]
        return "coins" if newest == last else _THEN % (newest, newest)

    def entries(
        self,
        where: Sequence[str],
        values: Sequence[object],
        mentions: Sequence[tuple[Mention, bytes]],
        *,
        count: int,
        backwards: bool,
    ) -> list[Entry]:
        """Transactions under conditions that name all of these, in their order.

        The first mention leads: its rows come in the right order, so a page costs no more than it holds.
        """
        order = "DESC" if backwards else "ASC"
        tables = [f"mentions AS m{n}" for n in range(len(mentions))] + ["transactions"]
        same = [f"m{n}.seq = transactions.seq AND m{n}.kind = ? AND m{n}.key = ?" for n in range(len(mentions))]
        first = "m0.seq" if mentions else "transactions.seq"
        conditions = " AND ".join([*same, *(re.sub(r"\bseq\b", first, one) for one in where)]) or "TRUE"
        chosen = f"SELECT transactions.* FROM {' CROSS JOIN '.join(tables)} WHERE {conditions}"  # noqa: S608
        query = f"{chosen} ORDER BY {first} {order} LIMIT ?"
        keys = [part for mention in mentions for part in mention]
        return [Entry(*row) for row in self._all(query, *keys, *values, count)]

    # --- auditing

    def sums(self) -> Sums:
        """Where the tokens are; deposits are what the coins there are have paid in."""
        supply = self._one("SELECT COALESCE(SUM(nanos), 0) FROM coins")[0]
        burned, deposits = self._one("SELECT burned, deposited - rebated FROM transactions ORDER BY seq DESC LIMIT 1")
        return Sums(supply, burned, deposits)

    def count(self) -> int:
        """How many coins there are."""
        return int(self._one("SELECT COUNT(*) FROM coins")[0])

    def state_hash(self) -> str:
        """One hash over all coins and the last transaction: two states with the same hash are the same."""
        state = blake2b(digest_size=32)
        for digest in self._all("SELECT digest FROM coins ORDER BY id"):
            state.update(digest[0])
        state.update(self._one("SELECT checkpoint_digest FROM transactions ORDER BY seq DESC LIMIT 1")[0])
        return state.hexdigest()
