"""The ledger of a run that leaves nothing behind: balances in a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wattswap.ledger.base import Anchor, AnchorState, AnchorStatus, Payment, PaymentState, PaymentStatus
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
        self._anchors: dict[str, dict[int, Anchor]] = {}

    def balance(self, account: str) -> int:
        """Nanos the account can spend now."""
        return self._balances.get(account, 0)

    def pay(self, payments: Sequence[Payment]) -> list[PaymentStatus]:
        """Make these payments one after the other; here an earlier one can fund a later one."""
        return [self._pay(payment) for payment in payments]

    def history(self, account: str) -> list[Payment]:
        """All payments made from or to the account, oldest first: a copy."""
        return list(self._history.get(account, ()))

    def anchor(self, anchors: Sequence[Anchor]) -> list[AnchorStatus]:
        """Keep these records."""
        return [self._anchor(anchor) for anchor in anchors]

    def anchored(self, site: str, *, first: int = 0, last: int | None = None) -> list[Anchor]:
        """The site's anchors, in the order of their sequence."""
        chain = self._anchors.get(site, {})
        return [chain[number] for number in sorted(chain) if first <= number and (last is None or number <= last)]

    def close(self) -> None:
        """There is nothing to let go of."""

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

    def _anchor(self, anchor: Anchor) -> AnchorStatus:
        known = self._anchors.setdefault(anchor.site, {}).setdefault(anchor.sequence, anchor)
        if known is anchor:
            return AnchorStatus(site=anchor.site, sequence=anchor.sequence, state=AnchorState.ANCHORED)
        if known == anchor:
            return AnchorStatus(site=anchor.site, sequence=anchor.sequence, state=AnchorState.EXISTS)
        error = f"another record {anchor.sequence} of {anchor.site!r} is anchored already"
        return AnchorStatus(site=anchor.site, sequence=anchor.sequence, state=AnchorState.REFUSED, error=error)


def _refused(payment: Payment, error: str) -> PaymentStatus:
    return PaymentStatus(key=payment.key, state=PaymentState.REFUSED, error=error)
