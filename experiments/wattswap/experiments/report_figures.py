"""The figures of a report: one table, this run beside the street that nobody controlled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wattswap.experiments.formatting import minutes
from wattswap.experiments.headline import uncontrolled
from wattswap.experiments.markup import element, table
from wattswap.experiments.run_tables import UNCONTROLLED, RunTables
from wattswap.protocol.units import NANOS_PER_IOTA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def kwh(wh: float) -> str:
    """Kilowatt-hours, or kilowatts, with one digit."""
    return f"{wh / 1000:,.1f}"


def iota(nanos: float) -> str:
    """IOTA with two digits."""
    return f"{nanos / NANOS_PER_IOTA:,.2f}"


def _count(number: float) -> str:
    return f"{number:,}"


_FIGURES: Final[Sequence[tuple[str, str, Callable[[float], str]]]] = (
    ("Minutes over the limit", "overload_s", minutes),
    ("Energy over the limit, kWh", "overload_wh", kwh),
    ("Highest load, kW", "peak_w", kwh),
    ("Times the load rose over the limit", "oscillations", _count),
    ("Minutes in which homes alone are over the limit", "homes_over_s", minutes),
    ("Minutes above 92 % of the limit", "near_limit_s", minutes),
    ("Hours of life the transformer lost", "ageing_h", lambda hours: f"{hours:,.2f}"),
    ("Its hottest spot, °C; beyond 180 life is reckoned as at 180", "hot_spot_c", lambda hot_c: f"{hot_c:.1f}"),
    ("Charging sessions", "sessions", _count),
    ("… still plugged in at the end", "sessions_open", _count),
    ("… that were left short", "sessions_short", _count),
    ("Sessions that gave way", "gave_way", _count),
    ("… and left full", "gave_way_full", _count),
    ("… and were left short", "gave_way_short", _count),
    ("… and are still plugged in", "gave_way_open", _count),
    ("Energy missing at departure, kWh", "unserved_wh", kwh),
    ("Energy owed × time, kWh h", "waiting_wh_h", kwh),
    ("What waiting cost all cars, by each owner's own price, IOTA", "waiting_cost_nanos", iota),
    ("What feeding cost all owners, wear and losses, IOTA", "feeding_cost_nanos", iota),
    ("Stops while charging, per session", "stops", lambda stops: f"{stops:.2f}"),
    ("Calls for relief", "rounds", _count),
    ("Deferred energy: charging put off for tokens, kWh", "deferred_wh", kwh),
    ("Fed back by cars and batteries, kWh", "fed_back_wh", kwh),
    ("Cut by the last resort, kWh", "forced_wh", kwh),
    ("Sessions that sold waiting", "sellers", _count),
    ("… that earned less than it cost them", "sellers_losing", _count),
    ("What they earned beyond what waiting cost them, IOTA", "sellers_gain_nanos", iota),
    ("Paid for waiting and feeding, IOTA", "paid_nanos", iota),
    ("Rent still open, as if all that is owed came back at the end; not paid yet, IOTA", "rent_open_nanos", iota),
    ("Energy bills of cars that left, IOTA", "billed_nanos", iota),
    ("Evenness of waiting (Jain; 1: all alike)", "jain_waiting", lambda index: f"{index:.2f}"),
    ("Evenness of tokens (Jain; 1: all alike)", "jain_tokens", lambda index: f"{index:.2f}"),
)


def side_by_side(tables: RunTables) -> tuple[str, str]:
    """This run's figures, beside those of the uncontrolled street where they were reckoned."""
    about, other = tables.summary, uncontrolled(tables.summary)
    name = str(about.get("controller", "this run"))
    columns = [about, other] if other else [about]
    rows = [
        [words, *(say(column[key]) if key in column else "–" for column in columns)]
        for words, key, say in _FIGURES
        if key in about
    ]
    head = ["", name, UNCONTROLLED] if other else ["", name]
    title = f"Side by side: {name} and {UNCONTROLLED}" if other else "Figures"
    return title, table(head, rows, wrap=True) + _euros(about) if rows else ""


def _euros(figures: Mapping[str, Any]) -> str:
    """What was paid in euros, at the scenario's rate."""
    rate, nanos = figures.get("eur_per_iota"), figures.get("paid_nanos")
    if not (rate and nanos):
        return ""
    text = (
        f"At {rate:g} EUR per IOTA, a rate of the scenario, what was paid is {nanos / NANOS_PER_IOTA * rate:,.2f} EUR."
    )
    return element("p", text)
