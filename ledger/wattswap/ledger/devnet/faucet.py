"""How much of the worthless tokens the faucet gives: it refills by the second, so no loop gone wild can empty it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.rules import MINTED

_MOST_WALLETS: Final = 10_000
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
    tank_nanos: int = MINTED // 20
    """All that it gives at once."""
    refill_nanos: int = 10_000 * 10**9
    """What comes back to the tank in a second."""


class TooOftenError(Refused):
    """Right in itself, but later."""


class _Bucket(Struct):
    """So much can be taken at once, and so much comes back in a millisecond."""

    size: float
    per_ms: float
    at_ms: int
    taken: float = 0.0

    def take(self, amount: float, now_ms: int) -> bool:
        """Take it, if so much is there."""
        self.taken = max(0.0, self.taken - (now_ms - self.at_ms) * self.per_ms)
        self.at_ms = now_ms
        if self.taken + amount > self.size:
            return False
        self.taken += amount
        return True


class Faucet:
    """Three limits: tokens and requests of all together, and requests for each wallet."""

    def __init__(self, limits: FaucetLimits, now_ms: Callable[[], int]) -> None:
        self._limits, self._now_ms = limits, now_ms
        self._tank = _Bucket(limits.tank_nanos, limits.refill_nanos / 1_000, now_ms())
        self._requests = _Bucket(limits.per_minute, limits.per_minute / _MINUTE_MS, now_ms())
        self._wallets: dict[bytes, _Bucket] = {}

    def admit(self, recipient: bytes, nanos: int | None) -> int:
        """How many nanos the recipient gets; raises ``Refused`` if it asks for too much or too often."""
        limits, now_ms = self._limits, self._now_ms()
        amount, most = limits.nanos if nanos is None else nanos, min(limits.most_nanos, MINTED)
        if not 0 < amount <= most:
            raise Refused(f"the faucet gives 1 to {most} nanos at a time")
        if len(self._wallets) > _MOST_WALLETS:
            self._wallets = {}
        of_wallet = _Bucket(limits.per_wallet, limits.per_wallet / _MINUTE_MS, now_ms)
        if not self._wallets.setdefault(recipient, of_wallet).take(1, now_ms) or not self._requests.take(1, now_ms):
            raise TooOftenError("the faucet has given enough for this minute: try again in the next")
        if not self._tank.take(amount, now_ms):
            left = f"{int(self._tank.size - self._tank.taken)} nanos just now, and {limits.refill_nanos} come in each"
            raise TooOftenError(f"the faucet has {left} second: try again later")
        return amount
