"""A comparison as bars: each group's mean, its range over the seeds, and below it the paired differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.agents.controllers import NEGOTIATED
from wattswap.experiments.formatting import controller_name, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wattswap.experiments.paired import PairedDifference
    from wattswap.experiments.plots.curves import DrawnGroup, DrawnMeasure

_ROW_IN, _LINE_IN = 0.3, 0.17
"""A group's height: its bar, and a line of its label each."""
_LABELS_IN: Final = 3.0
_PANEL_IN: Final = 2.0
_SURE: Final = "#0b5394"
_UNSURE: Final = "#8a9096"


def bars(
    scenario: str,
    groups: Sequence[DrawnGroup],
    measures: Sequence[DrawnMeasure],
    differences: Sequence[PairedDifference],
    sample: str = "seed",
) -> Figure:
    """A column of panels for each measure: bars to the means above; differences with 95 % intervals below, if any.

    ``sample`` is what the runs of a pair have in common.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = [label_of(group.controller, group.strategy, group.varied) for group in groups]
    others = list(dict.fromkeys(label_of(each.controller, each.strategy, each.varied) for each in differences))
    row_in = _ROW_IN + _LINE_IN * max((label.count("\n") + 1 for label in labels), default=1)
    heights = [0.6 + row_in * len(groups)] + ([0.6 + row_in * len(others)] if others else [])
    figure = Figure(figsize=(_LABELS_IN + _PANEL_IN * len(measures), 1.0 + sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    runs = max((group.runs for group in groups), default=0)
    below = f"\nbelow: differences in pairs of one {sample} from {differences[0].against}" if differences else ""
    intervals = ", with 95 % intervals; blue: Holm's corrected p < 0.05" if differences else ""
    above = f"{scenario}: mean of {counted(runs, sample)}, and from the least to the most"
    figure.suptitle(f"{above}{below}{intervals}", fontsize=11)
    panels = figure.subplots(len(heights), len(measures), sharey="row", squeeze=False, height_ratios=heights)
    for axes, measure in zip(panels[0], measures, strict=True):
        _means(axes, groups, measure)
    panels[0][0].set_yticks(range(len(labels)), labels, fontsize=9)
    panels[0][0].invert_yaxis()
    if others:
        for axes, measure in zip(panels[1], measures, strict=True):
            _differences(axes, others, measure, [each for each in differences if each.key == measure.key])
        panels[1][0].set_yticks(range(len(others)), others, fontsize=9)
        panels[1][0].set_ylim(len(others) - 0.5, -0.5)
    return figure


def label_of(controller: str, strategy: str, varied: str, between: str = "\n") -> str:
    """A group by name; a strategy is named where cars are asked."""
    asked = strategy if controller == NEGOTIATED else ""
    return between.join(part for part in (controller_name(controller), asked, varied) if part)


def _means(axes: Axes, groups: Sequence[DrawnGroup], measure: DrawnMeasure) -> None:
    spreads = [group.spread[measure.key] for group in groups]
    means = [spread.mean for spread in spreads]
    reach = [[s.mean - s.least for s in spreads], [s.most - s.mean for s in spreads]]
    axes.barh(range(len(groups)), means, xerr=reach, color="#8fb3d9", ecolor="#222222", capsize=3, height=0.6)
    for place, mean in enumerate(means):  # above the whisker, whose end is the most and not the mean
        axes.annotate(f"{mean:,.{measure.places}f}", (0, place), (3, 7), textcoords="offset points", fontsize=9)
    axes.set_title(measure.title, fontsize=11)
    axes.set_xlim(0, 1.3 * (max((spread.most for spread in spreads), default=0) or 1))
    _plain(axes)


def _differences(
    axes: Axes, others: Sequence[str], measure: DrawnMeasure, differences: Sequence[PairedDifference]
) -> None:
    """A point to each mean difference, and a line over its interval."""
    for each in differences:
        place = others.index(label_of(each.controller, each.strategy, each.varied))
        mean, low, high = (value / measure.per_unit for value in (each.mean, each.low, each.high))
        colour = _SURE if each.is_certain else _UNSURE
        axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", color=colour, capsize=3, markersize=5)
        axes.annotate(
            f"{mean:+,.{measure.places}f}", (mean, place), (0, 7), textcoords="offset points", ha="center", fontsize=9
        )
    axes.axvline(0, color="#222222", linewidth=0.8)
    axes.margins(x=0.2)
    if not any(each.low or each.high for each in differences):
        axes.set_xlim(-1, 1)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
