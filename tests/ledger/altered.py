"""An outbox whose file somebody alters with SQL: one value of one row, or the row itself."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from tests.ledger.crashing import LeapingClock
from tests.ledger.fake_chain import FakeAdapter, FakeChain, Faults
from tests.ledger.outbox_place import settle

from wattswap.ledger.base import Anchor, DamagedError
from wattswap.ledger.book import SITE, Book
from wattswap.ledger.crossing import crossings
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.submitter import Submitter
from wattswap.protocol.errors import InputError, LocalProtocolError

OPENING = {SITE: (4_000, 3_000), "wallet/van": (500,), "anchors": (900,)}
RECORDS = [Anchor(site="street", sequence=number, content=b"said %d" % number) for number in range(3)]
_NUMBERS = count()


class Change(NamedTuple):
    """What is done to a row; ``column`` is None if it is deleted."""

    table: str
    rowid: int
    column: str | None
    value: Any = None


def new_book(rounds: int = 6) -> Book:
    """Rewards for three cars, and what a fourth pays for energy: they cross one by one."""
    book = Book(7_000, "each")
    book.fund("opening/van", "wallet/van", 500)
    book.bill("s1", "van", 70)
    for number in range(rounds):
        book.reserve(f"r{number}", 100)
        book.settle(f"r{number}", ("ann", "bob", "cy")[number % 3], 10 + number)
    return book


class AlteredOutbox:
    """A chain, the file of an outbox on it, and a book: drained, or left when half of it was on its way."""

    def __init__(self, folder: Path, *, drained: bool) -> None:
        self.folder, self.book, self.chain = folder, new_book(), FakeChain(OPENING)
        self.path = folder / "outbox.sqlite"
        with Outbox(self.path, run="run") as outbox:
            self.identity, submitter = outbox.identity, self._submitter(outbox, self.chain)
            submitter.post(new_book(3))
            settle(submitter)
            submitter.post(self.book)
            submitter.owe(RECORDS)
            if drained:
                settle(submitter)
            else:
                self.chain.faults = Faults(unheard=1.0)
                submitter.work()
                self.chain.faults = Faults()

    def changes(self) -> list[Change]:
        """All that may be done to one row: each value away, another row's, one more, or none that makes sense."""
        found = []
        with closing(sqlite3.connect(self.path)) as file:
            tables = [name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            for table in tables:
                cursor = file.execute(f"SELECT * FROM {table}")
                columns, rows = [column for column, *_ in cursor.description], cursor.fetchall()
                for place, row in enumerate(rows):
                    found.append(Change(table, place, None))
                    for at, column in enumerate(columns):
                        values = [None, *_others(row[at]), *{other[at] for other in rows}]
                        found += [Change(table, place, column, value) for value in values if value != row[at]]
        return found

    def outcome(self, change: Change | None) -> tuple[list[str], str]:
        """What is wrong on a copy of the chain after a settlement of the altered copy, and why it stopped, if it did.

        A person insists: lets go on what was stopped, and settles again.
        """
        path, chain = self.folder / f"altered{next(_NUMBERS)}.sqlite", FakeChain({})
        with closing(sqlite3.connect(self.path)) as file, closing(sqlite3.connect(path)) as copy:
            file.backup(copy)
            if change is not None:
                _apply(copy, change)
        self.chain.database._connection.backup(chain.database._connection)
        told = ""
        for _ in range(2):
            try:
                with Outbox(path, run="run") as outbox:
                    if outbox.identity != self.identity:
                        raise InputError("another outbox")  # as a settlement says
                    outbox.thaw()
                    outbox.retry()
                    submitter = self._submitter(outbox, chain)
                    submitter.post(self.book)
                    submitter.owe(RECORDS)
                    for _ in range(3):
                        settle(submitter, 8)
                        submitter.work()
                    told = "; ".join([*outbox.alarms, *submitter.errors().values()])
            except (InputError, DamagedError, LocalProtocolError) as error:
                told = str(error)
        wrong = self._audit(chain, told)
        chain.database.close()
        path.unlink()
        return wrong, told

    def _submitter(self, outbox: Outbox, chain: FakeChain) -> Submitter:
        return Submitter(outbox, lambda name: FakeAdapter(chain, name), clock=LeapingClock())

    def _audit(self, chain: FakeChain, told: str) -> list[str]:
        """What is wrong by the coins on the chain alone: too much was paid, or less without a word."""
        chain.execute_all()
        owed = Counter[str]()
        for payment in crossings(self.book.entries):
            owed[payment.payee] += payment.nanos
        rows = chain.database.rows(
            "SELECT owner, nanos FROM coins WHERE coin LIKE '%/%' AND coin NOT LIKE owner || '/%'"
        )
        got = Counter[str]()
        for owner, nanos in rows:
            got[owner] += nanos
        del got[SITE]
        [(site,)] = chain.database.rows("SELECT sum(nanos) FROM coins WHERE owner = ?", SITE)
        wrong = [f"{payee} got {got[payee]}, not {owed[payee]}" for payee in got if got[payee] > owed[payee]]
        wrong += [f"{payee} lacks some" for payee in owed if payee != SITE and got[payee] < owed[payee] and not told]
        if site > 7_000 + owed[SITE]:
            wrong.append(f"the site holds {site}")
        return wrong


def _others(value: Any) -> list[Any]:
    if isinstance(value, int):
        return [value + 1, -value - 1, 1 << 40]
    if isinstance(value, bytes):
        return [b"", value[:-1] + bytes([value[-1] ^ 1]) if value else b"x", bytes(16)]
    return ["", "nobody", f"{value}x"]


def _apply(file: sqlite3.Connection, change: Change) -> None:
    """As SQL in a shell would do it, which minds no reference; what the file's own rules refuse is not done."""
    keys = [name for _, name, *_, place in file.execute(f"PRAGMA table_info({change.table})") if place]
    names = ", ".join(keys) or "rowid"
    row = file.execute(f"SELECT {names} FROM {change.table} LIMIT 1 OFFSET ?", (change.rowid,)).fetchone()
    where = " AND ".join(f"{name} = ?" for name in (keys or ["rowid"]))
    file.execute("PRAGMA ignore_check_constraints = ON")
    with suppress(sqlite3.IntegrityError), file:
        if change.column is None:
            file.execute(f"DELETE FROM {change.table} WHERE {where}", row)
        else:
            file.execute(f"UPDATE {change.table} SET {change.column} = ? WHERE {where}", (change.value, *row))
