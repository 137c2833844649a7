"""The street tick by tick, summed up as the ticks pass, so that a run need not hold what each car did in each of them.

Ticks are added in portions. Of each portion stay the sums over all cars, what each car did when, and what the figures
of a run need to know of each car; the ticks themselves may be forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.runners.recording.activities import Stretches
from wattswap.runners.recording.car_ticks import CarTicks
from wattswap.runners.world import fleet_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wattswap.runners.recording.record import RunRecord, TickRow
    from wattswap.runners.scenario.street import Street

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

PORTION: Final = 1 << 17
"""Car-ticks that are added at once when all are there already: some 15 MB."""


class StreetTicks(NamedTuple):
    """The street's own columns, a row each tick; powers are sums over all plugged cars."""

    tick: Ints
    base_w: Ints
    limit_w: Ints
    firm_w: Ints
    wanted_w: Ints
    baseline_w: Ints
    import_w: Ints
    export_w: Ints
    reduce_w: Ints
    """Reduction under awards."""
    forced_w: Ints
    owed_ws: Ints
    """By how much sessions are behind their baseline; a stationary battery is owed nothing."""

    @property
    def load_w(self) -> Ints:
        """What the transformer carries in each tick: homes and import less what is fed back."""
        return self.base_w + self.import_w - self.export_w

    @classmethod
    def of(cls, cars: CarTicks, is_session: Bools) -> StreetTicks:
        """The sums of these car-ticks; ``is_session`` says of each row whether it is one, not a stationary battery."""
        owed_ws = np.where(is_session[cars.row], cars.owed_ws, 0)
        columns = (cars.firm_w, cars.wanted_w, cars.baseline_w, cars.import_w, cars.export_w, cars.reduce_w)
        sums = (cars.per_tick(column) for column in (*columns, cars.forced_w, owed_ws))
        return cls(cars.ticks, cars.base_w, cars.limit_w, *sums)

    @classmethod
    def together(cls, feeders: Sequence[StreetTicks]) -> StreetTicks:
        """The sums over several feeders, as far as all of them have come."""
        ticks = min(len(feeder.tick) for feeder in feeders)
        sums = (np.sum([column[:ticks] for column in columns], axis=0) for columns in zip(*feeders, strict=True))
        return cls(*sums)._replace(tick=feeders[0].tick[:ticks])


class OwedTicks(NamedTuple):
    """The sessions that are behind their baseline, a row for each of them at each tick."""

    tick: Ints
    row: Ints
    owed_ws: Ints
    """At the tick's start."""

    @classmethod
    def of(cls, cars: CarTicks, is_session: Bools) -> OwedTicks:
        """Those of these car-ticks, tick after tick."""
        behind = np.flatnonzero((cars.owed_ws > 0) & is_session[cars.row])
        return cls(cars.ticks[cars.place[behind]], cars.row[behind], cars.owed_ws[behind])


