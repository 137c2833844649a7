"""A comparison over the values of a key as curves: a line to the mean, a band from the least to the most run."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Final, Protocol

from wattswap.experiments.formatting import controller_name, counted
from wattswap.experiments.plots.axes import verbatim
from wattswap.experiments.vary import axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure


class Reach(Protocol):
    """A measure over the runs."""

    @property
    def mean(self) -> float: ...  # noqa: D102 - the names say it, and so in what follows
    @property
    def least(self) -> float: ...  # noqa: D102
    @property
    def most(self) -> float: ...  # noqa: D102


class DrawnGroup(Protocol):
    """What one controller with one strategy came to under one value."""

    @property
    def controller(self) -> str: ...  # noqa: D102
    @property
    def strategy(self) -> str: ...  # noqa: D102
    @property
    def varied(self) -> str: ...  # noqa: D102
    @property
    def runs(self) -> int: ...  # noqa: D102
    @property
    def spread(self) -> Mapping[str, Reach]: ...  # noqa: D102


class DrawnMeasure(Protocol):
    """One thing to compare by."""

    @property
    def key(self) -> str: ...  # noqa: D102 - the names say it, and so in what follows
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def per_unit(self) -> float: ...  # noqa: D102
    @property
    def places(self) -> int: ...  # noqa: D102


_PANEL_HIGH_IN: Final = 2.6
_STYLES: Final = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
"""One after the other, so that a curve which lies on another is seen."""
_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#a3081a", "#6b7178", "#cc79a7")


def curves(
    scenario: str, groups: Sequence[DrawnGroup], measures: Sequence[DrawnMeasure], sample: str = "seed"
) -> Figure:
    """A panel for each measure, a curve for each controller and strategy; all groups vary the same key.

    ``sample`` is what runs differ in beside that.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(measures) // 2)
    figure = Figure(figsize=(10, 1.4 + _PANEL_HIGH_IN * rows), layout="constrained")
    FigureCanvasAgg(figure)
    runs = max((group.runs for group in groups), default=0)
    figure.suptitle(f"{scenario}: mean of {counted(runs, sample)}, and from the least to the most")
    lines: dict[str, list[DrawnGroup]] = {}
    for group in groups:
        asked = f", {group.strategy}" if group.controller == "negotiated" else ""
        lines.setdefault(verbatim(f"{controller_name(group.controller)}{asked}"), []).append(group)
    for axes, measure in zip(figure.subplots(rows, 2, squeeze=False).flat, measures, strict=False):
        for (name, mine), colour, style in zip(lines.items(), cycle(_COLOURS), cycle(_STYLES)):
            points = sorted((place[1], group.spread[measure.key]) for group in mine if (place := axis(group.varied)))
            x, spread = zip(*points, strict=True)
            axes.plot(x, [each.mean for each in spread], marker="o", color=colour, linestyle=style, label=name)
            axes.fill_between(
                x, [each.least for each in spread], [each.most for each in spread], color=colour, alpha=0.2, linewidth=0
            )
        axes.set_title(measure.title, loc="left", fontsize=11)
        most = max(1.0, axes.dataLim.y1)
        axes.set_ylim(-most / 20, most * 1.07)  # a marker at the top is seen whole
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel((axis(groups[0].varied) or ("", 0))[0])
    for empty in figure.axes[len(measures) :]:
        empty.set_visible(False)
    figure.legend(handles=figure.axes[0].get_lines(), loc="outside lower center", ncol=2, frameon=False)
    return figure
