"""What can be asked of an outbox. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from wattswap.ledger.account_adapter import CoinRef, Item, Signed
from wattswap.ledger.database import Database
from wattswap.ledger.outbox_schema import GIVE_UP_AFTER, KIND, Backlog, Batch, BatchState, Known, PaymentReceipt

_ITEM: Final = "key, payee, nanos, sequence, content"
_UNDECIDED: Final = """
    SELECT item, lane, nanos FROM items WHERE batch IS NULL
    UNION ALL
    SELECT item, items.lane, nanos FROM batches JOIN items USING (batch) WHERE state IN ('BUILT', 'SIGNED')"""
"""Two selections, each with an index of its own: what is decided long since is not looked at."""


def _item(columns: Sequence[Any]) -> Item:
    key, payee, nanos, sequence, content = columns
    return Item(key=key, payee=payee, nanos=nanos, sequence=sequence, content=content)


def read_outbox(path: Path) -> OutboxReading:
    """The outbox in a file, to be asked only, perhaps while another process writes it.

    Raises ``InputError`` if there is no such file, or if it cannot be used.
    """
    return OutboxReading(Database(path, KIND, reads_only=True))


class OutboxReading:
    """The questions to an open outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def identity(self) -> bytes:
        """What tells its own transactions from those of another outbox over the same account."""
        row = self._database.row("SELECT outbox FROM identity")
        assert row is not None
        return bytes(row[0])

    @property
    def network(self) -> str:
        """The network it belongs to; empty before it has paid on one."""
        row = self._database.row("SELECT network FROM identity")
        return "" if row is None else str(row[0])

    @property
    def lanes(self) -> list[str]:
        """All lanes it ever knew."""
        return [str(lane) for (lane,) in self._database.rows("SELECT lane FROM lanes ORDER BY lane")]

    @property
    def busy_lanes(self) -> list[str]:
        """Lanes with something undecided, those that owe the oldest item first."""
        rows = self._database.rows(f"SELECT lane FROM ({_UNDECIDED}) GROUP BY lane ORDER BY min(item)")  # noqa: S608
        return [str(lane) for (lane,) in rows]

    @property
    def alarms(self) -> list[str]:
        """What a person should look at, oldest first, each with its lane."""
        rows = self._database.rows("SELECT lane, text FROM alarms ORDER BY alarm")
        return [f"{lane}: {text}" for lane, text in rows]

    @property
    def stuck(self) -> list[str]:
        """Keys that were given up: each of their batches failed."""
        rows = self._database.rows("SELECT key FROM items WHERE batch IS NULL AND attempts >= ?", GIVE_UP_AFTER)
        return [str(key) for (key,) in rows]

    @property
    def fees_nanos(self) -> int:
        """All that was burned so far."""
        return self._sum("SELECT sum(fee_nanos) FROM batches")

    @property
    def deposits_nanos(self) -> int:
        """All that was locked in storage deposits so far, less what was freed."""
        return self._sum("SELECT sum(deposit_nanos) FROM batches")

    @property
    def backlog(self) -> Backlog:
        """What is owed or on its way, over all lanes."""
        row = self._database.row(f"SELECT count(*), coalesce(sum(nanos), 0) FROM ({_UNDECIDED})")  # noqa: S608
        assert row is not None
        return Backlog(items=row[0], nanos=row[1])

    @property
    def payments_final(self) -> int:
        """How many payments are FINAL."""
        return self._sum("SELECT count(*) FROM receipts WHERE nanos > 0")

    @property
    def anchors_final(self) -> int:
        """How many anchors are on the ledger for good."""
        return self._sum("SELECT count(*) FROM receipts WHERE nanos = 0")

    @property
    def stalled(self) -> int:
        """How many items wait for a person: given up, or on a frozen lane."""
        return self._sum(
            "SELECT count(*) FROM items JOIN lanes USING (lane) LEFT JOIN batches USING (batch)"
            " WHERE (items.batch IS NULL AND attempts >= ?)"
            " OR (frozen <> '' AND (items.batch IS NULL OR state IN ('BUILT', 'SIGNED')))",
            GIVE_UP_AFTER,
        )

    def outstanding_nanos(self, lane: str) -> int:
        """What a lane owes or has on its way."""
        return self._sum(
            "SELECT sum(nanos) FROM items LEFT JOIN batches USING (batch)"
            " WHERE items.lane = ? AND (items.batch IS NULL OR state IN ('BUILT', 'SIGNED'))",
            lane,
        )

    def taken(self, coins: Iterable[CoinRef]) -> bool:
        """Whether another transaction of this outbox already consumes one of these coin versions."""
        sql = "SELECT 1 FROM coins WHERE NOT released AND coin = ? AND version = ?"
        return any(self._database.row(sql, coin.coin, coin.version) is not None for coin in coins)

    def frozen(self, lane: str) -> str:
        """Why the lane is stopped; empty if it is not."""
        row = self._database.row("SELECT frozen FROM lanes WHERE lane = ?", lane)
        return "" if row is None else str(row[0])

    def knows(self, digest: str) -> bool:
        """Whether a transaction of this digest is one of its own."""
        return self._database.row("SELECT 1 FROM batches WHERE digest = ?", digest) is not None

    def state_of(self, digest: str) -> BatchState:
        """Where the batch of this digest stands."""
        row = self._database.row("SELECT state FROM batches WHERE digest = ?", digest)
        assert row is not None
        return BatchState(row[0])

    def find(self, key: str) -> Known | None:
        """What it knows of a settlement key."""
        row = self._database.row(
            f"SELECT items.lane, state, digest, error, {_ITEM} FROM items"  # noqa: S608
            " LEFT JOIN batches USING (batch) WHERE key = ?",
            key,
        )
        if row is None:
            return None
        lane, state, digest, error, *columns = row
        return Known(
            lane=lane,
            item=_item(columns),
            state=BatchState(state) if state else None,
            digest=digest or "",
            error=error or "",
        )

    def paid(self, account: str) -> list[tuple[str, Item]]:
        """(payer, item) of all payments that are FINAL, from or to an account, oldest first."""
        return [(receipt.payer, receipt.item) for receipt in self.receipts(account)]

    def receipts(self, account: str) -> list[PaymentReceipt]:
        """The same with what became of them."""
        rows = self._database.rows(
            f"SELECT decided_ms, digest, items.lane, {_ITEM} FROM items JOIN batches USING (batch)"  # noqa: S608
            " WHERE state = 'FINAL' AND content = x'' AND (items.lane = ?1 OR payee = ?1)"
            " ORDER BY decided_ms, batch, item",
            account,
        )
        return [
            PaymentReceipt(at_ms=at_ms, digest=digest, payer=lane, item=_item(columns))
            for at_ms, digest, lane, *columns in rows
        ]

    def undecided(self, lane: str) -> Batch | None:
        """The lane's one batch that is BUILT or SIGNED."""
        row = self._database.row(
            "SELECT batch, state, digest, raw, expires FROM batches WHERE lane = ? AND state IN ('BUILT', 'SIGNED')",
            lane,
        )
        if row is None:
            return None
        number, state, digest, raw, expires = row
        signed = None
        if state == BatchState.SIGNED:
            coins = self._database.rows(
                "SELECT coin, version, digest FROM coins WHERE batch = ? ORDER BY place", number
            )
            signed = Signed(raw=raw, digest=digest, coins=tuple(CoinRef(*coin) for coin in coins), expires=expires)
        items = self._database.rows(f"SELECT {_ITEM} FROM items WHERE batch = ? ORDER BY item", number)  # noqa: S608
        return Batch(
            number=number, lane=lane, state=BatchState(state), items=tuple(_item(row) for row in items), signed=signed
        )

    def check(self) -> None:
        """Assert what must hold whenever nobody is writing: each item in one place, each coin version spent once."""
        rows = self._database.rows
        lost = rows(
            "SELECT key FROM items JOIN batches USING (batch)"
            " WHERE state IN ('FAILED', 'DEAD') OR items.lane <> batches.lane"
        )
        assert not lost, f"{lost[0][0]} is neither owed nor paid"
        hollow = rows(
            "SELECT batch FROM batches LEFT JOIN items USING (batch)"
            " WHERE state IN ('BUILT', 'SIGNED') GROUP BY batch HAVING count(item) = 0"
        )
        assert not hollow, f"batch {hollow[0][0]} is empty"
        twice = rows("SELECT coin FROM coins WHERE NOT released GROUP BY coin, version HAVING count(*) > 1")
        assert not twice, f"coin {twice[0][0]} is spent twice"

    def _sum(self, sql: str, *arguments: object) -> int:
        row = self._database.row(sql, *arguments)
        return int(row[0] or 0) if row else 0
