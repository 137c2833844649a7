"""The clock of a street on the wall: so many times faster than the machine's own, from when the run began."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil

_MS_PER_NS = 1e-6


@dataclass(frozen=True)
class LiveClock:
    """Shared by all processes of a run: they are on one machine and count from one instant."""

    began_ns: int
    speed: float

    def now_ms(self) -> int:
        """Milliseconds of the street since the run began."""
        return int((time.monotonic_ns() - self.began_ns) * _MS_PER_NS * self.speed)

    def wall_ms_until(self, at_ms: int) -> int:
        """How long the machine has to wait for an instant of the street; 0 if it is over."""
        return max(0, ceil((at_ms - self.now_ms()) / self.speed))
