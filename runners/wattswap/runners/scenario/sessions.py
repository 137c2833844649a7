"""Charging sessions: from a file to arrays in file order, and what the agents are told about departures.

``energy_kwh`` is AC energy at the charger. ``max_kw`` is a note only: the scenario's ``chargers.max_w`` rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.draws import agent_keys
from wattswap.protocol.units import MS_PER_HOUR, Purpose
from wattswap.runners.scenario.acn import read_acn
from wattswap.runners.scenario.keys import nearest
from wattswap.runners.scenario.names import named, refuse_long
from wattswap.runners.scenario.profiles import normal_q16
from wattswap.runners.scenario.schema import Format
from wattswap.runners.scenario.stamps import Stamps, read_as
from wattswap.runners.scenario.tables import Cell, Table, read_table, unix_ms
from wattswap.runners.scenario.trondheim import read_trondheim
from wattswap.runners.scenario.unchanged import read_once
from wattswap.runners.scenario.visits import SessionTable, Visit, VisitCounts, energy_ws, raw_table, unique
from wattswap.runners.scenario.zones import Redating

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

COLUMNS: Final = ("session_id", "station_id", "arrival", "departure", "energy_kwh", "user_id")
"""What a file must have; ``user_id`` may be empty. ``max_kw`` is never read, so it may be left out."""
ESTIMATE: Final = "estimated_departure"
FEEDER_COLUMN: Final = "feeder"
AS_RECORDED: Final = Redating()
_ERROR = re.compile(r"error:(\d+(?:\.\d+)?)h")
_MOST_ERROR_H: Final = 1000


@read_once
def read_sessions(
    path: Path,
    departure: str = "actual",
    source: Format = "wattswap",
    redating: Redating = AS_RECORDED,
    feeders: Sequence[str] = (),
    clock: tzinfo | None = None,
) -> SessionTable:
    """Read a session file of any format; ``departure`` is the scenario's key: ``stated`` asks for what drivers said.

    ``feeders`` are the names that the column ``feeder`` of our own format may hold; without any it is not looked at.
    ``clock`` is that of the street's zone, by which stamps of our own format are read that have no offset.

    Raises:
        InputError: the file cannot be read or used; file, row or item, and what to do.
    """
    stated = departure == "stated"
    if source == "acn":
        table = read_acn(path, redating, stated=stated)
    elif source == "trondheim":
        table = read_trondheim(path, redating)
    else:
        table = _read_own(path, redating, feeders, clock, stated=stated)
    for what, names in (("session", table.session_id), ("charger", table.station_id), ("car", table.vehicle_id)):
        refuse_long(str(path), what, names)
    for column in (table.arrival_ms, table.departure_ms, table.energy_ws):
        column.flags.writeable = False
    return table


def _read_own(
    path: Path, redating: Redating, feeders: Sequence[str], clock: tzinfo | None, *, stated: bool
) -> SessionTable:
    """Our own CSV: nothing is left out, and sessions that overlap at a station get points of their own."""
    table = read_table(path, (*COLUMNS, ESTIMATE) if stated else COLUMNS)
    times = ("arrival", "departure", *((ESTIMATE,) if stated else ()))
    stamps = Stamps.of([cell for name in times for cell in table.column(name)], clock)
    visits = _visits(table, feeders, stamps, stated=stated)
    read = raw_table(table.sha256, visits, VisitCounts.of(path), redating, stated=stated)
    return replace(read, notes=(*(f"{path}: {note}" for note in read_as(table, stamps)), *read.notes))


def _visits(table: Table, feeders: Sequence[str], stamps: Stamps, *, stated: bool) -> list[Visit]:
    columns = {name: list(table.column(name)) for name in (*COLUMNS, *((ESTIMATE,) if stated else ()))}
    session_id = unique(columns["session_id"])
    feeder = _feeders(table, feeders)
    return [
        Visit(
            session_id=session_id[row],
            station_id=columns["station_id"][row].filled(),
            user_id=named(columns["user_id"][row].printable()),
            arrival=(arrival := stamps.read(columns["arrival"][row])),
            departure_ms=(departure_ms := _departure_ms(arrival, columns["departure"][row], stamps)),
            stated_ms=unix_ms(stamps.read(columns[ESTIMATE][row], departure_ms - MS_PER_HOUR)) if stated else None,
            energy_ws=energy_ws(columns["energy_kwh"][row]),
            feeder=feeder[row],
        )
        for row in range(len(table.rows))
    ]


def _feeders(table: Table, feeders: Sequence[str]) -> list[str]:
    """The feeder each row names; empty texts where the file has no such column, or the scenario no such names."""
    if not feeders or FEEDER_COLUMN not in table.header:
        return [""] * len(table.rows)
    cells = list(table.column(FEEDER_COLUMN))
    for cell in cells:
        if cell.text not in feeders:
            raise cell.wrong(f"there is no feeder {cell.text!r}; {nearest(cell.text, feeders)}")
    return [cell.text for cell in cells]


def departure_error_ms(departure: str) -> int | None:
    """The standard deviation in ms that ``error:<n>h`` asks for; None if ``departure`` is not of that form."""
    match = _ERROR.fullmatch(departure)
    if match is None or float(match[1]) > _MOST_ERROR_H:
        return None
    return round(float(match[1]) * MS_PER_HOUR)


def departure_errors(departure: str, seed: int, key: Keys) -> Ints:
    """How far each stated departure is off, in ms, shape as ``key``: near-normal, drawn by seed and session."""
    deviation_ms = departure_error_ms(departure)
    if not deviation_ms:
        return np.zeros(len(key), dtype=np.int64)
    drawn_q16 = normal_q16(seed, key, Purpose.DEPARTURE, np.zeros(len(key), dtype=np.int64))
    return (drawn_q16 * deviation_ms) >> 16


def keys_of(names: Sequence[str]) -> Keys:
    """The agents' draw keys, shape (names,)."""
    return agent_keys(names)


def _departure_ms(arrival: datetime, departure: Cell, stamps: Stamps) -> int:
    departure_ms = unix_ms(stamps.read(departure, unix_ms(arrival)))
    if departure_ms < unix_ms(arrival):
        raise departure.wrong(f"{departure.text} is before the arrival; correct one of them or drop the row")
    return departure_ms
