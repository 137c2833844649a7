"""A figure of ``wattswap bench`` and what it stands beside."""

from __future__ import annotations

import msgspec


class BenchRow(msgspec.Struct, frozen=True, kw_only=True):
    """One figure and what it is compared with."""

    what: str
    ours: float
    unit: str
    beside: str = ""
    """What is on the other side; empty where there is nothing."""
    theirs: float | None = None

    @property
    def times(self) -> float | None:
        """How many times better ours is; below 1 it is worse. Seconds are better when fewer, rates when more."""
        if self.theirs is None:
            return None
        return self.theirs / self.ours if self.unit in ("s", "ms") else self.ours / self.theirs
