"""A run on the terminal: what it achieved, beside the same street with nobody in control, and who did what for it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from wattswap.cli.failures import show_failures
from wattswap.experiments.formatting import controller_name, counted, iota, kilo, megabytes, minutes, plain, with_euros
from wattswap.experiments.headline import headline
from wattswap.experiments.settlement_texts import figures_of, verdict
from wattswap.runners.recording.ageing import HOTTEST_C

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from wattswap.experiments.api import Result
    from wattswap.runners.payments.run_payments import Block
    from wattswap.runners.recording.metrics import Summary
    from wattswap.runners.recording.rundir import RunFiles, Status

    Rows = Mapping[str, Iterable[Any]]

TOP = 3
"""Cars named for each choice."""


class Sale(NamedTuple):
    """What one vehicle sold under awards of one kind."""

    vehicle: str
    station: str
    energy_ws: int
    nanos: int


def show_result(result: Result) -> None:
    """Print a run that has just ended."""
    from wattswap.experiments.tables import table_of

    figures = result.summary
    console = _console()
    _show_figures(console, figures, None if result.twin is result else result.uncontrolled)
    trades, cars = (table_of(name, result.street, result.record, result.ticks) for name in ("trades", "cars"))
    _show_sales(console, figures, trades, cars)
    show_settlement(console, figures.get("settlement"), result.out)
    if result.out is not None:
        _show_places(console, result.out, result.notes)


def show_run(run: RunFiles, notes: Iterable[str] = ()) -> None:
    """Print a run directory, and notes on what could not be done with it."""
    console = _console()
    _show_figures(console, run.figures, run.uncontrolled, run.status)
    trades = run.columns("trades", ("session", "kind", "delivered_ws", "nanos"))
    _show_sales(console, run.figures, trades, run.columns("cars", ("session", "vehicle", "station", "activity")))
    show_settlement(console, run.settlement, run.path)
    _show_places(console, run.path, notes)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=False)


def _show_figures(
    console: Console, figures: Summary, uncontrolled: Summary | None, status: Status = "complete"
) -> None:
    wall_s = plain(figures["timing"]["wall_s"])
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
        controller = column["controller"]
        name = "nobody in control" if controller == "uncontrolled" else controller_name(controller)
        table.add_column(name, justify="right")
    for label, cell in _ROWS:
        table.add_row(label, *(cell(column) for column in columns))
    console.print(table)
    _show_feeders(console, figures)
    if figures["fallback_unsafe_w"]:
        unsafe_kw = kilo(figures["fallback_unsafe_w"])
        console.print(
            f"\nNote: without the network, homes and guaranteed minima alone exceed the limit by {unsafe_kw} kW."
        )
    if figures.get("deferral_eur_per_year"):
        which = "larger transformers are together" if figures["feeders"] else "a larger transformer is"
        price_eur = plain(figures["upgrade_eur"])
        console.print(f"\nNote: {which} assumed to cost {price_eur} EUR (upgrade_eur).")
    show_failures(console, figures)


def _show_feeders(console: Console, figures: Summary) -> None:
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


def _of_those_who_gave_way(figures: Summary, key: str) -> str:
    """So many of those who gave way; nothing of a run that does not tell, or in which nobody did."""
    return f"{figures[key]} of {figures['gave_way']}" if figures.get("gave_way") else "–"


def _money(figures: Summary, key: str) -> str:
    return with_euros(figures[key], figures.get("eur_per_iota", 0))


def _euros_a_year(amount: float) -> str:
    return f"{amount:,.0f} EUR a year" if amount else "–"


def _can_age(figures: Summary) -> bool:
    """Whether the transformer stayed below what the standard of ageing covers at all."""
    return bool(figures["hot_spot_c"] <= HOTTEST_C)


def _sellers(figures: Summary) -> str:
    """How many sold, and how many of them earned less than it cost them."""
    return f"{figures['sellers']}, {figures['sellers_losing'] or 'none'} at a loss" if figures["sellers"] else "0"


_ROWS: list[tuple[str, Callable[[Summary], str]]] = [
    ("Highest load", lambda of: f"{kilo(of['peak_w'])} kW"),
    ("Limit", lambda of: f"{kilo(of['limit_w'])} kW"),
    ("Time over the limit", lambda of: f"{minutes(of['overload_s'])} min"),
    ("Time above 92 % of the limit", lambda of: f"{minutes(of['near_limit_s'])} min"),
    ("Sessions left short", lambda of: f"{of['sessions_short']} of {_departed(of)}"),
    ("Sessions that gave way and left full", lambda of: _of_those_who_gave_way(of, "gave_way_full")),
    ("… and were left short", lambda of: _of_those_who_gave_way(of, "gave_way_short")),
    ("… and are still here", lambda of: _of_those_who_gave_way(of, "gave_way_open")),
    ("Deferred energy", lambda of: f"{kilo(of['deferred_wh'])} kWh"),
    ("Energy fed back", lambda of: f"{kilo(of['fed_back_wh'])} kWh"),
    ("Energy cut by the last resort", lambda of: f"{kilo(of['forced_wh'])} kWh"),
    ("What waiting cost all cars", lambda of: _money(of, "waiting_cost_nanos")),
    ("What feeding cost all owners", lambda of: _money(of, "feeding_cost_nanos")),
    ("Tokens paid to cars", lambda of: _money(of, "paid_nanos")),
    ("Rent still open", lambda of: _money(of, "rent_open_nanos")),
    ("Sessions that sold waiting", _sellers),
    ("Transformer life used", lambda of: f"{plain(of['ageing_h'])} h" if _can_age(of) else "beyond IEC 60076-7"),
    ("Its hottest spot", lambda of: f"{of['hot_spot_c']:.0f} °C" if _can_age(of) else f"over {HOTTEST_C:.0f} °C"),
    ("Larger transformer put off", lambda of: _euros_a_year(of.get("deferral_eur_per_year", 0))),
]


def _departed(figures: Summary) -> int:
    """How many sessions left during the run."""
    return int(figures["sessions"] - figures["sessions_open"])


def _show_sales(console: Console, figures: Summary, trades: Rows, cars: Rows) -> None:
    """Who kept charging, who deferred energy, who fed back."""
    if not figures["rounds"]:
        return
    choices = figures["choices"]
    console.print(f"\n{figures['rounds']} calls for relief. Of the cars that were called:")
    console.print(f"  kept charging  {choices['keep']:>6,} times")
    for kind, label in (("reduce", "deferred      "), ("feed", "fed back      ")):
        done = sales(kind, trades, cars)
        sold = _each(trades, "session", "kind", "delivered_ws")
        sessions = {session for session, of_kind, delivered_ws in sold if of_kind == kind and delivered_ws}
        total = f", {_total(done, len(sessions))}" if done else ""
        console.print(f"  {label} {choices[kind]:>6,} times{total}", markup=False)
        _show_top(console, done)


def _total(done: Sequence[Sale], sessions: int) -> str:
    energy_wh, nanos = sum(sale.energy_ws for sale in done) / 3600, sum(sale.nanos for sale in done)
    who = f"{counted(len(done), 'car')} in {counted(sessions, 'session')}"
    return f"{who}, {kilo(energy_wh)} kWh for {iota(nanos)} IOTA"


def _show_top(console: Console, done: Sequence[Sale]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for sale in done[:TOP]:
        kwh, tokens = kilo(sale.energy_ws / 3600), iota(sale.nanos)
        table.add_row(
            "     ",
            sale.vehicle,
            "" if sale.station == sale.vehicle else f"at {sale.station}",
            f"{kwh} kWh",
            f"{tokens} IOTA",
        )
    if done:
        console.print(table, markup=False)


def sales(kind: str, trades: Rows, cars: Rows) -> list[Sale]:
    """What each vehicle sold under awards of this kind, the best paid first; ``cars`` names each session's vehicle."""
    who = {session: (vehicle, station) for session, vehicle, station in _each(cars, "session", "vehicle", "station")}
    energy_ws: defaultdict[tuple[str, str], int] = defaultdict(int)
    nanos: defaultdict[tuple[str, str], int] = defaultdict(int)
    for session, of_kind, delivered_ws, paid in _each(trades, "session", "kind", "delivered_ws", "nanos"):
        if of_kind == kind:
            energy_ws[who[session]] += int(delivered_ws)
            nanos[who[session]] += int(paid)
    done = [Sale(*name, energy, nanos[name]) for name, energy in energy_ws.items() if energy]
    return sorted(done, key=lambda sale: (-sale.nanos, sale.vehicle))


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
    console.print(f"Run directory: {path} ({megabytes(path)})", markup=False, soft_wrap=True)
    if (path / "report.html").is_file():
        console.print(f"Report:        {path / 'report.html'}", markup=False, soft_wrap=True)
