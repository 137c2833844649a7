"""An observer that tells a history of a run as it goes on, and lets it go on no faster than one wants to look."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from wattswap.experiments.dashboard.history import CarCard, Head, History
from wattswap.runners.engines.observer import Observer
from wattswap.runners.recording.activities import activity
from wattswap.runners.recording.car_ticks import CarTicks
from wattswap.runners.recording.record import round_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wattswap.experiments.dashboard.history import Row
    from wattswap.runners.engines.run import Run
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street

_STEP_W: Final = 250
"""A car's power is told anew when it has changed by so much; its meter is told each time, so nothing adds up wrongly."""
_GONE: Final = -1


class Watcher(Observer):
    """Watches the first feeder of a run, in either engine, through what it records."""

    def __init__(self, street: Street, controller: str, speed: float | None = None) -> None:
        self.history = History()
        self._street, self._controller = street, controller
        self._tick_s = street.tick_ms / 1_000 / speed if speed else 0.0
        """How long a tick takes on the wall clock at least."""
        self._began_s = 0.0
        self._run: Run | None = None
        self._rounds = self._trades = self._sessions = 0
        """How many of each were told."""

    def begun(self, run: Run) -> None:
        """Learn which run this is."""
        self._run, self._began_s = run, monotonic()
        self._told = np.full((3, len(run.world.fleet)), _GONE, dtype=np.int64)
        """By row: the activity and the two powers that were told last."""
        self.history.head = _head(self._street, self._controller, run)

    def tick_passed(self, tick: int) -> None:
        """Tell of the tick, and wait until it is its time."""
        assert self._run is not None
        record = self._run.record
        cars = CarTicks.of(record.ticks[-1:])
        sums = (cars.import_w, cars.export_w, cars.baseline_w, cars.owed_ws)
        street: Row = [int(cars.base_w[0]), int(cars.limit_w[0]), *(int(column.sum()) for column in sums)]
        self.history.add(ticks=[street], cars=self._changes(self._run, tick, cars), **self._new(record))
        if self._tick_s:
            sleep(max(0.0, self._began_s + (tick + 1) * self._tick_s - monotonic()))

    def finished(self, run: Run) -> None:
        """Tell what the closing step brought."""
        self.history.add(**self._new(run.record))

    def _changes(self, run: Run, tick: int, cars: CarTicks) -> Iterator[Row]:
        now = np.full_like(self._told, _GONE)
        now[:, cars.row] = activity(cars), cars.import_w, cars.export_w
        changed = (now[0] != self._told[0]) | (abs(now[1:] - self._told[1:]) >= _STEP_W).any(axis=0)
        (rows,) = changed.nonzero()
        self._told[:, rows] = now[:, rows]
        # the world has moved on already; what its meters showed when the tick began is a tick's energy less
        before_ws = np.maximum(now[1:, rows], 0) * (run.street.tick_ms // 1_000)
        meters_ws = np.stack((run.world.imported_ws[rows], run.world.exported_ws[rows])) - before_ws
        for row, told, meter in zip(rows.tolist(), now[:, rows].T.tolist(), meters_ws.T.tolist(), strict=True):
            yield [tick, row, *told, *meter]

    def _new(self, record: RunRecord) -> dict[str, Iterable[Row]]:
        """The rounds, trades and sessions that were recorded since the last time."""
        rounds, trades = record.rounds[self._rounds :], record.trades[self._trades :]
        sessions = record.sessions[self._sessions :]
        self._rounds, self._trades = self._rounds + len(rounds), self._trades + len(trades)
        self._sessions += len(sessions)
        return {
            "rounds": [list(round_row(note)) for note in rounds],
            "trades": [cast("Row", list(row)) for row in trades],
            "sessions": [cast("Row", list(row)) for row in sessions],
        }


def _head(street: Street, controller: str, run: Run) -> Head:
    fleet, assignment = run.world.fleet, run.assignment
    offset = street.scenario.start.utcoffset()
    cars = zip(
        fleet.session_id,
        fleet.station_id,
        fleet.vehicle_id,
        (assignment.names[number] for number in assignment.number),
        fleet.arrival_tick.tolist(),
        fleet.departure_tick.tolist(),
        fleet.need_ws.tolist(),
        strict=True,
    )
    return Head(
        name=street.name,
        controller=controller,
        start_ms=street.start_unix_ms,
        utc_offset_ms=round(offset.total_seconds() * 1_000) if offset else 0,
        tick_ms=street.tick_ms,
        all_ticks=street.ticks,
        limit_w=street.feeders[0].transformer.limit_w,
        is_live=True,
        cars=[
            CarCard(
                session=session,
                station=station,
                vehicle=vehicle,
                strategy=strategy,
                arrival_tick=arrival,
                departure_tick=departure,
                need_ws=need_ws,
            )
            for session, station, vehicle, strategy, arrival, departure, need_ws in cars
        ],
    )
