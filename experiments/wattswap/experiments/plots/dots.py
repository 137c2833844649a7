"""A comparison as dots: a row for each group, a panel for each measure, on no more than a page."""

from __future__ import annotations

from math import ceil, floor, log10
from statistics import median
from textwrap import wrap
from typing import TYPE_CHECKING, Final, NamedTuple

from wattswap.agents.controllers import NEGOTIATED
from wattswap.experiments.formatting import controller_name, counted, rounded
from wattswap.experiments.plots.axes import verbatim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wattswap.experiments.paired import PairedDifference
    from wattswap.experiments.plots.curves import DrawnGroup, DrawnMeasure

PAGE_IN: Final = 11.0
"""The height of a page, which no figure exceeds."""
_ROW_IN, _LINE_IN = 0.13, 0.14
"""A group's height: the air around its label, and a line of that each."""
_HEAD_IN, _LABELS_IN, _PANEL_IN = 1.2, 2.5, 1.45
_POINTS_PER_IN: Final = 72
_LABEL_LETTERS: Final = 36
_IN_A_ROW: Final = 6
"""More panels than this stand in two rows."""
_FAR_OFF: Final = 20
"""A mean so many times the middle one squeezes all others: the axis is then logarithmic."""
_FIRST, _SURE, _UNSURE, _REACH = "#1d2329", "#0b5394", "#8a9096", "#c9cdd2"


class _Row(NamedTuple):
    """A group in one panel, in the measure's unit."""

    mean: float
    least: float
    most: float
    low: float
    """The 95 % interval of the paired difference, around the mean; the mean itself where there is none."""
    high: float
    first: float
    """The mean of the group that it is held against."""
    colour: str


