"""The arms side by side: on how many transformer-days a limit was violated, and how high the load became."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.figure import Figure

    from wattswap.experiments.literature.arms import ArmOutcome, Design

    Of = Callable[[ArmOutcome], float]

_HELD, _MOVED, _PEAK, _REACH = "#c0504d", "#f0b27a", "#4f81bd", "#555555"


def literature_arms(design: Design, outcomes: Mapping[str, Sequence[ArmOutcome]]) -> Figure:
    """Two panels with a bar for each arm; the thin lines reach from the least seed to the most."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{design.told}; {design.override_pct:g} % override")
    left, right = figure.subplots(1, 2)
    arms, place = list(outcomes), np.arange(len(outcomes))

    def bars(axes: Any, of: Of, colour: str, label: str) -> None:
        spread = np.array([[of(each) for each in outcomes[arm]] for arm in arms])
        mean = spread.mean(axis=1)
        reach = np.stack((mean - spread.min(axis=1), spread.max(axis=1) - mean))
        axes.barh(place, mean, color=colour, xerr=reach, ecolor=_REACH, label=label, height=0.7)

    bars(left, lambda one: 100 * one.violated_days / one.transformer_days, _HELD, "over the limit for over a minute")
    bars(
        left, lambda one: 100 * one.moved_days / one.transformer_days, _MOVED, "moved: of these, held without any rule"
    )
    bars(right, lambda one: one.peak_kw, _PEAK, "highest load of a day, mean")
    for axes, what in ((left, "transformer-days, %"), (right, "kW")):
        axes.set_yticks(place, arms)
        axes.invert_yaxis()
        axes.set_xlabel(what)
        axes.set_xlim(left=0)
        axes.plot([], [], color=_REACH, label="from the least seed to the most")
        axes.legend(
            fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.14), borderaxespad=0, frameon=False
        )  # off the bars
        axes.spines[["top", "right"]].set_visible(False)
    return figure
