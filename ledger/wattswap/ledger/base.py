"""What all of a ledger's parts share: payments and anchors, and what goes wrong with them."""

from __future__ import annotations

import time
from enum import StrEnum, unique
from typing import Final, Self

from msgspec import Struct

from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.units import MOST_NANOS

ANCHORS: Final = "anchors"
"""The account that anchors, on a chain: its coins are not those that pay, so neither ever waits for the other."""
MOST_ANCHOR_BYTES: Final = 96_000
"""The most that one anchor holds, so that it fits into one transaction of any ledger."""


class LedgerDownError(Exception):
    """The ledger cannot be reached or written now. Whether what was under way happened is not known: try again."""


class DamagedError(AssertionError):
    """What is written down contradicts itself, or the ledger: nothing may be paid from it any more.

    What an ``assert`` would say, but raised where ``python -O`` leaves asserts out.
    """


def wall_ms() -> int:
    """The time of day in ms: for ages and labels, never for what is true."""
    return time.time_ns() // 1_000_000


def require(holds: bool, otherwise: str) -> None:
    """Raise ``DamagedError`` unless something holds that must wherever money is at stake."""
    if not holds:
        raise DamagedError(otherwise)


class Closing:
    """What a ``with`` block closes at its end."""

    def close(self) -> None:
        """Let go of files and connections. Closing twice is harmless."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
        try:
            self.key.encode()
        except UnicodeEncodeError:
            raise LocalProtocolError(f"the key of a payment is text, not {self.key!r}") from None
        if self.payer == self.payee:
            raise LocalProtocolError(f"payment {self.key!r} goes from {self.payer!r} to itself")
        if type(self.nanos) is not int or not 0 < self.nanos <= MOST_NANOS:
            raise LocalProtocolError(
                f"payment {self.key!r}: not 1 to {MOST_NANOS} nanos in a plain int: {self.nanos!r}"
            )

    def __str__(self) -> str:
        """As a person is told."""
        return f"{self.nanos} nanos from {self.payer!r} to {self.payee!r}"

    def answered(
        self, state: PaymentState, error: str = "", *, digest: str = "", at_ms: int | None = None
    ) -> PaymentStatus:
        """What became of it."""
        return PaymentStatus(key=self.key, state=state, error=error, digest=digest, at_ms=at_ms)


@unique
class PaymentState(StrEnum):
    """What became of a payment that was handed in."""

    PAID = "paid"
    """It moved the tokens just now."""
    EXISTS = "exists"
    """The same payment was made before; nothing moved. A success, like ``PAID``."""
    REFUSED = "refused"
    """Nothing moved, and the key is as free, or as taken, as before; ``error`` says why."""
    PENDING = "pending"
    """Written down and on its way, but the ledger has not decided in time: hand it in again, or ask later."""


class PaymentStatus(Struct, frozen=True, kw_only=True):
    """The answer to one payment."""

    key: str
    state: PaymentState
    error: str = ""
    """Why it was refused, one line; empty otherwise."""
    digest: str = ""
    """Of the transaction that made it, on a network."""
    at_ms: int | None = None
    """When it was made, if that is known here."""

    @property
    def ok(self) -> bool:
        """The payee has the tokens, from now or from before."""
        return self.state in (PaymentState.PAID, PaymentState.EXISTS)


class Anchor(Struct, frozen=True, kw_only=True):
    """A signed record that a site has put where it can no longer change it. The ledger does not read the content.

    Raises ``LocalProtocolError`` for what no ledger could keep.
    """

    site: str
    sequence: int
    """Its place in the site's own chain of records, from 0."""
    content: bytes
    """At most ``MOST_ANCHOR_BYTES``; ``wattswap.ledger.anchors`` says what is in it."""

    @property
    def key(self) -> str:
        """What it is called among payments, unique for ever."""
        return f"anchor/{self.site}/{self.sequence}"

    def __post_init__(self) -> None:
        """Refuse what no ledger could keep."""
        if not self.site or type(self.sequence) is not int or not 0 <= self.sequence <= MOST_NANOS:
            raise LocalProtocolError(f"an anchor needs a site and a sequence: {self.site!r}, {self.sequence!r}")
        if not 0 < len(self.content) <= MOST_ANCHOR_BYTES:
            raise LocalProtocolError(f"an anchor of {len(self.content)} bytes, not 1 to {MOST_ANCHOR_BYTES}: {self}")

    def __str__(self) -> str:
        """As a person is told."""
        return f"record {self.sequence} of {self.site!r}"
