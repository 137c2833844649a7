"""The embedded ledger: one SQLite file that survives a crash and that anyone can open and read.

    sqlite3 ledger.sqlite 'SELECT * FROM balances'
    sqlite3 ledger.sqlite "SELECT * FROM history WHERE payer = 'site'"

Tables, for those who want more than the two views; all amounts are whole nanos (1 IOTA = 10^9), times are in
milliseconds since 1970 and only labels:

- ``opening``        who held what at the start; no more is ever made.
- ``accounts``       who holds what now, and how many transactions each account has handed in (``sequence``).
- ``payments``       what moved, each once: the UNIQUE ``key`` is what makes a payment happen at most once.
- ``transactions``   what outboxes handed in as one piece, done or failed, with its bytes.
- ``anchors``        signed records of sites, ``(site, sequence)`` once each.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from wattswap.ledger.base import Anchor, AnchorState, AnchorStatus, Payment, PaymentState, PaymentStatus
from wattswap.ledger.database import Database, Kind
from wattswap.ledger.transactions import Ending, Executed, LocalTransaction, SupersededError, decode, digest
from wattswap.protocol.errors import InputError, LocalProtocolError
from wattswap.protocol.units import MOST_NANOS

_SCHEMA: Final = """
CREATE TABLE opening (
    account TEXT NOT NULL PRIMARY KEY,
    nanos INTEGER NOT NULL CHECK (nanos >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (
    account TEXT NOT NULL PRIMARY KEY,
    nanos INTEGER NOT NULL DEFAULT 0 CHECK (nanos >= 0),
    sequence INTEGER NOT NULL DEFAULT 0 CHECK (sequence >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE transactions (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES accounts,
    sequence INTEGER NOT NULL,
    ending TEXT NOT NULL CHECK (ending IN ('done', 'failed')),
    error TEXT NOT NULL,
    raw BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (account, sequence)
) STRICT;
CREATE TABLE payments (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE CHECK (key <> ''),
    payer TEXT NOT NULL REFERENCES accounts,
    payee TEXT NOT NULL REFERENCES accounts CHECK (payee <> payer),
    nanos INTEGER NOT NULL CHECK (nanos > 0),
    transaction_id INTEGER REFERENCES transactions,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX payments_by_payer ON payments (payer);
CREATE INDEX payments_by_payee ON payments (payee);
CREATE TABLE anchors (
    site TEXT NOT NULL CHECK (site <> ''),
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    content BLOB NOT NULL,
    transaction_id INTEGER REFERENCES transactions,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (site, sequence)
) STRICT, WITHOUT ROWID;
CREATE VIEW balances AS
    SELECT account, nanos, round(nanos / 1e9, 6) AS iota FROM accounts ORDER BY account;
CREATE VIEW history AS
    SELECT id, datetime(at_ms / 1000, 'unixepoch') AS at_utc, key, payer, payee, nanos, round(nanos / 1e9, 6) AS iota
    FROM payments ORDER BY id;
"""

KIND: Final = Kind(name="ledger", application_id=0x57_53_4C_31, version=1, schema=_SCHEMA)


def _wall_ms() -> int:
    """The time of day, for labels only."""
    return time.time_ns() // 1_000_000


class SqliteLedger:
    """A ``Ledger`` in a file, or in memory if the path is ``None``. ``opening`` is who holds how many nanos at first.

    A file that is there goes on where it ended; ``opening`` must then be what it began with, or be left out.
    With ``reads_only`` it must be there, another process may be writing it, and nothing is written.
    Raises ``InputError`` if the file cannot be used or began with other funds.
    """

    def __init__(
        self,
        path: Path | None,
        opening: Mapping[str, int] | None = None,
        *,
        clock: Callable[[], int] = _wall_ms,
        reads_only: bool = False,
    ) -> None:
        for account, nanos in (opening or {}).items():
            if type(nanos) is not int or not 0 <= nanos <= MOST_NANOS:
                raise LocalProtocolError(f"{account!r} cannot open with {nanos!r} nanos")
        if sum((opening or {}).values()) >= 1 << 63:
            raise LocalProtocolError(f"more than {1 << 63} nanos in one ledger")
        self._database = Database(path, KIND, reads_only=reads_only)
        self._clock = clock
        try:
            if not reads_only:
                self._open_with(opening)
            self.check()
        except AssertionError as error:
            self.close()
            raise InputError(f"{path} is damaged ({error}): restore it from a backup") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the contract -------------------------------------------------------------------------------------------------

    def balance(self, account: str) -> int:
        """Nanos the account can spend now."""
        row = self._database.row("SELECT nanos FROM accounts WHERE account = ?", account)
        return 0 if row is None else int(row[0])

    def pay(self, payments: Sequence[Payment]) -> list[PaymentStatus]:
        """Make these payments one after the other, in one write; here an earlier one can fund a later one."""
        if not payments:
            return []
        with self._database.transaction() as sql:
            return [self._pay(sql, payment, None) for payment in payments]

    def history(self, account: str) -> list[Payment]:
        """All payments made from or to the account, oldest first."""
        rows = self._database.rows(
            "SELECT key, payer, payee, nanos FROM payments WHERE payer = ?1 OR payee = ?1 ORDER BY id", account
        )
        return [Payment(key=key, payer=payer, payee=payee, nanos=nanos) for key, payer, payee, nanos in rows]

    def anchor(self, anchors: Sequence[Anchor]) -> list[AnchorStatus]:
        """Keep these records, in one write."""
        if not anchors:
            return []
        with self._database.transaction() as sql:
            return [self._anchor(sql, anchor, None) for anchor in anchors]

    def anchored(self, site: str, *, first: int = 0, last: int | None = None) -> list[Anchor]:
        """The site's anchors, in the order of their sequence."""
        rows = self._database.rows(
            "SELECT sequence, content FROM anchors WHERE site = ? AND sequence BETWEEN ? AND ? ORDER BY sequence",
            site,
            first,
            MOST_NANOS if last is None else last,
        )
        return [Anchor(site=site, sequence=sequence, content=content) for sequence, content in rows]

    # -- what else it knows -------------------------------------------------------------------------------------------

    def accounts(self) -> list[str]:
        """All accounts that ever held or were paid anything."""
        return [str(account) for (account,) in self._database.rows("SELECT account FROM accounts ORDER BY account")]

    def payment(self, key: str) -> Payment | None:
        """What was paid under a key, if anything was."""
        row = self._database.row("SELECT payer, payee, nanos FROM payments WHERE key = ?", key)
        return None if row is None else Payment(key=key, payer=row[0], payee=row[1], nanos=row[2])

    def extent(self, site: str) -> tuple[int, int]:
        """How many records a site has anchored, and the last one's sequence (-1 for none)."""
        row = self._database.row("SELECT count(*), coalesce(max(sequence), -1) FROM anchors WHERE site = ?", site)
        return (0, -1) if row is None else (int(row[0]), int(row[1]))

    def sites(self) -> list[str]:
        """All sites that have anchored a record."""
        return [str(site) for (site,) in self._database.rows("SELECT DISTINCT site FROM anchors ORDER BY site")]

    # -- transactions -------------------------------------------------------------------------------------------------

    def execute(self, raw: bytes) -> Executed:
        """Carry a transaction out, as a whole or not at all; the same bytes again are answered as the first time.

        Raises ``SupersededError`` if its sequence is not the account's next: then it has not happened.
        """
        transaction, name = decode(raw), digest(raw)
        with self._database.transaction() as sql:
            if (known := self.executed(name)) is not None:
                return known
            row = sql.execute("SELECT sequence FROM accounts WHERE account = ?", (transaction.account,)).fetchone()
            if transaction.sequence != (row[0] if row else 0):
                raise SupersededError(self.transaction_at(transaction.account, transaction.sequence))
            return self._execute(sql, transaction, name, raw)

    def executed(self, name: str) -> Executed | None:
        """What became of the transaction of this digest; None if it was never carried out."""
        row = self._database.row("SELECT digest, ending, error FROM transactions WHERE digest = ?", name)
        return None if row is None else Executed(row[0], Ending(row[1]), row[2])

    def next_sequence(self, account: str) -> int:
        """The sequence of the account's next transaction."""
        row = self._database.row("SELECT sequence FROM accounts WHERE account = ?", account)
        return 0 if row is None else int(row[0])

    def transaction_at(self, account: str, sequence: int) -> str:
        """The digest of the account's transaction in this place; "" if there is none yet."""
        row = self._database.row(
            "SELECT digest FROM transactions WHERE account = ? AND sequence = ?", account, sequence
        )
        return "" if row is None else str(row[0])

    def sent(self, account: str, first: int = 0) -> list[bytes]:
        """The bytes of the account's transactions from this sequence on."""
        rows = self._database.rows(
            "SELECT raw FROM transactions WHERE account = ? AND sequence >= ? ORDER BY sequence", account, first
        )
        return [row[0] for row in rows]

    def check(self) -> None:
        """Assert conservation: no tokens were made or lost, and the payments explain every balance. O(payments)."""
        differences = self._database.rows("""
            SELECT account, sum(nanos) FROM (
                SELECT account, nanos FROM opening
                UNION ALL SELECT payee, nanos FROM payments
                UNION ALL SELECT payer, -nanos FROM payments
                UNION ALL SELECT account, -nanos FROM accounts
            ) GROUP BY account HAVING sum(nanos) <> 0""")
        assert not differences, f"{differences[0][0]} differs by {-differences[0][1]} nanos from its payments"

    # -- how ----------------------------------------------------------------------------------------------------------

    def _open_with(self, opening: Mapping[str, int] | None) -> None:
        """Write down who holds what, or compare it with what was written down."""
        fresh = self._database.row("SELECT 1 FROM accounts") is None
        with self._database.transaction() as sql:
            if fresh and opening is not None:
                sql.executemany("INSERT INTO opening VALUES (?, ?)", opening.items())
                sql.executemany("INSERT INTO accounts (account, nanos) VALUES (?, ?)", opening.items())
        began = dict(self._database.rows("SELECT account, nanos FROM opening"))
        if opening is not None and began != dict(opening):
            raise InputError(
                f"{self._database.path} began with {sum(began.values())} nanos in {len(began)} accounts, which is not"
                " what was asked for: choose another file"
            )

    def _execute(self, sql: sqlite3.Connection, transaction: LocalTransaction, name: str, raw: bytes) -> Executed:
        """Carry out a transaction whose turn it is, inside the caller's write."""
        account = transaction.account
        sql.execute("INSERT INTO accounts (account) VALUES (?) ON CONFLICT DO NOTHING", (account,))
        sql.execute("UPDATE accounts SET sequence = sequence + 1 WHERE account = ?", (account,))
        row = (name, account, transaction.sequence, raw, self._clock())
        insert = "INSERT INTO transactions (digest, account, sequence, ending, error, raw, at_ms)"
        identity = sql.execute(f"{insert} VALUES (?, ?, ?, 'done', '', ?, ?)", row).lastrowid
        sql.execute("SAVEPOINT content")
        errors = [self._pay(sql, payment, identity).error for payment in transaction.payments()]
        errors += [self._anchor(sql, anchor, identity).error for anchor in transaction.anchors()]
        error = next((error for error in errors if error), "")
        if error:
            sql.execute("ROLLBACK TO content")
            sql.execute("UPDATE transactions SET ending = 'failed', error = ? WHERE id = ?", (error, identity))
        sql.execute("RELEASE content")
        return Executed(name, Ending.FAILED if error else Ending.DONE, error)

    def _pay(self, sql: sqlite3.Connection, payment: Payment, transaction_id: int | None) -> PaymentStatus:
        """Make one payment inside the caller's write."""
        known = sql.execute("SELECT payer, payee, nanos FROM payments WHERE key = ?", (payment.key,)).fetchone()
        if known == (payment.payer, payment.payee, payment.nanos):
            return PaymentStatus(key=payment.key, state=PaymentState.EXISTS)
        if known is not None:
            return _refused(payment, f"the key already paid {known[2]} nanos from {known[0]!r} to {known[1]!r}")
        take = "UPDATE accounts SET nanos = nanos - ?1 WHERE account = ?2 AND nanos >= ?1"
        if sql.execute(take, (payment.nanos, payment.payer)).rowcount == 0:
            return _refused(
                payment, f"{payment.payer!r} holds {self.balance(payment.payer)} nanos, not {payment.nanos}"
            )
        sql.execute(
            "INSERT INTO accounts (account, nanos) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET nanos = nanos + ?2",
            (payment.payee, payment.nanos),
        )
        sql.execute(
            "INSERT INTO payments (key, payer, payee, nanos, transaction_id, at_ms) VALUES (?, ?, ?, ?, ?, ?)",
            (payment.key, payment.payer, payment.payee, payment.nanos, transaction_id, self._clock()),
        )
        return PaymentStatus(key=payment.key, state=PaymentState.PAID)

    def _anchor(self, sql: sqlite3.Connection, anchor: Anchor, transaction_id: int | None) -> AnchorStatus:
        """Keep one record inside the caller's write."""
        place = (anchor.site, anchor.sequence)
        known = sql.execute("SELECT content FROM anchors WHERE site = ? AND sequence = ?", place).fetchone()
        if known is None:
            sql.execute(
                "INSERT INTO anchors VALUES (?, ?, ?, ?, ?)", (*place, anchor.content, transaction_id, self._clock())
            )
            return AnchorStatus(site=anchor.site, sequence=anchor.sequence, state=AnchorState.ANCHORED)
        if known[0] == anchor.content:
            return AnchorStatus(site=anchor.site, sequence=anchor.sequence, state=AnchorState.EXISTS)
        error = f"another record {anchor.sequence} of {anchor.site!r} is anchored already"
        return AnchorStatus(site=anchor.site, sequence=anchor.sequence, state=AnchorState.REFUSED, error=error)


def _refused(payment: Payment, error: str) -> PaymentStatus:
    return PaymentStatus(key=payment.key, state=PaymentState.REFUSED, error=error)
