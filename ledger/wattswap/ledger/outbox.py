"""The durable outbox: what is owed is written down before it is promised, and paid exactly once whatever crashes.

    A  owe      an item is accrued under its settlement key                              item without a batch
    B  build    due items become a batch, netted per payee; one undecided batch a lane   BUILT
    C  sign     the bytes, their digest and the coin versions they consume are stored    SIGNED
    D           the stored bytes are handed in, again and again, never others            SIGNED
    E, F, G     it happened / came to nothing / is proven never to happen                FINAL / FAILED / DEAD

Each arrow is one SQLite transaction, so a crash leaves the state before it or the state after it, and both can go on:
a BUILT batch has no bytes that anyone could have seen, so it may be taken apart; a SIGNED one is only ever handed in
again. FAILED and DEAD give their items back. The rule that everything rests on: **while a batch is SIGNED there is no
other transaction, above all none with another coin**. UNIQUE indexes enforce it, not this code alone.

This file only remembers. ``submitter`` moves batches along a ``AccountAdapter``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from wattswap.ledger.account_adapter import Item, Manifest, Outcome, Sighting, Signed, Verdict
from wattswap.ledger.database import Database
from wattswap.ledger.outbox_reading import OutboxReading
from wattswap.ledger.outbox_schema import ALONE_AFTER, GIVE_UP_AFTER, KIND, Batch, BatchState, Flush
from wattswap.protocol.errors import InputError, LocalProtocolError


class Outbox(OutboxReading):
    """The file of one site or wallet owner; in memory if the path is ``None``. One process writes it.

    Raises ``InputError`` if the file cannot be used, ``LedgerDownError`` once it can no longer be written.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__(Database(path, KIND))
        try:
            self.check()
        except BaseException:
            self._database.close()
            raise

    def bind(self, network: str) -> None:
        """Belong to this network for ever. Raises ``InputError`` if it belongs to another."""
        with self._database.transaction() as sql:
            sql.execute("UPDATE identity SET network = ? WHERE network = ''", (network,))
        row = self._database.row("SELECT network FROM identity")
        if row != (network,):
            mine = row[0] if row else ""
            raise InputError(f"{self._database.path} pays on network {mine!r}, not on {network!r}: choose another file")

    # -- A: what is owed ----------------------------------------------------------------------------------------------

    def owe(self, owed: Iterable[tuple[str, Item, bytes]], now_ms: int, *, due: bool = True) -> list[bool]:
        """Write (lane, item, its tag) down; all are on the disk when this returns. For each, whether it was new.

        An item that is ``due`` is paid with the next batch (a car that leaves), others wait for ``Flush``. Repeating an
        item is harmless; with other content its key is refused by ``LocalProtocolError``, and nothing is written.
        """
        with self._database.transaction() as sql:
            return [self._owe(sql, lane, item, tag, now_ms, due=due) for lane, item, tag in owed]

    def make_due(self, lane: str, payee: str | None = None) -> None:
        """Pay what is owed to this payee (or to all) with the next batch."""
        where = "WHERE lane = ?1 AND batch IS NULL AND NOT due AND coalesce(?2, payee) = payee"
        if self._database.row(f"SELECT 1 FROM items {where}", lane, payee) is None:  # noqa: S608
            return
        with self._database.transaction() as sql:
            sql.execute(f"UPDATE items SET due = 1 {where}", (lane, payee))  # noqa: S608

    # -- B to G: the life of a batch ----------------------------------------------------------------------------------

    def is_due(self, lane: str, flush: Flush, now_ms: int) -> bool:
        """Whether a batch could be built now, if there are tokens."""
        return bool(_due_payees(self._database, lane, flush, now_ms))

    def build(
        self, lane: str, flush: Flush, now_ms: int, *, most_nanos: int, most_items: int, most_bytes: int
    ) -> Batch | None:
        """Make a batch of what is due and fits; None if nothing does. What does not fit is carried to the next."""
        with self._database.transaction() as sql:
            chosen = _choose(
                self._database,
                lane,
                _due_payees(self._database, lane, flush, now_ms),
                most_nanos,
                most_items,
                most_bytes,
            )
            if not chosen:
                return None
            number = sql.execute(
                "INSERT INTO batches (lane, state, built_ms) VALUES (?, 'BUILT', ?)", (lane, now_ms)
            ).lastrowid
            sql.executemany("UPDATE items SET batch = ? WHERE item = ?", [(number, item) for item in chosen])
        return self.undecided(lane)

    def dissolve(self, batch: Batch) -> None:
        """Take a BUILT batch apart: nobody has seen bytes of it."""
        with self._database.transaction() as sql:
            _require(sql, batch.number, BatchState.BUILT)
            _give_back(sql, batch.number)
            sql.execute("DELETE FROM batches WHERE batch = ?", (batch.number,))

    def sign(self, batch: Batch, signed: Signed) -> Batch:
        """Store the bytes. Only now may they be handed in."""
        with self._database.transaction() as sql:
            _require(sql, batch.number, BatchState.BUILT)
            sql.execute(
                "UPDATE batches SET state = 'SIGNED', digest = ?, raw = ?, expires = ? WHERE batch = ?",
                (signed.digest, signed.raw, signed.expires, batch.number),
            )
            sql.executemany(
                "INSERT INTO coins (batch, place, coin, version, digest) VALUES (?, ?, ?, ?, ?)",
                [(batch.number, place, c.coin, c.version, c.digest) for place, c in enumerate(signed.coins)],
            )
        found = self.undecided(batch.lane)
        assert found is not None
        assert found.signed == signed, "what was stored is not what was signed"
        return found

    def decide(self, batch: Batch, outcome: Outcome, now_ms: int) -> None:
        """Write down that a SIGNED batch is FINAL or FAILED. Repeating it is harmless."""
        state = {Verdict.FINAL: BatchState.FINAL, Verdict.FAILED: BatchState.FAILED}[outcome.verdict]
        with self._database.transaction() as sql:
            _require(sql, batch.number, BatchState.SIGNED)
            sql.execute(
                "UPDATE batches SET state = ?, fee_nanos = ?, deposit_nanos = ?, error = ?, decided_ms = ?"
                " WHERE batch = ?",
                (state, outcome.fee_nanos, outcome.deposit_nanos, outcome.error, now_ms, batch.number),
            )
            if state is BatchState.FAILED:
                sql.execute("UPDATE items SET attempts = attempts + 1 WHERE batch = ?", (batch.number,))
                _give_back(sql, batch.number)

    def bury(self, batch: Batch, why: str, now_ms: int) -> None:
        """Write down that a SIGNED batch is DEAD: there is proof that it never happened and never will."""
        with self._database.transaction() as sql:
            _require(sql, batch.number, BatchState.SIGNED)
            sql.execute(
                "UPDATE batches SET state = 'DEAD', error = ?, decided_ms = ? WHERE batch = ?",
                (why, now_ms, batch.number),
            )
            sql.execute("UPDATE coins SET released = 1 WHERE batch = ?", (batch.number,))
            _give_back(sql, batch.number)

    # -- reconciliation -----------------------------------------------------------------------------------------------

    def adopt(self, lane: str, sighting: Sighting, manifest: Manifest, now_ms: int) -> int:
        """Take in a transaction that it wrote and has forgotten, for a backup was restored; how many items that paid.

        They are never paid again: items that wait here count as paid, and keys that come later are recognised.
        """
        state = {Verdict.FINAL: BatchState.FINAL, Verdict.FAILED: BatchState.FAILED}[sighting.outcome.verdict]
        with self._database.transaction() as sql:
            number = sql.execute(
                "INSERT INTO batches (lane, state, digest, fee_nanos, deposit_nanos, error, built_ms, decided_ms)"
                " VALUES (?, ?, ?, ?, ?, 'adopted from the ledger', ?, ?)",
                (
                    lane,
                    state,
                    sighting.digest,
                    sighting.outcome.fee_nanos,
                    sighting.outcome.deposit_nanos,
                    now_ms,
                    now_ms,
                ),
            ).lastrowid
            if state is BatchState.FAILED:
                return 0
            for tag in manifest.tags:
                sql.execute("INSERT INTO adopted VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (lane, tag, number))
            _recognise(sql, lane)
            return len(manifest.tags)

    def doubled(self, lane: str, manifest: Manifest) -> list[str]:
        """Keys of the manifest that a FINAL batch here has paid as well: paid twice."""
        keys = []
        for tag in manifest.tags:
            keys += self._database.rows(
                "SELECT key FROM items JOIN batches USING (batch, lane) WHERE lane = ? AND tag = ? AND state = 'FINAL'",
                lane,
                tag,
            )
        return [str(key) for (key,) in keys]

    def cursor(self, lane: str) -> str:
        """Up to where the lane's transactions were compared with the ledger's list."""
        row = self._database.row("SELECT cursor FROM lanes WHERE lane = ?", lane)
        return "" if row is None else str(row[0])

    def move_cursor(self, lane: str, cursor: str) -> None:
        """They agree up to here."""
        with self._database.transaction() as sql:
            sql.execute("UPDATE lanes SET cursor = ? WHERE lane = ?", (cursor, lane))

    def freeze(self, lane: str, why: str, now_ms: int) -> None:
        """Stop a lane until a person has looked: nothing is built, signed or handed in any more."""
        with self._database.transaction() as sql:
            sql.execute("UPDATE lanes SET frozen = ? WHERE lane = ?", (why, lane))
            sql.execute("INSERT INTO alarms (at_ms, lane, text) VALUES (?, ?, ?)", (now_ms, lane, why))

    def thaw(self, lane: str) -> None:
        """A person has looked and lets the lane go on."""
        with self._database.transaction() as sql:
            sql.execute("UPDATE lanes SET frozen = '' WHERE lane = ?", (lane,))

    def alarm(self, lane: str, text: str, now_ms: int) -> None:
        """Write down what a person should look at."""
        with self._database.transaction() as sql:
            sql.execute("INSERT INTO alarms (at_ms, lane, text) VALUES (?, ?, ?)", (now_ms, lane, text))

    # -- how ----------------------------------------------------------------------------------------------------------

    def _owe(self, sql: sqlite3.Connection, lane: str, item: Item, tag: bytes, now_ms: int, *, due: bool) -> bool:
        known = self.find(item.key)
        if known is not None:
            if (known.lane, known.item) != (lane, item):
                raise LocalProtocolError(f"item {item.key!r} came first as {known.item!r}, now as {item!r}")
            return False
        sql.execute("INSERT INTO lanes (lane) VALUES (?) ON CONFLICT DO NOTHING", (lane,))
        sql.execute(
            "INSERT INTO items (lane, key, tag, payee, nanos, sequence, content, due, accrued_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (lane, item.key, tag, item.payee, item.nanos, item.sequence, item.content, due, now_ms),
        )
        _recognise(sql, lane)
        return True


def _require(sql: sqlite3.Connection, number: int, state: BatchState) -> None:
    """Assert that a batch stands where the step begins: no step is taken twice."""
    row = sql.execute("SELECT state FROM batches WHERE batch = ?", (number,)).fetchone()
    assert row is not None, f"batch {number} is gone"
    assert row[0] == state, f"batch {number} is {row[0]}, not {state}"


def _give_back(sql: sqlite3.Connection, number: int) -> None:
    """The batch's items wait again, but for those that an adopted transaction has paid."""
    sql.execute("UPDATE items SET batch = NULL WHERE batch = ?", (number,))
    row = sql.execute("SELECT lane FROM batches WHERE batch = ?", (number,)).fetchone()
    _recognise(sql, row[0])


def _recognise(sql: sqlite3.Connection, lane: str) -> None:
    """Items that wait although an adopted transaction has paid them are paid."""
    sql.execute(
        "UPDATE items SET batch ="
        " (SELECT batch FROM adopted WHERE adopted.lane = items.lane AND adopted.tag = items.tag)"
        " WHERE batch IS NULL AND lane = ? AND tag IN (SELECT tag FROM adopted WHERE lane = ?)",
        (lane, lane),
    )


def _due_payees(database: Database, lane: str, flush: Flush, now_ms: int) -> list[str]:
    """Whom the lane should pay now."""
    rows = database.rows(
        "SELECT payee FROM items WHERE lane = ? AND batch IS NULL AND attempts < ?"
        " GROUP BY payee HAVING max(due) OR sum(nanos) >= ? OR min(accrued_ms) <= ? ORDER BY min(item)",
        lane,
        GIVE_UP_AFTER,
        flush.nanos,
        now_ms - flush.age_ms,
    )
    return [str(payee) for (payee,) in rows]


def _choose(
    database: Database, lane: str, payees: list[str], most_nanos: int, most_items: int, most_bytes: int
) -> list[int]:
    """Rows of items for the next batch: in the order they came, leaving out what is too much."""
    chosen: list[int] = []
    wanted = set(payees)
    for item, payee, nanos, size, attempts in database.rows(
        "SELECT item, payee, nanos, length(content), attempts FROM items"
        " WHERE lane = ? AND batch IS NULL AND attempts < ? ORDER BY item",
        lane,
        GIVE_UP_AFTER,
    ):
        if payee not in wanted or nanos > most_nanos or (chosen and size > most_bytes):
            continue
        if attempts >= ALONE_AFTER:
            if not chosen:
                return [item]
            continue
        chosen.append(item)
        most_nanos -= nanos
        most_bytes -= size
        if len(chosen) == most_items:
            break
    return chosen
