"""The awards of a run, from the award until their lot is closed and paid: columns of one row an award.

The fleet engine pays by them. The recorder of the messages engine keeps them beside the agents, from the meters of the
world, to show what the run's end leaves open. A car gathers many lots in a day and moves few of them in a tick, so a
tick looks at the awards in force and at the lots of cars that draw back, and at no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.agents import lots, settlement
from wattswap.agents.lots import NEVER, CarMeters, Lots
from wattswap.agents.offers import FEED, TO_FLOOR, TO_ZERO, TRANCHES
from wattswap.agents.settlement import RENT_CAP_S
from wattswap.protocol.effects import NoteTrade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules
    from wattswap.runners.engines.observer import Moved


class Awards(NamedTuple):
    """Awards; tranches as columns of shape (awards, 3)."""

    row: Ints
    """The session's row in the world."""
    tick: Ints
    award_w: Ints
    price: Ints
    lot_price: Ints
    """What the energy that each gave up waits for; both reductions have the same price."""
    offered_w: Ints
    ask: Ints
    delivered_ws: Ints
    baseline_ws: Ints
    reserved_nanos: Ints
    """Set aside for it; 0 where a book holds it."""
    owed_ws: Ints
    rent: Ints

    @classmethod
    def none(cls, room: int = 0) -> Awards:
        """Room for so many, nothing in it."""
        narrow, wide = (room,), (room, TRANCHES)
        shapes = (narrow, narrow, wide, wide, narrow, wide, wide, wide, narrow, narrow, narrow, narrow)
        return cls(*(np.zeros(shape, dtype=np.int64) for shape in shapes))

    def of(self, at: Ints) -> Awards:
        """These awards alone."""
        return Awards(*(column.take(at, axis=0) for column in self))

    @property
    def given_up_ws(self) -> Ints:
        """What each delivered by reducing."""
        return self.delivered_ws[:, TO_FLOOR] + self.delivered_ws[:, TO_ZERO]

    def worth_nanos(self, rules: Rules) -> Ints:
        """What each has earned, by tranche."""
        return settlement.worth_nanos(self.award_w, self.price, self.rent, self.delivered_ws[:, FEED], rules)

    def notes(self, numbers: Sequence[int], session_ids: Sequence[str], nanos: Ints) -> Iterator[NoteTrade]:
        """What became of each award, on its feeder of this number, and what it is paid by tranche."""
        columns = (*self[:-3], self.given_up_ws - self.owed_ws, self.rent, nanos)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for number, session_id, each in zip(numbers, session_ids, rows, strict=True):
            row, tick, award_w, price, _, offered_w, ask, delivered_ws, baseline_ws, returned_ws, rent, paid = each
            yield NoteTrade(
                tick=tick,
                session=row,
                payment_id=settlement.payment_id(number, tick, session_id),
                award_w=tuple(award_w),
                price_nanos_per_kwh_h=tuple(price),
                delivered_ws=tuple(delivered_ws),
                returned_ws=returned_ws,
                rent=rent,
                nanos=tuple(paid),
                offered_w=tuple(offered_w),
                ask_nanos_per_kwh_h=tuple(ask),
                baseline_ws=baseline_ws,
                disputed=False,
            )


_ROOM: Final = 64
_NOWHERE: Final = np.zeros(0, dtype=np.int64)
_NO_AWARDS: Final = Awards.none()


