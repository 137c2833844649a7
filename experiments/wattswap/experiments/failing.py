"""What went wrong in a run and what that cost, for the terminal and for the report."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from wattswap.experiments.markup import element, table
from wattswap.experiments.words import NANOS
from wattswap.runners.calm import MORE
from wattswap.runners.faults import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Figures = Mapping[str, Any]

TITLE: Final = "What went wrong, and what it cost"
HEAD: Final = ("", "nothing goes wrong", "this run", "difference")


def mishaps(figures: Figures) -> list[str]:
    """What went wrong, in short sentences; none on a perfect network."""
    faults = figures.get("faults")
    if not faults:
        return []
    sent, lost, repeated, delayed, unheard, crashes, restarts, freezes, partitions = (
        f"{faults[tally.name]:,}" for tally in fields(Tally)
    )
    return [
        f"{sent} messages: {lost} lost, {repeated} came twice, {delayed} came late",
        f"{crashes} crashes, {restarts} restarts; {unheard} messages came to whoever was down",
        f"{freezes} freezes, {partitions} times somebody was cut off",
    ]


def costs(figures: Figures) -> list[tuple[str, str, str, str]]:
    """A row for each figure in which failure shows: without it, with it, the difference.

    None for a run on a perfect network, and none for one that did not get to its end.
    """
    faults = figures.get("faults") or {}
    return [
        (label, say(figures[key] - faults[f"{MORE}{key}"]), say(figures[key]), _signed(faults[f"{MORE}{key}"], say))
        for label, key, say in _COSTS
        if f"{MORE}{key}" in faults
    ]


def failing(figures: Figures) -> Iterator[str]:
    """The same as parts of a page."""
    told, rows = mishaps(figures), costs(figures)
    if told:
        yield element("p", "; ".join(told), ".")
    if rows:
        yield element("p", "The same street, with nothing going wrong and with all of this:")
        yield table(HEAD, rows, wrap=True)


_COSTS: Final[tuple[tuple[str, str, Callable[[float], str]], ...]] = (
    ("Time over the limit, min", "overload_s", lambda seconds: f"{seconds / 60:,.1f}"),
    ("Energy missing at departure, kWh", "unserved_wh", lambda wh: f"{wh / 1000:,.1f}"),
    ("Energy cut by the last resort, kWh", "forced_wh", lambda wh: f"{wh / 1000:,.1f}"),
    ("Tokens paid to cars, IOTA", "paid_nanos", lambda nanos: f"{nanos / NANOS:,.2f}"),
    ("Stops while charging", "stops_total", lambda stops: f"{stops:,}"),
)


def _signed(difference: float, say: Callable[[float], str]) -> str:
    return f"+{say(difference)}" if difference > 0 else say(difference)
