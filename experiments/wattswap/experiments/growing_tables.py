"""The tables of a run while it goes on: ticks are summed up and rows written in portions, so that memory stays bounded.

What stays in memory is the street tick by tick, what each car did when, and the rows of rounds, trades and sessions;
what each car drew in each tick is forgotten once a portion of ticks is summed up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wattswap.experiments.interrupts import interrupt_deferred
from wattswap.experiments.tables import places_of, rounds_columns, series_columns, sessions_columns, trades_columns
from wattswap.runners.engines.observer import Observer
from wattswap.runners.recording.parquet_table import ParquetTable, has_pyarrow
from wattswap.runners.recording.time_series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wattswap.experiments.tables import Place
    from wattswap.runners.engines.run import Run
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street

PORTION_TICKS: Final = 1_024
PORTION_CAR_TICKS: Final = 1 << 17
"""A portion is full when it has so many ticks, or so many plugged cars in them: at 100 bytes each, 13 MB."""


class GrowingTables(Observer):
    """Sums up the ticks of a run as they pass, and writes its tables if it has a directory.

    The records keep the newest tick only. Where there are several feeders, a table holds a portion of each in turn.
    """

    def __init__(self, street: Street, folder: Path | None = None) -> None:
        self._street = street
        names = ("series", "rounds", "trades", "sessions") if folder is not None and has_pyarrow() else ()
        self._tables = {name: ParquetTable(folder, name) for name in names if folder is not None}
        self._feeders: list[_Feeder] = []
        self._new_ticks = self._new_car_ticks = 0

    @property
    def series(self) -> TimeSeries:
        """All ticks that were summed up so far."""
        parts = [feeder.series for feeder in self._feeders]
        if len(parts) > 1:
            return TimeSeries.joined(self._street, parts)
        return parts[0] if parts else TimeSeries(self._street)

    def begun(self, run: Run) -> None:
        """Learn which run this is."""
        places = places_of(self._street)
        self._feeders = [_Feeder(*part) for part in zip(places, run.records, strict=True)]

    def tick_passed(self, tick: int) -> None:  # noqa: ARG002 - the record says which
        """Sum up and write a portion once it is full."""
        self._new_ticks += 1
        self._new_car_ticks += sum(len(feeder.record.ticks[-1].rows) for feeder in self._feeders)
        if self._new_ticks >= PORTION_TICKS or self._new_car_ticks >= PORTION_CAR_TICKS:
            self.catch_up()

    def catch_up(self) -> None:
        """Sum up and write what there is, and forget all ticks but the newest."""
        with interrupt_deferred():
            for feeder in self._feeders:
                feeder.sum_up(self._tables)
        self._new_ticks = self._new_car_ticks = 0

    def finished(self, run: Run) -> None:  # noqa: ARG002 - it is the one that has begun
        """Sum up and write what is left."""
        self.catch_up()

    def close(self) -> None:
        """The run is over or was interrupted: the tables move to their places, with all there is."""
        self.catch_up()
        for table in self._tables.values():
            table.close()

    def discard(self) -> None:
        """The run failed or never began: no table stays half written."""
        for table in self._tables.values():
            table.discard()


class _Feeder:
    """What was summed up and written of one feeder."""

    def __init__(self, place: Place, record: RunRecord) -> None:
        self._place, self.record = place, record
        self.series = TimeSeries(place.street)
        self._kept = self._rounds = self._trades = self._sessions = 0
        """How many of the record's ticks, rounds, trades and sessions were summed up or written already."""

    def sum_up(self, tables: Mapping[str, ParquetTable]) -> None:
        """Sum up the new ticks, forget all but the newest, and write the new rows."""
        record, place = self.record, self._place
        portion = self.series.add(record.ticks[self._kept :])
        del record.ticks[:-1]
        self._kept = len(record.ticks)
        if not tables:
            return
        tables["series"].append(series_columns(place, portion))
        tables["rounds"].append(rounds_columns(place, record.rounds[self._rounds :]))
        tables["trades"].append(trades_columns(place, record.trades[self._trades :]))
        tables["sessions"].append(sessions_columns(place, record.sessions[self._sessions :]))
        self._rounds, self._trades, self._sessions = len(record.rounds), len(record.trades), len(record.sessions)