def dots(
    scenario: str,
    groups: Sequence[DrawnGroup],
    measures: Sequence[DrawnMeasure],
    differences: Sequence[PairedDifference],
    sample: str = "seed",
) -> Figure:
    """Means as dots, with the range over the runs and, around the mean, the interval of the paired difference, if any.

    ``sample`` is what the runs of a pair have in common.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panel_rows = 1 + (len(measures) > _IN_A_ROW)
    columns = -(-len(measures) // panel_rows)
    labels, row_in = _labels(groups, (PAGE_IN - _HEAD_IN) / panel_rows - 0.6)
    size = min(9.0, row_in * _POINTS_PER_IN / (1.2 * max(label.count("\n") + 1 for label in labels)))
    height_in = min(PAGE_IN, _HEAD_IN + panel_rows * (0.6 + row_in * len(groups)))
    figure = Figure(figsize=(_LABELS_IN + _PANEL_IN * columns, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    runs = max((group.runs for group in groups), default=0)
    figure.suptitle(
        f"{scenario}: mean of {counted(runs, sample)} (dot), and from the least to the most (pale)", fontsize=11
    )
    if differences:
        figure.supxlabel(_caption(differences, sample, 26 * columns + 30), fontsize=8.5)
    panels = figure.subplots(panel_rows, columns, sharey=True, squeeze=False)
    panels[0][0].set_yticks(range(len(labels)), labels)
    panels[0][0].set_ylim(len(labels) - 0.5, -0.5)
    for axes, measure in zip(panels.flat, measures, strict=False):
        _draw(axes, [_row(group, measure, differences) for group in groups], measure, size)
    for empty in panels.flat[len(measures) :]:
        empty.set_visible(False)
    return figure


def label_of(controller: str, strategy: str, varied: str, between: str = "\n") -> str:
    """A group by name; a strategy is named where cars are asked."""
    asked = strategy if controller == NEGOTIATED else ""
    return between.join(part for part in (controller_name(controller), asked, varied) if part)


def _labels(groups: Sequence[DrawnGroup], room_in: float) -> tuple[list[str], float]:
    """The groups' names, and a row's height; in one line each where there are more than two lines have room for."""
    names = [verbatim(label_of(group.controller, group.strategy, group.varied)) for group in groups]
    folded = ["\n".join(line for part in name.split("\n") for line in wrap(part, _LABEL_LETTERS)) for name in names]
    lines = max((label.count("\n") + 1 for label in folded), default=1)
    wanted_in, fits_in = _ROW_IN + _LINE_IN * lines, room_in / max(len(groups), 1)
    if wanted_in <= fits_in:
        return folded, wanted_in
    return [name.replace("\n", ", ") for name in names], min(_ROW_IN + _LINE_IN, fits_in)


def _caption(differences: Sequence[PairedDifference], sample: str, letters: int) -> str:
    first = " of its setting" if len({each.varied for each in differences}) > 1 else ""
    text = (
        f"Thick: the 95 % interval of the difference from {differences[0].against}{first} (dashed), in pairs of one"
        f" {sample}; blue: Holm's corrected p < 0.05; grey: not, or known beforehand"
    )
    return verbatim("\n".join(wrap(text, letters)))


def _row(group: DrawnGroup, measure: DrawnMeasure, differences: Sequence[PairedDifference]) -> _Row:
    spread, name = group.spread[measure.key], (group.controller, group.strategy, group.varied)
    found = (each for each in differences if (each.key, each[1:4]) == (measure.key, name))
    if (each := next(found, None)) is None:
        return _Row(*(spread.mean, spread.least, spread.most, spread.mean, spread.mean, spread.mean), _FIRST)
    mean, low, high = (value / measure.per_unit for value in (each.mean, each.low, each.high))
    around = spread.mean + low - mean, spread.mean + high - mean
    colour = _SURE if each.is_certain else _UNSURE
    return _Row(spread.mean, spread.least, spread.most, *around, spread.mean - mean, colour)


def _draw(axes: Axes, rows: Sequence[_Row], measure: DrawnMeasure, size: float) -> None:
    """One measure: the means as dots and, right of the panel, as figures."""
    places, means = range(len(rows)), [row.mean for row in rows]
    reach = [abs(end) for row in rows for end in (row.least, row.most, row.low, row.high)]
    axes.hlines(places, [row.least for row in rows], [row.most for row in rows], color=_REACH, linewidth=5)
    axes.hlines(
        places, [row.low for row in rows], [row.high for row in rows], [row.colour for row in rows], linewidth=2
    )
    if any(row.colour != _FIRST for row in rows):
        firsts, tops = [row.first for row in rows], [place - 0.5 for place in places]
        axes.vlines(firsts, tops, [top + 1 for top in tops], color=_FIRST, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.scatter(means, places, s=22, c=[row.colour for row in rows], zorder=3)
    for place, mean in enumerate(means):
        at = axes.get_yaxis_transform()
        axes.text(1.03, place, _figure(mean, measure.places), transform=at, va="center", fontsize=min(size, 8.5))
    axes.set_title(measure.title, fontsize=10)
    _scale(axes, means, max(reach, default=0) or 1)
    axes.tick_params(axis="y", labelsize=size, length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#e8eaed", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _figure(mean: float, places: int) -> str:
    """With all its places; what is not nothing is not written as 0."""
    text = f"{mean:,.{places}f}"
    return text if mean == 0 or float(text.replace(",", "")) else rounded(mean, places)


def _scale(axes: Axes, means: Sequence[float], reach: float) -> None:
    """From 0 on; logarithmic where one group is so far off that nothing could be told of the others."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    positive = [mean for mean in means if mean > 0]
    plainly = FuncFormatter(lambda x, _place: f"{x:,.10g}")
    if len(positive) > 2 and max(positive) > _FAR_OFF * median(positive):
        linear = 10.0 ** floor(log10(min(positive)))
        decades = ceil(log10(reach / linear))
        axes.set_xscale("symlog", linthresh=linear)
        axes.xaxis.set_major_locator(FixedLocator([0, *(linear * 10**n for n in range(decades % 2, decades + 1, 2))]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(plainly)
        axes.set_title(f"{axes.get_title()}\n(logarithmic)", fontsize=10)
        axes.set_xlim(left=min(axes.get_xlim()[0], -linear / 5), right=reach * 2)
        return
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_formatter(plainly)
    axes.set_xlim(left=min(axes.get_xlim()[0], -reach / 20), right=reach * 1.08)
