"""A comparison over the values of a key as curves: a line to the mean, a band from the least to the most run.

Where one rule is so far above all others that these would lie on one another at the bottom, the panel has their height
and says where the other one is.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from wattswap.experiments.formatting import controller_name, counted, rounded
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


class _Reached(NamedTuple):
    """How low and how high a curve and its band go in a panel."""

    least: float
    most: float

    @property
    def told(self) -> str:
        return " to ".join(dict.fromkeys((rounded(self.least), rounded(self.most))))


_PANEL_HIGH_IN: Final = 2.6
_FAR_OFF: Final = 10
"""Where one curve goes so many times as high as all others, these could not be told apart beside it."""
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
        reach: dict[str, _Reached] = {}
        for (name, mine), colour, style in zip(lines.items(), cycle(_COLOURS), cycle(_STYLES)):
            points = sorted((place[1], group.spread[measure.key]) for group in mine if (place := axis(group.varied)))
            x, spread = zip(*points, strict=True)
            axes.plot(x, [each.mean for each in spread], marker="o", color=colour, linestyle=style, label=name)
            axes.fill_between(
                x, [each.least for each in spread], [each.most for each in spread], color=colour, alpha=0.2, linewidth=0
            )
            reach[name] = _Reached(min(each.least for each in spread), max(each.most for each in spread))
        axes.set_title(measure.title, loc="left", fontsize=11)
        inside = _not_far_off(reach)
        least, most = min(reach[name].least for name in inside), max(1.0, *(reach[name].most for name in inside))
        bottom = least if least > most / 2 else 0.0
        margin = (most - bottom or most) / 15
        axes.set_ylim(bottom - margin, most + margin)  # a marker at the top is seen whole
        if gone := [f"{name}: {each.told}, beyond this panel" for name, each in reach.items() if name not in inside]:
            around = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
            axes.text(
                0.99, 0.97, "\n".join(gone), transform=axes.transAxes, ha="right", va="top", fontsize=8.5, bbox=around
            )
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel((axis(groups[0].varied) or ("", 0))[0])
    for empty in figure.axes[len(measures) :]:
        empty.set_visible(False)
    figure.legend(handles=figure.axes[0].get_lines(), loc="outside lower center", ncol=2, frameon=False)
    return figure


def _not_far_off(reach: Mapping[str, _Reached]) -> list[str]:
    """The curves that fill a panel, without those that are far above all that remain."""
    inside = sorted(reach, key=lambda name: reach[name].most)
    while len(inside) > 1 and reach[inside[-1]].most > _FAR_OFF * reach[inside[-2]].most > 0:
        inside.pop()
    return inside
