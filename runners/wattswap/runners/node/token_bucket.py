"""A token bucket: how much a peer may send."""

from __future__ import annotations


class TokenBucket:
    """So many units a second on average, and at most ``burst`` of them at once."""

    __slots__ = ("_at_ms", "_burst", "_held_milli", "_per_s")

    def __init__(self, per_s: int, burst: int) -> None:
        """Start with a full bucket."""
        self._per_s, self._burst = per_s, burst
        self._held_milli = burst * 1_000
        self._at_ms: int | None = None

    def resize(self, per_s: int, burst: int) -> None:
        """Another rate and another size from now on. What it holds stays: whoever asks for it often gains nothing."""
        self._per_s, self._burst = per_s, burst
        self._held_milli = min(self._held_milli, burst * 1_000)

    def take(self, units: int, now_ms: int) -> bool:
        """Take so many units out, or none and False if there are not enough."""
        if self._at_ms is not None and now_ms > self._at_ms:
            self._held_milli = min(self._burst * 1_000, self._held_milli + (now_ms - self._at_ms) * self._per_s)
        self._at_ms = now_ms if self._at_ms is None else max(self._at_ms, now_ms)
        if units * 1_000 > self._held_milli:
            return False
        self._held_milli -= units * 1_000
        return True
