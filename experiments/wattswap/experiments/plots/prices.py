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
    dress(axes, tables, window, "Price of each round (its highest accepted offer), IOTA per kWh")
    axes.tick_params(axis="x", labelbottom=False)
    rounds = tables.rounds[tables.rounds["price_nanos_per_kwh"] > 0]
    x, price = days(rounds["t_ms"]), rounds["price_nanos_per_kwh"].to_numpy(dtype=np.float64) / NANOS_PER_IOTA
    axes.vlines(x, 0, price, color=COLOURS[REDUCED], linewidth=1.2)
    axes.plot(x, price, linestyle="none", marker="o", markersize=4.5, color=COLOURS[REDUCED])
    inside = rounds["t_ms"].between(window[0], window[1]).to_numpy()
    axes.set_ylim(0, max(float(price[inside].max(initial=0)), 1e-9) * 1.18)


def draw_tokens(axes: Axes, tables: RunTables, window: Window) -> None:
    """Paid at the end of the window an award ran in, which is when it is settled unless released earlier."""
    title = "Tokens the cars earned in these hours, IOTA" if is_long(tables) else "Tokens the cars earned, IOTA"
    dress(axes, tables, window, f"{title}, added up")
    paid = tables.trades[tables.trades["nanos"] > 0]
    paid_ms = (paid["t_ms"] - tables.start_ms) // tables.window_ms * tables.window_ms + tables.window_ms
    settled = paid["nanos"].groupby(paid_ms + tables.start_ms).sum().sort_index()
    settled = settled[(settled.index >= window[0]) & (settled.index <= window[1])]
    x = np.concatenate(([window[0]], settled.index.to_numpy(dtype=np.float64), [window[1]]))
    total = np.cumsum(settled.to_numpy(dtype=np.float64)) / NANOS_PER_IOTA
    y = np.concatenate(([0.0], total, total[-1:] if len(total) else [0.0]))
    axes.fill_between(days(x), 0, y, step="post", color=TEAL, alpha=0.18, linewidth=0)
    axes.step(days(x), y, where="post", color=TEAL, linewidth=1.8)
    axes.set_ylim(0, max(y[-1], 1e-9) * 1.2)
    axes.annotate(
        f"{amount(y[-1])} IOTA", (1, y[-1]), xycoords=("axes fraction", "data"), xytext=(6, 0),
        textcoords="offset points", va="center", weight="bold", size=11, color=TEAL, annotation_clip=False,
    )  # fmt: skip
