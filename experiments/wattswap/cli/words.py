"""Figures as people read them."""

from __future__ import annotations

from typing import Any

Figures = dict[str, Any]


def kilo(amount: float) -> str:
    """Watts as kW, watt-hours as kWh, to one decimal."""
    return plain(amount / 1000)


def minutes(seconds: float) -> str:
    """Seconds as minutes, to one decimal."""
    return plain(seconds / 60)


def iota(nanos: float) -> str:
    """Nanos as tokens, to two decimals."""
    return plain(nanos / 1e9, 2)


def plain(number: float, places: int = 1) -> str:
    """A number without the zeros that say nothing, thousands apart."""
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def departed(figures: Figures) -> int:
    """How many sessions left during the run."""
    return int(figures["sessions"] - figures["sessions_open"])


def counted(count: int, thing: str) -> str:
    """So many things, with an s where there are several or none."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
