"""A run as one picture: the load under the limit, what each car did, what it cost and who earned.

``plot_run`` draws from the tables of a run directory (:class:`RunTables`) onto a matplotlib ``Figure`` of its own, so
no window opens and no global state of pyplot is touched. matplotlib and pandas are imported where they are used.
"""

from __future__ import annotations

from io import BytesIO
from textwrap import wrap
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from wattswap.experiments.data_credit import credit
from wattswap.experiments.formatting import printable
from wattswap.experiments.headline import headline
from wattswap.experiments.plots.axes import INK, SOFT
from wattswap.experiments.plots.car_selection import CarRow, car_rows
from wattswap.experiments.plots.cars import draw_cars
from wattswap.experiments.plots.load import draw_load, draw_overview
from wattswap.experiments.plots.prices import draw_price, draw_tokens
from wattswap.experiments.run_tables import RunTables, input_names, is_long, shown_window
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wattswap.experiments.run_tables import FinishedRun, Window


_WIDTH_IN, _LEFT_IN, _RIGHT_IN = 14.0, 1.55, 1.15
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


PICTURE_KINDS: Final = ("pdf", "png", "svg")


def kind_of_picture(path: Path) -> str:
    """The kind of picture that a file's ending names, one of ``PICTURE_KINDS``.

    Raises:
        InputError: another ending.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in PICTURE_KINDS:
        raise InputError(f"{path}: a picture's name ends in .{', .'.join(PICTURE_KINDS)}")
    return kind


def save_picture(figure: Figure, path: Path) -> None:
    """Write the picture in the format of the file's ending: PDF and SVG for paper, PNG for a screen.

    Raises:
        InputError: another ending, or the file cannot be written.
    """
    kind = kind_of_picture(path)
    try:
        if kind == "png":
            save_png(figure, path)
        else:
            _save_vectors(figure, path, kind)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); name another place") from None


def svg(figure: Figure) -> bytes:
    """The picture as SVG; the same picture gives the same bytes."""
    buffer = BytesIO()
    _save_vectors(figure, buffer, "svg")
    return buffer.getvalue()


def _save_vectors(figure: Figure, path: Path | IO[bytes], kind: str) -> None:
    import matplotlib as mpl

    undated = {"CreationDate": None} if kind == "pdf" else {"Date": None}
    with _own_style(), mpl.rc_context({"svg.hashsalt": "wattswap", "pdf.fonttype": 42}):
        figure.savefig(path, format=kind, metadata=undated)


def _own_style() -> AbstractContextManager[None]:
    """The defaults of matplotlib and ours: a user's matplotlibrc must not change a picture that is committed."""
    import matplotlib.style

    ours = {"font.size": 11.5, "text.color": INK, "axes.edgecolor": SOFT}
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
    lines = wrap(text, 92 if len(text) <= 184 else 120)
    text = "\n".join(lines)
    size = {1: 18.0, 2: 15.0}.get(len(lines), 12.0)
    figure.text(left, 1 - 0.42 / height_in, text, size=size, weight="bold", va="center", parse_math=False)
    below = _subtitle(tables, window) if len(tables.series) else "The run ended before its first tick: nothing to draw."
    figure.text(left, 1 - 0.8 / height_in, below, size=12, color=SOFT, va="center", parse_math=False)


def _subtitle(tables: RunTables, window: Window) -> str:
    about = tables.summary
    day = tables.at(window[0])
    when = f"{day:%A} {day.day} {day:%B %Y}"
    if is_long(tables):
        when = f"the whole run, and {when} closely"
    # how cars would answer matters only where they were asked
    who = ", ".join(str(about.get(key, "")) for key in ("controller", "strategy")[: 2 if about.get("rounds") else 1])
    street = printable(str(about.get("scenario", "")), 40)
    return f"Street “{street}”, {printable(who, 70)}: {when}, local time ({tables.zone})"


def _footer(figure: Figure, tables: RunTables, height_in: float) -> None:
    if due := credit(input_names(tables.scenario)):
        words = "\n".join(wrap(due, 165))
        figure.text(0.35 / _WIDTH_IN, 0.16 / height_in, words, size=8.5, color=SOFT, va="bottom", linespacing=1.35)


def _draw(tables: RunTables, axes: Mapping[str, Axes], rows: Sequence[CarRow], window: Window) -> None:
    if "overview" in axes:
        draw_overview(axes["overview"], tables, window)
    if "load" in axes:
        draw_load(axes["load"], tables, window)
    if "cars" in axes:
        draw_cars(axes["cars"], tables, rows, window)
    if "price" in axes:
        draw_price(axes["price"], tables, window)
        draw_tokens(axes["tokens"], tables, window)
