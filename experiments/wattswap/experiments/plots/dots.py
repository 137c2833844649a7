"""A comparison as dots: a row for each group, a panel for each measure, on no more than a page."""

from __future__ import annotations

from math import ceil, floor, log10
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from wattswap.agents.controllers import NEGOTIATED
from wattswap.experiments.formatting import controller_name, counted, rounded
from wattswap.experiments.plots.axes import verbatim
from wattswap.experiments.plots.lettering import POINTS_PER_IN, Labels, fitted_labels, folded, thin_ticks, width_in
from wattswap.experiments.vary import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wattswap.experiments.paired import PairedDifference
    from wattswap.experiments.plots.curves import DrawnGroup, DrawnMeasure

PAGE_IN: Final = 11.0
"""The height and the width of a page, which no figure exceeds."""
_ROW_IN, _LINE_IN = 0.13, 0.14
"""A group's height: the air around its label, and a line of that each."""
_EDGE_IN, _GAP_IN, _TICKS_IN = 0.12, 0.14, 0.36
_ROOMY_IN: Final = 0.15
"""Where a group has less, its dot and lines are smaller in proportion."""
_LEAST_PANEL_IN, _MOST_PANEL_IN = 0.8, 1.5
_NAME_PT, _CAPTION_PT, _TITLE_PT, _MEAN_PT, _TICK_PT = 11.0, 8.5, 9.5, 8.5, 8.0
_FAR_OFF: Final = 20
"""A mean so many times the middle one squeezes all others: the axis is then logarithmic."""
_FIRST, _SURE, _SAME, _UNSURE, _REACH = "#1d2329", "#0b5394", "#7b3294", "#8a9096", "#c9cdd2"


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

    runs = max((group.runs for group in groups), default=0)
    name = f"{scenario}: mean of {counted(runs, sample)} (dot), and from the least to the most (pale)"
    plan = _planned(groups, measures, name, _caption(differences, sample) if differences else "")
    figure = Figure(figsize=(plan.width_in, plan.height_in))
    FigureCanvasAgg(figure)
    left, air = _EDGE_IN / plan.width_in, 0.1 / plan.height_in
    figure.suptitle(verbatim(plan.name), x=left, y=1 - air, ha="left", va="top", fontsize=_NAME_PT)
    figure.supxlabel(verbatim(plan.caption), x=left, y=air, ha="left", va="bottom", fontsize=_CAPTION_PT)
    first: Axes | None = None
    for place, measure in enumerate(measures):
        axes = figure.add_axes(plan.box(place), sharey=first)
        first = first or axes
        axes.tick_params(axis="y", labelsize=plan.labels.size_pt, length=0, labelleft=place % plan.columns == 0)
        _draw(axes, [_row(group, measure, differences) for group in groups], measure, plan)
    if first is not None:
        first.set_yticks(range(len(groups)), [verbatim(text) for text in plan.labels.texts])
        first.set_ylim(len(groups) - 0.5, -0.5)
    return figure


