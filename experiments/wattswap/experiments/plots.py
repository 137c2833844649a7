"""A run as one picture: the load under the limit, what each car did, what it cost and who earned.

``plot_run`` draws from the tables of a run directory (:class:`RunTables`) onto a matplotlib ``Figure`` of its own, so
no window opens and no global state of pyplot is touched. matplotlib and pandas are imported where they are used.
"""

from __future__ import annotations

from datetime import timezone
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from wattswap.experiments.carrows import CarRow, car_rows
from wattswap.experiments.runtables import DAY_MS, HOUR_MS, RunTables, extent, is_long, shown_window
from wattswap.experiments.tables import CATCHING_UP, CHARGING, FEEDING, FORCED, FULL, REDUCED, WAITING
from wattswap.experiments.words import CREDIT, NANOS, amount, clean, headline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from wattswap.experiments.runtables import FinishedRun, Window

    Floats = NDArray[np.float64]

__all__ = ["RunTables", "plot_run", "save_png"]

# Okabe and Ito's colours, told apart with any kind of colour vision; a dark red takes vermilion's place, so that a cut
# without pay stands out from a reduction in grey print too.
_HOMES, _INK, _SOFT, _RED, _OVER, _TEAL = "#b8bcc2", "#1d2329", "#6b7178", "#a3081a", "#d0596b", "#0f766e"
_COLOURS: Final[Mapping[str, str]] = {
    CHARGING: "#0072b2",
    REDUCED: "#e69f00",
    FEEDING: "#009e73",
    CATCHING_UP: "#6cc0ee",
    FORCED: _RED,
    WAITING: "#f6e3b4",
    FULL: "#c9cdd2",
}
_WORDS: Final[Mapping[str, str]] = {
    CHARGING: "charges",
    REDUCED: "charges less, for tokens",
    FEEDING: "feeds back, for tokens",
    CATCHING_UP: "catches up",
    FORCED: "cut, unpaid",
    WAITING: "waits for room",
    FULL: "full",
}
_BAR_HEIGHT: Final[Mapping[str, float]] = {FULL: 0.14, WAITING: 0.62}

_WIDTH_IN, _LEFT_IN, _RIGHT_IN = 14.0, 1.15, 1.15
_HEADER_IN, _FOOTER_IN, _GAP_IN = 1.05, 0.85, 0.74
_FIRST_IN: Final = 0.42
_ROW_IN: Final = 0.168


class _Panel(NamedTuple):
    name: str
    height_in: float
    above_in: float = _GAP_IN
    """Room for its title, and for the clock of the panel above where that has one."""


def plot_run(run: RunTables | FinishedRun, *, heading: bool = True) -> Figure:
    """The picture of a run, 14 inches wide; at 100 dots an inch that is 1400 pixels.

    ``run`` is a run directory read by :meth:`RunTables.read`, or what ``wattswap.experiments.run`` returns.
    Without ``heading`` the picture goes under one.
    """
    from matplotlib.figure import Figure

    tables = run if isinstance(run, RunTables) else RunTables.of(run)
    window = shown_window(tables)
    rows = car_rows(tables.cars, tables.trades, tables.rounds, window)
    panels = _panels(tables, rows)
    header_in = _HEADER_IN if heading or not panels else 0.0
    height_in = header_in + _FOOTER_IN + sum(panel.height_in + panel.above_in for panel in panels)
    with _own_style():
        figure = Figure(figsize=(_WIDTH_IN, height_in), facecolor="white")
        axes = dict(_place(figure, panels, height_in, header_in))
        if header_in:
            _header(figure, tables, height_in, window)
        _draw(tables, axes, rows, window)
        _footer(figure, tables, height_in)
    return figure


def save_png(figure: Figure, path: Path | IO[bytes], *, dpi: int = 150) -> None:
    """Write the picture; the same picture gives the same bytes, for no time stamp or version goes in."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    with _own_style():
        figure.savefig(path, format="png", dpi=dpi, metadata={"Software": None})


def _own_style() -> AbstractContextManager[None]:
    """The defaults of matplotlib and ours: a user's matplotlibrc must not change a picture that is committed."""
    import matplotlib.style

    ours = {"font.size": 11.5, "text.color": _INK, "axes.edgecolor": _SOFT}
    return matplotlib.style.context(["default", ours])


