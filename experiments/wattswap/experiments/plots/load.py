"""The panels of the load: what the transformer carries, under its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.experiments.plots.axes import COLOURS, HOMES, INK, OVER, RED, days, dress, legend
from wattswap.experiments.run_tables import extent
from wattswap.runners.recording.activities import CHARGING, FEEDING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from wattswap.experiments.run_tables import RunTables, Window

    Floats = NDArray[np.float64]


def draw_overview(axes: Axes, tables: RunTables, window: Window) -> None:
    """Draw the load of the whole run, and mark the hours that are shown closely."""
    whole = extent(tables)
    dress(axes, tables, whole, "The whole run: load of the transformer, kW", whole_days=True)
    _stack(axes, tables, whole, line=0.9, dashes=False)
    axes.axvspan(*days(window), facecolor="none", edgecolor=INK, linewidth=1.2, zorder=6)
    axes.annotate(
        "shown below", (float(days(sum(window) / 2)), 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
        textcoords="offset points", ha="center", va="bottom", size=9.5, color=INK, annotation_clip=False,
    )  # fmt: skip


def draw_load(axes: Axes, tables: RunTables, window: Window) -> None:
    """Draw the load of the hours that are shown closely."""
    dress(axes, tables, window, "Load of the transformer, kW")
    _stack(axes, tables, window, line=1.6, dashes=True)
    _name_limits(axes, tables, window)
    legend(axes, _load_keys(tables, window))


def _stack(axes: Axes, tables: RunTables, window: Window, *, line: float, dashes: bool) -> None:
    """Homes and cars on top of each other, so that the upper edge is what the transformer carries.

    What cars feed back never reaches the transformer; it is drawn below zero and shifts the stack down by as much.
    """
    t_ms = tables.series["t_ms"].to_numpy(dtype=np.int64)
    # one tick more on either side lets areas run to the frame
    inside = (t_ms >= window[0] - tables.tick_ms) & (t_ms <= window[1] + tables.tick_ms)
    x = days(t_ms[inside])
    base, fed, load = (_kw(tables, name)[inside] for name in ("base_w", "export_w", "load_w"))
    limit, other = tables.limit_w[inside] / 1000, tables.uncontrolled_w()
    axes.fill_between(x, 0, np.maximum(base - fed, 0), color=HOMES, linewidth=0)
    axes.fill_between(x, base - fed, load, color=COLOURS[CHARGING], linewidth=0)
    axes.fill_between(x, -fed, 0, color=COLOURS[FEEDING], linewidth=0)
    axes.fill_between(x, limit, load, where=(load > limit).tolist(), color=OVER, linewidth=0)
    highest = [load.max(initial=0), limit.max(initial=0)]
    if other is not None:
        known = other[inside] / 1000
        axes.fill_between(
            x, limit, known, where=(known > limit).tolist(), color=RED, alpha=0.22, linewidth=0 if dashes else 1
        )
        if dashes:
            axes.plot(x, known, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=4)
        highest.append(np.nanmax(known, initial=0))
    axes.plot(x, limit, color=RED, linewidth=line, drawstyle="steps-post", zorder=5)
    lowest = [(base - fed).min(initial=0), -fed.max(initial=0), load.min(initial=0), limit.min(initial=0)]
    axes.set_ylim(float(min(lowest)) * 1.15, max(float(max(highest)), 1e-3) * 1.08)


def _kw(tables: RunTables, column: str) -> Floats:
    watts: Floats = tables.series[column].to_numpy(dtype=np.float64)
    return watts / 1000


def _name_limits(axes: Axes, tables: RunTables, window: Window) -> None:
    """Say at the line itself what the limit is, at each place where it changes."""
    t_ms = tables.series["t_ms"].to_numpy(dtype=np.int64)
    inside = (t_ms >= window[0]) & (t_ms < window[1])
    limit, t_ms = tables.limit_w[inside] / 1000, t_ms[inside]
    if not len(limit):
        return
    starts = np.concatenate(([0], np.flatnonzero(np.diff(limit)) + 1))
    ends = np.append(starts[1:], len(limit))
    named: set[float] = set()
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if limit[start] in named or len(named) == 3:
            continue
        named.add(float(limit[start]))
        _name_limit(axes, float(limit[start]), t_ms[start], t_ms[end - 1], lowered=limit[start] < limit[0])


def _name_limit(axes: Axes, limit_kw: float, from_ms: int, to_ms: int, *, lowered: bool) -> None:
    figure = f"{limit_kw:,.1f}".removesuffix(".0")
    words = f"limit lowered to {figure} kW" if lowered else f"limit {figure} kW"
    at = (float(days((from_ms + to_ms) / 2 if lowered else from_ms)), limit_kw)
    axes.annotate(
        words, at, xytext=(0 if lowered else 5, 4), textcoords="offset points", ha="center" if lowered else "left",
        va="bottom", color=RED, size=10.5, weight="bold", zorder=7,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


def _load_keys(tables: RunTables, window: Window) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    inside = tables.series["t_ms"].between(window[0], window[1])
    over = bool((tables.series["load_w"] > tables.series["limit_w"])[inside].any())
    keys: list[Artist] = [Patch(color=HOMES, label="homes"), Patch(color=COLOURS[CHARGING], label="cars")]
    if (tables.series["export_w"][inside] > 0).any():
        keys.append(Patch(color=COLOURS[FEEDING], label="fed back"))
    if over:
        keys.append(Patch(color=OVER, label="over the limit"))
    if tables.uncontrolled is not None:
        keys.append(Line2D([], [], color=INK, linestyle=(0, (3, 1.5)), linewidth=1.2, label="without control"))
        keys.append(Patch(color=RED, alpha=0.22, linewidth=0, label="… and over the limit"))
    return keys
