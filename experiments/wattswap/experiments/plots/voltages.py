"""The volts of a feeder over time, from the lowest to the highest place, and its busiest cable."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.experiments.feeder.voltages import LEAST_V, MOST_V
from wattswap.experiments.plots.axes import INK, RED, SOFT, days, dress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from wattswap.experiments.feeder.voltages import Voltages
    from wattswap.experiments.run_tables import RunTables

_COLOURS: Final = ("#0072b2", "#c46f00", "#009e73")


def voltage_plot(tables: RunTables, found: Voltages, credit: str) -> Figure:
    """Two panels on one clock: the band of volts of each phase with EN 50160's limits; the load of the cables."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    t, volts = days(found.t_ms), found.flows.volts[:, found.load_buses]
    window = int(found.t_ms[0]), int(found.t_ms[-1]) + 600_000
    for phase, colour in enumerate(_COLOURS):
        low, high = volts[:, :, phase].min(axis=1), volts[:, :, phase].max(axis=1)
        upper.fill_between(t, low, high, color=colour, alpha=0.18, linewidth=0)
        upper.plot(t, low, color=colour, linewidth=1.3, label=f"L{phase + 1}, lowest place")
    reach = (min(LEAST_V, float(volts.min())) - 2, max(float(volts.max()), 232) + 2)
    for limit, name in ((LEAST_V, "EN 50160: 207 V"), (MOST_V, "253 V")):
        if reach[0] < limit < reach[1]:
            upper.axhline(limit, color=RED, linewidth=1, linestyle="--")
            upper.annotate(name, (t[0], limit), xytext=(4, 3), textcoords="offset points", color=RED, fontsize=9)
    upper.set_ylim(*reach)
    upper.set_ylabel("volts, phase to neutral")
    upper.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=3, frameon=False)
    used = 100 * found.flows.amperes / found.network.rated_a[:, np.newaxis]
    lower.plot(t, used.max(axis=(1, 2)), color=INK, linewidth=1.3)
    lower.axhline(100, color=RED, linewidth=1, linestyle="--")
    lower.set_ylim(0, max(105.0, float(used.max()) * 1.08))
    lower.set_ylabel("% of rated current")
    several = window[1] - window[0] > 2 * 24 * 3_600_000
    dress(upper, tables, window, "Volts, means of ten minutes", whole_days=several)
    dress(lower, tables, window, "Busiest phase of the busiest cable", whole_days=several)
    figure.supxlabel(fill(credit, 150), fontsize=8, color=SOFT)
    return figure
