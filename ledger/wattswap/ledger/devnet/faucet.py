"""How much of the worthless tokens the faucet gives: it refills by the second, so no loop gone wild can empty it."""

from __future__ import annotations

from collections.abc import Callable

from wattswap.ledger.devnet.rules import MOST_MINTED


class Faucet:
    """A tank that gifts empty and time fills: it holds ``tank_nanos``, and ``refill_nanos`` come in each second."""

    def __init__(
        self, now_ms: Callable[[], int], *, tank_nanos: int = MOST_MINTED // 20, refill_nanos: int = 10_000 * 10**9
    ) -> None:
        self._now_ms, self._tank_nanos, self._refill_nanos = now_ms, tank_nanos, refill_nanos
        self.left_nanos, self._at_ms = tank_nanos, now_ms()
        """What is in it, as it was when somebody last took from it or tried."""

    def take(self, nanos: int) -> bool:
        """Take so much, if it is there for now."""
        now_ms = self._now_ms()
        refilled = self.left_nanos + (now_ms - self._at_ms) * self._refill_nanos // 1_000
        self.left_nanos, self._at_ms = min(self._tank_nanos, refilled), now_ms
        is_there = nanos <= self.left_nanos
        self.left_nanos -= nanos if is_there else 0
        return is_there
