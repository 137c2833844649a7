"""A chain that knows no settlement keys: coins with versions, locks, lost answers, late execution, aborts and epochs.

What double payment is prevented here is prevented by the outbox alone. It lives in its own database, so that the death
of whoever uses it cannot undo what it has accepted.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from wattswap.ledger.account_adapter import BatchOutcome, CoinRef, Consumer, Owed, Purse, Sighting, Signed, Verdict
from wattswap.ledger.base import LedgerDownError, Payment
from wattswap.ledger.database import Database, Kind

FEE = 3
"""What any executed transaction burns, failed or not."""

KIND = Kind(
    name="chain",
    application_id=0x57_53_43_31,
    version=1,
    schema="""
CREATE TABLE coins (
    coin TEXT PRIMARY KEY, version INTEGER NOT NULL, owner TEXT NOT NULL, nanos INTEGER NOT NULL CHECK (nanos >= 0)
);
CREATE TABLE locks (coin TEXT, version INTEGER, digest TEXT NOT NULL, PRIMARY KEY (coin, version));
CREATE TABLE transactions (
    id INTEGER PRIMARY KEY, digest TEXT UNIQUE, raw BLOB, verdict TEXT NOT NULL, error TEXT NOT NULL
);
CREATE TABLE state (epoch INTEGER NOT NULL, burned INTEGER NOT NULL);
INSERT INTO state VALUES (0, 0);
""",
)


class Body(msgspec.Struct, frozen=True, array_like=True):
    """What a transaction says."""

    sender: str
    coins: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    memo: bytes
    expires: int


class Faults:
    """What goes wrong with a transaction that is handed in: drawn by one seed, in the order of hand-ins."""

    def __init__(
        self, seed: int = 0, *, lost: float = 0.0, unheard: float = 0.0, late: float = 0.0, abort: float = 0.0
    ):
        self.luck = random.Random(seed)
        self.weights = {"lost": lost, "unheard": unheard, "late": late, "abort": abort}

    def draw(self) -> str:
        x = self.luck.random()
        for name, weight in self.weights.items():
            if x < weight:
                return name
            x -= weight
        return ""


class FakeChain:
    """The ledger's side."""

    def __init__(self, opening: Mapping[str, tuple[int, ...]], path: Path | None = None, faults: Faults | None = None):
        self.database = Database(path, KIND)
        self.faults = faults or Faults()
        if not self.database.rows("SELECT 1 FROM coins"):
            with self.database.transaction() as sql:
                for owner, purses in opening.items():
                    for number, nanos in enumerate(purses):
                        sql.execute("INSERT INTO coins VALUES (?, 1, ?, ?)", (f"{owner}/{number}", owner, nanos))

    def epoch(self) -> int:
        return int(self.database.rows("SELECT epoch FROM state")[0][0])

    def next_epoch(self) -> None:
        """Locks end; what is pending and has expired never happens."""
        with self.database.transaction() as sql:
            sql.execute("UPDATE state SET epoch = epoch + 1")
            executed = "SELECT digest FROM transactions WHERE verdict <> 'pending'"
            sql.execute(f"DELETE FROM locks WHERE digest NOT IN ({executed})")
            sql.execute("DELETE FROM transactions WHERE verdict = 'pending'")

    def received(self) -> dict[str, int]:
        """Nanos by owner."""
        return dict(self.database.rows("SELECT owner, sum(nanos) FROM coins GROUP BY owner"))

    def supply(self) -> int:
        """All tokens there are or were: constant for ever."""
        return int(self.database.rows("SELECT (SELECT sum(nanos) FROM coins) + burned FROM state")[0][0])

    def accept(self, raw: bytes, digest: str, fault: str) -> BatchOutcome:
        """Take bytes in: lock their coins, and execute now or later."""
        body = msgspec.msgpack.decode(raw, type=Body)
        known = self.verdict(digest)
        if known.verdict in (Verdict.FINAL, Verdict.FAILED):
            return known
        if body.expires < self.epoch():
            return BatchOutcome(verdict=Verdict.UNKNOWN, error="expired")
        with self.database.transaction() as sql:
            for coin, version in body.coins:
                held_by = "SELECT digest FROM locks WHERE coin = ? AND version = ?"
                holder = sql.execute(held_by, (coin, version)).fetchone()
                if holder is not None and holder[0] != digest:
                    return BatchOutcome(verdict=Verdict.CONFLICT, error="double used", others=(holder[0],))
                if (coin, version) not in sql.execute("SELECT coin, version FROM coins").fetchall():
                    return BatchOutcome(verdict=Verdict.CONFLICT, error="no such coin version")
            for coin, version in body.coins:
                sql.execute("INSERT INTO locks VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (coin, version, digest))
            sql.execute(
                "INSERT INTO transactions (digest, raw, verdict, error) VALUES (?, ?, 'pending', '')"
                " ON CONFLICT DO NOTHING",
                (digest, raw),
            )
        if fault == "late":
            return BatchOutcome(verdict=Verdict.UNKNOWN, error="timed out")
        return self.execute(digest, abort=fault == "abort")

    def execute(self, digest: str, *, abort: bool = False) -> BatchOutcome:
        [(raw,)] = self.database.rows("SELECT raw FROM transactions WHERE digest = ?", digest)
        body = msgspec.msgpack.decode(raw, type=Body)
        with self.database.transaction() as sql:
            held = sum(
                sql.execute("SELECT nanos FROM coins WHERE coin = ?", (coin,)).fetchone()[0] for coin, _ in body.coins
            )
            total = sum(nanos for _, nanos in body.outputs)
            error = "aborted" if abort else "not enough" if total + FEE > held else ""
            first, *rest = [coin for coin, _ in body.coins]
            sql.executemany("DELETE FROM coins WHERE coin = ?", [(coin,) for coin in rest])
            left = held - FEE - (0 if error else total)
            assert left >= 0
            sql.execute("UPDATE coins SET nanos = ?, version = version + 1 WHERE coin = ?", (left, first))
            if not error:
                made = [(f"{digest}/{number}", owner, n) for number, (owner, n) in enumerate(body.outputs)]
                sql.executemany("INSERT INTO coins VALUES (?, 1, ?, ?)", made)
            sql.execute("UPDATE state SET burned = burned + ?", (FEE,))
            verdict = Verdict.FAILED if error else Verdict.FINAL
            sql.execute("UPDATE transactions SET verdict = ?, error = ? WHERE digest = ?", (verdict, error, digest))
        return self.verdict(digest)

    def execute_all(self) -> None:
        """What was late happens now."""
        for (digest,) in self.database.rows("SELECT digest FROM transactions WHERE verdict = 'pending' ORDER BY id"):
            self.execute(digest)

    def verdict(self, digest: str) -> BatchOutcome:
        row = self.database.row("SELECT verdict, error FROM transactions WHERE digest = ?", digest)
        if row is None or row[0] == "pending":
            return BatchOutcome(verdict=Verdict.ABSENT)
        return BatchOutcome(verdict=Verdict(row[0]), fee_nanos=FEE, error=row[1])


class FakeAdapter:
    """An owner's way of paying on it. ``pick`` says which of the owner's coins the next transaction spends."""

    most_items = 50
    most_bytes = 1_000
    is_whole = True
    expires_after = 2

    def __init__(self, chain: FakeChain, owner: str, *, secret: bytes = b"secret") -> None:
        self.chain, self.owner, self.secret, self.pick = chain, owner, secret, 0
        self.down = False
        self.unknown: set[str] = set()
        """Payees whose wallet nobody knows."""

    def _weather(self) -> None:
        if self.down:
            raise LedgerDownError("no route")

    def read(self) -> Purse:
        self._weather()
        coins = self.chain.database.rows(
            "SELECT coin, version, nanos FROM coins WHERE owner = ? ORDER BY nanos DESC, coin", self.owner
        )
        coin, version, nanos = coins[self.pick % len(coins)]
        made = self.chain.database.row("SELECT digest FROM locks WHERE coin = ? AND version = ?", coin, version - 1)
        causes = frozenset() if made is None else frozenset(map(str, made))
        return Purse(
            coins=(CoinRef(coin, version),), causes=causes, nanos=max(0, nanos - FEE), epoch=self.chain.epoch()
        )

    def obstacle(self, item: Owed) -> str:
        return f"nobody knows {item.payee}" if isinstance(item, Payment) and item.payee in self.unknown else ""

    def sign(self, items: Sequence[Owed], purse: Purse, memo: bytes) -> Signed:
        outputs: dict[str, int] = {}
        for item in items:
            if isinstance(item, Payment):
                outputs[item.payee] = outputs.get(item.payee, 0) + item.nanos
        expires = purse.epoch + self.expires_after
        coins = tuple((coin.coin, coin.version) for coin in purse.coins)
        raw = msgspec.msgpack.encode(Body(self.owner, coins, tuple(outputs.items()), memo, expires))
        return Signed(raw=raw, digest=blake2b(raw, digest_size=16).hexdigest(), coins=purse.coins, expires=expires)

    def memo(self, signed: Signed) -> bytes:
        return msgspec.msgpack.decode(signed.raw, type=Body).memo

    def submit(self, signed: Signed) -> BatchOutcome:
        fault = self.chain.faults.draw()
        if self.down or fault == "lost":
            return BatchOutcome(verdict=Verdict.UNKNOWN, error="lost on the way")
        outcome = self.chain.accept(signed.raw, signed.digest, fault)
        if fault == "unheard":
            return BatchOutcome(verdict=Verdict.UNKNOWN, error="the answer was lost")
        return outcome

    def status(self, digest: str) -> BatchOutcome:
        if self.down:
            return BatchOutcome(verdict=Verdict.UNKNOWN, error="no route")
        return self.chain.verdict(digest)

    def consumer(self, coin: CoinRef) -> Consumer | None:
        self._weather()
        if self.chain.database.row("SELECT version FROM coins WHERE coin = ?", coin.coin) == (coin.version,):
            return None
        sql = "SELECT digest FROM locks WHERE coin = ? AND version = ?"
        [(digest,)] = self.chain.database.rows(sql, coin.coin, coin.version)
        [(raw,)] = self.chain.database.rows("SELECT raw FROM transactions WHERE digest = ?", digest)
        return Consumer(digest, msgspec.msgpack.decode(raw, type=Body).sender == self.owner)

    def dead(self, signed: Signed) -> bool:
        absent = self.chain.verdict(signed.digest).verdict is Verdict.ABSENT
        return (
            absent and self.chain.epoch() > signed.expires and all(self.consumer(coin) is None for coin in signed.coins)
        )

    def sent(self, after: int) -> tuple[list[Sighting], int]:
        self._weather()
        rows = self.chain.database.rows(
            "SELECT id, digest, raw FROM transactions WHERE id > ? AND verdict <> 'pending' ORDER BY id",
            after,
        )
        bodies = [(row, msgspec.msgpack.decode(row[2], type=Body)) for row in rows]
        own = [(digest, body) for (_, digest, _), body in bodies if body.sender == self.owner]
        sightings = [Sighting(digest=d, outcome=self.chain.verdict(d), memo=body.memo) for d, body in own]
        return sightings, rows[-1][0] if rows else max(after, 0)
