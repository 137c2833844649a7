"""The embedded ledger: one SQLite file that survives a crash and that anyone can open and read.

    sqlite3 ledger.sqlite 'SELECT * FROM balances'
    sqlite3 ledger.sqlite "SELECT * FROM history WHERE payer = 'site'"

Tables, for those who want more than the two views; all amounts are whole nanos (1 IOTA = 10^9), times are in
milliseconds since 1970 and only labels:

- ``identity``             a random id of this file, and the run it belongs to.
- ``opening``              who held what at the start; no more is ever made.
- ``accounts``             who holds what now.
- ``payments``             what moved, each once: the UNIQUE ``key`` is what makes a payment happen at most once.
- ``entries``, ``postings``  the site's book, written in the same transaction as the payments it makes.
- ``anchors``              signed records of sites, ``(site, sequence)`` once each, deflated (zlib).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from wattswap.ledger.base import Anchor, DamagedError, Payment, PaymentState, PaymentStatus, wall_ms
from wattswap.ledger.book import Book, Entry
from wattswap.ledger.book_file import BOOK_SCHEMA, BookFile
from wattswap.ledger.crossing import crossings
from wattswap.ledger.database import Database, Kind, Stored, deflated, inflated
from wattswap.ledger.ledger import DRAIN_S, Ledger, Progress, Settled
from wattswap.protocol.errors import InputError, LocalProtocolError
from wattswap.protocol.units import MOST_NANOS

_SCHEMA: Final = (
    BOOK_SCHEMA  # noqa: S608 - our own words
    + """
