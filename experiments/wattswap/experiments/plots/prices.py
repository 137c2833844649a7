"""The panels of the money: the price of each round, and the tokens that cars earned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.experiments.formatting import amount
from wattswap.experiments.plots.axes import COLOURS, TEAL, days, dress
from wattswap.experiments.run_tables import is_long
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.recording.activities import REDUCED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from wattswap.experiments.run_tables import RunTables, Window


def draw_price(axes: Axes, tables: RunTables, window: Window) -> None:
    """Draw the price of each round."""
    dress(axes, tables, window, "Price of each round, IOTA per kWh and hour of waiting")
    axes.tick_params(axis="x", labelbottom=False)
    rounds = tables.rounds[tables.rounds["price_nanos_per_kwh_h"] > 0]
    x, price = days(rounds["t_ms"]), rounds["price_nanos_per_kwh_h"].to_numpy(dtype=np.float64) / NANOS_PER_IOTA
    axes.vlines(x, 0, price, color=COLOURS[REDUCED], linewidth=1.2)
    axes.plot(x, price, linestyle="none", marker="o", markersize=4.5, color=COLOURS[REDUCED])
    inside = rounds["t_ms"].between(window[0], window[1]).to_numpy()
    axes.set_ylim(0, max(float(price[inside].max(initial=0)), 1e-9) * 1.18)


def draw_tokens(axes: Axes, tables: RunTables, window: Window) -> None:
    """Tokens stand where their waiting was sold; they are paid later, when the energy has been drawn back.

    What was still open when the run ended is the pale area above.
    """
    hours = " in these hours" if is_long(tables) else ""
    dress(axes, tables, window, f"Tokens for what was sold{hours}, IOTA, added up")
    tokens = tables.trades[["t_ms"]].assign(paid=tables.trades["nanos"], rent_open=tables.rent_open_nanos)
    tokens = tokens[tokens["t_ms"].between(*window) & (tokens["paid"] + tokens["rent_open"] > 0)]
    total = tokens.groupby("t_ms").sum().sort_index().cumsum() / NANOS_PER_IOTA
    x = np.concatenate(([window[0]], total.index.to_numpy(dtype=np.float64), [window[1]]))
    y, top = (
        np.pad(column.to_numpy(dtype=np.float64), 1, "edge") if len(column) else np.zeros(2)
        for column in (total["paid"], total["paid"] + total["rent_open"])
    )
    y[0] = top[0] = 0
    axes.fill_between(days(x), 0, y, step="post", color=TEAL, alpha=0.3, linewidth=0)
    axes.fill_between(days(x), y, top, step="post", color=TEAL, alpha=0.1, linewidth=0)
    axes.step(days(x), y, where="post", color=TEAL, linewidth=1.8)
    axes.set_ylim(0, max(top[-1], 1e-9) * 1.2)
    _name_height(axes, y[-1], f"{amount(y[-1])} IOTA", below=top[-1] > y[-1])
    if top[-1] > y[-1]:
        _name_height(axes, top[-1], f"+ {amount(top[-1] - y[-1])} open")


def _name_height(axes: Axes, y: float, words: str, *, below: bool = False) -> None:
    """Words beside the right end of a curve, just under its height if there is another above."""
    axes.annotate(
        words, (1, y), xycoords=("axes fraction", "data"), xytext=(6, -5 if below else 3), textcoords="offset points",
        va="top" if below else "bottom", weight="bold", size=11, color=TEAL, annotation_clip=False,
    )  # fmt: skip
