"""A run in one dictionary. It is reckoned in :mod:`wattswap.runners.metrics`, for the Mesa model reports it too."""

from __future__ import annotations

from wattswap.runners.metrics import (
    KEYS,
    Summary,
    fallback_unsafe_w,
    jain,
    oscillations,
    peak_pct,
    stops_total,
    summary,
    tokens,
    total,
)

__all__ = [
    "KEYS",
    "Summary",
    "fallback_unsafe_w",
    "jain",
    "oscillations",
    "peak_pct",
    "stops_total",
    "summary",
    "tokens",
    "total",
]