def _panels(tables: RunTables, rows: Sequence[CarRow]) -> list[_Panel]:
    """Only panels that have something to show."""
    if not len(tables.series):
        return []
    panels = [_Panel("overview", 1.4, _FIRST_IN)] if is_long(tables) else []
    panels.append(_Panel("load", 2.9, _GAP_IN if panels else _FIRST_IN))
    if rows:
        slots = len(rows) + len({row.group for row in rows})
        panels.append(_Panel("cars", slots * _ROW_IN + 0.1))
    if (tables.rounds["price_nanos_per_kwh_h"] > 0).any():
        panels += [_Panel("price", 0.95), _Panel("tokens", 1.05, _FIRST_IN)]
    return panels


def _place(figure: Figure, panels: Sequence[_Panel], height_in: float, header_in: float) -> Iterator[tuple[str, Axes]]:
    top_in = header_in
    across = (_LEFT_IN / _WIDTH_IN, 1 - (_LEFT_IN + _RIGHT_IN) / _WIDTH_IN)
    for panel in panels:
        top_in += panel.above_in
        bottom_in = height_in - top_in - panel.height_in
        axes = figure.add_axes((across[0], bottom_in / height_in, across[1], panel.height_in / height_in))
        top_in += panel.height_in
        yield panel.name, axes


def _header(figure: Figure, tables: RunTables, height_in: float, window: Window) -> None:
    left = 0.35 / _WIDTH_IN
    text = headline(tables.summary)
    size = min(18.0, 18.0 * 92 / max(len(text), 1))
    figure.text(left, 1 - 0.42 / height_in, text, size=size, weight="bold", va="center", parse_math=False)
    below = _subtitle(tables, window) if len(tables.series) else "The run ended before its first tick: nothing to draw."
    figure.text(left, 1 - 0.8 / height_in, below, size=12, color=_SOFT, va="center", parse_math=False)


def _subtitle(tables: RunTables, window: Window) -> str:
    about = tables.summary
    day = tables.at(window[0])
    when = f"{day:%A} {day.day} {day:%B %Y}"
    if is_long(tables):
        when = f"the whole run, and {when} closely"
    # how cars would answer matters only where they were asked
    who = ", ".join(str(about.get(key, "")) for key in ("controller", "strategy")[: 2 if about.get("rounds") else 1])
    street = clean(str(about.get("scenario", "")), 40)
    return f"Street “{street}”, {clean(who, 70)}: {when}, local time ({tables.zone})"


def _footer(figure: Figure, tables: RunTables, height_in: float) -> None:
    if tables.bundled():
        figure.text(0.35 / _WIDTH_IN, 0.16 / height_in, CREDIT, size=8.5, color=_SOFT, va="bottom", linespacing=1.35)


def _draw(tables: RunTables, axes: Mapping[str, Axes], rows: Sequence[CarRow], window: Window) -> None:
    if "overview" in axes:
        _draw_overview(axes["overview"], tables, window)
    if "load" in axes:
        _draw_load(axes["load"], tables, window)
    if "cars" in axes:
        _draw_cars(axes["cars"], tables, rows, window)
    if "price" in axes:
        _draw_price(axes["price"], tables, window)
        _draw_tokens(axes["tokens"], tables, window)


def _days(t_ms: object) -> Floats:
    """Instants as matplotlib counts them, days since 1970."""
    return np.asarray(t_ms, dtype=np.float64) / DAY_MS


