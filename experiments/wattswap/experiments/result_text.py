"""A result as a notebook shows it: one line, or a small table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wattswap.experiments.formatting import kilo, minutes, with_euros
from wattswap.experiments.headline import headline
from wattswap.experiments.markup import element, table

if TYPE_CHECKING:
    from collections.abc import Mapping


def line(kind: str, figures: Mapping[str, Any]) -> str:
    """What a result is, in one line."""
    named = (f"{key}={figures[key]!r}" for key in ("scenario", "controller", "engine", "seed") if key in figures)
    return f"<{kind} {', '.join(named)}: {headline(figures)}>"


def small_table(figures: Mapping[str, Any]) -> str:
    """The figures that matter, as HTML."""
    if "overload_s" not in figures:
        return element("p", headline(figures))
    rate = figures.get("eur_per_iota", 0)
    rows = [
        ("highest load", f"{kilo(figures['peak_w'])} kW"),
        ("limit", f"{kilo(figures['limit_w'])} kW"),
        ("over the limit", f"{minutes(figures['overload_s'])} min"),
        ("sessions left short", f"{figures['sessions_short']:,}"),
        ("deferred", f"{kilo(figures['deferred_wh'])} kWh"),
        ("fed back", f"{kilo(figures['fed_back_wh'])} kWh"),
        ("cut without pay", f"{kilo(figures['forced_wh'])} kWh"),
        ("paid", with_euros(figures["paid_nanos"], rate)),
    ]
    title = " · ".join(str(figures[key]) for key in ("scenario", "controller", "strategy") if key in figures)
    return element("p", headline(figures)) + table((title, ""), rows)
