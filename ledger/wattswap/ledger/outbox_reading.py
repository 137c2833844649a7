"""What an outbox holds: its tables, and all that can be asked of them. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum, unique
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from wattswap.ledger.account_adapter import OUTBOX_ID_BYTES, CoinRef, Owed, Signed
from wattswap.ledger.base import Anchor, DamagedError, Payment
from wattswap.ledger.book import Entry
from wattswap.ledger.book_file import BOOK_SCHEMA, BookFile
from wattswap.ledger.database import Database, Kind, Stored, checksum, inflated
from wattswap.protocol.errors import InputError, LocalProtocolError

_SCHEMA: Final = (
    BOOK_SCHEMA  # noqa: S608 - our own words
    + """
CREATE TABLE chain (network TEXT NOT NULL) STRICT;
CREATE TABLE accounts (
    account TEXT NOT NULL PRIMARY KEY,
    frozen TEXT NOT NULL DEFAULT '',
    compared INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE addresses (
    account TEXT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL
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
CREATE VIEW undecided AS  -- two selections, each with an index: what is decided long since is not looked at
    SELECT item, account, nanos, batch, attempts FROM items WHERE batch IS NULL
    UNION ALL
    SELECT item, items.account, nanos, batch, 0 FROM batches JOIN items USING (batch) WHERE state = 'SIGNED';
CREATE VIEW receipts AS
    SELECT batch, key, account AS payer, payee, nanos, digest, decided_ms
    FROM items JOIN batches USING (batch, account) WHERE state = 'FINAL' ORDER BY batch, item;
"""
)
"""``content`` is deflated (zlib), and ``size`` its length before; ``raw`` is kept until its batch is decided, and
``seal`` tells whether all of what was signed still stands there. An account that was ``compared`` once knows which
transactions were on the ledger before it."""

KIND: Final = Kind(name="outbox", application_id=0x57_53_4F_31, version=8, schema=_SCHEMA)

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
    signed: Signed
    """What to hand in."""
    damaged: bool = False
    """What is stored is not what was signed: it must never be handed in."""


class Known(Struct, frozen=True, kw_only=True):
    """What the outbox knows of a settlement key."""

    item: Owed
    state: BatchState | None
    """Its batch's; None while it waits for one."""
    digest: str
    """Of the transaction that carries it, if one does."""
    at_ms: int
    """When that was decided, since 1970, as far as is known here."""
    adopted: bool
    """Whether it was learned from the ledger that it is paid: this outbox has not signed that."""

    @property
    def is_final(self) -> bool:
        """Whether it is on the ledger for good."""
        return self.state is BatchState.FINAL


ITEM: Final = "key, items.account, payee, nanos, sequence, size, content"


def seal_of(signed: Signed) -> bytes:
    """What tells whether a stored batch is still what was signed."""
    return checksum(msgspec.msgpack.encode(signed))


def item_of(columns: Sequence[Any]) -> Owed:
    """A payment or an anchor from its columns; ``DamagedError`` if they hold none."""
    key, payer, payee, nanos, sequence, size, content = columns
    try:
        if size:
            return Anchor(site=payee, sequence=sequence, content=inflated(content))
        return Payment(key=key, payer=payer, payee=payee, nanos=nanos)
    except LocalProtocolError:
        raise DamagedError(f"what is owed under {key!r} is not what was written down") from None


def read_outbox(path: Path) -> OutboxReading:
    """The outbox in a file, to be asked only, perhaps while another process writes it.

    Raises ``InputError`` if there is no such file, or if it cannot be used.
    """
    return OutboxReading(Database(path, KIND, reads_only=True))


_ASTRAY: Final = """
    SELECT key FROM items JOIN batches USING (batch)
    WHERE state IN ('FAILED', 'DEAD') OR items.account <> batches.account"""


class OutboxReading(Stored):
    """The questions to an open outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._books = BookFile(database)

    @cached_property
    def mark(self) -> bytes:
        """What tells its own transactions from those of another outbox over the same account."""
        return checksum(self.identity.encode())[:OUTBOX_ID_BYTES]

    @cached_property
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
        return self._database.texts("SELECT account FROM undecided GROUP BY account ORDER BY min(item)")

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
        return self._database.number("SELECT count(*) FROM undecided")

    @property
    def final(self) -> tuple[int, int]:
        """How many payments and how many anchors are on the ledger for good."""
        [(payments, all_)] = self._database.rows("SELECT count(*) FILTER (WHERE nanos > 0), count(*) FROM receipts")
        return payments, all_ - payments

    @property
    def stalled(self) -> int:
        """How many items wait for a person: given up, or on a frozen account."""
        stalled = "SELECT count(*) FROM undecided JOIN accounts USING (account) WHERE frozen <> '' OR attempts >= ?"
        return self._database.number(stalled, GIVE_UP_AFTER)

    def finals(self, account: str) -> list[str]:
        """The digests of an account's transactions that are on the ledger for good."""
        return self._database.texts("SELECT digest FROM batches WHERE account = ? AND state = 'FINAL'", account)

    def waiting(self, account: str, after: int) -> list[tuple[int, bytes]]:
        """What waits for a batch and came after an item: the item's number, and its tag."""
        waiting = "SELECT item, tag FROM items WHERE account = ? AND batch IS NULL AND item > ? ORDER BY item"
        return [(item, tag) for item, tag in self._database.rows(waiting, account, after)]

    def keys(self, account: str, tags: Iterable[bytes]) -> list[str]:
        """The keys of the account's items with these tags."""
        found = "SELECT key FROM items WHERE account = ? AND tag = ?"
        return [key for tag in tags for key in self._database.texts(found, account, tag)]

    def require_addresses(self, address_of: Callable[[str], str]) -> None:
        """Raise ``InputError`` unless every account that is bound to an address still has it."""
        for account, bound in self._addresses():
            try:
                address = address_of(account)
            except InputError:
                raise InputError(f"the key of {account!r}, whose wallet is {bound}, is gone: put it back") from None
            if address != bound:
                raise InputError(
                    f"the wallet of {account!r} is {address}, and in this run it was {bound}: put back the right"
                    " wallets.seed, key file or outbox"
                )

    @property
    def wallets(self) -> str:
        """What tells the addresses that it is bound to from all others."""
        return checksum(msgspec.json.encode(self._addresses())).hex()

    def _addresses(self) -> list[tuple[str, str]]:
        found = self._database.rows("SELECT account, address FROM addresses ORDER BY account")
        return [(str(account), str(address)) for account, address in found]

    def tags(self, account: str) -> set[bytes]:
        """The tags of all that an account owes or has paid."""
        return {tag for (tag,) in self._database.rows("SELECT tag FROM items WHERE account = ?", account)}

    def compared(self, account: str) -> bool:
        """Whether it was ever compared with the ledger."""
        return bool(self._database.number("SELECT compared FROM accounts WHERE account = ?", account))

    @property
    def next_batch(self) -> int:
        """The number that the next batch will have."""
        return self._database.number("SELECT max(batch) FROM batches") + 1

    def outstanding_nanos(self, account: str) -> int:
        """What an account owes or has on its way."""
        return self._database.number("SELECT sum(nanos) FROM undecided WHERE account = ?", account)

    def taken(self, coins: Iterable[CoinRef]) -> bool:
        """Whether another transaction of this outbox already consumes one of these coin versions."""
        sql = "SELECT 1 FROM coins WHERE NOT released AND coin = ? AND version = ?"
        return any(self._database.row(sql, coin.coin, coin.version) is not None for coin in coins)

    def paid_keys(self) -> set[str]:
        """The keys of all payments that are FINAL."""
        return set(self._database.texts("SELECT key FROM receipts WHERE nanos > 0"))

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
        return next(iter(self._known("key = ?", key)), None)

    def receipts(self, account: str) -> list[Known]:
        """All payments that are FINAL, from or to an account, oldest first."""
        final = "state = 'FINAL' AND size = 0 AND (items.account = ?1 OR payee = ?1)"
        return self._known(f"{final} ORDER BY decided_ms, batch, item", account)

    def _known(self, where: str, value: str) -> list[Known]:
        rows = self._database.rows(
            "SELECT state, coalesce(digest, ''), coalesce(decided_ms, built_ms, 0), state <> '' AND seal IS NULL,"  # noqa: S608
            f" {ITEM} FROM items LEFT JOIN batches USING (batch) WHERE {where}",
            value,
        )
        return [
            Known(item=item_of(item), state=state and BatchState(state), digest=of, at_ms=at_ms, adopted=bool(adopted))
            for state, of, at_ms, adopted, *item in rows
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
        return Batch(number=number, signed=signed, damaged=seal_of(signed) != seal)

    def check(self) -> None:
        """Raise ``DamagedError`` unless all holds that must whenever nobody is writing."""
        for key in self._database.texts(_ASTRAY):
            raise DamagedError(f"{key} is neither owed nor paid")
