"""Charging sessions: from a file to arrays in file order, and what the agents are told about departures.

``energy_kwh`` is AC energy at the charger. ``max_kw`` is a note only: the scenario's ``chargers.max_w`` rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.draws import agent_key
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_HOUR, Purpose
from wattswap.runners.scenario.acn import read_acn
from wattswap.runners.scenario.profiles import normal_q16
from wattswap.runners.scenario.schema import Format
from wattswap.runners.scenario.tables import Cell, Table, read_table
from wattswap.runners.scenario.trondheim import read_trondheim
from wattswap.runners.scenario.visits import SessionTable, Visit, energy_ws, overlaps, table_of, unique
from wattswap.runners.scenario.zones import Redating

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

COLUMNS: Final = ("session_id", "station_id", "arrival", "departure", "energy_kwh", "user_id")
"""What a file must have; ``user_id`` may be empty. ``max_kw`` is never read, so it may be left out."""
ESTIMATE: Final = "estimated_departure"
AS_RECORDED: Final = Redating()
_ERROR = re.compile(r"error:(\d+(?:\.\d+)?)h")
_MOST_ERROR_H: Final = 1000


def read_sessions(
    path: Path, departure: str = "actual", source: Format = "wattswap", redating: Redating = AS_RECORDED
) -> SessionTable:
    """Read a session file of any format; ``departure`` is the scenario's key: ``stated`` asks for what drivers said.

    Raises:
        InputError: the file cannot be read or used; file, row or item, and what to do.
    """
    stated = departure == "stated"
    if source == "acn":
        return read_acn(path, redating, stated=stated)
    if source == "trondheim":
        return read_trondheim(path, redating)
    return _read_own(path, redating, stated=stated)


def _read_own(path: Path, redating: Redating, *, stated: bool) -> SessionTable:
    """Our own CSV: nothing is left out, and two sessions at one charger at a time are refused."""
    table = read_table(path, (*COLUMNS, ESTIMATE) if stated else COLUMNS)
    visits = _visits(table, stated=stated)
    _refuse_overlap(table, visits)
    return table_of(table.sha256, visits, redating, stated=stated)


def _visits(table: Table, *, stated: bool) -> list[Visit]:
    columns = {name: list(table.column(name)) for name in (*COLUMNS, *((ESTIMATE,) if stated else ()))}
    session_id = unique(columns["session_id"])
    return [
        Visit(
            session_id=session_id[row],
            station_id=columns["station_id"][row].filled(),
            user_id=columns["user_id"][row].printable(),
            arrival=columns["arrival"][row].stamp(),
            departure_ms=_departure_ms(columns["arrival"][row], columns["departure"][row]),
            stated_ms=columns[ESTIMATE][row].instant_ms() if stated else None,
            energy_ws=energy_ws(columns["energy_kwh"][row]),
        )
        for row in range(len(table.rows))
    ]


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


def _departure_ms(arrival: Cell, departure: Cell) -> int:
    departure_ms = departure.instant_ms()
    if departure_ms < arrival.instant_ms():
        raise departure.wrong(f"{departure.text} is before the arrival; correct one of them or drop the row")
    return departure_ms


def _refuse_overlap(table: Table, visits: Sequence[Visit]) -> None:
    """One charger serves one car at a time."""
    lines = [line for line, _ in table.rows]
    arrival_ms = np.array([visit.arrival_ms for visit in visits], dtype=np.int64)
    departure_ms = np.array([visit.departure_ms for visit in visits], dtype=np.int64)
    stations = tuple(visit.station_id for visit in visits)
    for station, first, second in overlaps(stations, arrival_ms, departure_ms):
        raise InputError(
            f"{table.file}, lines {lines[first]} and {lines[second]}, column station_id: sessions"
            f" {visits[first].session_id} and {visits[second].session_id} overlap at charger {station};"
            " end the first before the second arrives"
        )