class TimeSeries:
    """A run's ticks, summed up."""

    def __init__(self, street: Street) -> None:
        self.tick_s, self.is_session = street.tick_ms // 1000, fleet_of(street).is_session
        rows = len(self.is_session)
        self.feeders: tuple[TimeSeries, ...] = ()
        """Of a street with several feeders, the series of each, as if it were alone."""
        self.car_ticks = 0
        """How many there were: one plugged car at one tick is one."""
        self.owed_ws = np.zeros(rows, dtype=np.int64)
        """By row: the energy by which it was behind its baseline, summed over all ticks."""
        self.seen = np.zeros(rows, dtype=bool)
        """By row: whether it was plugged in at any tick."""
        self.stops = 0
        """How often a session that drew power in one tick draws none in the next although it wants some."""
        self._street: list[StreetTicks] = [StreetTicks.of(CarTicks.of(()), self.is_session)]
        self._stretches: list[Stretches] = [Stretches.of(CarTicks.of(()))]
        self._owed: list[OwedTicks] = [OwedTicks.of(CarTicks.of(()), self.is_session)]
        self._last: TickRow | None = None

    @classmethod
    def of(cls, street: Street, record: RunRecord) -> TimeSeries:
        """The series of a record that holds all of its ticks."""
        if record.feeders:
            return cls.joined(street, [cls.of(street.alone(n), part) for n, part in enumerate(record.feeders)])
        series, car_ticks = cls(street), 0
        portion: list[TickRow] = []
        for row in record.ticks:
            portion.append(row)
            car_ticks += len(row.rows)
            if car_ticks >= PORTION:
                series.add(portion)
                portion, car_ticks = [], 0
        series.add(portion)
        return series

    @classmethod
    def joined(cls, street: Street, feeders: Sequence[TimeSeries]) -> TimeSeries:
        """The series of a street from those of its feeders, whose rows follow on each other."""
        series = cls(street)
        series.feeders = tuple(feeders)
        series.car_ticks = sum(feeder.car_ticks for feeder in feeders)
        series.stops = sum(feeder.stops for feeder in feeders)
        series.owed_ws = np.concatenate([feeder.owed_ws for feeder in feeders])
        series.seen = np.concatenate([feeder.seen for feeder in feeders])
        series._street = [StreetTicks.together([feeder.street for feeder in feeders])]
        first_rows = np.cumsum([0, *(len(feeder.seen) for feeder in feeders)])[:-1]
        series._stretches = [
            feeder.stretches._replace(row=feeder.stretches.row + first)
            for feeder, first in zip(feeders, first_rows, strict=True)
        ]
        series._owed = [
            feeder.owed._replace(row=feeder.owed.row + first) for feeder, first in zip(feeders, first_rows, strict=True)
        ]
        return series

    def __len__(self) -> int:
        return sum(len(part.tick) for part in self._street)

    def add(self, ticks: Sequence[TickRow]) -> StreetTicks:
        """Sum up the ticks that have passed since the last time; the sums over all cars of these alone."""
        cars = CarTicks.of(ticks)
        part = StreetTicks.of(cars, self.is_session)
        if not ticks:
            return part
        self.car_ticks += len(cars)
        self.owed_ws += np.bincount(cars.row, weights=cars.owed_ws, minlength=len(self.owed_ws)).astype(np.int64)
        self.seen[cars.row] = True
        between = () if self._last is None else (self._last, ticks[0])
        self.stops += stops(cars, self.is_session) + stops(CarTicks.of(between), self.is_session)
        self._street.append(part)
        self._stretches.append(Stretches.of(cars))
        self._owed.append(OwedTicks.of(cars, self.is_session))
        self._last = ticks[-1]
        return part

    def sum_up(self, part: StreetTicks) -> None:
        """Add ticks that were summed up elsewhere; what each car did when is not known of them."""
        self._street.append(part)

    @property
    def street(self) -> StreetTicks:
        """The street's own columns, all ticks."""
        self._street = [StreetTicks(*(np.concatenate(column) for column in zip(*self._street, strict=True)))]
        return self._street[0]

    @property
    def stretches(self) -> Stretches:
        """What each car did when."""
        self._stretches = [Stretches.joined(self._stretches)]
        return self._stretches[0]

    @property
    def owed(self) -> OwedTicks:
        """Who was behind its baseline, when and by how much."""
        self._owed = [OwedTicks(*(np.concatenate(column) for column in zip(*self._owed, strict=True)))]
        return self._owed[0]

    @property
    def plugged(self) -> NDArray[np.intp]:
        """The sessions that were plugged in at some tick, in file order."""
        return np.flatnonzero(self.is_session & self.seen)


def stops(cars: CarTicks, is_session: Bools) -> int:
    """How often a session that drew power in one of these ticks draws none in the next although it wants some."""
    order = cars.by_row
    draws = cars.import_w[order] > 0
    stopped = cars.follows & ~draws & (cars.wanted_w[order] > 0) & is_session[cars.row[order]]
    return int((stopped[1:] & draws[:-1]).sum())
