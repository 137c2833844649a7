"""What every source of sessions has in common: from single visits to arrays in file order.

A row that says nothing a run could use (no plug-out, no time at the charger) is left out of a raw recording, and the
table's notes say how many there were. What cannot be true is refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import count, islice, pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_HOUR, WS_PER_KWH
from wattswap.runners.scenario.names import apart
from wattswap.runners.scenario.tables import Cell, unix_ms
from wattswap.runners.scenario.zones import Redating

Ints = NDArray[np.int64]

MOST_KWH: Final = 1000
LONG_MS: Final = 48 * MS_PER_HOUR
"""Sessions longer than this are kept, and counted in the notes of a raw recording."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One session as its file tells it; instants in ms since 1970 in UTC."""

    session_id: str
    station_id: str
    user_id: str
    """Empty where the file names none."""
    arrival: datetime
    """By the clock it was recorded by."""
    departure_ms: int
    energy_ws: int
    stated_ms: int | None = None
    """The departure the driver stated; None where there is none, or none was asked for."""
    feeder: str = ""
    """The feeder it is on, where the file says so."""

    @property
    def arrival_ms(self) -> int:
        """The arrival in ms since 1970 in UTC."""
        return unix_ms(self.arrival)


class UserRows(NamedTuple):
    """The rows of each user of a table, user by user in the order in which they first stand there."""

    rows: Ints
    first: Ints
    """Where in ``rows`` those of each user begin, shape (users,)."""
    counts: Ints
    """How many each has, shape (users,)."""


@dataclass(frozen=True)
class SessionTable:
    """Every session of a file, row i = its i-th; instants in ms since 1970 in UTC, all int64 arrays."""

    sha256: str
    session_id: Sequence[str]
    station_id: Sequence[str]
    """``<station>#2`` (and so on) for one of a raw recording that arrives while the station is taken."""
    user_id: Sequence[str]
    """The user, or the session itself where the file names none."""
    vehicle_id: Sequence[str]
    """The user; ``<user>@<station>`` for one who is plugged in at two stations at the same time somewhere in the
    file, because one car cannot be. Decided on the whole file, so a day names its cars as the week does."""
    arrival_ms: Ints
    departure_ms: Ints
    estimated_ms: Ints | None
    """The departures the drivers stated, where they were asked for."""
    energy_ws: Ints
    feeder: tuple[str, ...] = ()
    """The feeder of each session; no entries where the file does not say."""
    notes: tuple[str, ...] = ()
    """What the reader left out or had to decide, one sentence each."""

    @cached_property
    def of_users(self) -> UserRows:
        """Which rows are whose."""
        number_of: dict[str, int] = {}
        numbers = np.array([number_of.setdefault(user, len(number_of)) for user in self.user_id], dtype=np.int64)
        counts = np.bincount(numbers, minlength=len(number_of))
        return UserRows(np.argsort(numbers, kind="stable"), np.cumsum(counts) - counts, counts)


def no_sessions() -> SessionTable:
    """The table of a street where nobody charges."""
    none = np.zeros(0, dtype=np.int64)
    return SessionTable("", (), (), (), (), none, none, none, none)


@dataclass
class VisitCounts:
    """Counts, while a raw recording is read, what is left out of it and what had to be decided."""

    file: Path
    left_out: Counter[str]
    decided: Counter[str]

    @classmethod
    def of(cls, file: Path) -> VisitCounts:
        """An empty tally for this file."""
        return cls(file, Counter(), Counter())

    def keeps(self, arrival_ms: int, departure_ms: int | None) -> bool:
        """Whether a session with these ends can be used; if not, it is counted as left out."""
        if departure_ms is None:
            self.left_out["they have no plug-out"] += 1
        elif departure_ms == arrival_ms:
            self.left_out["they end when they begin"] += 1
        elif departure_ms - arrival_ms > LONG_MS:
            self.decided["last over 48 h and are kept"] += 1
        return departure_ms is not None and departure_ms > arrival_ms

    def notes(self, kept: int) -> tuple[str, ...]:
        """One sentence for each count, what was left out first."""
        name, total = self.file.name, kept + self.left_out.total()
        left_out = (f"{name}: {many} of {total} sessions left out: {why}" for why, many in self.left_out.items())
        decided = (f"{name}: {many} of {kept} sessions {what}" for what, many in self.decided.items())
        return (*left_out, *decided)


def raw_table(
    sha256: str, visits: Sequence[Visit], tally: VisitCounts, redating: Redating, *, stated: bool
) -> SessionTable:
    """The table of a raw recording, with points of their own for sessions that overlap, and its notes."""
    if not visits:
        reasons = "; ".join(f"{many} of them: {why}" for why, many in tally.left_out.items())
        raise InputError(f"{tally.file}: no session can be used ({reasons or 'the list is empty'}); name another file")
    table = table_of(sha256, visits, redating, stated=stated)
    moved = sum(one != visit.station_id for one, visit in zip(table.station_id, visits, strict=True))
    if moved:
        tally.decided["arrive while their station is taken and get a point of their own (#2 and so on)"] += moved
    return replace(table, notes=tally.notes(len(visits)))


