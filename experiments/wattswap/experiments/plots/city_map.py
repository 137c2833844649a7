"""A city as a map without a compass: a square for each transformer, the darker the longer it is over its limit."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure


def city_map(rows: Sequence[dict[str, Any]]) -> Figure:
    """Two maps side by side: had everyone kept to its baseline, and as it was negotiated."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = (("baseline_overload_s", "had nobody given way"), ("overload_s", "negotiated"))
    hours = {key: np.array([np.nan if row["error"] else row[key] / 3_600 for row in rows]) for key, _ in panels}
    order = np.argsort(-np.nan_to_num(hours["baseline_overload_s"]), kind="stable")
    width = ceil(sqrt(len(rows)))
    most = max(float(np.nanmax(hours["baseline_overload_s"], initial=0.0)), 1 / 60)
    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{len(rows):,} transformers: hours over the limit, the same place in both maps")
    for axes, (key, title) in zip(figure.subplots(1, 2), panels, strict=True):
        cells = np.full(width * ceil(len(rows) / width), np.nan)
        cells[: len(rows)] = hours[key][order]
        image = axes.imshow(cells.reshape(-1, width), cmap="YlOrRd", vmin=0, vmax=most)
        over = int((np.nan_to_num(hours[key]) >= 1 / 60).sum())
        axes.set_title(f"{title}: {over:,} for a minute or more", fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.colorbar(image, ax=figure.axes, label="hours over the limit", shrink=0.8)
    return figure