CREATE TABLE opening (
    account TEXT NOT NULL PRIMARY KEY,
    nanos INTEGER NOT NULL CHECK (nanos >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE accounts (
    account TEXT NOT NULL PRIMARY KEY,
    nanos INTEGER NOT NULL DEFAULT 0 CHECK (nanos >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE payments (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE CHECK (key <> ''),
    payer TEXT NOT NULL REFERENCES accounts,
    payee TEXT NOT NULL REFERENCES accounts CHECK (payee <> payer),
    nanos INTEGER NOT NULL CHECK (nanos > 0),
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX payments_by_payer ON payments (payer);
CREATE INDEX payments_by_payee ON payments (payee);
CREATE TABLE anchors (
    site TEXT NOT NULL CHECK (site <> ''),
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    content BLOB NOT NULL,
    PRIMARY KEY (site, sequence)
) STRICT, WITHOUT ROWID;
CREATE VIEW balances AS
    SELECT account, nanos, round(nanos / 1e9, 6) AS iota FROM accounts ORDER BY account;
CREATE VIEW history AS
    SELECT id, datetime(at_ms / 1000, 'unixepoch') AS at_utc, key, payer, payee, nanos, round(nanos / 1e9, 6) AS iota
    FROM payments ORDER BY id;
"""
)

KIND: Final = Kind(name="ledger", application_id=0x57_53_4C_31, version=3, schema=_SCHEMA)


class SqliteLedger(Stored, Ledger):
    """A ledger in a file, or in memory if the path is ``None``, that is its own settlement: what returns is decided.

    ``opening`` is who holds how many nanos at first.

    A file that is there goes on where it ended; ``opening`` must then be what it began with, or be left out, and
    ``run`` the run it belongs to. With ``reads_only`` another process may be writing it, and nothing is written.
    Raises ``InputError`` if the file cannot be used, began with other funds or belongs to another run.
    """

    def __init__(
        self,
        path: Path | None,
        opening: Mapping[str, int] | None = None,
        *,
        clock: Callable[[], int] = wall_ms,
        reads_only: bool = False,
        run: str = "",
    ) -> None:
        for account, nanos in (opening or {}).items():
            if type(nanos) is not int or not 0 <= nanos <= MOST_NANOS:
                raise LocalProtocolError(f"{account!r} cannot open with {nanos!r} nanos")
        if sum((opening or {}).values()) >= 1 << 63:
            raise LocalProtocolError(f"more than {1 << 63} nanos in one ledger")
        self._database = Database(path, KIND, reads_only=reads_only, run=run)
        self._books, self._clock = BookFile(self._database), clock
        self._refused: dict[str, str] = {}
        with self._database.closed_if_bad():
            if not reads_only:
                self._open_with(opening)
            self.check()

    # -- the contract -------------------------------------------------------------------------------------------------

    def balance(self, account: str) -> int:
        """Nanos the account can spend now."""
        return self._database.number("SELECT nanos FROM accounts WHERE account = ?", account)

    def pay(self, payments: Sequence[Payment]) -> list[PaymentStatus]:
        """Make these payments one after the other, in one write; here an earlier one can fund a later one."""
        if not payments:
            return []
        with self._database.transaction() as sql:
            return [self._pay(sql, payment) for payment in payments]

    def history(self, account: str) -> list[Payment]:
        """All payments made from or to the account, oldest first."""
        rows = self._database.rows(
            "SELECT key, payer, payee, nanos FROM payments WHERE payer = ?1 OR payee = ?1 ORDER BY id", account
        )
        return [Payment(key=key, payer=payer, payee=payee, nanos=nanos) for key, payer, payee, nanos in rows]

    def anchored(
        self,
        site: str,
        *,
        run: str | None = None,  # noqa: ARG002 - the file is one run's
        first: int = 0,
        last: int | None = None,
    ) -> list[Anchor]:
        """The site's anchors, in the order of their sequence. One whose bytes are damaged comes as it lies there."""
        rows = self._database.rows(
            "SELECT sequence, content FROM anchors WHERE site = ? AND sequence BETWEEN ? AND ? ORDER BY sequence",
            site,
            first,
            MOST_NANOS if last is None else last,
        )
        return [Anchor(site=site, sequence=sequence, content=inflated(content)) for sequence, content in rows]

    # -- the book beside it -------------------------------------------------------------------------------------------

    def post(self, book: Book, feeder: str = "") -> None:
        """Write down what is new in a book and make the payments it makes, all in one write.

        A payment that a wallet cannot cover is not made; ``pay`` makes it when it is handed in again.
        """
        with self._database.transaction() as sql:
            for payment in crossings(self._books.append(sql, book, feeder), feeder):
                self._pay(sql, payment)

    def entries(self, feeder: str = "") -> list[Entry]:
        """The entries of a feeder's book, as far as they were written down."""
        return self._books.read(feeder)

    def keep(self, anchors: Sequence[Anchor]) -> None:
        """Keep these records, in one write."""
        with self._database.transaction() as sql:
            for anchor in anchors:
                self._keep(sql, anchor)

    def is_anchored(self, anchor: Anchor) -> bool:
        """Whether exactly this record is there."""
        return self.anchored(anchor.site, first=anchor.sequence, last=anchor.sequence) == [anchor]

    def drain(self, timeout_s: float = DRAIN_S, progress: Progress = lambda _left: None) -> Settled:
        """Hand in once more what a wallet could not cover: it may have been paid since."""
        del timeout_s
        paid = self.paid_keys()
        feeders = self._database.texts("SELECT DISTINCT feeder FROM entries")
        owed = [payment for feeder in feeders for payment in crossings(self.entries(feeder), feeder)]
        missing = [payment for payment in owed if payment.key not in paid]
        for payment, status in zip(missing, self.pay(missing), strict=True):
            if status.state is PaymentState.REFUSED:
                self._refused[payment.key] = status.error
        progress(0)
        return self.settled()

    def settled(self) -> Settled:
        """Where it stands now."""
        [(payments, anchors)] = self._database.rows("SELECT (SELECT count(*) FROM payments), count(*) FROM anchors")
        refused = tuple(f"{key}: {error}" for key, error in self._refused.items())
        return Settled(pending=0, payments=payments, anchors=anchors, refused=refused)

    def identities(self) -> dict[str, str]:
        """The id of the ledger's file."""
        return {"ledger": self.identity}

    # -- what else it knows -------------------------------------------------------------------------------------------

    def accounts(self) -> list[str]:
        """All accounts that ever held or were paid anything."""
        return self._database.texts("SELECT account FROM accounts ORDER BY account")

    def payment(self, key: str) -> Payment | None:
        """What was paid under a key, if anything was."""
        row = self._database.row("SELECT payer, payee, nanos FROM payments WHERE key = ?", key)
        return None if row is None else Payment(key=key, payer=row[0], payee=row[1], nanos=row[2])

    def paid_keys(self) -> set[str]:
        """The keys of all payments that were made."""
        return set(self._database.texts("SELECT key FROM payments"))

    def extent(self, site: str) -> tuple[int, int]:
        """How many records a site has anchored, and the last one's sequence (-1 for none)."""
        found = "SELECT count(*), coalesce(max(sequence), -1) FROM anchors WHERE site = ?"
        [(count, last)] = self._database.rows(found, site)
        return count, last

    def sites(self) -> list[str]:
        """All sites that have anchored a record."""
        return self._database.texts("SELECT DISTINCT site FROM anchors ORDER BY site")

    def check(self) -> None:
        """Raise ``DamagedError`` if tokens were made or lost, or payments do not explain every balance. O(payments)."""
        differences = self._database.rows("""
            SELECT account, sum(nanos) FROM (
                SELECT account, nanos FROM opening
                UNION ALL SELECT payee, nanos FROM payments
                UNION ALL SELECT payer, -nanos FROM payments
                UNION ALL SELECT account, -nanos FROM accounts
            ) GROUP BY account HAVING sum(nanos) <> 0""")
        for account, nanos in differences:
            raise DamagedError(f"{account} differs by {-nanos} nanos from its payments")

    # -- how ----------------------------------------------------------------------------------------------------------

    def _open_with(self, opening: Mapping[str, int] | None) -> None:
        """Write down who holds what, or compare it with what was written down."""
        fresh = self._database.row("SELECT 1 FROM accounts") is None
        if fresh and opening is not None:
            with self._database.transaction() as sql:
                sql.executemany("INSERT INTO opening VALUES (?, ?)", opening.items())
                sql.executemany("INSERT INTO accounts (account, nanos) VALUES (?, ?)", opening.items())
        began = dict(self._database.rows("SELECT account, nanos FROM opening"))
        if opening is not None and began != dict(opening):
            raise InputError(
                f"{self._database.path} began with {sum(began.values())} nanos in {len(began)} accounts, which is not"
                " what was asked for: choose another file"
            )

    def _pay(self, sql: sqlite3.Connection, payment: Payment) -> PaymentStatus:
        """Make one payment inside the caller's write."""
        known = self.payment(payment.key)
        if known is not None:
            if known == payment:
                return payment.answered(PaymentState.EXISTS)
            return payment.answered(PaymentState.REFUSED, f"the key already stands for {known}")
        take = "UPDATE accounts SET nanos = nanos - ?1 WHERE account = ?2 AND nanos >= ?1"
        if sql.execute(take, (payment.nanos, payment.payer)).rowcount == 0:
            error = f"{payment.payer!r} holds {self.balance(payment.payer)} nanos, not {payment.nanos}"
            return payment.answered(PaymentState.REFUSED, error)
        sql.execute(
            "INSERT INTO accounts (account, nanos) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET nanos = nanos + ?2",
            (payment.payee, payment.nanos),
        )
        sql.execute(
            "INSERT INTO payments (key, payer, payee, nanos, at_ms) VALUES (?, ?, ?, ?, ?)",
            (payment.key, payment.payer, payment.payee, payment.nanos, self._clock()),
        )
        return payment.answered(PaymentState.PAID)

    def _keep(self, sql: sqlite3.Connection, anchor: Anchor) -> None:
        """Keep one record inside the caller's write."""
        place = (anchor.site, anchor.sequence)
        known = sql.execute("SELECT content FROM anchors WHERE site = ? AND sequence = ?", place).fetchone()
        if known is None:
            sql.execute("INSERT INTO anchors VALUES (?, ?, ?)", (*place, deflated(anchor.content)))
        elif inflated(known[0]) != anchor.content:
            self._refused[anchor.key] = "another record is anchored there already"
