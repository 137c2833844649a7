"""Who may have how much of the worthless tokens: the faucet's limits, so that a loop gone wild cannot fill the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.rules import MINTED

_MINUTE_MS: Final = 60_000


class FaucetLimits(Struct, frozen=True, kw_only=True):
    """What the faucet gives."""

    nanos: int = 1_000 * 10**9
    """For a request that names no amount."""
    most_nanos: int = 1_000_000 * 10**9
    """In one request."""
    per_minute: int = 6_000
    """Requests of all together."""
    per_wallet: int = 60
    """Requests for one wallet in a minute."""


class Faucet:
    """Counts requests by the minute."""

    def __init__(self, limits: FaucetLimits, now_ms: Callable[[], int]) -> None:
        self._limits = limits
        self._now_ms = now_ms
        self._minute = -1
        self._given: Counter[bytes] = Counter()

    def admit(self, recipient: bytes, nanos: int | None) -> int:
        """How many nanos the recipient gets; raises ``Refused`` if it asks for too much or too often."""
        amount = self._limits.nanos if nanos is None else nanos
        most = min(self._limits.most_nanos, MINTED)
        if not 0 < amount <= most:
            raise Refused(f"the faucet gives 1 to {most} nanos at a time")
        minute = self._now_ms() // _MINUTE_MS
        if minute != self._minute:
            self._minute, self._given = minute, Counter()
        if self._given.total() >= self._limits.per_minute or self._given[recipient] >= self._limits.per_wallet:
            raise TooOften("the faucet has given enough for this minute: try again in the next")
        self._given[recipient] += 1
        return amount


class TooOften(Refused):
    """Right in itself, but later."""
