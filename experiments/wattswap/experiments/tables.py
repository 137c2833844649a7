"""What a run leaves behind as tables: plain columns, so that it can be written down without pandas.

Instants are Unix milliseconds in UTC (``t_ms``, ``from_ms``, ``to_ms``), powers watts, energies watt-seconds, money
nanos. Sessions and stations go by their names in the scenario's files; stationary batteries are named ``battery-1`` on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from wattswap.runners.recording.activities import ACTIVITIES
from wattswap.runners.recording.record import ROUND_COLUMNS, SessionRow, TradeRow, round_row
from wattswap.runners.world import fleet_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wattswap.protocol.effects import NoteRound
    from wattswap.runners.recording.activities import Stretches
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.recording.time_series import StreetTicks, TimeSeries
    from wattswap.runners.scenario.street import Street

    Columns = dict[str, NDArray[Any]]

TABLES: Final = ("series", "rounds", "trades", "sessions", "cars")
"""The tables of a run directory by name."""


class FeederPlace(NamedTuple):
    """A feeder, as the rows of its tables name it."""

    number: int
    name: str
    """Empty unless there are several: then it stands before the names of sessions, stations and vehicles, as in
    ``north/S1``, so that a name is one car."""
    street: Street
    """The street of this feeder alone."""

    def named(self, columns: Columns) -> Columns:
        """The columns with the feeder's number, and its name where there are several."""
        length = len(next(iter(columns.values())))
        columns["feeder"] = np.full(length, self.number, dtype=np.int64)
        for column in ("session", "station", "vehicle"):
            if self.name and column in columns:
                names = [f"{self.name}/{name}" for name in columns[column]]
                columns[column] = np.array(names, dtype=np.object_)
        return columns


def places_of(street: Street) -> list[FeederPlace]:
    """The feeders of a street."""
    if len(street.feeders) == 1:
        return [FeederPlace(0, "", street)]
    return [FeederPlace(number, feeder.name, street.alone(number)) for number, feeder in enumerate(street.feeders)]


def series_columns(place: FeederPlace, ticks: StreetTicks) -> Columns:
    """A feeder tick by tick: what it may, would and does draw, and what the transformer carries.

    ``base_w + baseline_w`` is what the transformer would carry if nobody ever deferred energy.
    """
    columns = {
        "t_ms": _unix_ms(place.street, ticks.tick),
        "feeder": ticks.tick,
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
    return place.named(columns)


def load_columns(street: Street, ticks: StreetTicks) -> Columns:
    """What the transformer carries in each tick, and nothing else: for a run that another one is compared with."""
    return {"t_ms": _unix_ms(street, ticks.tick), "load_w": ticks.load_w}


def rounds_columns(place: FeederPlace, rounds: Sequence[NoteRound]) -> Columns:
    """One row per call: what was needed, offered and awarded, and at what price."""
    rows = [round_row(note, place.number) for note in rounds]
    return place.named(_with_instant(place.street, _columns(ROUND_COLUMNS, rows)))


def trades_columns(place: FeederPlace, trades: Sequence[TradeRow]) -> Columns:
    """One row per settled award of a tranche, and per tick and session that the last resort cut."""
    return place.named(_with_instant(place.street, _columns(TradeRow._fields, trades)))


def sessions_columns(place: FeederPlace, sessions: Sequence[SessionRow]) -> Columns:
    """One row per session as it ended, or as it stood when the run did; ``departure_ms`` of a battery is far away."""
    columns = _columns(SessionRow._fields, sessions)
    columns["arrival_ms"] = _unix_ms(place.street, columns["arrival_tick"])
    columns["departure_ms"] = _unix_ms(place.street, columns["departure_tick"])
    return place.named(columns)


def cars_columns(place: FeederPlace, stretches: Stretches) -> Columns:
    """One row per stretch of constant activity of a plugged session, in the order of session, then time."""
    fleet, ticks = fleet_of(place.street), stretches.ticks
    columns = {
        "session": _names(fleet.session_id, stretches.row),
        "station": _names(fleet.station_id, stretches.row),
        "vehicle": _names(fleet.vehicle_id, stretches.row),
        "from_ms": _unix_ms(place.street, stretches.from_tick),
        "to_ms": _unix_ms(place.street, stretches.from_tick + ticks),
        "activity": _names(ACTIVITIES, stretches.activity),
        "import_w": stretches.import_w // ticks,
        "export_w": stretches.export_w // ticks,
    }
    return place.named(columns)


def table_of(name: str, street: Street, record: RunRecord, series: TimeSeries) -> Columns:
    """A table of a run under its name in ``TABLES``: the rows of one feeder below those of the other."""
    places, records, ticks = places_of(street), record.feeders or (record,), series.feeders or (series,)
    parts = [_part(name, *of) for of in zip(places, records, ticks, strict=True)]
    return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}


def _part(name: str, place: FeederPlace, record: RunRecord, series: TimeSeries) -> Columns:
    match name:
        case "series":
            return series_columns(place, series.street)
        case "rounds":
            return rounds_columns(place, record.rounds)
        case "trades":
            return trades_columns(place, record.trades)
        case "sessions":
            return sessions_columns(place, record.sessions)
        case _:
            return cars_columns(place, series.stretches)


def tables_of(street: Street, record: RunRecord, series: TimeSeries) -> dict[str, Columns]:
    """All tables of a run, under the names in ``TABLES``."""
    return {name: table_of(name, street, record, series) for name in TABLES}


_TEXTS: Final = frozenset({"session", "station", "vehicle", "strategy", "kind", "payment_id", "status"})


def _columns(names: Sequence[str], rows: Sequence[tuple[object, ...]]) -> Columns:
    """The columns of a list of rows, typed even where there is none."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return {
        name: np.array(column, dtype=np.object_ if name in _TEXTS else np.int64)
        for name, column in zip(names, columns, strict=True)
    }


def _with_instant(street: Street, columns: Columns) -> Columns:
    return {"t_ms": _unix_ms(street, columns["tick"]), **columns}


def _unix_ms(street: Street, ticks: NDArray[Any]) -> NDArray[np.int64]:
    instants: NDArray[np.int64] = street.start_unix_ms + ticks.astype(np.int64) * street.tick_ms
    return instants


def _names(names: Sequence[str], at: NDArray[np.integer]) -> NDArray[np.object_]:
    chosen: NDArray[np.object_] = np.array(names, dtype=np.object_)[at]
    return chosen
