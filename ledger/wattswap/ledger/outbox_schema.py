"""What an outbox holds: its tables, and what its rows are called in Python."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final

from msgspec import Struct

from wattswap.ledger.account_adapter import Owed, Signed
from wattswap.ledger.base import Payment
from wattswap.ledger.book_file import BOOK_SCHEMA
from wattswap.ledger.database import Kind

_SCHEMA: Final = (
    BOOK_SCHEMA  # noqa: S608 - our own words
    + """
CREATE TABLE chain (network TEXT NOT NULL) STRICT;
CREATE TABLE accounts (
    account TEXT NOT NULL PRIMARY KEY,
    frozen TEXT NOT NULL DEFAULT '',
    checked INTEGER NOT NULL DEFAULT -1
) STRICT, WITHOUT ROWID;
CREATE TABLE batches (
    batch INTEGER PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts,
    state TEXT NOT NULL CHECK (state IN ('SIGNED', 'FINAL', 'FAILED', 'DEAD')),
    merges INTEGER NOT NULL DEFAULT 0,
    digest TEXT NOT NULL UNIQUE,
    expires INTEGER,
    fee_nanos INTEGER NOT NULL DEFAULT 0,
    deposit_nanos INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    built_ms INTEGER NOT NULL,
    decided_ms INTEGER,
    raw_hash BLOB,
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
CREATE TABLE adopted (
    account TEXT NOT NULL REFERENCES accounts,
    tag BLOB NOT NULL,
    batch INTEGER NOT NULL REFERENCES batches,
    PRIMARY KEY (account, tag)
) STRICT, WITHOUT ROWID;
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
"""``content`` is deflated (zlib), and ``size`` its length before; ``raw`` is kept until its batch is decided."""

KIND: Final = Kind(name="outbox", application_id=0x57_53_4F_31, version=5, schema=_SCHEMA)

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
    items: tuple[Owed, ...]
    signed: Signed
    """What to hand in."""
    damaged: bool = False
    """What is stored is not what was signed: it must never be handed in."""


class Known(Struct, frozen=True, kw_only=True):
    """What the outbox knows of a settlement key."""

    item: Owed
    state: BatchState | None = None
    """Its batch's; None while it waits for one."""
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
