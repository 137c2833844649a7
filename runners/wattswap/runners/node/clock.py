"""A node's clock: the wall's time when the node starts, and a monotonic count from then on.

Ticks are numbered by it and must never repeat, not even when the wall's clock is set back between two starts. So the
node remembers an instant that it will not reach before it remembers the next, and starts no earlier than that.
"""

from __future__ import annotations

import time
from typing import Final

EPOCH_S: Final = 1_577_836_800
"""2020-01-01T00:00:00Z: instants are counted from here, so that ticks of a second fit into 31 bits until 2088."""
AHEAD_MS: Final = 90_000
"""How far ahead the remembered instant lies."""


class NodeClock:
    """Milliseconds since the epoch; never goes back and never jumps while the node runs."""

    def __init__(self, floor_ms: int = 0) -> None:
        """``floor_ms`` is the remembered instant."""
        self._offset_ms = max(wall_ms(), floor_ms) - _monotonic_ms()

    def now_ms(self) -> int:
        """The time now."""
        return _monotonic_ms() + self._offset_ms

    def ahead_of_wall_ms(self) -> int:
        """By how much it differs from the wall's clock, which somebody may have set since."""
        return self.now_ms() - wall_ms()


def wall_ms() -> int:
    """The wall's time, counted from the same epoch."""
    return time.time_ns() // 1_000_000 - EPOCH_S * 1_000


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
