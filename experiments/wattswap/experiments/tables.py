"""What a run leaves behind as tables: plain columns, so that it can be written down without pandas.

Instants are Unix milliseconds in UTC (``t_ms``, ``from_ms``, ``to_ms``), powers watts, energies watt-seconds, money
nanos. Sessions and stations go by their names in the scenario's files; stationary batteries are named ``battery-1`` on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from wattswap.runners.recording.activities import ACTIVITIES
from wattswap.runners.recording.parquet_table import TEXTS
from wattswap.runners.recording.record import ROUND_COLUMNS, SessionRow, TradeRow, round_row
from wattswap.runners.world import fleet_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from wattswap.protocol.effects import NoteRound
    from wattswap.runners.recording.activities import Stretches
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.recording.time_series import OwedTicks, StreetTicks, TimeSeries
    from wattswap.runners.scenario.street import Street

    Columns = dict[str, NDArray[Any]]


class Place(NamedTuple):
    """Where rows belong to: one feeder of a street, or its only one."""

    street: Street
    """The street of this feeder alone."""
    feeder: int = 0
    """Its number."""
    prefix: str = ""
    """What stands before the names of its sessions, stations and vehicles, such as ``north/``: so a name is one car,
    whoever else has it. Nothing where there is only one feeder."""


def places_of(street: Street) -> list[Place]:
    """The feeders of a street."""
    if len(street.feeders) == 1:
        return [Place(street)]
    return [Place(street.alone(number), number, f"{feeder.name}/") for number, feeder in enumerate(street.feeders)]


def series_columns(place: Place, ticks: StreetTicks) -> Columns:
    """A feeder tick by tick: what it may, would and does draw, and what its transformer carries.

    ``base_w + baseline_w`` is what the transformer would carry if nobody ever deferred energy.
    """
    return {
        "t_ms": _unix_ms(place.street, ticks.tick),
        "feeder": np.full(len(ticks.tick), place.feeder, dtype=np.int64),
        "base_w": ticks.base_w,
        "firm_w": ticks.firm_w,
        "wanted_w": ticks.wanted_w,
        "drawn_w": ticks.import_w - ticks.export_w,
        "load_w": ticks.load_w,
        "limit_w": ticks.limit_w,
        "import_w": ticks.import_w,
        "export_w": ticks.export_w,
        "baseline_w": ticks.baseline_w,
        "awarded_w": ticks.reduce_w,
        "forced_w": ticks.forced_w,
        "owed_ws": ticks.owed_ws,
    }


def load_columns(street: Street, ticks: StreetTicks) -> Columns:
    """What the transformer carries in each tick, and nothing else: for a run that another one is compared with."""
    return {"t_ms": _unix_ms(street, ticks.tick), "load_w": ticks.load_w}


def rounds_columns(place: Place, rounds: Sequence[NoteRound]) -> Columns:
    """One row per call: what was needed, offered and awarded, and at what price."""
    return _with_instant(place, _columns(place, ROUND_COLUMNS, [round_row(note, place.feeder) for note in rounds]))


def trades_columns(place: Place, trades: Sequence[TradeRow]) -> Columns:
    """One row per settled award of a tranche, and per tick and session that the last resort cut."""
    return _with_instant(place, _columns(place, TradeRow._fields, trades))


def sessions_columns(place: Place, sessions: Sequence[SessionRow]) -> Columns:
    """One row per session as it ended, or as it stood when the run did; ``departure_ms`` of a battery is far away.

    ``waiting_nanos_per_kwh_h`` is the car's own price of waiting, as the scenario's seed drew it; 0 for a battery.
    """
    columns = _columns(place, SessionRow._fields, sessions)
    fleet = fleet_of(place.street)
    price_of = dict(zip(fleet.session_id, fleet.waiting_nanos_per_kwh_h.tolist(), strict=True))
    columns["waiting_nanos_per_kwh_h"] = np.array([price_of[each.session] for each in sessions], dtype=np.int64)
    columns["feeder"] = np.full(len(sessions), place.feeder, dtype=np.int64)
    columns["arrival_ms"] = _unix_ms(place.street, columns["arrival_tick"])
    columns["departure_ms"] = _unix_ms(place.street, columns["departure_tick"])
    return columns


def cars_columns(place: Place, stretches: Stretches) -> Columns:
    """One row per stretch of constant activity of a plugged session, in the order of session, then time."""
    fleet, ticks = fleet_of(place.street), stretches.ticks
    session, station, vehicle = (
        _names([f"{place.prefix}{name}" for name in names], stretches.row)
        for names in (fleet.session_id, fleet.station_id, fleet.vehicle_id)
    )
    return {
        "session": session,
        "station": station,
        "vehicle": vehicle,
        "from_ms": _unix_ms(place.street, stretches.from_tick),
        "to_ms": _unix_ms(place.street, stretches.from_tick + ticks),
        "activity": _names(ACTIVITIES, stretches.activity),
        "import_w": stretches.import_w // ticks,
        "export_w": stretches.export_w // ticks,
        "feeder": np.full(len(ticks), place.feeder, dtype=np.int64),
    }


def owed_columns(place: Place, owed: OwedTicks) -> Columns:
    """One row per tick and session that is behind its baseline: the energy that it is owed at the tick's start."""
    return {
        "t_ms": _unix_ms(place.street, owed.tick),
        "feeder": np.full(len(owed.tick), place.feeder, dtype=np.int64),
        "session": _names([f"{place.prefix}{name}" for name in fleet_of(place.street).session_id], owed.row),
        "owed_ws": owed.owed_ws,
    }


