"""A record as tables: plain columns first, so that a run can be written down without pandas, and DataFrames of them.

Instants are Unix milliseconds in UTC (``t_ms``, ``from_ms``, ``to_ms``), powers watts, energies watt-seconds, money
nanos. Sessions and stations go by their names in the scenario's files; stationary batteries are named ``battery-1`` on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from wattswap.runners.recording.record import ROUND_COLUMNS, SessionRow, TradeRow, round_row
from wattswap.runners.recording.time_series import CarTicks
from wattswap.runners.world import fleet_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street

    Columns = dict[str, NDArray[Any]]

CHARGING: Final = "charging"
CATCHING_UP: Final = "catching up"
REDUCED: Final = "reduced"
FEEDING: Final = "feeding"
FORCED: Final = "forced"
WAITING: Final = "waiting"
FULL: Final = "full"
ACTIVITIES: Final = (CHARGING, CATCHING_UP, REDUCED, FEEDING, FORCED, WAITING, FULL)
"""What a plugged car does, in this order of code: draws what it may unasked; draws more, energy it was owed; holds an
award to draw less (even down to 0); feeds back; was cut by the last resort; wants energy and gets none, unpaid; wants
none."""


def _by_feeder(street: Street, record: RunRecord, columns_of: Callable[[int, Street, RunRecord], Columns]) -> Columns:
    """The columns of each feeder, one feeder below the other.

    Where there are several, its name stands before those of its sessions, stations and vehicles, as in ``north/S1``:
    so a name is one car, whoever else has it.
    """
    if not record.feeders:
        return columns_of(0, street, record)
    parts = []
    for number, part in enumerate(record.feeders):
        columns = columns_of(number, street.alone(number), part)
        for column in _PLACED & columns.keys():
            names = [f"{street.feeders[number].name}/{name}" for name in columns[column]]
            columns[column] = np.array(names, dtype=np.object_)
        parts.append(columns)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


_PLACED: Final = {"session", "station", "vehicle"}


def series_columns(street: Street, record: RunRecord) -> Columns:
    """Each feeder tick by tick: what it may, would and does draw, and what its transformer carries.

    ``base_w + baseline_w`` is what the transformer would carry if nobody ever gave way.
    """
    return _by_feeder(street, record, _series_of_one)


def _series_of_one(feeder: int, street: Street, record: RunRecord) -> Columns:
    cars = CarTicks.of(street, record)
    import_w, export_w = cars.per_tick(cars.import_w), cars.per_tick(cars.export_w)
    return {
        "t_ms": _unix_ms(street, cars.ticks),
        "feeder": np.full(len(cars.ticks), feeder, dtype=np.int64),
        "base_w": cars.base_w,
        "firm_w": cars.per_tick(cars.firm_w),
        "wanted_w": cars.per_tick(cars.wanted_w),
        "drawn_w": import_w - export_w,
        "load_w": cars.load_w,
        "limit_w": cars.limit_w,
        "import_w": import_w,
        "export_w": export_w,
        "baseline_w": cars.per_tick(cars.baseline_w),
        "awarded_w": cars.per_tick(cars.reduce_w),
        "forced_w": cars.per_tick(cars.forced_w),
        "owed_ws": cars.per_tick(np.where(cars.is_session, cars.owed_ws, 0)),
    }


def load_columns(street: Street, record: RunRecord) -> Columns:
    """What the transformer carries in each tick, and nothing else: for a run that another one is compared with."""
    cars = CarTicks.of(street, record)
    return {"t_ms": _unix_ms(street, cars.ticks), "load_w": cars.load_w}


def rounds_columns(street: Street, record: RunRecord) -> Columns:
    """One row per call: what was needed, offered and awarded, and at what price."""
    return _by_feeder(street, record, _rounds_of_one)


def _rounds_of_one(feeder: int, street: Street, record: RunRecord) -> Columns:
    return _with_instant(street, _columns(ROUND_COLUMNS, [round_row(note, feeder) for note in record.rounds]))


def trades_columns(street: Street, record: RunRecord) -> Columns:
    """One row per settled award of a tranche, and per tick and session that the last resort cut."""
    return _by_feeder(street, record, _trades_of_one)


def _trades_of_one(feeder: int, street: Street, record: RunRecord) -> Columns:  # noqa: ARG001 - trades name their feeder
    return _with_instant(street, _columns(TradeRow._fields, record.trades))


def sessions_columns(street: Street, record: RunRecord) -> Columns:
    """One row per session as it ended, or as it stood when the run did; ``departure_ms`` of a battery is far away."""
    return _by_feeder(street, record, _sessions_of_one)


def _sessions_of_one(feeder: int, street: Street, record: RunRecord) -> Columns:
    columns = _columns(SessionRow._fields, record.sessions)
    columns["feeder"] = np.full(len(record.sessions), feeder, dtype=np.int64)
    columns["arrival_ms"] = _unix_ms(street, columns["arrival_tick"])
    columns["departure_ms"] = _unix_ms(street, columns["departure_tick"])
    return columns


def cars_columns(street: Street, record: RunRecord) -> Columns:
    """One row per stretch of constant activity of a plugged session, in the order of session, then time."""
    return _by_feeder(street, record, _cars_of_one)


def _cars_of_one(feeder: int, street: Street, record: RunRecord) -> Columns:
    cars = CarTicks.of(street, record)
    order = cars.by_row
    code = activity(cars)[order]
    begins = ~cars.follows
    begins[1:] |= code[1:] != code[:-1]
    first = np.flatnonzero(begins)
    ticks = np.diff(np.append(first, len(order)))
    row, from_tick = cars.row[order][first], cars.ticks[cars.place[order][first]]
    fleet = fleet_of(street)
    return {
        "session": _names(fleet.session_id, row),
        "station": _names(fleet.station_id, row),
        "vehicle": _names(fleet.vehicle_id, row),
        "from_ms": _unix_ms(street, from_tick),
        "to_ms": _unix_ms(street, from_tick + ticks),
        "activity": _names(ACTIVITIES, code[first]),
        "import_w": _means(cars.import_w[order], first, ticks),
        "export_w": _means(cars.export_w[order], first, ticks),
        "feeder": np.full(len(first), feeder, dtype=np.int64),
    }


def activity(cars: CarTicks) -> NDArray[np.intp]:
    """What each car does at each tick, as its place in ``ACTIVITIES``; of several that hold, the first below."""
    cases = (
        (FEEDING, cars.export_w > 0),
        (FORCED, cars.forced_w > 0),
        (REDUCED, cars.reduce_w > 0),
        (FULL, cars.wanted_w == 0),
        (CATCHING_UP, cars.import_w > cars.firm_w),
        (CHARGING, cars.import_w > 0),
    )
    code = np.full(len(cars), ACTIVITIES.index(WAITING))
    for name, holds in reversed(cases):
        code[holds] = ACTIVITIES.index(name)
    return code


COLUMNS: Final[Mapping[str, Callable[[Street, RunRecord], Columns]]] = {
    "series": series_columns,
    "rounds": rounds_columns,
    "trades": trades_columns,
    "sessions": sessions_columns,
    "cars": cars_columns,
}
"""The tables of a run directory by name."""


def frame(name: str, street: Street, record: RunRecord) -> pd.DataFrame:
    """A table of this name (see ``COLUMNS``) as a DataFrame; needs pandas, which the extra ``sim`` brings."""
    import pandas as pd

    return pd.DataFrame(COLUMNS[name](street, record))


def series(street: Street, record: RunRecord) -> pd.DataFrame:
    """See :func:`series_columns`."""
    return frame("series", street, record)


def rounds(street: Street, record: RunRecord) -> pd.DataFrame:
    """See :func:`rounds_columns`."""
    return frame("rounds", street, record)


def trades(street: Street, record: RunRecord) -> pd.DataFrame:
    """See :func:`trades_columns`."""
    return frame("trades", street, record)


def sessions(street: Street, record: RunRecord) -> pd.DataFrame:
    """See :func:`sessions_columns`."""
    return frame("sessions", street, record)


def cars(street: Street, record: RunRecord) -> pd.DataFrame:
    """See :func:`cars_columns`."""
    return frame("cars", street, record)


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


def _means(watts: NDArray[np.int64], first: NDArray[np.intp], ticks: NDArray[np.intp]) -> NDArray[np.int64]:
    """The mean power of each stretch, rounded down to whole watts."""
    if not len(first):
        return np.zeros(0, dtype=np.int64)
    return np.add.reduceat(watts, first) // ticks
