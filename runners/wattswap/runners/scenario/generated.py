"""Sessions drawn for a street that has no recording of its own, after those of the bundled week.

Each day a car charges with the recorded frequency of that day of the week. Its session is a recorded one of that day,
moved by half an hour or so, its stay and energy each changed by a tenth or so: a mixture with one small hill around
each recorded session, so that hour, stay and energy keep to one another as they did. A car that is
still plugged in when its next session would begin lets that one be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.draws import agent_key, draw, uniform
from wattswap.protocol.units import MS_PER_HOUR, Purpose
from wattswap.runners.scenario.bundled import DATA
from wattswap.runners.scenario.profiles import normal_q16
from wattswap.runners.scenario.schema import Scenario, SessionsFile
from wattswap.runners.scenario.tables import read_table
from wattswap.runners.scenario.visits import SessionTable, Visit, energy_ws, table_of
from wattswap.runners.scenario.zones import Redating, zone_named

RECORDED: Final = DATA / "sessions" / "A400_sessions.csv"
_DAYS_BEFORE: Final = 3
"""So many days before the start, for cars that are plugged in when the run begins."""
_MOVED_MS: Final = MS_PER_HOUR // 2
_CHANGED: Final = 0.1
_LEAST: Final = 0.5
_Q16: Final = 1 << 16


@dataclass(frozen=True)
class _Recorded:
    """The recorded sessions of one day of the week, and how many of the cars charged on it."""

    hour_ms: list[int]
    stay_ms: list[int]
    energy_ws: list[int]
    frequency: float


def generated_sessions(scenario: Scenario, seed: int, sessions: SessionsFile, feeder: str) -> SessionTable:
    """The sessions of the scenario's days, with a week's nights before it; a car draws under its own name and seed."""
    sha256, recorded = _recorded()
    clock = zone_named(sessions.zone) if sessions.zone else scenario.start.tzinfo
    first = scenario.start.astimezone(clock).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [first + timedelta(days=day) for day in range(-_DAYS_BEFORE, scenario.days + 1)]
    names = [f"car-{number:03}" for number in range(1, sessions.generated_cars + 1)]
    visits = [
        visit for name in names for visit in _visits_of(name, agent_key(f"{feeder}/{name}"), days, recorded, seed)
    ]
    return table_of(sha256, visits, Redating(), stated=False)


def _visits_of(name: str, key: int, days: list[datetime], recorded: list[_Recorded], seed: int) -> Iterator[Visit]:
    """One car's sessions, in order; the draws of a day depend on its date, so a longer run keeps them."""
    keys = np.full(len(days), key, dtype=np.uint64)
    date = np.array([day.toordinal() for day in days], dtype=np.int64)
    charges, chosen = (_share(seed, keys, date, index) for index in (0, 1))
    moved, longer, more = (
        normal_q16(seed, np.full(len(days), agent_key(f"{key}/{what}"), dtype=np.uint64), Purpose.SESSION, date) / _Q16
        for what in ("moved", "longer", "more")
    )
    free_ms = 0
    for at, day in enumerate(days):
        of_day = recorded[day.weekday()]
        row = int(chosen[at] * len(of_day.hour_ms))
        arrival = day + timedelta(milliseconds=of_day.hour_ms[row] + round(moved[at] * _MOVED_MS))
        visit = Visit(
            session_id=f"{name}-{day:%Y%m%d}",
            station_id=name,
            user_id=name,
            arrival=arrival.replace(microsecond=0),
            departure_ms=0,
            energy_ws=round(of_day.energy_ws[row] * max(1 + more[at] * _CHANGED, _LEAST)),
        )
        departure_ms = visit.arrival_ms + round(of_day.stay_ms[row] * max(1 + longer[at] * _CHANGED, _LEAST))
        if charges[at] < of_day.frequency and visit.arrival_ms >= free_ms:
            free_ms = departure_ms
            yield replace(visit, departure_ms=departure_ms)


def _share(seed: int, keys: NDArray[np.uint64], date: NDArray[np.int64], index: int) -> NDArray[np.float64]:
    return uniform(draw(seed, keys, Purpose.SESSION, date, index=index))


def _recorded() -> tuple[str, list[_Recorded]]:
    """The bundled week's sessions by day of the week, Monday first, and its file's sha256."""
    table = read_table(RECORDED, ("station_id", "arrival", "departure", "energy_kwh"))
    arrivals = [cell.stamp() for cell in table.column("arrival")]
    departures = [cell.stamp() for cell in table.column("departure")]
    energies = [energy_ws(cell) for cell in table.column("energy_kwh")]
    cars = len({cell.text for cell in table.column("station_id")})
    days = []
    for weekday in range(7):
        rows = [row for row, arrival in enumerate(arrivals) if arrival.weekday() == weekday]
        days.append(
            _Recorded(
                hour_ms=[round(_since_midnight(arrivals[row]) / timedelta(milliseconds=1)) for row in rows],
                stay_ms=[round((departures[row] - arrivals[row]) / timedelta(milliseconds=1)) for row in rows],
                energy_ws=[energies[row] for row in rows],
                frequency=len(rows) / cars,
            )
        )
    return table.sha256, days


def _since_midnight(stamp: datetime) -> timedelta:
    return stamp - stamp.replace(hour=0, minute=0, second=0, microsecond=0)