def _dress(axes: Axes, tables: RunTables, window: Window, title: str, *, whole_days: bool = False) -> None:
    """The same frame, clock and type for every panel."""
    import matplotlib.dates

    clocks: Any = matplotlib.dates  # the one part of matplotlib without types
    zone = timezone(tables.utc_offset)
    hours = max((window[1] - window[0]) / HOUR_MS, 1e-9)
    step = next((step for step in (1, 2, 3, 6) if hours / step <= 14), 12)
    axes.set_xlim(*_days(window))
    if whole_days:
        every = max(1, round(hours / 24 / 8))
        axes.xaxis.set_major_locator(clocks.DayLocator(interval=every, tz=zone))
        axes.xaxis.set_major_formatter(clocks.DateFormatter("%a %d %b", tz=zone))
    else:
        axes.xaxis.set_major_locator(clocks.HourLocator(range(0, 24, step), tz=zone))
        axes.xaxis.set_major_formatter(clocks.DateFormatter("%H:%M", tz=zone))
    axes.set_title(title, loc="left", weight="bold", size=12.5, pad=8)
    axes.tick_params(colors=_SOFT, labelcolor=_INK, length=3)
    axes.grid(visible=True, color="#e8eaed", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(axes: Axes, handles: Sequence[Artist]) -> None:
    """Keys above the panel, at its right end, where no data are."""
    axes.legend(
        handles=list(handles), loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=len(handles), frameon=False,
        fontsize=10.5, handlelength=1.3, handletextpad=0.45, columnspacing=1.3, borderaxespad=0.25,
    )  # fmt: skip


# --- load --------------------------------------------------------------------------------------------------------


def _draw_overview(axes: Axes, tables: RunTables, window: Window) -> None:
    whole = extent(tables)
    _dress(axes, tables, whole, "The whole run: load of the transformer, kW", whole_days=True)
    _stack(axes, tables, whole, line=0.9, dashes=False)
    axes.axvspan(*_days(window), facecolor="none", edgecolor=_INK, linewidth=1.2, zorder=6)
    axes.annotate(
        "shown below", (float(_days(sum(window) / 2)), 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
        textcoords="offset points", ha="center", va="bottom", size=9.5, color=_INK, annotation_clip=False,
    )  # fmt: skip


def _draw_load(axes: Axes, tables: RunTables, window: Window) -> None:
    _dress(axes, tables, window, "Load of the transformer, kW")
    _stack(axes, tables, window, line=1.6, dashes=True)
    _name_limits(axes, tables, window)
    _legend(axes, _load_keys(tables, window))


def _stack(axes: Axes, tables: RunTables, window: Window, *, line: float, dashes: bool) -> None:
    """Homes and cars on top of each other, so that the upper edge is what the transformer carries.

    What cars feed back never reaches the transformer; it is drawn below zero and shifts the stack down by as much.
    """
    t_ms = tables.series["t_ms"].to_numpy(dtype=np.int64)
    # one tick more on either side lets areas run to the frame
    inside = (t_ms >= window[0] - tables.tick_ms) & (t_ms <= window[1] + tables.tick_ms)
    x = _days(t_ms[inside])
    base, fed, load = (_kw(tables, name)[inside] for name in ("base_w", "export_w", "load_w"))
    limit, other = tables.limit_w[inside] / 1000, tables.uncontrolled_w()
    axes.fill_between(x, 0, np.maximum(base - fed, 0), color=_HOMES, linewidth=0)
    axes.fill_between(x, base - fed, load, color=_COLOURS[CHARGING], linewidth=0)
    axes.fill_between(x, -fed, 0, color=_COLOURS[FEEDING], linewidth=0)
    axes.fill_between(x, limit, load, where=(load > limit).tolist(), color=_OVER, linewidth=0)
    highest = [load.max(initial=0), limit.max(initial=0)]
    if other is not None:
        known = other[inside] / 1000
        axes.fill_between(
            x, limit, known, where=(known > limit).tolist(), color=_RED, alpha=0.22, linewidth=0 if dashes else 1
        )
        if dashes:
            axes.plot(x, known, color=_INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=4)
        highest.append(np.nanmax(known, initial=0))
    axes.plot(x, limit, color=_RED, linewidth=line, drawstyle="steps-post", zorder=5)
    lowest = [(base - fed).min(initial=0), -fed.max(initial=0), load.min(initial=0), limit.min(initial=0)]
    axes.set_ylim(float(min(lowest)) * 1.15, max(float(max(highest)), 1e-3) * 1.08)


def _kw(tables: RunTables, column: str) -> Floats:
    watts: Floats = tables.series[column].to_numpy(dtype=np.float64)
    return watts / 1000


def _name_limits(axes: Axes, tables: RunTables, window: Window) -> None:
    """Say at the line itself what the limit is, at each place where it changes."""
    t_ms = tables.series["t_ms"].to_numpy(dtype=np.int64)
    inside = (t_ms >= window[0]) & (t_ms < window[1])
    limit, t_ms = tables.limit_w[inside] / 1000, t_ms[inside]
    if not len(limit):
        return
    starts = np.concatenate(([0], np.flatnonzero(np.diff(limit)) + 1))
    ends = np.append(starts[1:], len(limit))
    named: set[float] = set()
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if limit[start] in named or len(named) == 3:
            continue
        named.add(float(limit[start]))
        _name_limit(axes, float(limit[start]), t_ms[start], t_ms[end - 1], lowered=limit[start] < limit[0])


def _name_limit(axes: Axes, limit_kw: float, from_ms: int, to_ms: int, *, lowered: bool) -> None:
    figure = f"{limit_kw:,.1f}".removesuffix(".0")
    words = f"limit lowered to {figure} kW" if lowered else f"limit {figure} kW"
    at = (float(_days((from_ms + to_ms) / 2 if lowered else from_ms)), limit_kw)
    axes.annotate(
        words, at, xytext=(0 if lowered else 5, 4), textcoords="offset points", ha="center" if lowered else "left",
        va="bottom", color=_RED, size=10.5, weight="bold", zorder=7,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


def _load_keys(tables: RunTables, window: Window) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    inside = tables.series["t_ms"].between(window[0], window[1])
    over = bool((tables.series["load_w"] > tables.series["limit_w"])[inside].any())
    keys: list[Artist] = [Patch(color=_HOMES, label="homes"), Patch(color=_COLOURS[CHARGING], label="cars")]
    if (tables.series["export_w"][inside] > 0).any():
        keys.append(Patch(color=_COLOURS[FEEDING], label="fed back"))
    if over:
        keys.append(Patch(color=_OVER, label="over the limit"))
    if tables.uncontrolled is not None:
        keys.append(Line2D([], [], color=_INK, linestyle=(0, (3, 1.5)), linewidth=1.2, label="if nobody gave way"))
        keys.append(Patch(color=_RED, alpha=0.22, linewidth=0, label="… and over the limit"))
    return keys


# --- cars --------------------------------------------------------------------------------------------------------


def _draw_cars(axes: Axes, tables: RunTables, rows: Sequence[CarRow], window: Window) -> None:
    _dress(axes, tables, window, "What the cars did")
    places, titles = _slots(rows)
    shown = dict(zip((row.session for row in rows), places, strict=True))
    inside = tables.cars[(tables.cars["to_ms"] > window[0]) & (tables.cars["from_ms"] < window[1])]
    inside = inside[inside["session"].isin(list(shown))]
    for key, stretches in inside.groupby("activity", sort=True):
        _bars(axes, str(key), stretches, shown)
    _departures(axes, tables, shown, window)
    _earnings(axes, tables, shown)
    for title, place in titles:
        axes.text(
            0.004, place, title, transform=axes.get_yaxis_transform(), size=10, weight="bold", va="center", zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
    axes.set_yticks(places, [clean(row.label, 15) for row in rows], size=8.5, parse_math=False)
    axes.set_ylim(len(rows) + len(titles) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    _legend(axes, _activity_keys(set(inside["activity"])))


def _slots(rows: Sequence[CarRow]) -> tuple[list[int], list[tuple[str, int]]]:
    """The line of each car from the top, and the titles of the groups with theirs."""
    places: list[int] = []
    titles: list[tuple[str, int]] = []
    for before, row in zip((None, *rows), rows, strict=False):
        if before is None or before.group != row.group:
            titles.append((row.title, len(places) + len(titles)))
        places.append(len(places) + len(titles))
    return places, titles


def _bars(axes: Axes, activity: str, stretches: pd.DataFrame, shown: Mapping[str, int]) -> None:
    from matplotlib.collections import PolyCollection

    half = _BAR_HEIGHT.get(activity, 0.86) / 2
    y = stretches["session"].map(dict(shown)).to_numpy(dtype=np.float64)
    left, right = _days(stretches["from_ms"]), _days(stretches["to_ms"])
    corners = np.stack(
        [
            np.stack(corner, axis=1)
            for corner in ((left, y - half), (right, y - half), (right, y + half), (left, y + half))
        ],
        axis=1,
    )
    axes.add_collection(PolyCollection(list(corners), facecolor=_COLOURS.get(activity, _SOFT), linewidth=0, zorder=3))


def _departures(axes: Axes, tables: RunTables, shown: Mapping[str, int], window: Window) -> None:
    """A black mark where a car leaves: the end of its last stretch, unless that is only the end of the run."""
    ends = tables.cars.groupby("session")["to_ms"].max()
    last = ends[ends < extent(tables)[1]]
    names = last[(last > window[0]) & (last <= window[1])]
    here = [(int(names[name]), y) for name, y in shown.items() if name in names.index]
    if here:
        t_ms, y = zip(*here, strict=True)
        axes.plot(
            _days(t_ms), y, linestyle="none", marker="|", color=_INK, markersize=10, markeredgewidth=2.4, zorder=5
        )


def _earnings(axes: Axes, tables: RunTables, shown: Mapping[str, int]) -> None:
    """What each car earned in the whole run, beside its row."""
    earned = tables.trades.groupby("session")["nanos"].sum()
    if not earned.any():
        return
    where = axes.get_yaxis_transform()
    axes.text(1.004, 0, "IOTA earned", transform=where, size=9.5, weight="bold", va="center")
    for name, y in shown.items():
        nanos = float(earned.get(name, 0))
        words = f"{nanos / NANOS:.2f}" if nanos else "–"
        axes.text(1.042, y, words, transform=where, size=8.5, va="center", ha="right", color=_INK if nanos else _SOFT)


def _activity_keys(seen: set[str]) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Artist] = [Patch(color=_COLOURS[name], label=word) for name, word in _WORDS.items() if name in seen]
    mark = Line2D([], [], linestyle="none", marker="|", color=_INK, markersize=10, markeredgewidth=2.4, label="leaves")
    return [*keys, mark]


# --- money -------------------------------------------------------------------------------------------------------


def _draw_price(axes: Axes, tables: RunTables, window: Window) -> None:
    _dress(axes, tables, window, "Price of each round (its highest accepted offer), IOTA per kWh")
    axes.tick_params(axis="x", labelbottom=False)
    rounds = tables.rounds[tables.rounds["price_nanos_per_kwh_h"] > 0]
    x, price = _days(rounds["t_ms"]), rounds["price_nanos_per_kwh_h"].to_numpy(dtype=np.float64) / NANOS
    axes.vlines(x, 0, price, color=_COLOURS[REDUCED], linewidth=1.2)
    axes.plot(x, price, linestyle="none", marker="o", markersize=4.5, color=_COLOURS[REDUCED])
    inside = rounds["t_ms"].between(window[0], window[1]).to_numpy()
    axes.set_ylim(0, max(float(price[inside].max(initial=0)), 1e-9) * 1.18)


def _draw_tokens(axes: Axes, tables: RunTables, window: Window) -> None:
    """Paid at the end of the window an award ran in, which is when it is settled unless released earlier."""
    title = "Tokens the cars earned in these hours, IOTA" if is_long(tables) else "Tokens the cars earned, IOTA"
    _dress(axes, tables, window, f"{title}, added up")
    paid = tables.trades[tables.trades["nanos"] > 0]
    paid_ms = (paid["t_ms"] - tables.start_ms) // tables.window_ms * tables.window_ms + tables.window_ms
    settled = paid["nanos"].groupby(paid_ms + tables.start_ms).sum().sort_index()
    settled = settled[(settled.index >= window[0]) & (settled.index <= window[1])]
    x = np.concatenate(([window[0]], settled.index.to_numpy(dtype=np.float64), [window[1]]))
    total = np.cumsum(settled.to_numpy(dtype=np.float64)) / NANOS
    y = np.concatenate(([0.0], total, total[-1:] if len(total) else [0.0]))
    axes.fill_between(_days(x), 0, y, step="post", color=_TEAL, alpha=0.18, linewidth=0)
    axes.step(_days(x), y, where="post", color=_TEAL, linewidth=1.8)
    axes.set_ylim(0, max(y[-1], 1e-9) * 1.2)
    axes.annotate(
        f"{amount(y[-1])} IOTA", (1, y[-1]), xycoords=("axes fraction", "data"), xytext=(6, 0),
        textcoords="offset points", va="center", weight="bold", size=11, color=_TEAL, annotation_clip=False,
    )  # fmt: skip
