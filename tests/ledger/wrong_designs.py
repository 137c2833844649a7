"""Two designs that pay twice, so that the audit can show that it would notice."""

from __future__ import annotations

from typing import Any

from tests.ledger.fake_chain import FEE

from wattswap.ledger.base import Payment
from wattswap.ledger.outbox_schema import Batch
from wattswap.ledger.submitter import Submitter


class PayFirst(Submitter):
    """Pays, then writes down that it has paid: whoever dies in between pays again."""

    def _advance(self, name: str) -> bool:
        adapter = self._adapter(name)
        sql = "SELECT key, payee, nanos FROM items WHERE account = ? AND batch IS NULL"
        waiting = self.outbox._database.rows(sql, name)
        for key, payee, nanos in waiting:
            payment = Payment(key=key, payer=name, payee=payee, nanos=nanos)
            signed = adapter.sign([payment], adapter.read(), b"")
            adapter.submit(signed)
            with self.outbox._database.transaction() as write:
                number = write.execute(
                    "INSERT INTO batches (account, state, digest, fee_nanos, built_ms) VALUES (?, 'FINAL', ?, ?, 0)"
                    " ON CONFLICT DO UPDATE SET built_ms = 0",
                    (name, signed.digest, FEE),
                ).lastrowid
                write.execute("UPDATE items SET batch = ? WHERE key = ?", (number, key))
        return bool(waiting)


class Rebuild(Submitter):
    """Takes no answer for a no and builds anew, with another coin: a late transaction then pays a second time."""

    def _ask(self, batch: Batch) -> bool:
        self.outbox.bury(batch, "no answer", 0)
        self._done(batch.account)
        adapter = self._adapter(batch.account)
        real: Any = getattr(adapter, "real", adapter)
        real.pick += 1
        return True

    def _reconcile(self, name: str) -> None:
        batch = self.outbox.undecided(name)
        if batch is not None:
            self._ask(batch)
        self._ready.add(name)
