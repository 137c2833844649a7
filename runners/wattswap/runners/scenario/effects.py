"""Inputs without effect: sessions and events that no tick of the run sees, told in a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.units import MS_PER_S, WS_PER_KWH
from wattswap.runners.scenario.profiles import Ticks
from wattswap.runners.scenario.schema import Event, Scenario
from wattswap.runners.scenario.tables import few, unix_ms
from wattswap.runners.scenario.visits import SessionTable

Ints = NDArray[np.int64]


def lost_sessions(tables: Sequence[tuple[SessionTable, Ints]], ticks: Ticks, *, whole: bool) -> tuple[str, ...]:
    """Notes on sessions that no tick of the run sees; ``whole`` is a run of all its days.

    One day of a week leaves out the others' sessions as asked, so there only what rounding emptied is told.
    """
    arrival_ms, departure_ms, energy_ws = (
        np.concatenate([getattr(table, column)[rows] for table, rows in tables])
        for column in ("arrival_ms", "departure_ms", "energy_ws")
    )
    inside = (departure_ms > ticks.start_ms) & (arrival_ms < ticks.end_ms)
    if whole and len(inside) and not inside.any():
        return (
            f"no session lies in the run: {len(inside)} of {len(inside)} left out; change start, days or shift_days",
        )
    first, last = first_tick(arrival_ms, ticks), (departure_ms - ticks.start_ms) // ticks.tick_ms
    emptied = inside & (np.maximum(first, 0) >= np.minimum(last, ticks.count))
    if not emptied.any():
        return ()
    lost_kwh = energy_ws[emptied].sum() / WS_PER_KWH
    why = f"because no whole tick of {ticks.tick_ms // MS_PER_S} s lies in their time in the run"
    names = [table.session_id[row] for table, rows in tables for row in rows.tolist()]
    named = few(names[at] for at in np.flatnonzero(emptied))
    return (f"{emptied.sum()} of {inside.sum()} sessions left out, {why}: {lost_kwh:.1f} kWh, {named}",)


def lost_events(scenario: Scenario, ticks: Ticks, *, whole: bool) -> tuple[str, ...]:
    """Notes on events that hold in no tick; of one day of a week only those that lie in it."""
    return tuple(_lost_events(scenario, ticks, whole=whole))


def _lost_events(scenario: Scenario, ticks: Ticks, *, whole: bool) -> Iterator[str]:
    for number, event in enumerate(scenario.event):
        inside = unix_ms(event.to) > ticks.start_ms and unix_ms(event.from_) < ticks.end_ms
        if event_ticks(event, ticks) == slice(0, 0) and (whole or inside):
            why = (
                f"it begins and ends between two of {ticks.tick_ms // MS_PER_S} s" if inside else "it is not in the run"
            )
            yield f"event.{number} holds in no tick: {why}"


def event_ticks(event: Event, ticks: Ticks) -> slice:
    """The ticks an event holds in: from the first that starts at or after it; (0, 0) where there are none."""
    first, last = (int(first_tick(unix_ms(stamp), ticks)) for stamp in (event.from_, event.to))
    found = slice(max(first, 0), min(max(last, 0), ticks.count))
    return found if found.start < found.stop else slice(0, 0)


def first_tick(at_ms: Ints | int, ticks: Ticks) -> Ints | int:
    """The first tick that starts at or after these instants."""
    return -((ticks.start_ms - at_ms) // ticks.tick_ms)