_MAKERS: Final[Mapping[str, Callable[[Place, RunRecord, TimeSeries], Columns]]] = {
    "series": lambda place, _, series: series_columns(place, series.street),
    "rounds": lambda place, record, _: rounds_columns(place, record.rounds),
    "trades": lambda place, record, _: trades_columns(place, record.trades),
    "sessions": lambda place, record, _: sessions_columns(place, record.sessions),
    "cars": lambda place, _, series: cars_columns(place, series.stretches),
    "owed": lambda place, _, series: owed_columns(place, series.owed),
}
TABLES: Final = tuple(_MAKERS)
"""The tables of a run directory by name."""


def table_of(name: str, street: Street, record: RunRecord, series: TimeSeries) -> Columns:
    """A table of a run, the rows of one feeder below those of the other."""
    parts = zip(places_of(street), record.feeders or (record,), series.feeders or (series,), strict=True)
    columns = [_MAKERS[name](*part) for part in parts]
    return {column: np.concatenate([part[column] for part in columns]) for column in columns[0]}


_PLACED: Final = frozenset({"session", "station", "vehicle"})


def _columns(place: Place, names: Sequence[str], rows: Sequence[tuple[object, ...]]) -> Columns:
    """The columns of a list of rows, typed even where there is none."""
    columns: dict[str, Sequence[object]]
    columns = dict(zip(names, zip(*rows, strict=True) if rows else ((),) * len(names), strict=True))
    if place.prefix:
        columns |= {name: [f"{place.prefix}{each}" for each in columns[name]] for name in _PLACED & columns.keys()}
    return {name: np.array(column, dtype=np.object_ if name in TEXTS else np.int64) for name, column in columns.items()}


def _with_instant(place: Place, columns: Columns) -> Columns:
    return {"t_ms": _unix_ms(place.street, columns["tick"]), **columns}


def _unix_ms(street: Street, ticks: NDArray[Any]) -> NDArray[np.int64]:
    instants: NDArray[np.int64] = street.start_unix_ms + ticks.astype(np.int64) * street.tick_ms
    return instants


def _names(names: Sequence[str], at: NDArray[np.integer]) -> NDArray[np.object_]:
    chosen: NDArray[np.object_] = np.array(names, dtype=np.object_)[at]
    return chosen