class _Plan(NamedTuple):
    """Where everything stands, in inches."""

    labels: Labels
    name: str
    caption: str
    columns: int
    panel_rows: int
    panel_in: float
    """The width of a panel without the means beside it."""
    means_in: float
    titles_in: float
    rows_in: float
    """The height of all groups in a panel."""
    width_in: float
    height_in: float

    def box(self, place: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of a panel, as parts of the figure."""
        down, across = divmod(place, self.columns)
        left = self.width_in - _EDGE_IN - (self.columns - across) * (self.panel_in + self.means_in)
        top = _text_in(self.name, _NAME_PT) + (down + 1) * self.titles_in + down * (self.rows_in + _TICKS_IN)
        bottom = self.height_in - top - self.rows_in
        return (
            left / self.width_in,
            bottom / self.height_in,
            self.panel_in / self.width_in,
            self.rows_in / self.height_in,
        )


def _planned(groups: Sequence[DrawnGroup], measures: Sequence[DrawnMeasure], name: str, caption: str) -> _Plan:
    """Labels take a third of a page at most; panels that do not fit beside one another stand in more rows."""
    count = max(len(groups), 1)
    means = [_figure(group.spread[each.key].mean, each.places) for each in measures for group in groups]
    means_in = max((width_in(mean, _MEAN_PT) for mean in means), default=0.0) + _GAP_IN
    names = [label_of(group.controller, group.strategy, short(group.varied), ", ") for group in groups]
    third_in, head_in = PAGE_IN / 3 - _GAP_IN, 1.1

    def labels_of(panel_rows: int) -> tuple[Labels, float]:
        """The labels, and how high a group is."""
        most_in = ((PAGE_IN - head_in) / panel_rows - _TICKS_IN - 0.6) / count
        labels = fitted_labels(names, third_in, most_in)
        return labels, min(_ROW_IN + _LINE_IN * labels.lines, most_in)

    def columns_of(labels: Labels) -> int:
        beside_in = PAGE_IN - 2 * _EDGE_IN - _GAP_IN - labels.width_in
        return max(int(beside_in / (_LEAST_PANEL_IN + means_in)), 1)

    panel_rows = 1
    while columns_of(labels_of(panel_rows)[0]) * panel_rows < len(measures):
        panel_rows += 1
    labels, row_in = labels_of(panel_rows)
    columns = -(-len(measures) // panel_rows)
    left_in = labels.width_in + _GAP_IN + _EDGE_IN
    wanted_in = max(left_in + columns * (_MOST_PANEL_IN + means_in) + _EDGE_IN, 3 * left_in)
    figure_in = min(PAGE_IN, wanted_in)
    panel_in = (figure_in - left_in - _EDGE_IN) / columns - means_in
    titles = [_title(each, panel_in + means_in, logarithmic=_is_far_off(groups, each)) for each in measures]
    named, told = (
        "\n".join(folded(text, figure_in - 2 * _EDGE_IN, size))
        for text, size in ((name, _NAME_PT), (caption, _CAPTION_PT))
    )
    titles_in = max((_text_in(title, _TITLE_PT) for title in titles), default=0.0)
    rows_in = row_in * count
    around_in = _text_in(named, _NAME_PT) + _text_in(told, _CAPTION_PT) + panel_rows * (titles_in + _TICKS_IN)
    rows_in = min(rows_in, (PAGE_IN - around_in) / panel_rows)
    height_in = around_in + panel_rows * rows_in
    return _Plan(labels, named, told, columns, panel_rows, panel_in, means_in, titles_in, rows_in, figure_in, height_in)


def _text_in(text: str, size_pt: float) -> float:
    """The height of a text with air around it; nothing where there is none."""
    return (text.count("\n") + 1) * 1.3 * size_pt / POINTS_PER_IN + 0.16 if text else 0.0


def _title(measure: DrawnMeasure, room_in: float, *, logarithmic: bool) -> str:
    return "\n".join(folded(measure.title, room_in, _TITLE_PT) + ["(logarithmic)"] * logarithmic)


def label_of(controller: str, strategy: str, varied: str, between: str = "\n") -> str:
    """A group by name; a strategy is named where cars are asked."""
    asked = strategy if controller == NEGOTIATED else ""
    return between.join(part for part in (controller_name(controller), asked, varied) if part)


def _caption(differences: Sequence[PairedDifference], sample: str) -> str:
    first = " of its setting" if len({each.varied for each in differences}) > 1 else ""
    same = " violet: every pair differs by the same;" if any(each.is_the_same_in_all for each in differences) else ""
    return (
        f"Thick: the 95 % interval of the difference from {differences[0].against}{first} (dashed), in pairs of one"
        f" {sample}; an arrow: it goes on below 0; none where every run has 0. Blue: Holm's corrected p < 0.05;{same}"
        " grey: not, or known beforehand"
    )


def _row(group: DrawnGroup, measure: DrawnMeasure, differences: Sequence[PairedDifference]) -> _Row:
    spread, name = group.spread[measure.key], (group.controller, group.strategy, group.varied)
    found = (each for each in differences if (each.key, each[1:4]) == (measure.key, name))
    if (each := next(found, None)) is None:
        return _Row(*(spread.mean, spread.least, spread.most, spread.mean, spread.mean, spread.mean), _FIRST)
    mean, low, high = (value / measure.per_unit for value in (each.mean, each.low, each.high))
    # a rule under which it is 0 in every run has nothing uncertain; what differs from run to run is the other's
    always_0 = spread.least == spread.most == 0
    around = (spread.mean, spread.mean) if always_0 else (spread.mean + low - mean, spread.mean + high - mean)
    colour = _SURE if each.is_certain else _SAME if each.is_the_same_in_all else _UNSURE
    return _Row(spread.mean, spread.least, spread.most, *around, spread.mean - mean, colour)


def _draw(axes: Axes, rows: Sequence[_Row], measure: DrawnMeasure, plan: _Plan) -> None:
    """One measure: the means as dots and, right of the panel, as figures."""
    places, means = range(len(rows)), [row.mean for row in rows]
    logarithmic = _far_off(means)
    title = _title(measure, plan.panel_in + plan.means_in, logarithmic=logarithmic)
    axes.set_title(verbatim(title), loc="left", fontsize=_TITLE_PT, pad=5)
    _scale(axes, means, max((max(row.most, row.high) for row in rows), default=0) or 1, logarithmic=logarithmic)
    small = min(1.0, plan.rows_in / len(rows) / _ROOMY_IN)
    least, most, high = ([row[at] for row in rows] for at in (1, 2, 4))
    low = [row.low if row.low >= 0 else axes.get_xlim()[0] for row in rows]
    axes.hlines(places, least, most, color=_REACH, linewidth=5 * small)
    axes.hlines(places, low, high, [row.colour for row in rows], linewidth=2 * small)
    if any(row.colour != _FIRST for row in rows):
        firsts, tops = [row.first for row in rows], [place - 0.5 for place in places]
        axes.vlines(firsts, tops, [top + 1 for top in tops], color=_FIRST, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.scatter(means, places, s=22 * small**2, c=[row.colour for row in rows], zorder=3)
    for place, mean in enumerate(means):
        at, size = axes.get_yaxis_transform(), min(plan.labels.size_pt, _MEAN_PT)
        right = 1 + 0.06 / plan.panel_in
        axes.text(right, place, _figure(mean, measure.places), transform=at, va="center", fontsize=size)
    _arrows(axes, rows, 5 * small)
    thin_ticks(axes, _TICK_PT, plan.panel_in)
    axes.tick_params(axis="x", labelsize=_TICK_PT)
    axes.grid(axis="x", color="#e8eaed", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _figure(mean: float, places: int) -> str:
    """With all its places; what is not nothing is not written as 0."""
    text = f"{mean:,.{places}f}"
    return text if mean == 0 or float(text.replace(",", "")) else rounded(mean, places)


def _is_far_off(groups: Sequence[DrawnGroup], measure: DrawnMeasure) -> bool:
    return _far_off([group.spread[measure.key].mean for group in groups])


def _far_off(means: Sequence[float]) -> bool:
    """Whether one group is so far off that nothing could be told of the others."""
    positive = [mean for mean in means if mean > 0]
    return len(positive) > 2 and max(positive) > _FAR_OFF * median(positive)


def _scale(axes: Axes, means: Sequence[float], reach: float, *, logarithmic: bool) -> None:
    """From 0 on, for no measure falls below it."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _place: f"{x:,.10g}"))
    if logarithmic:
        linear = 10.0 ** floor(log10(min(mean for mean in means if mean > 0)))
        decades = ceil(log10(reach / linear))
        axes.set_xscale("symlog", linthresh=linear, linscale=0.5)
        axes.xaxis.set_major_locator(FixedLocator([0, *(linear * 10**n for n in range(decades % 2, decades + 1, 2))]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _place: f"{x:,.10g}"))
        axes.set_xlim(-linear / 5, reach * 2)
        return
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.set_xlim(-reach / 20, reach * 1.08)


def _arrows(axes: Axes, rows: Sequence[_Row], size_pt: float) -> None:
    """Where an interval goes on below 0, which no measure does, an arrow stands at the edge in its place."""
    beyond = [(place, row.colour) for place, row in enumerate(rows) if row.low < 0]
    for place, colour in beyond:
        at = axes.get_yaxis_transform()
        axes.plot([0], [place], marker="<", markersize=size_pt, color=colour, transform=at, clip_on=False, zorder=2)
