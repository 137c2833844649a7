"""Two designs that pay twice, so that the audit can show that it would notice."""

from __future__ import annotations

from typing import Any

from tests.ledger.fake_chain import FEE

from wattswap.ledger.base import Payment
from wattswap.ledger.outbox_reading import Batch
from wattswap.ledger.payer import Payer
from wattswap.ledger.submitter import Submitter


class _PaysFirst(Payer):
    def _advance(self) -> bool:
        sql = "SELECT key, payee, nanos FROM items WHERE account = ? AND batch IS NULL"
        waiting = self.outbox._database.rows(sql, self.name)
        for key, payee, nanos in waiting:
            payment = Payment(key=key, payer=self.name, payee=payee, nanos=nanos)
            signed = self.adapter.sign([payment], self.adapter.read(), b"")
            self.adapter.submit(signed)
            with self.outbox._database.transaction() as write:
                number = write.execute(
                    "INSERT INTO batches (account, state, digest, fee_nanos, built_ms) VALUES (?, 'FINAL', ?, ?, 0)"
                    " ON CONFLICT DO UPDATE SET built_ms = 0",
                    (self.name, signed.digest, FEE),
                ).lastrowid
                write.execute("UPDATE items SET batch = ? WHERE key = ?", (number, key))
        return bool(waiting)


class PayFirst(Submitter):
    """Pays, then writes down that it has paid: whoever dies in between pays again."""

    payer_class = _PaysFirst


class _Rebuilds(Payer):
    def _ask(self, batch: Batch) -> bool:
        self._bury(batch, "no answer")
        real: Any = getattr(self.adapter, "real", self.adapter)
        real.pick += 1
        return True

    def _reconcile(self) -> None:
        batch = self.outbox.undecided(self.name)
        if batch is not None:
            self._ask(batch)
        self.is_ready = True


class Rebuild(Submitter):
    """Takes no answer for a no and builds anew, with another coin: a late transaction then pays a second time."""

    payer_class = _Rebuilds