def table_of(sha256: str, visits: Sequence[Visit], redating: Redating, *, stated: bool) -> SessionTable:
    """Visits as arrays, re-dated; with ``stated``, a visit without a stated departure states the recorded one."""
    moved_ms = _ints(redating.moved_ms(visit.arrival) for visit in visits)
    arrival_ms = _ints(visit.arrival_ms for visit in visits) + moved_ms
    departure_ms = _ints(visit.departure_ms for visit in visits) + moved_ms
    told = (visit.departure_ms if visit.stated_ms is None else visit.stated_ms for visit in visits)
    user_id = tuple(visit.user_id or visit.session_id for visit in visits)
    station_id, vehicle_id = [visit.station_id for visit in visits], list(user_id)
    for rows in rows_of_feeders(visits):
        when = arrival_ms[rows], departure_ms[rows]
        stations = own_points(tuple(station_id[row] for row in rows), *when)
        vehicles = _vehicles(tuple(user_id[row] for row in rows), stations, *when)
        for row, station, vehicle in zip(rows, stations, vehicles, strict=True):
            station_id[row], vehicle_id[row] = station, vehicle
    return SessionTable(
        sha256=sha256,
        session_id=tuple(visit.session_id for visit in visits),
        station_id=tuple(station_id),
        user_id=user_id,
        vehicle_id=tuple(vehicle_id),
        arrival_ms=arrival_ms,
        departure_ms=departure_ms,
        estimated_ms=_ints(told) + moved_ms if stated else None,
        energy_ws=_ints(visit.energy_ws for visit in visits),
        feeder=tuple(visit.feeder for visit in visits) if any(visit.feeder for visit in visits) else (),
    )


def rows_of_feeders(visits: Sequence[Visit]) -> list[list[int]]:
    """The rows on each feeder. Stations and people of one name on two feeders have nothing to do with each other."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, visit in enumerate(visits):
        rows[visit.feeder].append(row)
    return list(rows.values())


def unique(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The texts of a column of names, all filled and each there once."""
    seen: dict[str, int] = {}
    for cell in cells:
        name = cell.filled()
        if name in seen:
            raise cell.wrong(f"session {name} stands already in line {seen[name]}; give each session its own id")
        seen[name] = cell.line
    return tuple(seen)


def energy_ws(cell: Cell, decimal: str = "") -> int:
    """The kilowatt-hours in a cell as watt-seconds."""
    energy_kwh = cell.number(decimal)
    if not 0 <= energy_kwh <= MOST_KWH:
        raise cell.wrong(f"{cell.text} kWh is not between 0 and {MOST_KWH}; is the column in kWh?")
    return round(energy_kwh * WS_PER_KWH)


def _ints(values: Iterator[int]) -> Ints:
    return np.array(list(values), dtype=np.int64)


def own_points(station_id: tuple[str, ...], arrival_ms: Ints, departure_ms: Ints) -> tuple[str, ...]:
    """The station each session stands at: where several share time, the first free of S, S#2, S#3 in arrival order."""
    names, taken, free_ms = list(station_id), frozenset(station_id), defaultdict[str, list[int]](list)
    for row in np.lexsort((departure_ms, arrival_ms)).tolist():
        if departure_ms[row] == arrival_ms[row]:
            continue
        points = free_ms[station_id[row]]
        point = next((at for at, free in enumerate(points) if free <= arrival_ms[row]), len(points))
        points[point : point + 1] = [int(departure_ms[row])]
        if point:
            names[row] = _point(station_id[row], point, taken)
    return tuple(names)


def _point(station: str, point: int, taken: frozenset[str]) -> str:
    """What the ``point``-th further point of a station is called: no station of the file has that name."""
    further = (f"{station}#{number}" for number in count(2))
    return next(islice((name for name in further if name not in taken), point - 1, None))


def overlaps(group: tuple[str, ...], arrival_ms: Ints, departure_ms: Ints) -> list[tuple[str, int, int]]:
    """(group, row, row) for each two neighbouring sessions of one group that share time, in order of arrival."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row in np.lexsort((departure_ms, arrival_ms)).tolist():
        if departure_ms[row] > arrival_ms[row]:
            rows[group[row]].append(row)
    return [
        (name, first, second)
        for name, mine in rows.items()
        for first, second in pairwise(mine)
        if arrival_ms[second] < departure_ms[first]
    ]


def _vehicles(
    user_id: tuple[str, ...], station_id: tuple[str, ...], arrival_ms: Ints, departure_ms: Ints
) -> tuple[str, ...]:
    """Neighbours in order of arrival tell: if any two sessions of a user share time, then two neighbours do."""
    several = {user for user, _, _ in overlaps(user_id, arrival_ms, departure_ms)}
    users = frozenset(user_id)
    return tuple(
        apart(f"{user}@{station}", users) if user in several else user
        for user, station in zip(user_id, station_id, strict=True)
    )
