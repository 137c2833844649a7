"""Histories of a street in which nothing happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wattswap.runners.watching.history import FEEDER_COLUMNS, LISTS, CarCard, Cursor, FeederCard, Head, History, NewRows

if TYPE_CHECKING:
    from collections.abc import Iterator

RATING_VA = 400_000
CARS = [
    CarCard(
        session=f"S{number}",
        station=f"C{number}",
        vehicle=f"car-{number}",
        strategy="need",
        arrival_tick=0,
        departure_tick=90,
        need_ws=1,
        battery_wh=60_000,
    )
    for number in range(2)
]


def history_of(ticks: int) -> History:
    """A street with two cars that do nothing."""
    history = History()
    head = Head(
        name="lane",
        controller="negotiated",
        start_ms=0,
        utc_offset_ms=0,
        tick_ms=30_000,
        all_ticks=ticks,
        feeders=[FeederCard(name="", most_limit_w=RATING_VA)],
        is_live=True,
    )
    history.begin(head, CARS)
    history.add(ticks=[[tick] * len(FEEDER_COLUMNS) for tick in range(ticks)])
    return history


def parts_of(history: History, cursor: Cursor | None = None) -> Iterator[NewRows]:
    """All that a history tells after its head, part by part."""
    cursor = cursor or Cursor()
    while news := history.since(cursor):
        told, cursor = news
        if isinstance(told, NewRows):
            yield told


def lists_of(history: History) -> dict[str, list[Any]]:
    """All that a history tells."""
    parts = list(parts_of(history))
    return {name: [row for part in parts for row in getattr(part, name)] for name in LISTS}
