"""A comparison over the values of a key as curves: a line to the mean, a band from the least to the most run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from wattswap.experiments.formatting import controller_name, counted
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


_PANELS: Final = (
    ("overload_s", "over the limit, min"),
    ("peak_w", "highest load, kW"),
    ("sessions_short", "cars that left short"),
    ("paid_eur", "paid to cars, EUR"),
)
_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#a3081a", "#6b7178", "#cc79a7")


def curves(scenario: str, groups: Sequence[DrawnGroup], sample: str = "seed") -> Figure:
    """A panel for each measure, a curve for each controller and strategy; all groups vary the same key.

    ``sample`` is what runs differ in beside that.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(key, title) for key, title in _PANELS if all(key in group.spread for group in groups)]
    figure = Figure(figsize=(10, 7), layout="constrained")
    FigureCanvasAgg(figure)
    runs = max((group.runs for group in groups), default=0)
    figure.suptitle(f"{scenario}: mean of {counted(runs, sample)}, and from the least to the most")
    lines: dict[str, list[DrawnGroup]] = {}
    for group in groups:
        asked = f", {group.strategy}" if group.controller == "negotiated" else ""
        lines.setdefault(f"{controller_name(group.controller)}{asked}", []).append(group)
    for axes, (key, title) in zip(figure.subplots(2, 2).flat, panels, strict=False):
        for (name, mine), colour in zip(lines.items(), _COLOURS * len(lines), strict=False):
            points = sorted((place[1], group.spread[key]) for group in mine if (place := axis(group.varied)))
            x, spread = zip(*points, strict=True)
            axes.plot(x, [each.mean for each in spread], marker="o", color=colour, label=name)
            axes.fill_between(
                x, [each.least for each in spread], [each.most for each in spread], color=colour, alpha=0.2, linewidth=0
            )
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel((axis(groups[0].varied) or ("", 0))[0])
    for empty in figure.axes[len(panels) :]:
        empty.set_visible(False)
    figure.legend(handles=figure.axes[0].get_lines(), loc="outside lower center", ncol=2, frameon=False)
    return figure
