"""An observer that tells a history of a run as it goes on, and lets it go on no faster than one wants to look."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, cast

from wattswap.experiments.dashboard.car_changes import CarChanges
from wattswap.experiments.tables import places_of
from wattswap.protocol.events import DriverWish
from wattswap.protocol.units import WS_PER_WH
from wattswap.runners.engines.observer import Observer
from wattswap.runners.recording.car_ticks import CarTicks
from wattswap.runners.recording.record import round_row
from wattswap.runners.watching.history import CarCard, FeederCard, Head, History

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wattswap.experiments.dashboard.rights import Rights
    from wattswap.runners.engines.observer import Moved, Sensed
    from wattswap.runners.engines.run import Run
    from wattswap.runners.recording.record import SessionRow, TradeRow
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.watching.history import Row

_NAMES: Final = ("session", "station", "vehicle")


class Watcher(Observer):
    """Watches a run of either engine through what it records."""

    def __init__(
        self, street: Street, controller: str, speed: float | None = None, rights: Rights | None = None
    ) -> None:
        self.history = History()
        self._street, self._controller, self._rights = street, controller, rights
        self._tick_s = street.tick_ms / 1_000 / speed if speed else 0.0
        """How long a tick takes on the wall clock at least."""
        self._began_s = 0.0
        self._run: Run | None = None
        self._moved: Moved | None = None
        self._prefix = [place.prefix for place in places_of(street)]
        self._had: list[tuple[int, int, int]] = [(0, 0, 0)] * len(street.feeders)
        """By feeder: how many rounds, trades and sessions were told."""

    def begun(self, run: Run) -> None:
        """Learn which run this is."""
        self._run, self._began_s = run, monotonic()
        self._changes = CarChanges(run)
        self.history.begin(_head(self._street, self._controller, run, self._rights), _cards(self._street, run))

    def sensed(self, sensed: Sequence[Sensed]) -> None:
        """Tell what drivers want."""
        run = self._run
        if run is not None:
            wishes = (event for _, event in sensed if type(event) is DriverWish)
            rows: list[Row] = [
                [run.tick, wish.session, int(wish.sells), wish.departure_ms, wish.least_ws // WS_PER_WH]
                for wish in wishes
            ]
            self.history.add(wishes=rows)

    def moved(self, moved: Moved) -> None:
        """Keep what the chargers may draw."""
        self._moved = moved

    def tick_passed(self, tick: int) -> None:
        """Tell of the tick, and wait until it is its time."""
        assert self._run is not None
        parts = [CarTicks.of(record.ticks[-1:]) for record in self._run.records]
        street: Row = [figure for cars in parts for figure in _feeder_row(cars)]
        cars, grants = self._changes.at(tick, parts, self._moved)
        self.history.add(ticks=[street], cars=cars, grants=grants, **self._new(self._run))
        if self._tick_s:
            sleep(max(0.0, self._began_s + (tick + 1) * self._tick_s - monotonic()))

    def finished(self, run: Run) -> None:
        """Tell what the closing step brought."""
        self.history.add(**self._new(run))

    def _new(self, run: Run) -> dict[str, list[Row]]:
        """The rounds, trades and sessions that were recorded since the last time."""
        new: dict[str, list[Row]] = {"rounds": [], "trades": [], "sessions": []}
        for feeder, record in enumerate(run.records):
            rounds, trades, sessions = self._had[feeder]
            new["rounds"] += [list(round_row(note, feeder)) for note in record.rounds[rounds:]]
            prefix = self._prefix[feeder]
            new["trades"] += [_named(row, prefix) for row in record.trades[trades:]]
            new["sessions"] += [_named(row, prefix) for row in record.sessions[sessions:]]
            self._had[feeder] = len(record.rounds), len(record.trades), len(record.sessions)
        return new


def _named(row: TradeRow | SessionRow, prefix: str) -> Row:
    """A row with its names as the tables have them: those of a feeder begin with its name, where there are several."""
    columns = zip(row._fields, row, strict=True)
    return cast("Row", [f"{prefix}{value}" if name in _NAMES else value for name, value in columns])


def _feeder_row(cars: CarTicks) -> Row:
    sums = (cars.import_w, cars.export_w, cars.baseline_w, cars.owed_ws)
    return [int(cars.base_w[0]), int(cars.limit_w[0]), *(int(column.sum()) for column in sums)]


def _head(street: Street, controller: str, run: Run, rights: Rights | None) -> Head:
    offset = street.scenario.start.utcoffset()
    return Head(
        name=street.name,
        controller=controller,
        start_ms=street.start_unix_ms,
        utc_offset_ms=round(offset.total_seconds() * 1_000) if offset else 0,
        tick_ms=street.tick_ms,
        all_ticks=street.ticks,
        feeders=[
            FeederCard(
                name=feeder.name,
                rating_va=feeder.transformer.rating_va,
                most_limit_w=feeder.transformer.rating_va if rights else None,
            )
            for feeder in street.feeders
        ],
        is_live=True,
        phases=street.scenario.chargers.phases,
        voltage_v=street.scenario.chargers.voltage_v,
        lease_ms=run.world.rules.lease_ms,
        hears_drivers=rights is not None and rights.drivers is not None,
        wh_per_km=street.scenario.vehicles.wh_per_km,
    )


def _cards(street: Street, run: Run) -> Iterator[CarCard]:
    fleet, assignment = run.world.fleet, run.assignment
    prefix = [place.prefix for place in places_of(street)]
    columns = (fleet.arrival_tick, fleet.departure_tick, fleet.need_ws, fleet.feeder, fleet.capacity_ws // WS_PER_WH)
    for row, (arrival, departure, need_ws, feeder, battery_wh) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        yield CarCard(
            session=f"{prefix[feeder]}{fleet.session_id[row]}",
            station=f"{prefix[feeder]}{fleet.station_id[row]}",
            vehicle=f"{prefix[feeder]}{fleet.vehicle_id[row]}",
            strategy=assignment.names[assignment.number[row]],
            arrival_tick=arrival,
            departure_tick=departure,
            need_ws=need_ws,
            feeder=feeder,
            battery_wh=battery_wh,
        )
