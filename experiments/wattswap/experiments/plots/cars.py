"""The panel of the cars: a row of bars for each, in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.experiments.formatting import printable
from wattswap.experiments.plots.axes import COLOURS, INK, SOFT, days, dress, legend
from wattswap.experiments.run_tables import extent
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.recording.activities import CATCHING_UP, CHARGING, FEEDING, FORCED, FULL, PAUSED, REDUCED, WAITING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from wattswap.experiments.plots.car_selection import CarRow
    from wattswap.experiments.run_tables import RunTables, Window


_LABELS: Final[Mapping[str, str]] = {
    CHARGING: "charges",
    REDUCED: "charges less, paid",
    PAUSED: "pauses, paid",
    FEEDING: "feeds back, paid",
    CATCHING_UP: "catches up",
    FORCED: "cut, unpaid",
    WAITING: "waits for room",
    FULL: "full",
}
_BAR_HEIGHT: Final[Mapping[str, float]] = {FULL: 0.14, WAITING: 0.14}
"""Where nothing flows the bar is a line."""


def draw_cars(axes: Axes, tables: RunTables, rows: Sequence[CarRow], window: Window) -> None:
    """Draw what each of these cars did, group by group."""
    dress(axes, tables, window, "What the cars did")
    places, titles = _slots(rows)
    shown = dict(zip((row.session for row in rows), places, strict=True))
    inside = tables.cars[(tables.cars["to_ms"] > window[0]) & (tables.cars["from_ms"] < window[1])]
    inside = inside[inside["session"].isin(list(shown))]
    for key, stretches in inside.groupby("activity", sort=True):
        _bars(axes, str(key), stretches, shown)
    _departures(axes, tables, shown, window)
    _earnings(axes, tables, shown)
    for title, place in titles:
        axes.text(
            0.004, place, title, transform=axes.get_yaxis_transform(), size=10, weight="bold", va="center", zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
    axes.set_yticks(places, [printable(row.label, 20) for row in rows], size=8.5, parse_math=False)
    axes.set_ylim(len(rows) + len(titles) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    legend(axes, _activity_keys(set(inside["activity"])))


def _slots(rows: Sequence[CarRow]) -> tuple[list[int], list[tuple[str, int]]]:
    """The line of each car from the top, and the titles of the groups with theirs."""
    places: list[int] = []
    titles: list[tuple[str, int]] = []
    for before, row in zip((None, *rows), rows, strict=False):
        if before is None or before.group != row.group:
            titles.append((row.title, len(places) + len(titles)))
        places.append(len(places) + len(titles))
    return places, titles


def _bars(axes: Axes, activity: str, stretches: pd.DataFrame, shown: Mapping[str, int]) -> None:
    from matplotlib.collections import PolyCollection

    half = _BAR_HEIGHT.get(activity, 0.86) / 2
    y = stretches["session"].map(dict(shown)).to_numpy(dtype=np.float64)
    left, right = days(stretches["from_ms"]), days(stretches["to_ms"])
    corners = np.stack(
        [
            np.stack(corner, axis=1)
            for corner in ((left, y - half), (right, y - half), (right, y + half), (left, y + half))
        ],
        axis=1,
    )
    axes.add_collection(PolyCollection(list(corners), facecolor=COLOURS.get(activity, SOFT), linewidth=0, zorder=3))


def _departures(axes: Axes, tables: RunTables, shown: Mapping[str, int], window: Window) -> None:
    """A black mark where a car leaves: the end of its last stretch, unless that is only the end of the run."""
    ends = tables.cars.groupby("session")["to_ms"].max()
    last = ends[ends < extent(tables)[1]]
    names = last[(last > window[0]) & (last <= window[1])]
    here = [(int(names[name]), y) for name, y in shown.items() if name in names.index]
    if here:
        t_ms, y = zip(*here, strict=True)
        axes.plot(days(t_ms), y, linestyle="none", marker="|", color=INK, markersize=10, markeredgewidth=2.4, zorder=5)


def _earnings(axes: Axes, tables: RunTables, shown: Mapping[str, int]) -> None:
    """What each car was paid in the whole run, beside its row."""
    earned = tables.trades.groupby("session")["nanos"].sum()
    if not earned.any():
        return
    where = axes.get_yaxis_transform()
    axes.text(1.004, 0, "IOTA paid", transform=where, size=9.5, weight="bold", va="center")
    for name, y in shown.items():
        nanos = float(earned.get(name, 0))
        words = f"{nanos / NANOS_PER_IOTA:.2f}" if nanos else "–"
        axes.text(1.042, y, words, transform=where, size=8.5, va="center", ha="right", color=INK if nanos else SOFT)


def _activity_keys(seen: set[str]) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Artist] = [Patch(color=COLOURS[name], label=word) for name, word in _LABELS.items() if name in seen]
    mark = Line2D([], [], linestyle="none", marker="|", color=INK, markersize=10, markeredgewidth=2.4, label="leaves")
    return [*keys, mark]
