"""What can be asked of an outbox. Nothing here changes it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from wattswap.ledger.account_adapter import OUTBOX_ID_BYTES, CoinRef, Owed, Signed
from wattswap.ledger.base import Anchor, DamagedError, Payment
from wattswap.ledger.book import Entry
from wattswap.ledger.book_file import BookFile
from wattswap.ledger.database import Database, Stored
from wattswap.ledger.outbox_schema import GIVE_UP_AFTER, KIND, Batch, BatchState, Known, PaymentReceipt

ITEM: Final = "key, items.account, payee, nanos, sequence, size, content"
_UNDECIDED: Final = """
    SELECT item, account FROM items WHERE batch IS NULL
    UNION ALL
    SELECT item, items.account FROM batches JOIN items USING (batch) WHERE state = 'SIGNED'"""
"""Two selections, each with an index of its own: what is decided long since is not looked at."""


def item_of(columns: Sequence[Any]) -> Owed:
    """A payment or an anchor from its columns."""
    key, payer, payee, nanos, sequence, size, content = columns
    if size:
        return Anchor(site=payee, sequence=sequence, content=zlib.decompress(content))
    return Payment(key=key, payer=payer, payee=payee, nanos=nanos)


def hash_of_raw(raw: bytes) -> bytes:
    """What tells whether stored bytes are still what was signed."""
    return blake2b(raw, digest_size=16).digest()


def read_outbox(path: Path) -> OutboxReading:
    """The outbox in a file, to be asked only, perhaps while another process writes it.

    Raises ``InputError`` if there is no such file, or if it cannot be used.
    """
    return OutboxReading(Database(path, KIND, reads_only=True))


_FAULTS: Final = {
    "SELECT key FROM items JOIN batches USING (batch) WHERE state IN ('FAILED', 'DEAD')"
    " OR items.account <> batches.account": "{} is neither owed nor paid",
    "SELECT batch FROM batches LEFT JOIN items USING (batch) WHERE state = 'SIGNED' AND NOT merges"
    " GROUP BY batch HAVING count(item) = 0": "batch {} is empty",
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
        return bytes.fromhex(self.identity)[:OUTBOX_ID_BYTES]

    def entries(self, feeder: str = "") -> list[Entry]:
        """The entries of a feeder's book, as far as they were written down."""
        return self._books.read(feeder)

    @property
    def network(self) -> str:
        """The network it belongs to; empty before it has paid on one."""
        row = self._database.row("SELECT network FROM chain")
        return "" if row is None else str(row[0])

    @property
    def accounts(self) -> list[str]:
        """All accounts it ever knew."""
        return [str(account) for (account,) in self._database.rows("SELECT account FROM accounts ORDER BY account")]

    @property
    def busy_accounts(self) -> list[str]:
        """Lanes with something undecided, those that owe the oldest item first."""
        rows = self._database.rows(f"SELECT account FROM ({_UNDECIDED}) GROUP BY account ORDER BY min(item)")  # noqa: S608
        return [str(account) for (account,) in rows]

    @property
    def alarms(self) -> list[str]:
        """What a person should look at, oldest first, each with its account."""
        rows = self._database.rows("SELECT account, text FROM alarms WHERE NOT acknowledged ORDER BY alarm")
        return [f"{account}: {text}" for account, text in rows]

    @property
    def stuck(self) -> list[str]:
        """Keys that were given up: each of their batches failed."""
        rows = self._database.rows("SELECT key FROM items WHERE batch IS NULL AND attempts >= ?", GIVE_UP_AFTER)
        return [str(key) for (key,) in rows]

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
        return {str(key) for (key,) in self._database.rows("SELECT key FROM receipts WHERE nanos > 0")}

    def state(self, key: str) -> BatchState | None:
        """Where the batch of a settlement key stands; None if it waits for one or is unknown."""
        row = self._database.row("SELECT state FROM items JOIN batches USING (batch) WHERE key = ?", key)
        return BatchState(row[0]) if row else None

    def frozen(self, account: str) -> str:
        """Why the account is stopped; empty if it is not."""
        row = self._database.row("SELECT frozen FROM accounts WHERE account = ?", account)
        return "" if row is None else str(row[0])

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
            f"SELECT state, digest, error, {ITEM} FROM items LEFT JOIN batches USING (batch) WHERE key = ?",  # noqa: S608
            key,
        )
        if row is None:
            return None
        state, digest, error, *columns = row
        return Known(
            item=item_of(columns), state=BatchState(state) if state else None, digest=digest or "", error=error or ""
        )

    def receipts(self, account: str) -> list[PaymentReceipt]:
        """All payments that are FINAL, from or to an account, oldest first."""
        rows = self._database.rows(
            "SELECT decided_ms, digest, key, items.account, payee, nanos FROM items JOIN batches USING (batch)"
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
            "SELECT batch, digest, raw, expires, raw_hash FROM batches WHERE account = ? AND state = 'SIGNED'",
            account,
        )
        if row is None:
            return None
        number, digest, raw, expires, raw_hash = row
        coins = self._database.rows("SELECT coin, version, digest FROM coins WHERE batch = ? ORDER BY place", number)
        items = self._database.rows(f"SELECT {ITEM} FROM items WHERE batch = ? ORDER BY item", number)  # noqa: S608
        return Batch(
            number=number,
            account=account,
            items=tuple(item_of(row) for row in items),
            signed=Signed(raw=raw, digest=digest, coins=tuple(CoinRef(*coin) for coin in coins), expires=expires),
            damaged=hash_of_raw(raw) != raw_hash,
        )

    def check(self) -> None:
        """Raise ``DamagedError`` unless all holds that must whenever nobody is writing."""
        for sql, fault in _FAULTS.items():
            for (thing,) in self._database.rows(sql):
                raise DamagedError(fault.format(thing))
