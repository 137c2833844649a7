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
from wattswap.runners.recording.record import RunRecord
from wattswap.runners.recording.time_series import TimeSeries

if TYPE_CHECKING:
    from pathlib import Path

    from wattswap.experiments.tables import Columns, FeederPlace
    from wattswap.runners.engines.run import Run
    from wattswap.runners.scenario.street import Street

PORTION_TICKS: Final = 1_024
PORTION_CAR_TICKS: Final = 1 << 17
"""A portion is full when it has so many ticks, or so many plugged cars in them: at 100 bytes each, 13 MB."""


class GrowingTables(Observer):
    """Sums up the ticks of a run as they pass, and writes its tables if it has a directory.

    The record keeps the newest tick only.
    """

    def __init__(self, street: Street, folder: Path | None = None) -> None:
        self._street = street
        writes = folder is not None and has_pyarrow()
        names = ("series", "rounds", "trades", "sessions") if writes else ()
        self._tables = {name: ParquetTable(folder, name) for name in names if folder is not None}
        self._feeders = [_FeederTables(place) for place in places_of(street)]
        self._new_ticks = self._new_car_ticks = 0

    @property
    def series(self) -> TimeSeries:
        """The ticks so far, summed up."""
        parts = [feeder.series for feeder in self._feeders]
        return parts[0] if len(parts) == 1 else TimeSeries.joined(self._street, parts)

    def begun(self, run: Run) -> None:
        """Learn which run this is."""
        for feeder, record in zip(self._feeders, run.records, strict=True):
            feeder.record = record

    def tick_passed(self, tick: int) -> None:  # noqa: ARG002 - the record says which
        """Sum up and write a portion once it is full."""
        self._new_ticks += 1
        self._new_car_ticks += sum(len(feeder.record.ticks[-1].rows) for feeder in self._feeders)
        if self._new_ticks >= PORTION_TICKS or self._new_car_ticks >= PORTION_CAR_TICKS:
            self.catch_up()

    def catch_up(self) -> None:
        """Sum up and write what there is, and forget all ticks but the newest."""
        with interrupt_deferred():
            self._new_ticks = self._new_car_ticks = 0
            for feeder in self._feeders:
                portion = feeder.portion(written=bool(self._tables))
                for name, columns in portion.items():
                    self._tables[name].append(columns)

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


class _FeederTables:
    """What of one feeder was summed up and written already."""

    def __init__(self, place: FeederPlace) -> None:
        self._place = place
        self.series, self.record = TimeSeries(place.street), RunRecord()
        self._kept = self._rounds = self._trades = self._sessions = 0
        """How many of the record's ticks, rounds, trades and sessions were summed up or written already."""

    def portion(self, *, written: bool) -> dict[str, Columns]:
        """Sum up what is new; its rows, if they are to be written."""
        record, place = self.record, self._place
        new = len(record.ticks) - self._kept
        ticks = self.series.add(record.ticks[-new:] if new else ())
        del record.ticks[:-1]
        self._kept = len(record.ticks)
        if not written:
            return {}
        portion = {
            "series": series_columns(place, ticks),
            "rounds": rounds_columns(place, record.rounds[self._rounds :]),
            "trades": trades_columns(place, record.trades[self._trades :]),
            "sessions": sessions_columns(place, record.sessions[self._sessions :]),
        }
        self._rounds, self._trades, self._sessions = len(record.rounds), len(record.trades), len(record.sessions)
        return portion
