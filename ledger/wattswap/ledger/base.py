"""The contract of every ledger: who holds what, and many payments at once, each at most once.

A backend is told what to pay under a settlement key that the payer chose and wrote down beforehand. Whoever does not
know whether a payment went through (a timeout, a crash) sends it again under the same key; that is always safe.
Anything that takes time (a network, a chain) belongs behind a backend, never in an agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum, unique
from typing import Protocol

from msgspec import Struct

from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.units import MOST_NANOS


class Payment(Struct, frozen=True, kw_only=True):
    """Tokens from one account to another, under the key that makes it happen at most once.

    Raises ``LocalProtocolError`` if it could never be paid: that is a bug of whoever made it, not of the ledger.
    """

    key: str
    """Chosen by the payer, unique for ever; for example ``bill/<session>``."""
    payer: str
    payee: str
    nanos: int
    """More than 0, a plain int."""

    def __post_init__(self) -> None:
        """Refuse what no ledger could pay."""
        if not self.key:
            raise LocalProtocolError("a payment needs a key")
        if self.payer == self.payee:
            raise LocalProtocolError(f"payment {self.key!r} goes from {self.payer!r} to itself")
        if type(self.nanos) is not int or not 0 < self.nanos <= MOST_NANOS:
            raise LocalProtocolError(
                f"payment {self.key!r}: not 1 to {MOST_NANOS} nanos in a plain int: {self.nanos!r}"
            )


@unique
class PaymentState(StrEnum):
    """What became of a payment that was handed in."""

    PAID = "paid"
    """It moved the tokens just now."""
    EXISTS = "exists"
    """The same payment was made before; nothing moved. A success, like ``PAID``."""
    REFUSED = "refused"
    """Nothing moved, and the key is as free, or as taken, as before; ``error`` says why."""


class PaymentStatus(Struct, frozen=True, kw_only=True):
    """The answer to one payment."""

    key: str
    state: PaymentState
    error: str = ""
    """Why it was refused, one line; empty otherwise."""

    @property
    def ok(self) -> bool:
        """The payee has the tokens, from now or from before."""
        return self.state is not PaymentState.REFUSED


class Ledger(Protocol):
    """What the agents' drivers may ask of a ledger. Accounts are strings; all amounts are whole nanos."""

    def balance(self, account: str) -> int:
        """Nanos the account can spend now, never negative; 0 for one the ledger has not heard of."""
        ...

    def pay(self, payments: Sequence[Payment]) -> list[PaymentStatus]:
        """Make these payments and answer each, in their order.

        Each stands for itself: one that is refused stops no other. The same key with the same content ``EXISTS`` and
        moves nothing; with other content, or when the payer does not hold the tokens, it is ``REFUSED``. A refusal is
        not remembered: once there are tokens, the same payment may be handed in again. Whether a payment can spend
        what an earlier one of the same call brings in is up to the backend; do not build on it.
        """
        ...

    def history(self, account: str) -> list[Payment]:
        """All payments made from or to the account, oldest first, each once; no refused ones, no opening funds."""
        ...
