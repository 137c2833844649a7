"""What an outbox holds: its tables, and all that can be asked of them. Nothing here changes it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from enum import StrEnum, unique
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from wattswap.ledger.account_adapter import OUTBOX_ID_BYTES, CoinRef, Owed, Signed
from wattswap.ledger.base import Anchor, DamagedError, Payment
from wattswap.ledger.book import Entry
from wattswap.ledger.book_file import BOOK_SCHEMA, BookFile
from wattswap.ledger.database import Database, Kind, Stored, checksum
from wattswap.protocol.errors import LocalProtocolError

_SCHEMA: Final = (
    BOOK_SCHEMA  # noqa: S608 - our own words
    + """
CREATE TABLE chain (network TEXT NOT NULL) STRICT;
CREATE TABLE accounts (
    account TEXT NOT NULL PRIMARY KEY,
    frozen TEXT NOT NULL DEFAULT '',
    compared INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE batches (
    batch INTEGER PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts,
    state TEXT NOT NULL CHECK (state IN ('SIGNED', 'FINAL', 'FAILED', 'DEAD')),
    digest TEXT NOT NULL UNIQUE,
    expires INTEGER,
    fee_nanos INTEGER NOT NULL DEFAULT 0,
    deposit_nanos INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    built_ms INTEGER NOT NULL,
    decided_ms INTEGER,
    seal BLOB,
    raw BLOB
) STRICT;
CREATE UNIQUE INDEX one_undecided_an_account ON batches (account) WHERE state = 'SIGNED';
CREATE TABLE coins (
    batch INTEGER NOT NULL REFERENCES batches,
    place INTEGER NOT NULL,
    coin TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest TEXT NOT NULL,
    released INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (batch, place)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_writer_a_coin ON coins (coin, version) WHERE NOT released;
CREATE TABLE items (
    item INTEGER PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts,
    key TEXT NOT NULL UNIQUE CHECK (key <> ''),
    tag BLOB NOT NULL,
    payee TEXT NOT NULL CHECK (payee <> ''),
    nanos INTEGER NOT NULL CHECK (nanos > 0 OR (nanos = 0 AND size > 0)),
    sequence INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    accrued_ms INTEGER NOT NULL,
    batch INTEGER REFERENCES batches,
    size INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;
CREATE INDEX items_to_pay ON items (account, item) WHERE batch IS NULL;
CREATE INDEX items_by_batch ON items (batch);
CREATE INDEX items_by_tag ON items (account, tag);
CREATE TABLE strangers (
    digest TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts,
    accepted INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE alarms (
    alarm INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    account TEXT NOT NULL,
    text TEXT NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE VIEW receipts AS
    SELECT batch, key, account AS payer, payee, nanos, digest, decided_ms
    FROM items JOIN batches USING (batch, account) WHERE state = 'FINAL' ORDER BY batch, item;
"""
)
"""``content`` is deflated (zlib), and ``size`` its length before; ``raw`` is kept until its batch is decided, and
``seal`` tells whether all of what was signed still stands there. An account that was ``compared`` once knows which
transactions were on the ledger before it."""

KIND: Final = Kind(name="outbox", application_id=0x57_53_4F_31, version=7, schema=_SCHEMA)

ALONE_AFTER: Final = 3
"""An item whose batches failed so often travels alone, so that one bad item stops no other."""
GIVE_UP_AFTER: Final = 6
"""An item whose batches failed so often is left alone and shows in ``stuck``: each attempt costs a fee."""


@unique
class BatchState(StrEnum):
    """Where a batch stands."""

    SIGNED = "SIGNED"
    FINAL = "FINAL"
    FAILED = "FAILED"
    DEAD = "DEAD"


class Batch(Struct, frozen=True, kw_only=True):
    """An undecided batch."""

    number: int
    account: str
    signed: Signed
    """What to hand in."""
    damaged: bool = False
    """What is stored is not what was signed: it must never be handed in."""


class Known(Struct, frozen=True, kw_only=True):
    """What the outbox knows of a settlement key."""

    item: Owed
    state: BatchState | None = None
    """Its batch's; None while it waits for one."""
    at_ms: int | None = None
    """When its batch was decided; None if it was not, or if it was adopted from the ledger."""
    digest: str = ""
    error: str = ""
    """Why its last batch failed, if it did."""


class PaymentReceipt(Struct, frozen=True, kw_only=True):
    """A payment that is made for good."""

    at_ms: int
    """When that was known here, since 1970."""
    digest: str
    """Of the transaction that carried it."""
    payment: Payment


ITEM: Final = "key, items.account, payee, nanos, sequence, size, content"
_UNDECIDED: Final = """
    SELECT item, account FROM items WHERE batch IS NULL
    UNION ALL
    SELECT item, items.account FROM batches JOIN items USING (batch) WHERE state = 'SIGNED'"""
"""Two selections, each with an index of its own: what is decided long since is not looked at."""


_WAITING: Final = "FROM items WHERE account = ? AND batch IS NULL"


def seal_of(signed: Signed) -> bytes:
    """What tells whether a stored batch is still what was signed."""
    return checksum(msgspec.msgpack.encode(signed))


def item_of(columns: Sequence[Any]) -> Owed:
    """A payment or an anchor from its columns; ``DamagedError`` if they hold none."""
    key, payer, payee, nanos, sequence, size, content = columns
    try:
        if size:
            return Anchor(site=payee, sequence=sequence, content=zlib.decompress(content))
        return Payment(key=key, payer=payer, payee=payee, nanos=nanos)
    except (zlib.error, LocalProtocolError):
        raise DamagedError(f"what is owed under {key!r} is not what was written down") from None


def read_outbox(path: Path) -> OutboxReading:
    """The outbox in a file, to be asked only, perhaps while another process writes it.

    Raises ``InputError`` if there is no such file, or if it cannot be used.
    """
    return OutboxReading(Database(path, KIND, reads_only=True))


_FAULTS: Final = {
    "SELECT key FROM items JOIN batches USING (batch) WHERE state IN ('FAILED', 'DEAD')"
    " OR items.account <> batches.account": "{} is neither owed nor paid",
    "SELECT coin FROM coins WHERE NOT released GROUP BY coin, version HAVING count(*) > 1": "coin {} is spent twice",
}


class OutboxReading(Stored):
    """The questions to an open outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._books = BookFile(database)

    @property
    def mark(self) -> bytes:
        """What tells its own transactions from those of another outbox over the same account."""
        return checksum(self.identity.encode())[:OUTBOX_ID_BYTES]

    @property
    def run(self) -> str:
        """The run that it belongs to; empty for a person's, and for one of a site that pays for ever."""
        return "".join(self._database.texts("SELECT run FROM identity"))

    def entries(self, feeder: str = "") -> list[Entry]:
        """The entries of a feeder's book, as far as they were written down."""
        return self._books.read(feeder)

    @property
    def network(self) -> str:
        """The network it belongs to; empty before it has paid on one."""
        return "".join(self._database.texts("SELECT network FROM chain"))

    @property
    def accounts(self) -> list[str]:
        """All accounts it ever knew."""
        return self._database.texts("SELECT account FROM accounts ORDER BY account")

    @property
    def busy_accounts(self) -> list[str]:
        """Accounts with something undecided, those that owe the oldest item first."""
        return self._database.texts(f"SELECT account FROM ({_UNDECIDED}) GROUP BY account ORDER BY min(item)")  # noqa: S608

    @property
    def alarms(self) -> list[str]:
        """What a person should look at, oldest first, each with its account."""
        alarms = "SELECT account || ': ' || text FROM alarms WHERE NOT acknowledged ORDER BY alarm"
        return self._database.texts(alarms)

    @property
    def stuck(self) -> list[str]:
        """Keys that were given up: each of their batches failed."""
        return self._database.texts("SELECT key FROM items WHERE batch IS NULL AND attempts >= ?", GIVE_UP_AFTER)

    @property
    def fees_nanos(self) -> int:
        """All that was burned so far."""
        return self._database.number("SELECT sum(fee_nanos) FROM batches")

    @property
    def deposits_nanos(self) -> int:
        """All that was locked in storage deposits so far, less what was freed."""
        return self._database.number("SELECT sum(deposit_nanos) FROM batches")

    @property
    def unsettled(self) -> int:
        """How many items are owed or on their way, over all accounts."""
        return self._database.number(f"SELECT count(*) FROM ({_UNDECIDED})")  # noqa: S608

    @property
    def final(self) -> tuple[int, int]:
        """How many payments and how many anchors are on the ledger for good."""
        [(payments, all_)] = self._database.rows("SELECT count(*) FILTER (WHERE nanos > 0), count(*) FROM receipts")
        return payments, all_ - payments

    @property
    def stalled(self) -> int:
        """How many items wait for a person: given up, or on a frozen account."""
        return self._database.number(
            "SELECT count(*) FROM items JOIN accounts USING (account) LEFT JOIN batches USING (batch)"
            " WHERE (items.batch IS NULL AND attempts >= ?)"
            " OR (frozen <> '' AND (items.batch IS NULL OR state = 'SIGNED'))",
            GIVE_UP_AFTER,
        )

    def finals(self, account: str) -> list[str]:
        """The digests of an account's transactions that are on the ledger for good."""
        return self._database.texts("SELECT digest FROM batches WHERE account = ? AND state = 'FINAL'", account)

    def waiting(self, account: str) -> list[bytes]:
        """The tags of what waits for a batch."""
        return [tag for (tag,) in self._database.rows(f"SELECT tag {_WAITING}", account)]

    def keys(self, account: str, tags: Iterable[bytes]) -> list[str]:
        """The keys of the account's items with these tags."""
        found = "SELECT key FROM items WHERE account = ? AND tag = ?"
        return [key for tag in tags for key in self._database.texts(found, account, tag)]

    def compared(self, account: str) -> bool:
        """Whether it was ever compared with the ledger."""
        return bool(self._database.number("SELECT compared FROM accounts WHERE account = ?", account))

    @property
    def next_batch(self) -> int:
        """The number that the next batch will have."""
        return self._database.number("SELECT max(batch) FROM batches") + 1

    def outstanding_nanos(self, account: str) -> int:
        """What an account owes or has on its way."""
        return self._database.number(
            "SELECT sum(nanos) FROM items LEFT JOIN batches USING (batch)"
            " WHERE items.account = ? AND (items.batch IS NULL OR state = 'SIGNED')",
            account,
        )

    def taken(self, coins: Iterable[CoinRef]) -> bool:
        """Whether another transaction of this outbox already consumes one of these coin versions."""
        sql = "SELECT 1 FROM coins WHERE NOT released AND coin = ? AND version = ?"
        return any(self._database.row(sql, coin.coin, coin.version) is not None for coin in coins)

    def paid_keys(self) -> set[str]:
        """The keys of all payments that are FINAL."""
        return set(self._database.texts("SELECT key FROM receipts WHERE nanos > 0"))

    def state(self, key: str) -> BatchState | None:
        """Where the batch of a settlement key stands; None if it waits for one or is unknown."""
        row = self._database.row("SELECT state FROM items JOIN batches USING (batch) WHERE key = ?", key)
        return BatchState(row[0]) if row else None

    def frozen(self, account: str) -> str:
        """Why the account is stopped; empty if it is not."""
        return "".join(self._database.texts("SELECT frozen FROM accounts WHERE account = ?", account))

    def accepted(self, digest: str) -> bool:
        """Whether a person has accepted a transaction that is not one of its own."""
        return self._database.row("SELECT 1 FROM strangers WHERE digest = ? AND accepted", digest) is not None

    def state_of(self, digest: str) -> BatchState | None:
        """Where the batch of this digest stands; None if the transaction is not one of its own."""
        row = self._database.row("SELECT state FROM batches WHERE digest = ?", digest)
        return None if row is None else BatchState(row[0])

    def knows(self, digest: str) -> bool:
        """Whether a transaction is one of its own, or one that a person has accepted."""
        return self.state_of(digest) is not None or self.accepted(digest)

    def find(self, key: str) -> Known | None:
        """What it knows of a settlement key."""
        row = self._database.row(
            f"SELECT state, digest, error, iif(seal IS NULL, NULL, decided_ms), {ITEM}"  # noqa: S608
            " FROM items LEFT JOIN batches USING (batch) WHERE key = ?",
            key,
        )
        if row is None:
            return None
        state, digest, error, at_ms, *columns = row
        return Known(
            item=item_of(columns),
            state=BatchState(state) if state else None,
            at_ms=at_ms,
            digest=digest or "",
            error=error or "",
        )

    def receipts(self, account: str) -> list[PaymentReceipt]:
        """All payments that are FINAL, from or to an account, oldest first."""
        rows = self._database.rows(
            "SELECT coalesce(decided_ms, built_ms), digest, key, items.account, payee, nanos"
            " FROM items JOIN batches USING (batch)"
            " WHERE state = 'FINAL' AND size = 0 AND (items.account = ?1 OR payee = ?1)"
            " ORDER BY decided_ms, batch, item",
            account,
        )
        return [
            PaymentReceipt(at_ms=at_ms, digest=digest, payment=Payment(key=key, payer=payer, payee=payee, nanos=nanos))
            for at_ms, digest, key, payer, payee, nanos in rows
        ]

    def undecided(self, account: str) -> Batch | None:
        """The account's one batch that is SIGNED."""
        row = self._database.row(
            "SELECT batch, digest, coalesce(raw, x''), coalesce(expires, 0), seal FROM batches"
            " WHERE account = ? AND state = 'SIGNED'",
            account,
        )
        if row is None:
            return None
        number, digest, raw, expires, seal = row
        coins = self._database.rows("SELECT coin, version, digest FROM coins WHERE batch = ? ORDER BY place", number)
        signed = Signed(raw=raw, digest=digest, coins=tuple(CoinRef(*coin) for coin in coins), expires=expires)
        return Batch(number=number, account=account, signed=signed, damaged=seal_of(signed) != seal)

    def check(self) -> None:
        """Raise ``DamagedError`` unless all holds that must whenever nobody is writing."""
        for sql, fault in _FAULTS.items():
            for thing in self._database.texts(sql):
                raise DamagedError(fault.format(thing))
