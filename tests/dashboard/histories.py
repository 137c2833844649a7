"""Histories of a street in which nothing happens."""

from __future__ import annotations

from wattswap.experiments.dashboard.history import FEEDER_COLUMNS, CarCard, FeederCard, Head, History

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
    )
    for number in range(2)
]


def history_of(ticks: int) -> History:
    """A street with two cars that do nothing."""
    history = History()
    history.head = Head(
        name="lane",
        controller="negotiated",
        start_ms=0,
        utc_offset_ms=0,
        tick_ms=30_000,
        all_ticks=ticks,
        feeders=[FeederCard(name="", most_limit_w=RATING_VA)],
        is_live=True,
        cars=CARS,
        battery_wh=[60_000] * len(CARS),
    )
    history.add(ticks=[[tick] * len(FEEDER_COLUMNS) for tick in range(ticks)])
    return history