class AwardTable:
    """The awards of the cars of so many rows that are not settled."""

    def __init__(self, cars: int, rules: Rules) -> None:
        self._rules, self._cars = rules, cars
        self._all, self._count = Awards.none(_ROOM), 0
        """Behind the count there is room; one that was closed has the row of no car."""
        self._runs: Ints = _NOWHERE
        """The places of the awards in force."""
        self._order: Ints = _NOWHERE
        """The places of all open awards: car by car, of each the dearest lot first, then the oldest.

        Some that were closed lie between them, until there are too many of them; they are owed nothing.
        """
        self._car: Ints = _NOWHERE
        """The rows of their cars, in that order."""
        self._closed_between = 0
        self._touched = np.zeros(_ROOM, dtype=bool)
        """By place: whether it may be over since :meth:`closed` looked last."""
        self.open: Ints = np.zeros(cars + 1, dtype=np.int64)
        """By row: how many awards are open. So many rows and one, as in the columns below."""
        self.owed_ws: Ints = np.zeros(cars + 1, dtype=np.int64)
        """By row: given up under open awards, and not drawn back yet."""
        self._price: Ints = np.zeros(cars + 1, dtype=np.int64)
        self._reduce_w: Ints = np.zeros(cars + 1, dtype=np.int64)
        """By row: the reduction that is bought by the award in force."""
        self._feed_w: Ints = np.zeros(cars + 1, dtype=np.int64)
        """By row: the feeding that is bought by it."""
        self._stopped_at: Ints = np.full(cars + 1, NEVER)
        """By row: the tick at which a car failed to draw back what it was paid to wait for."""

    @property
    def running_row(self) -> Ints:
        """The rows of the cars with an award in force, one after the other as they were made."""
        return self._all.row[self._runs]

    @property
    def running_tick(self) -> Ints:
        """The ticks of these awards."""
        return self._all.tick[self._runs]

    @property
    def by_row(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """By row: what is owed, the dearest price of it, when the clock stopped; the reduction and feeding in force."""
        return self.owed_ws, self._price, self._stopped_at, self._reduce_w, self._feed_w

    def rent_price(self, rows: Ints) -> Ints:
        """The dearest price at which each car's energy waits; 0 if none does, or once its clock has stopped."""
        return np.where(self._stopped_at[rows] == NEVER, self._price[rows], 0)

    def runs(self, rows: Ints) -> NDArray[np.bool_]:
        """Which of these cars are under an award."""
        under: NDArray[np.bool_] = self._reduce_w[rows] + self._feed_w[rows] > 0
        return under

    def bought(self, rows: Ints) -> tuple[Ints, Ints]:
        """The reduction and the feeding that are bought of these cars by awards in force."""
        return self._reduce_w[rows], self._feed_w[rows]

    def add(
        self,
        row: Ints,
        tick: int,
        award_w: Ints,
        price: Ints,
        offered_w: Ints,
        ask: Ints,
        reserved_nanos: Ints | int = 0,
    ) -> None:
        """Awards of this tick, in force from now on; a car holds one at a time."""
        if self._count + len(row) > len(self._all.row):
            self._make_room(len(row))
        lot_price = np.maximum(price[:, TO_FLOOR], price[:, TO_ZERO])
        new, every = slice(self._count, self._count + len(row)), self._all
        every.row[new], every.tick[new], every.award_w[new], every.price[new] = row, tick, award_w, price
        every.lot_price[new], every.offered_w[new], every.ask[new] = lot_price, offered_w, ask
        every.reserved_nanos[new] = reserved_nanos  # all else is 0 there
        places = np.arange(new.start, new.stop)
        self._count = new.stop
        self._runs = np.concatenate((self._runs, places))
        self._reduce_w[row], self._feed_w[row] = award_w[:, TO_FLOOR] + award_w[:, TO_ZERO], award_w[:, FEED]
        self._put_in_order(places)
        self.open[row] += 1

    def _put_in_order(self, new: Ints) -> None:
        """Give these lots, one a car, their place among its others."""
        if 4 * self._closed_between > len(self._order):
            self._leave_out_closed()
        self._order, self._car = self._with(new[np.argsort(self._all.row[new], kind="stable")])

    def _with(self, new: Ints) -> tuple[Ints, Ints]:
        """The places in order and the rows of their cars with these, one a car, which are in the order of cars."""
        row, order, car = self._all.row, self._order, self._car
        first, last = np.searchsorted(car, row[new]), np.searchsorted(car, row[new], side="right")
        has = last - first
        whose = np.repeat(np.arange(len(new)), has)
        theirs = np.arange(len(whose)) + (last - np.cumsum(has))[whose]
        (price, tick), (new_price, new_tick) = (
            (self._all.lot_price[places], self._all.tick[places]) for places in (order[theirs], new[whose])
        )
        before = (price > new_price) | ((price == new_price) & (tick < new_tick))
        at = first + np.bincount(whose[before], minlength=len(new)) + np.arange(len(new))
        old = np.ones(len(order) + len(new), dtype=bool)
        old[at] = False
        both_order, both_car = np.empty((2, len(old)), dtype=np.int64)
        both_order[at], both_car[at] = new, row[new]
        both_order[old], both_car[old] = order, car
        return both_order, both_car

    def _leave_out_closed(self) -> None:
        """Keep open awards alone in order."""
        kept = self._all.row[self._order] < self._cars
        self._order, self._car, self._closed_between = self._order[kept], self._car[kept], 0

    def _make_room(self, more: int) -> None:
        """Room for more, without those that were closed."""
        self._leave_out_closed()
        kept = np.flatnonzero(self._all.row[: self._count] < self._cars)
        old, self._all, self._count = self._all, Awards.none(2 * (len(kept) + more) + _ROOM), len(kept)
        for column, before in zip(self._all, old, strict=True):
            column[: len(kept)] = before[kept]
        touched, self._touched = self._touched[kept], np.zeros(len(self._all.row), dtype=bool)
        self._touched[: len(kept)] = touched
        self._runs, self._order = np.searchsorted(kept, self._runs), np.searchsorted(kept, self._order)

    def meter(self, tick: int, moved: Moved) -> None:
        """Count a tick that has passed for awards and lots, as charger and car do; all their cars have moved."""
        rows, baseline_w, import_w = moved.rows, moved.charging.baseline_w, moved.import_w
        owed_ws = self.owed_ws[rows]
        if not len(self._runs) and not np.count_nonzero(owed_ws):
            return
        awarded = np.zeros(len(rows), dtype=bool)
        if len(self._runs):
            at = np.searchsorted(rows, self._all.row[self._runs])
            awarded[at] = True
            self._deliver(baseline_w[at], import_w[at], moved.export_w[at])
        meters = CarMeters(import_w, baseline_w, moved.granted_w, awarded, self._stopped_at[rows])
        stopped_at = self._stopped_at[rows] = lots.stopped_at(meters, owed_ws, tick, self._rules)
        returns = (import_w > baseline_w) & (self.owed_ws[rows] > 0)
        if np.count_nonzero(returns):
            cars = rows[returns]
            places = self._of(cars)
            here = self._lots(places, cars)
            back_ws = (import_w - baseline_w)[returns] * self._rules.tick_s
            after = lots.after_return(here, back_ws, stopped_at[returns], tick, in_order=True)
            self._all.owed_ws[places], self._all.rent[places] = after.owed_ws, after.rent
            self._touched[places] = after.owed_ws < self._rules.tick_s
            self._look_up(cars, after)

    def _deliver(self, baseline_w: Ints, import_w: Ints, export_w: Ints) -> None:
        """Count a tick for the awards in force; the columns are their cars'."""
        runs, every, tick_s = self._runs, self._all, self._rules.tick_s
        row = every.row[runs]
        delivered_ws = settlement.relief_w(every.award_w[runs], baseline_w, import_w, export_w) * tick_s
        every.delivered_ws[runs] += delivered_ws
        every.baseline_ws[runs] += baseline_w * tick_s
        given_up_ws = delivered_ws[:, TO_FLOOR] + delivered_ws[:, TO_ZERO]
        every.owed_ws[runs] += given_up_ws
        np.add.at(self.owed_ws, row, given_up_ws)
        waits_for = np.where(every.owed_ws[runs] > 0, every.lot_price[runs], 0)
        np.maximum.at(self._price, row, waits_for)

    def _of(self, cars: Ints) -> Ints:
        """The places of all open awards of these cars, in order."""
        chosen = np.zeros(self._cars + 1, dtype=bool)
        chosen[cars] = True
        places = self._order[chosen[self._car]]
        return places[self._all.row[places] < self._cars]

    def _lots(self, places: Ints, cars: Ints) -> Lots:
        """These awards as the lots of the cars of these rows."""
        every = self._all
        car, price = np.searchsorted(cars, every.row[places]), every.lot_price[places]
        cap = np.full(len(places), RENT_CAP_S // self._rules.tick_s)
        return Lots(car, price, every.tick[places], cap, every.owed_ws[places], every.rent[places])

    def _look_up(self, cars: Ints, theirs: Lots) -> None:
        """Reckon what these cars are owed, and at which price, from their lots."""
        self.owed_ws[cars] = lots.owed_ws(theirs, len(cars))
        self._price[cars] = lots.rent_price(theirs, np.full(len(cars), NEVER))

    def end(self, ends: NDArray[np.bool_]) -> None:
        """End these of the awards in force."""
        if np.count_nonzero(ends):
            over, self._runs = self._runs[ends], self._runs[~ends]
            self._touched[over] = True
            self._nothing_bought(self._all.row[over])

    def end_all(self) -> None:
        """End all awards in force."""
        self._touched[self._runs] = True
        self._nothing_bought(self.running_row)
        self._runs = _NOWHERE

    def _nothing_bought(self, rows: Ints) -> None:
        """These cars are under no award."""
        self._reduce_w[rows] = self._feed_w[rows] = 0

    def closed(self, left: Ints = _NOWHERE) -> Awards:
        """Take out the awards whose lot is over, and all of the cars that left; in the order of their making."""
        self._touched[self._runs] = False  # it is looked at when it ends
        places = np.flatnonzero(self._touched[: self._count])
        if len(places):
            self._touched[places] = False
            places = places[lots.is_over(self._all.owed_ws[places], np.zeros(len(places), dtype=bool), self._rules)]
        return self._taken_out(np.union1d(places, self._of(left)) if len(left) else places)

    def forget(self, cars: Ints) -> None:
        """Take out the awards of these cars, which left."""
        if len(cars):
            self._taken_out(np.sort(self._of(cars)))

    def take_out(self, row: int, tick: int) -> None:
        """Take out this award, which was settled elsewhere."""
        places = np.flatnonzero((self._all.row[: self._count] == row) & (self._all.tick[: self._count] == tick))
        self._taken_out(places)

    def _taken_out(self, places: Ints) -> Awards:
        """Take out the awards of these places, which rise."""
        if not len(places):
            return _NO_AWARDS
        out = self._all.of(places)
        self._all.row[places], self._all.owed_ws[places], self._touched[places] = self._cars, 0, False
        self._closed_between += len(places)
        runs = self.running_row < self._cars
        if not runs.all():
            over, self._runs = self._runs[~runs], self._runs[runs]
            self._nothing_bought(out.row[np.searchsorted(places, over)])
        np.subtract.at(self.open, out.row, 1)
        if np.count_nonzero(out.owed_ws):  # what was not drawn back is owed no longer
            cars = np.unique(out.row)
            self._look_up(cars, self._lots(self._of(cars), cars))
        return out

    def has(self, row: int, tick: int) -> bool:
        """Whether this award is open."""
        same = (self._all.row[: self._count] == row) & (self._all.tick[: self._count] == tick)
        return bool(same.any())

    def made_at(self, tick: int) -> Awards:
        """The awards of this tick that are open."""
        same = (self._all.tick[: self._count] == tick) & (self._all.row[: self._count] < self._cars)
        return self._all.of(np.flatnonzero(same))

    def left_open(self, tick: int) -> Awards:
        """Those that are still open at the run's end, with the rent as if all that is owed came back now."""
        places = np.flatnonzero(self._all.row[: self._count] < self._cars)
        theirs = self._lots(places, np.arange(self._cars))
        return self._all.of(places)._replace(rent=lots.accrued(theirs, self._stopped_at, tick))
