"""What all panels of the picture share: colours, the clock along the x axis, the frame and the legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from wattswap.experiments.run_tables import DAY_MS, HOUR_MS
from wattswap.runners.recording.activities import CATCHING_UP, CHARGING, FEEDING, FORCED, FULL, PAUSED, REDUCED, WAITING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from wattswap.experiments.run_tables import RunTables, Window

    Floats = NDArray[np.float64]


# Okabe and Ito's colours, told apart with any kind of colour vision; a dark red takes vermilion's place, so that a cut
# without pay stands out from a reduction in grey print too.
HOMES, INK, SOFT, RED, OVER, TEAL = "#b8bcc2", "#1d2329", "#6b7178", "#a3081a", "#d0596b", "#0f766e"
COLOURS: Final[Mapping[str, str]] = {
    CHARGING: "#0072b2",
    REDUCED: "#f2c14e",
    PAUSED: "#c46f00",
    FEEDING: "#009e73",
    CATCHING_UP: "#6cc0ee",
    FORCED: RED,
    WAITING: "#d8b25c",
    FULL: "#c9cdd2",
}


def verbatim(text: str) -> str:
    """A text for matplotlib that is drawn as it stands: dollar signs begin no formula."""
    return text.replace("$", r"\$")


def days(t_ms: object) -> Floats:
    """Instants as matplotlib counts them, days since 1970."""
    return np.asarray(t_ms, dtype=np.float64) / DAY_MS


def dress(axes: Axes, tables: RunTables, window: Window, title: str, *, whole_days: bool = False) -> None:
    """The same frame, clock and type for every panel."""
    import matplotlib.dates

    clocks: Any = matplotlib.dates  # the one part of matplotlib without types
    zone = tables.start.tzinfo
    hours = max((window[1] - window[0]) / HOUR_MS, 1e-9)
    step = next((step for step in (1, 2, 3, 6) if hours / step <= 14), 12)
    axes.set_xlim(*days(window))
    if whole_days:
        every = max(1, round(hours / 24 / 8))
        axes.xaxis.set_major_locator(clocks.DayLocator(interval=every, tz=zone))
        axes.xaxis.set_major_formatter(clocks.DateFormatter("%a %d %b", tz=zone))
    else:
        axes.xaxis.set_major_locator(clocks.HourLocator(range(0, 24, step), tz=zone))
        axes.xaxis.set_major_formatter(clocks.DateFormatter("%H:%M", tz=zone))
    axes.set_title(title, loc="left", weight="bold", size=12.5, pad=8)
    axes.tick_params(colors=SOFT, labelcolor=INK, length=3)
    axes.grid(visible=True, color="#e8eaed", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def legend(axes: Axes, handles: Sequence[Artist]) -> None:
    """Keys above the panel, at its right end, where no data are."""
    many = len(handles) > 6
    axes.legend(
        handles=list(handles), loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=len(handles), frameon=False,
        fontsize=9.4 if many else 10.5, handlelength=1.0 if many else 1.3, handletextpad=0.45,
        columnspacing=0.9 if many else 1.3, borderaxespad=0.25,
    )  # fmt: skip
