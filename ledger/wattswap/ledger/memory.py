"""The ledger of a run that leaves nothing behind: balances in a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wattswap.ledger.base import Payment, PaymentState, PaymentStatus
from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.units import MOST_NANOS


class MemoryLedger:
    """A ``Ledger`` in this process. ``opening`` is who holds how many nanos at the start; no more is ever made."""

    def __init__(self, opening: Mapping[str, int]) -> None:
        for account, nanos in opening.items():
            if type(nanos) is not int or not 0 <= nanos <= MOST_NANOS:
                raise LocalProtocolError(f"{account!r} cannot open with {nanos!r} nanos")
        self._balances = dict(opening)
        self._supply = sum(opening.values())
        self._payments: dict[str, Payment] = {}
        self._history: dict[str, list[Payment]] = {}

    def balance(self, account: str) -> int:
        """Nanos the account can spend now."""
        return self._balances.get(account, 0)

    def pay(self, payments: Sequence[Payment]) -> list[PaymentStatus]:
        """Make these payments one after the other; here an earlier one can fund a later one."""
        return [self._pay(payment) for payment in payments]

    def history(self, account: str) -> list[Payment]:
        """All payments made from or to the account, oldest first: a copy."""
        return list(self._history.get(account, ()))

    def check(self) -> None:
        """Assert conservation: no tokens were made or lost, and nobody holds less than nothing."""
        assert sum(self._balances.values()) == self._supply, "tokens were made or lost"
        assert min(self._balances.values(), default=0) >= 0, "an account is negative"

    def _pay(self, payment: Payment) -> PaymentStatus:
        known = self._payments.get(payment.key)
        if known == payment:
            return PaymentStatus(key=payment.key, state=PaymentState.EXISTS)
        if known is not None:
            return _refused(
                payment, f"the key already paid {known.nanos} nanos from {known.payer!r} to {known.payee!r}"
            )
        holds = self.balance(payment.payer)
        if holds < payment.nanos:
            return _refused(payment, f"{payment.payer!r} holds {holds} nanos, not {payment.nanos}")
        self._balances[payment.payer] = holds - payment.nanos
        self._balances[payment.payee] = self.balance(payment.payee) + payment.nanos
        self._payments[payment.key] = payment
        for account in (payment.payer, payment.payee):
            self._history.setdefault(account, []).append(payment)
        return PaymentStatus(key=payment.key, state=PaymentState.PAID)


def _refused(payment: Payment, error: str) -> PaymentStatus:
    return PaymentStatus(key=payment.key, state=PaymentState.REFUSED, error=error)
