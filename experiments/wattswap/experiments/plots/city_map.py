"""A city as a map without a compass: a square for each transformer, the darker the longer it is over its limit.

What is left after the negotiation is short beside what there was before, and pale: those squares have an outline.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from wattswap.experiments.formatting import rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_A_MINUTE_H: Final = 1 / 60
_OUTLINE: Final = "#0b5394"


def city_map(rows: Sequence[dict[str, Any]]) -> Figure:
    """Two maps side by side: had everyone kept to its baseline, and as it was negotiated."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = (("baseline_overload_s", "had nobody given way"), ("overload_s", "negotiated"))
    hours = {key: np.array([np.nan if row["error"] else row[key] / 3_600 for row in rows]) for key, _ in panels}
    order = np.argsort(-np.nan_to_num(hours["baseline_overload_s"]), kind="stable")
    width = ceil(sqrt(len(rows)))
    most = max(float(np.nanmax(hours["baseline_overload_s"], initial=0.0)), _A_MINUTE_H)
    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{len(rows):,} transformers: hours over the limit, the same place in both maps")
    for axes, (key, title) in zip(figure.subplots(1, 2), panels, strict=True):
        cells = np.full(width * ceil(len(rows) / width), np.nan)
        cells[: len(rows)] = hours[key][order]
        image = axes.imshow(cells.reshape(-1, width), cmap="YlOrRd", vmin=0, vmax=most)
        over = int((np.nan_to_num(hours[key]) >= _A_MINUTE_H).sum())
        axes.set_title(f"{title}: {over:,} for a minute or more", fontsize=11)
        if key == "overload_s":
            _outlined(axes, cells, width)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.colorbar(image, ax=figure.axes, label="hours over the limit", shrink=0.8)
    return figure


def _outlined(axes: Axes, cells: NDArray[np.float64], width: int) -> None:
    """An outline around all that are over the limit for a minute or more, with their number and the longest below."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Patch, Rectangle

    over = np.flatnonzero(np.nan_to_num(cells) >= _A_MINUTE_H)
    if not len(over):
        return
    squares = [Rectangle((at % width - 0.42, at // width - 0.42), 0.84, 0.84) for at in over.tolist()]
    wide_pt = max(0.9, min(2.0, 40 / width))
    axes.add_collection(PatchCollection(squares, facecolor="none", edgecolor=_OUTLINE, linewidth=wide_pt))
    told = f"still over the limit: {len(over):,}, the longest for {rounded(float(cells[over].max()) * 60)} min"
    key = Patch(facecolor="none", edgecolor=_OUTLINE, linewidth=1.5, label=told)
    axes.legend(handles=[key], loc="upper center", bbox_to_anchor=(0.5, -0.02), frameon=False, fontsize=10)
