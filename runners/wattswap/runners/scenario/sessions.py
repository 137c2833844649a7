"""Charging sessions: from a CSV to arrays in file order, and what the agents are told about departures.

``energy_kwh`` is AC energy at the charger. ``max_kw`` is a note only: the scenario's ``chargers.max_w`` rules.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.draws import agent_key
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_HOUR, WS_PER_KWH, Purpose
from wattswap.runners.scenario.profiles import normal_q16
from wattswap.runners.scenario.tables import Cell, Table, read_table

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

COLUMNS: Final = ("session_id", "station_id", "arrival", "departure", "energy_kwh", "user_id")
"""What a file must have; ``user_id`` may be empty. ``max_kw`` is never read, so it may be left out."""
ESTIMATE: Final = "estimated_departure"
MOST_KWH: Final = 1000
_ERROR = re.compile(r"error:(\d+(?:\.\d+)?)h")
_MOST_ERROR_H: Final = 1000


@dataclass(frozen=True)
class SessionTable:
    """Every session of a file, row i = its i-th row; instants in ms since 1970 in UTC, all int64 arrays."""

    sha256: str
    session_id: tuple[str, ...]
    station_id: tuple[str, ...]
    user_id: tuple[str, ...]
    """The user, or the session itself where the file names none."""
    vehicle_id: tuple[str, ...]
    """The user; ``<user>@<station>`` for one who is plugged in at two stations at the same time somewhere in the
    file, because one car cannot be. Decided on the whole file, so a day names its cars as the week does."""
    arrival_ms: Ints
    departure_ms: Ints
    estimated_ms: Ints | None
    """Column ``estimated_departure``, where the file has it and it was asked for."""
    energy_ws: Ints


def read_sessions(path: Path, departure: str = "actual") -> SessionTable:
    """Read a session file; ``departure`` is the scenario's key, ``stated`` asks for a further column."""
    table = read_table(path, _columns(departure))
    session_id = _unique(table)
    station_id = tuple(_filled(cell) for cell in table.column("station_id"))
    user_id = tuple(_printable(cell) or name for cell, name in zip(table.column("user_id"), session_id, strict=True))
    arrival_ms = _instants(table, "arrival")
    departure_ms = _departures(table, arrival_ms)
    _refuse_overlap(table, session_id, station_id, arrival_ms, departure_ms)
    return SessionTable(
        sha256=table.sha256,
        session_id=session_id,
        station_id=station_id,
        user_id=user_id,
        vehicle_id=_vehicles(user_id, station_id, arrival_ms, departure_ms),
        arrival_ms=arrival_ms,
        departure_ms=departure_ms,
        estimated_ms=_instants(table, ESTIMATE) if departure == "stated" else None,
        energy_ws=np.array([_energy_ws(cell) for cell in table.column("energy_kwh")], dtype=np.int64),
    )


def departure_error_ms(departure: str) -> int | None:
    """The standard deviation in ms that ``error:<n>h`` asks for; None if ``departure`` is not of that form."""
    match = _ERROR.fullmatch(departure)
    if match is None or float(match[1]) > _MOST_ERROR_H:
        return None
    return round(float(match[1]) * MS_PER_HOUR)


def departure_errors(departure: str, seed: int, key: Keys) -> Ints:
    """How far each stated departure is off, in ms, shape as ``key``: near-normal, drawn by seed and session."""
    deviation_ms = departure_error_ms(departure) or 0
    drawn_q16 = normal_q16(seed, key, Purpose.DEPARTURE, np.zeros(len(key), dtype=np.int64))
    return (drawn_q16 * deviation_ms) >> 16


def keys_of(names: Sequence[str]) -> Keys:
    """The agents' draw keys, shape (names,)."""
    return np.array([agent_key(name) for name in names], dtype=np.uint64)


def _columns(departure: str) -> tuple[str, ...]:
    return (*COLUMNS, ESTIMATE) if departure == "stated" else COLUMNS


def _unique(table: Table) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    for cell in table.column("session_id"):
        name = _filled(cell)
        if name in seen:
            raise cell.wrong(f"session {name} stands already in line {seen[name]}; give each session its own id")
        seen[name] = cell.line
    return tuple(seen)


def _filled(cell: Cell) -> str:
    if not cell.text:
        raise cell.wrong("the field is empty; every row needs one")
    return _printable(cell)


def _printable(cell: Cell) -> str:
    if not cell.text.isprintable():
        raise cell.wrong(f"{cell.text!r} holds a character that cannot be printed; take it out")
    return cell.text


def _instants(table: Table, column: str) -> Ints:
    return np.array([cell.instant_ms() for cell in table.column(column)], dtype=np.int64)


def _departures(table: Table, arrival_ms: Ints) -> Ints:
    departure_ms = _instants(table, "departure")
    for cell, arrival, departure in zip(table.column("departure"), arrival_ms, departure_ms, strict=True):
        if departure < arrival:
            raise cell.wrong(f"{cell.text} is before the arrival; correct one of them or drop the row")
    return departure_ms


def _energy_ws(cell: Cell) -> int:
    energy_kwh = cell.number()
    if not 0 <= energy_kwh <= MOST_KWH:
        raise cell.wrong(f"{cell.text} kWh is not between 0 and {MOST_KWH}; is the column in kWh?")
    return round(energy_kwh * WS_PER_KWH)


def _refuse_overlap(
    table: Table, session_id: tuple[str, ...], station_id: tuple[str, ...], arrival_ms: Ints, departure_ms: Ints
) -> None:
    """One charger serves one car at a time."""
    lines = [line for line, _ in table.rows]
    for station, first, second in _overlaps(station_id, arrival_ms, departure_ms):
        raise InputError(
            f"{table.file}, lines {lines[first]} and {lines[second]}, column station_id: sessions {session_id[first]}"
            f" and {session_id[second]} overlap at charger {station}; end the first before the second arrives"
        )


def _overlaps(group: tuple[str, ...], arrival_ms: Ints, departure_ms: Ints) -> list[tuple[str, int, int]]:
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
    several = {user for user, _, _ in _overlaps(user_id, arrival_ms, departure_ms)}
    return tuple(
        f"{user}@{station}" if user in several else user for user, station in zip(user_id, station_id, strict=True)
    )
