"""An outbox, a chain, and what the tests of both owe, look at and audit."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.ledger.crashing import LeapingClock
from tests.ledger.fake_chain import FakeAdapter, FakeChain, Faults

from wattswap.ledger.account_adapter import Signed
from wattswap.ledger.base import Payment
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_reading import Batch, BatchState
from wattswap.ledger.submitter import Submitter

OPENING = {"site": (10_000, 9_000, 8_000), "car": (500,)}
DEBTS = [
    Payment(key="a", payer="site", payee="bus", nanos=100),
    Payment(key="b", payer="site", payee="van", nanos=20),
    Payment(key="c", payer="car", payee="site", nanos=7),
    Payment(key="d", payer="site", payee="bus", nanos=3),
]
OWED = {"bus": 103, "van": 20}


class OutboxPlace:
    """An outbox, a chain and the lanes between them, for one test."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.chain = FakeChain(OPENING, faults=faults)
        self.outbox = Outbox(None)
        self.lanes: dict[str, FakeAdapter] = {}
        self.minted = self.chain.supply()

    def lane(self, name: str) -> FakeAdapter:
        return self.lanes.setdefault(name, FakeAdapter(self.chain, name))

    def state(self, key: str) -> BatchState | None:
        known = self.outbox.find(key)
        assert known is not None
        return known.state

    def sign(self, lane: str, signed: Signed, most_items: int = 1) -> Batch:
        items = self.outbox.chosen(lane, most_nanos=100, most_items=most_items, most_bytes=0)
        return self.outbox.sign(lane, items, signed, 0)

    def submitter(self, **options) -> Submitter:
        return Submitter(self.outbox, self.lane, clock=LeapingClock(), **options)

    def close(self) -> None:
        self.outbox.close()
        self.chain.database.close()


def copy_to(outbox: Outbox, path: Path) -> None:
    """A backup of the file while it is open."""
    with closing(sqlite3.connect(path)) as copy:
        outbox._database._connection.backup(copy)


def live(submitter: Submitter) -> None:
    """Owe the debts in two steps and work until nothing is left."""
    submitter.owe(DEBTS[:2])
    submitter.work()
    submitter.owe(DEBTS)
    settle(submitter)


def settle(submitter: Submitter, passes: int = 200) -> None:
    for _ in range(passes):
        if not submitter.outbox.unsettled:
            return
        submitter.work()


def audit(place: OutboxPlace, owed: dict[str, int] = OWED) -> list[str]:
    """What is wrong, seen from outside: what payees hold on the chain against what they were owed."""
    place.chain.execute_all()
    holds = place.chain.received()
    wrong = [
        f"{name} got {holds.get(name, 0)}, not {nanos}" for name, nanos in owed.items() if holds.get(name) != nanos
    ]
    if place.chain.supply() != place.minted:
        wrong.append("tokens were made or lost")
    fees = 10_000 + 9_000 + 8_000 + 500 - sum(holds.values())
    if place.outbox.fees_nanos != fees and not wrong:
        wrong.append(f"fees are {fees}, the outbox says {place.outbox.fees_nanos}")
    wrong += place.outbox.alarms
    return wrong
