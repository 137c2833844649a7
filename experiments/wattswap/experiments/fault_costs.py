"""What went wrong in a run and what that cost, for the terminal and for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wattswap.experiments.markup import element, table
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.network.fault_free_twin import MORE

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
    to_messages, to_agents = (
        ", ".join(f"{faults[key]:,} {what}" for key, what in mishaps.items() if faults[key])
        for mishaps in (_OF_MESSAGES, _OF_AGENTS)
    )
    sent = f"{faults['sent']:,} messages: {to_messages or 'all arrived at once, and once'}"
    return [sent, to_agents] if to_agents else [sent]


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
        yield element("p", "The same street when nothing goes wrong, beside this run:")
        yield table(HEAD, rows, wrap=True)


_OF_MESSAGES: Final = {
    "lost": "lost",
    "repeated": "came twice",
    "delayed": "came late",
    "unheard": "came to whoever was down",
}
_OF_AGENTS: Final = {
    "crashes": "crashes",
    "restarts": "restarts",
    "freezes": "freezes",
    "partitions": "times somebody was cut off",
}

_COSTS: Final[tuple[tuple[str, str, Callable[[float], str]], ...]] = (
    ("Time over the limit, min", "overload_s", lambda seconds: f"{seconds / 60:,.1f}"),
    ("Energy missing at departure, kWh", "unserved_wh", lambda wh: f"{wh / 1000:,.1f}"),
    ("Energy cut by the last resort, kWh", "forced_wh", lambda wh: f"{wh / 1000:,.1f}"),
    ("Tokens paid to cars, IOTA", "paid_nanos", lambda nanos: f"{nanos / NANOS_PER_IOTA:,.2f}"),
    ("Stops while charging", "stops_total", lambda stops: f"{stops:,}"),
)


def _signed(difference: float, say: Callable[[float], str]) -> str:
    return f"+{say(difference)}" if difference > 0 else say(difference)
