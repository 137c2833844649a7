"""The durable outbox: what is owed is written down before it is promised, and paid exactly once whatever crashes.

    A  owe      an item is accrued under its settlement key                              item without a batch
    B  sign     items become a batch, netted per payee: its bytes, digest and coins      SIGNED
    C           the stored bytes are handed in, again and again, never others            SIGNED
    D, E, F     it happened / came to nothing / is proven never to happen                FINAL / FAILED / DEAD

Each arrow is one SQLite transaction, so a crash leaves the state before it or the state after it, and both can go on:
a SIGNED batch is only ever handed in again. FAILED and DEAD give their items back. The rule that everything rests on:
**while a batch is SIGNED there is no other transaction, above all none with another coin**. UNIQUE indexes enforce it,
not this code alone.

This file only remembers. ``submitter`` moves batches along a ``AccountAdapter``.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from wattswap.ledger.account_adapter import BatchOutcome, Manifest, Owed, Sighting, Signed, Verdict
from wattswap.ledger.base import ANCHORS, Anchor, DamagedError, require
from wattswap.ledger.book import Book
from wattswap.ledger.crossing import crossings
from wattswap.ledger.database import Database, checksum
from wattswap.ledger.outbox_reading import (
    ALONE_AFTER,
    GIVE_UP_AFTER,
    ITEM,
    KIND,
    Batch,
    BatchState,
    OutboxReading,
    item_of,
)
from wattswap.protocol.errors import InputError, LocalProtocolError

TagOf: TypeAlias = Callable[[str, Owed], bytes]
"""What stands for an item in what an account writes on the ledger."""
_TO_PAY: Final = "FROM items WHERE account = ? AND batch IS NULL AND attempts < ?"


class Outbox(OutboxReading):
    """The file of one site or wallet owner; in memory if the path is ``None``. One process writes it.

    Raises ``InputError`` if the file cannot be used, ``LedgerDownError`` once it can no longer be written.
    """

    def __init__(self, path: Path | None, *, run: str = "") -> None:
        super().__init__(Database(path, KIND, run=run))
        with self._database.closed_if_bad():
            self.check()

    def bind(self, network: str) -> None:
        """Belong to this network for ever. Raises ``InputError`` if it belongs to another."""
        if not self.network:
            with self._database.transaction() as sql:
                sql.execute("INSERT INTO chain VALUES (?)", (network,))
        if self.network != network:
            raise InputError(
                f"{self._database.path} pays on network {self.network!r}, not on {network!r}: choose another file"
            )

    def watch(self, accounts: Iterable[str]) -> None:
        """Compare these accounts with the ledger at every start, though they may never owe anything."""
        with self._database.transaction() as sql:
            sql.executemany(
                "INSERT INTO accounts (account) VALUES (?) ON CONFLICT DO NOTHING", [(name,) for name in accounts]
            )

    # -- A: what is owed ----------------------------------------------------------------------------------------------

    def owe(self, owed: Iterable[Owed], tag_of: TagOf, now_ms: int) -> list[bool]:
        """Write these down; all are on the disk when this returns. For each, whether it was new.

        Repeating one is harmless; with other content its key is refused by ``LocalProtocolError``, and nothing is
        written.
        """
        with self._database.transaction() as sql:
            return [self._owe(sql, one, tag_of, now_ms) for one in owed]

    def post(self, book: Book, tag_of: TagOf, now_ms: int, feeder: str = "") -> bool:
        """Write down what is new in a feeder's book, and owe what it pays, in one write; whether it pays anything."""
        with self._database.transaction() as sql:
            payments = crossings(self._books.append(sql, book, feeder), feeder)
            for payment in payments:
                self._owe(sql, payment, tag_of, now_ms)
        return bool(payments)

    # -- B to F: the life of a batch ----------------------------------------------------------------------------------

    def due(self, account: str) -> int:
        """How many items wait for a batch and are not given up."""
        return self._database.number(f"SELECT count(*) {_TO_PAY}", account, GIVE_UP_AFTER)

    def chosen(
        self,
        account: str,
        *,
        most_nanos: int,
        most_items: int,
        most_bytes: int,
        held_back: Callable[[Owed, bytes], bool] = lambda _item, _tag: False,
    ) -> list[Owed]:
        """What of the items owed goes into one batch, in the order they came; what does not fit waits for the next.

        What is ``held_back`` (asked with what was written down as the item's tag) goes into none, and stops no other.
        """
        chosen: list[Owed] = []
        rows = self._database.rows(
            f"SELECT nanos, size, attempts, tag, {ITEM} {_TO_PAY} ORDER BY item", account, GIVE_UP_AFTER
        )
        for nanos, size, attempts, tag, *columns in rows:
            if held_back(item := item_of(columns), tag) or nanos > most_nanos:
                continue
            if (chosen and size > most_bytes) or (chosen and attempts >= ALONE_AFTER):
                continue
            chosen.append(item)
            most_nanos -= nanos
            most_bytes -= size
            if len(chosen) == most_items or attempts >= ALONE_AFTER:
                break
        return chosen

    def sign(self, account: str, items: Sequence[Owed], signed: Signed, now_ms: int) -> Batch:
        """Store a batch with its bytes: only now may they be handed in. Without items it puts coins together."""
        with self._database.transaction() as sql:
            number = sql.execute(
                "INSERT INTO batches (account, state, merges, built_ms, digest, raw, raw_hash, expires)"
                " VALUES (?, 'SIGNED', ?, ?, ?, ?, ?, ?)",
                (account, not items, now_ms, signed.digest, signed.raw, checksum(signed.raw), signed.expires),
            ).lastrowid
            take = "UPDATE items SET batch = ? WHERE key = ? AND account = ? AND batch IS NULL"
            taken = sql.executemany(take, [(number, item.key, account) for item in items]).rowcount
            require(taken == len(items) or not items, "an item is in another batch already")
            sql.executemany(
                "INSERT INTO coins (batch, place, coin, version, digest) VALUES (?, ?, ?, ?, ?)",
                [(number, place, c.coin, c.version, c.digest) for place, c in enumerate(signed.coins)],
            )
        found = self.undecided(account)
        if found is None or found.signed != signed:
            raise DamagedError("what was stored is not what was signed")
        return found

    def decide(self, batch: Batch, outcome: BatchOutcome, now_ms: int) -> None:
        """Write down that a SIGNED batch is FINAL or FAILED."""
        self._end(batch, BatchState(outcome.verdict.upper()), outcome, now_ms)

    def bury(self, batch: Batch, why: str, now_ms: int) -> None:
        """Write down that a SIGNED batch is DEAD: there is proof that it never happened and never will."""
        self._end(batch, BatchState.DEAD, BatchOutcome(verdict=Verdict.ABSENT, error=why), now_ms)

    def _end(self, batch: Batch, state: BatchState, outcome: BatchOutcome, now_ms: int) -> None:
        """Take a batch out of SIGNED, once. Unless it is FINAL its items wait again, or an adopted batch paid them."""
        with self._database.transaction() as sql:
            row = sql.execute("SELECT state FROM batches WHERE batch = ?", (batch.number,)).fetchone()
            require(row is not None, f"batch {batch.number} is gone")
            require(row[0] == BatchState.SIGNED, f"batch {batch.number} is {row[0]}, not SIGNED")
            sql.execute(
                "UPDATE batches SET state = ?, fee_nanos = ?, deposit_nanos = ?, error = ?, decided_ms = ?, raw = NULL"
                " WHERE batch = ?",
                (state, outcome.fee_nanos, outcome.deposit_nanos, outcome.error, now_ms, batch.number),
            )
            if state is BatchState.DEAD:
                sql.execute("UPDATE coins SET released = 1 WHERE batch = ?", (batch.number,))
            if state is not BatchState.FINAL:
                sql.execute(
                    "UPDATE items SET batch = NULL, attempts = attempts + ? WHERE batch = ?",
                    (state is BatchState.FAILED, batch.number),
                )
                _recognise(sql, batch.account)

    # -- reconciliation -----------------------------------------------------------------------------------------------

    def adopt(self, account: str, sighting: Sighting, manifest: Manifest, now_ms: int) -> None:
        """Take in a transaction that it wrote and has forgotten, for a backup was restored.

        What it paid is never paid again: items that wait here count as paid, and keys that come later are recognised.
        """
        outcome = sighting.outcome
        state = BatchState(outcome.verdict.upper())
        row = (account, state, sighting.digest, outcome.fee_nanos, outcome.deposit_nanos, now_ms, now_ms)
        with self._database.transaction() as sql:
            number = sql.execute(
                "INSERT INTO batches (account, state, digest, fee_nanos, deposit_nanos, error, built_ms, decided_ms)"
                " VALUES (?, ?, ?, ?, ?, 'adopted from the ledger', ?, ?)",
                row,
            ).lastrowid
            if state is BatchState.FINAL:
                sql.executemany(
                    "INSERT INTO adopted VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    [(account, tag, number) for tag in manifest.tags],
                )
                _recognise(sql, account)

    def doubled(self, account: str, manifest: Manifest) -> list[str]:
        """Keys of the manifest that a FINAL batch here has paid as well: paid twice."""
        found = "SELECT key FROM items JOIN batches USING (batch, account) WHERE account = ? AND tag = ? AND state = ?"
        return [key for tag in manifest.tags for key in self._database.texts(found, account, tag, "FINAL")]

    def checked(self, account: str) -> int:
        """The checkpoint up to which the account's transactions were compared with the ledger's list; -1: never."""
        return self._database.number("SELECT coalesce(max(checked), -1) FROM accounts WHERE account = ?", account)

    def move_checked(self, account: str, checkpoint: int) -> None:
        """They agree up to here."""
        with self._database.transaction() as sql:
            sql.execute("UPDATE accounts SET checked = ? WHERE account = ?", (checkpoint, account))

    def alarm(self, account: str, text: str, now_ms: int, *, freezes: bool = False, stranger: str = "") -> None:
        """Write down what a person should look at. Until then a frozen account builds, signs and hands in nothing."""
        with self._database.transaction() as sql:
            sql.execute("INSERT INTO alarms (at_ms, account, text) VALUES (?, ?, ?)", (now_ms, account, text))
            if freezes:
                sql.execute("UPDATE accounts SET frozen = ? WHERE account = ?", (text, account))
            if stranger:
                sql.execute(
                    "INSERT INTO strangers (digest, account) VALUES (?, ?) ON CONFLICT DO NOTHING", (stranger, account)
                )

    def accept(self, account: str, digests: Iterable[str]) -> None:
        """These transactions of an account are not its own, and no cause for alarm."""
        with self._database.transaction() as sql:
            accepted = "INSERT INTO strangers VALUES (?, ?, 1) ON CONFLICT DO NOTHING"
            sql.executemany(accepted, [(digest, account) for digest in digests])

    def thaw(self) -> list[str]:
        """A person has looked, accepts what strangers have sent, and lets frozen accounts go on; which these were."""
        frozen = [account for account in self.accounts if self.frozen(account)]
        with self._database.transaction() as sql:
            for account in frozen:
                # all is compared once more: what a copy of this outbox has paid is no stranger's
                sql.execute("UPDATE accounts SET frozen = '', checked = min(checked, 0) WHERE account = ?", (account,))
                sql.execute("UPDATE strangers SET accepted = 1 WHERE account = ?", (account,))
        return frozen

    def retry(self) -> int:
        """Let what was given up be tried again; how many items that is."""
        with self._database.transaction() as sql:
            given_up = "UPDATE items SET attempts = 0 WHERE batch IS NULL AND attempts >= ?"
            return sql.execute(given_up, (GIVE_UP_AFTER,)).rowcount

    def acknowledge(self) -> int:
        """A person has read all alarms; how many there were."""
        with self._database.transaction() as sql:
            return sql.execute("UPDATE alarms SET acknowledged = 1 WHERE NOT acknowledged").rowcount

    # -- how ----------------------------------------------------------------------------------------------------------

    def _owe(self, sql: sqlite3.Connection, one: Owed, tag_of: TagOf, now_ms: int) -> bool:
        if (known := self.find(one.key)) is not None:
            if known.item != one:
                raise LocalProtocolError(f"the key {one.key!r} came first as {known.item}, now as {one}")
            return False
        if isinstance(one, Anchor):
            account, columns = ANCHORS, (one.site, 0, one.sequence, len(one.content), zlib.compress(one.content))
        else:
            account, columns = one.payer, (one.payee, one.nanos, 0, 0, b"")
        sql.execute("INSERT INTO accounts (account) VALUES (?) ON CONFLICT DO NOTHING", (account,))
        sql.execute(
            "INSERT INTO items (account, key, tag, accrued_ms, payee, nanos, sequence, size, content)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (account, one.key, tag_of(account, one), now_ms, *columns),
        )
        _recognise(sql, account)
        return True


def _recognise(sql: sqlite3.Connection, account: str) -> None:
    """Items that wait although an adopted transaction has paid them are paid."""
    sql.execute(
        "UPDATE items SET batch ="
        " (SELECT batch FROM adopted WHERE adopted.account = items.account AND adopted.tag = items.tag)"
        " WHERE batch IS NULL AND account = ? AND tag IN (SELECT tag FROM adopted WHERE account = ?)",
        (account, account),
    )
