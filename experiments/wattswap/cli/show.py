"""A run on the terminal: what it achieved, beside the same street with nobody in control, and who did what for it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from wattswap.cli import words
from wattswap.cli.failures import show_failures
from wattswap.experiments.settlements import figures_of, verdict
from wattswap.experiments.words import headline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from wattswap.cli.words import Figures
    from wattswap.experiments.api import Result
    from wattswap.runners.payments.run_payments import Block
    from wattswap.runners.recording.rundir import RunFiles, Status

    Rows = Mapping[str, Iterable[Any]]

TOP = 3
"""Cars named for each choice."""


class Deed(NamedTuple):
    """What one vehicle gave under awards of one kind."""

    vehicle: str
    station: str
    energy_ws: int
    nanos: int


def show_result(result: Result) -> None:
    """Print a run that has just ended."""
    from wattswap.experiments.tables import cars_columns, trades_columns

    figures = result.summary
    console = _console()
    _show_figures(console, figures, None if result.twin is result else result.uncontrolled)
    trades, cars = (table(result.street, result.record) for table in (trades_columns, cars_columns))
    _show_deeds(console, figures, trades, cars)
    show_settlement(console, figures.get("settlement"), result.out)
    if result.out is not None:
        _show_places(console, result.out, result.notes)


def show_run(run: RunFiles) -> None:
    """Print a run directory."""
    console = _console()
    _show_figures(console, run.figures, run.uncontrolled, run.status)
    _show_deeds(console, run.figures, run.columns("trades"), run.columns("cars"))
    show_settlement(console, run.settlement, run.path)
    _show_places(console, run.path, ())


def _console() -> Console:
    return Console(highlight=False, soft_wrap=False)


def _show_figures(
    console: Console, figures: Figures, uncontrolled: Figures | None, status: Status = "complete"
) -> None:
    wall_s = words.plain(figures["timing"]["wall_s"])
    console.print(
        f"Street {figures['scenario']}, {figures['controller']}, seed {figures['seed']}:"
        f" {figures['sessions']} charging sessions, {figures['engine']} engine, {wall_s} s",
        markup=False,
    )
    console.print(
        f"\n{headline({**figures, 'uncontrolled': uncontrolled, 'status': status})}\n", style="bold", markup=False
    )
    columns = [*([uncontrolled] if uncontrolled else []), figures]
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for column in columns:
        name = "nobody in control" if column["controller"] == "uncontrolled" else column["controller"]
        table.add_column(name, justify="right")
    for label, cell in _ROWS:
        table.add_row(label, *(cell(column) for column in columns))
    console.print(table)
    _show_feeders(console, figures)
    if figures["fallback_unsafe_w"]:
        unsafe_kw = words.kilo(figures["fallback_unsafe_w"])
        console.print(
            f"\nNote: without the network, homes and guaranteed minima alone exceed the limit by {unsafe_kw} kW."
        )
    show_failures(console, figures)


def _show_feeders(console: Console, figures: Figures) -> None:
    """Each feeder by name, where there are several: the figures above are of all together."""
    feeders = figures.get("feeders") or []
    if not feeders:
        return
    console.print()
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for feeder in feeders:
        table.add_column(feeder["name"], justify="right")
    for label, cell in _ROWS:
        table.add_row(label, *(cell(feeder) for feeder in feeders))
    console.print(table)


_ROWS: list[tuple[str, Callable[[Figures], str]]] = [
    ("Highest load", lambda of: f"{words.kilo(of['peak_w'])} kW"),
    ("Limit", lambda of: f"{words.kilo(of['limit_w'])} kW"),
    ("Time over the limit", lambda of: f"{words.minutes(of['overload_s'])} min"),
    ("Cars that left short of energy", lambda of: f"{of['sessions_short']} of {words.departed(of)}"),
    ("Energy lent once, paid", lambda of: f"{words.kilo(of['deferred_wh'])} kWh"),
    ("Energy fed back, paid", lambda of: f"{words.kilo(of['fed_back_wh'])} kWh"),
    ("Energy cut by the last resort", lambda of: f"{words.kilo(of['forced_wh'])} kWh"),
    ("Tokens paid to cars", lambda of: f"{words.iota(of['paid_nanos'])} IOTA"),
    ("Transformer life used", lambda of: f"{words.plain(of['ageing_h'])} h"),
]


def _show_deeds(console: Console, figures: Figures, trades: Rows, cars: Rows) -> None:
    """Who kept, who gave way, who fed back."""
    if not figures["rounds"]:
        return
    choices = figures["choices"]
    console.print(f"\n{figures['rounds']} calls for relief. Of the cars that were called:")
    console.print(f"  kept charging  {choices['keep']:>6,} times")
    for kind, label in (("reduce", "gave way      "), ("feed", "fed back      ")):
        done = deeds(kind, trades, cars)
        total = f", {_total(done)}" if done else ""
        console.print(f"  {label} {choices[kind]:>6,} times{total}", markup=False)
        _show_top(console, done)


def _total(done: Sequence[Deed]) -> str:
    energy_wh, nanos = sum(deed.energy_ws for deed in done) / 3600, sum(deed.nanos for deed in done)
    cars = f"{len(done)} car{'s' if len(done) > 1 else ''}"
    return f"{cars}, {words.kilo(energy_wh)} kWh for {words.iota(nanos)} IOTA"


def _show_top(console: Console, done: Sequence[Deed]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for deed in done[:TOP]:
        kwh, tokens = words.kilo(deed.energy_ws / 3600), words.iota(deed.nanos)
        table.add_row(
            "     ",
            deed.vehicle,
            "" if deed.station == deed.vehicle else f"at {deed.station}",
            f"{kwh} kWh",
            f"{tokens} IOTA",
        )
    if done:
        console.print(table, markup=False)


def deeds(kind: str, trades: Rows, cars: Rows) -> list[Deed]:
    """What each vehicle gave under awards of this kind, the best paid first; ``cars`` knows whose session it was."""
    who = {session: (vehicle, station) for session, vehicle, station in _each(cars, "session", "vehicle", "station")}
    energy_ws: defaultdict[tuple[str, str], int] = defaultdict(int)
    nanos: defaultdict[tuple[str, str], int] = defaultdict(int)
    for session, of_kind, delivered_ws, paid in _each(trades, "session", "kind", "delivered_ws", "nanos"):
        if of_kind == kind:
            energy_ws[who[session]] += int(delivered_ws)
            nanos[who[session]] += int(paid)
    done = [Deed(*name, energy, nanos[name]) for name, energy in energy_ws.items() if energy]
    return sorted(done, key=lambda deed: (-deed.nanos, deed.vehicle))


def _each(rows: Rows, *names: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(rows[name] for name in names), strict=True)


def show_settlement(console: Console, block: Block | None, run_dir: Path | None) -> None:
    """What crossed the run's ledger, and whether it agrees with the book; nothing of a run that had none."""
    if block is None:
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for row in figures_of(block):
        table.add_row(*row)
    console.print()
    console.print(table, markup=False)
    for line in verdict(block, run_dir):
        console.print(line, markup=False, soft_wrap=True)


def _show_places(console: Console, path: Path, notes: Iterable[str]) -> None:
    console.print()
    for note in notes:
        console.print(f"Note: {note}", markup=False, soft_wrap=True)
    console.print(f"Run directory: {path}", markup=False, soft_wrap=True)
    if (path / "report.html").is_file():
        console.print(f"Report:        {path / 'report.html'}", markup=False, soft_wrap=True)
