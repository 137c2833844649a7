"""The durable outbox: what is owed is written down before it is promised, and paid exactly once whatever crashes.

    A  owe      an item is accrued under its settlement key                              item without a batch
    B  sign     items become a batch, netted per payee: its bytes, digest and coins      SIGNED
    C           the stored bytes are handed in, again and again, never others            SIGNED
    D, E, F     it happened / came to nothing / is proven never to happen                FINAL / FAILED / DEAD

Each arrow is one SQLite transaction, so a crash leaves the state before it or the state after it, and both can go on:
a SIGNED batch is only ever handed in again. FAILED and DEAD give their items back. The rule that everything rests on:
**while a batch is SIGNED there is no other transaction, above all none with another coin**. UNIQUE indexes enforce it,
not this code alone.

This file only remembers. ``payer`` moves batches along a ``AccountAdapter``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from wattswap.ledger.account_adapter import Owed, Sighting, Signed
from wattswap.ledger.base import ANCHORS, Anchor, DamagedError, require
from wattswap.ledger.book import Book
from wattswap.ledger.crossing import crossings, site_account
from wattswap.ledger.database import Database, deflated
from wattswap.ledger.outbox_reading import (
    ALONE_AFTER,
    GIVE_UP_AFTER,
    ITEM,
    KIND,
    Batch,
    BatchState,
    OutboxReading,
    item_of,
    seal_of,
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
                f"{self._database.path} pays on network {self.network!r}, and this is {network!r}: name a node of that"
                " one; was it started anew, it needs its own file back"
            )

    def bind_addresses(self, addresses: Mapping[str, str]) -> None:
        """Have these accounts' tokens lie at these addresses for ever: whoever opens it with other keys is refused."""
        with self._database.transaction() as sql:
            sql.executemany("INSERT INTO addresses VALUES (?, ?) ON CONFLICT DO NOTHING", addresses.items())

    def watch(self, accounts: Iterable[str]) -> None:
        """Compare these accounts with the ledger at every start, though they may never owe anything."""
        with self._database.transaction() as sql:
            sql.executemany("INSERT INTO accounts (account) VALUES (?) ON CONFLICT DO NOTHING", list(zip(accounts)))

    # -- A: what is owed ----------------------------------------------------------------------------------------------

    def owe(self, owed: Iterable[Owed], tag_of: TagOf, now_ms: int) -> list[bool]:
        """Write these down; all are on the disk when this returns. For each, whether it was new.

        Repeating one is harmless; with other content its key is refused by ``LocalProtocolError``, and nothing is
        written.
        """
        with self._database.transaction() as sql:
            return [self._owe(sql, one, tag_of, now_ms) for one in owed]

    def post(self, book: Book, tag_of: TagOf, now_ms: int, feeder: str = "") -> bool:
        """Write down what is new in a feeder's book, and owe what it pays, in one write; whether it pays anything.

        Of a book that comes for the first time all is owed that it ever paid: an item that is gone is written down
        anew, and paid unless the ledger says that it was. Raises ``DamagedError`` if one is not as the book has it.
        """
        is_known = self._books.knows(book, feeder)
        with self._database.transaction() as sql:
            payments = crossings(self._books.append(sql, book, feeder), feeder)
            due = payments if is_known else crossings(book.entries, feeder)
            try:
                lost = sum(self._owe(sql, payment, tag_of, now_ms) for payment in due) - len(payments)
            except LocalProtocolError as error:
                raise DamagedError(f"the book and what is owed differ: {error}") from None
        if lost > 0:
            text = f"missing in the outbox, and written down again from the book: {lost} of its payments"
            self.alarm(site_account(feeder), f"{text} (altered, or restored from a backup?)", now_ms)
        return bool(payments) or lost > 0

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
                "INSERT INTO batches (account, state, built_ms, digest, raw, seal, expires)"
                " VALUES (?, 'SIGNED', ?, ?, ?, ?, ?)",
                (account, now_ms, signed.digest, signed.raw, seal_of(signed), signed.expires),
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

    def learn(self, account: str, happened: Iterable[tuple[Sighting, Collection[bytes]]], now_ms: int) -> list[str]:
        """Take over what the ledger says of the account's own transactions, each with the tags of what it carried.

        What they paid is paid, and nothing else is, whatever stood here: a backup was restored, or the file altered.
        Returns the digests of those of which something else stood here than that they were signed, or this.
        """
        with self._database.transaction() as sql:
            sql.execute("UPDATE accounts SET compared = 1 WHERE account = ? AND NOT compared", (account,))
            return [one.digest for one, tags in happened if self._learn(sql, account, one, tags, now_ms)]

    def recognise(self, account: str, paid: Mapping[bytes, str], now_ms: int) -> None:
        """What waits under these tags was paid by these transactions (digests), of this outbox or of another."""
        with self._database.transaction() as sql:
            adopted = "INSERT INTO batches (account, state, digest, built_ms) VALUES (?, 'FINAL', ?, ?)"
            rows = [(account, digest, now_ms) for digest in paid.values()]
            sql.executemany(f"{adopted} ON CONFLICT DO NOTHING", rows)
            sql.executemany(
                "UPDATE items SET batch = (SELECT batch FROM batches WHERE digest = ?)"
                " WHERE account = ? AND tag = ? AND batch IS NULL",
                [(digest, account, tag) for tag, digest in paid.items()],
            )

    def bury(self, batch: Batch, why: str, now_ms: int) -> None:
        """Write down that a SIGNED batch is DEAD: there is proof that it never happened. Its items wait again."""
        with self._database.transaction() as sql:
            dead = "UPDATE batches SET state = 'DEAD', error = ?, decided_ms = ?, raw = NULL"
            count = sql.execute(f"{dead} WHERE batch = ? AND state = 'SIGNED'", (why, now_ms, batch.number)).rowcount
            require(count == 1, f"batch {batch.number} is not SIGNED")
            sql.execute("UPDATE coins SET released = 1 WHERE batch = ?", (batch.number,))
            sql.execute("UPDATE items SET batch = NULL WHERE batch = ?", (batch.number,))

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

    def accept(self, account: str, digest: str) -> None:
        """This transaction of an account is not its own, and no cause for alarm."""
        with self._database.transaction() as sql:
            sql.execute("INSERT INTO strangers VALUES (?, ?, 1) ON CONFLICT DO NOTHING", (digest, account))

    def thaw(self) -> list[str]:
        """A person has looked, accepts what strangers have sent, and lets frozen accounts go on; which these were."""
        frozen = self._database.texts("SELECT account FROM accounts WHERE frozen <> '' ORDER BY account")
        with self._database.transaction() as sql:
            for account in frozen:
                sql.execute("UPDATE accounts SET frozen = '' WHERE account = ?", (account,))
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
            account, columns = ANCHORS, (one.site, 0, one.sequence, len(one.content), deflated(one.content))
        else:
            account, columns = one.payer, (one.payee, one.nanos, 0, 0, b"")
        sql.execute("INSERT INTO accounts (account) VALUES (?) ON CONFLICT DO NOTHING", (account,))
        sql.execute(
            "INSERT INTO items (account, key, tag, accrued_ms, payee, nanos, sequence, size, content)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (account, one.key, tag_of(account, one), now_ms, *columns),
        )
        return True

    def _learn(
        self, sql: sqlite3.Connection, account: str, one: Sighting, tags: Collection[bytes], now_ms: int
    ) -> bool:
        """Take over what became of one transaction; whether something else stood here."""
        outcome, state = one.outcome, BatchState(one.outcome.verdict.upper())
        known = sql.execute("SELECT batch, account, state FROM batches WHERE digest = ?", (one.digest,)).fetchone()
        if known is None:
            adopted = "INSERT INTO batches (account, state, digest, built_ms, fee_nanos) VALUES (?, ?, ?, ?, -1)"
            number = sql.execute(adopted, (account, state, one.digest, now_ms)).lastrowid
        else:
            number = known[0]
        sql.execute(
            "UPDATE batches SET account = ?1, state = ?2, fee_nanos = ?3, deposit_nanos = ?4, error = ?5,"
            " decided_ms = coalesce(decided_ms, ?6), raw = NULL"
            " WHERE batch = ?7 AND (account, state, fee_nanos, deposit_nanos) IS NOT (?1, ?2, ?3, ?4)",
            (account, state, outcome.fee_nanos, outcome.deposit_nanos, outcome.error, now_ms, number),
        )
        was_signed = known is not None and known[1:] == (account, BatchState.SIGNED)
        has_failed = state is BatchState.FAILED
        paid = () if has_failed else tags
        there = sql.execute("SELECT item, tag FROM items WHERE batch = ?", (number,)).fetchall()
        unpaid = [(was_signed and has_failed, item) for item, tag in there if tag not in paid]
        sql.executemany("UPDATE items SET batch = NULL, attempts = attempts + ? WHERE item = ?", unpaid)
        bind = "UPDATE items SET batch = ?1 WHERE account = ?2 AND tag = ?3 AND batch IS NOT ?1"
        bound = sql.executemany(bind, [(number, account, tag) for tag in paid]).rowcount
        if was_signed:
            return bound > 0 or (bool(unpaid) and not has_failed)
        return bound > 0 or bool(unpaid) or known is None or known[1:] != (account, state)
