"""Many streets in one pass of the fleet's law: a replication is only one more feeder.

What a car draws that never gave way is known beforehand, so only the *explicit* cars are stepped: those that are behind
their baseline, under an award, or still owed something. A tick in which nobody is explicit and no feeder is above its
target is skipped. What comes of each street is what a run of it alone comes to, to the last watt-second and nano.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from wattswap.agents import law, lots, market, settlement
from wattswap.agents.lots import NEVER
from wattswap.agents.offers import FEED, TRANCHES, Call
from wattswap.agents.rules import Terms
from wattswap.agents.segments import Segments
from wattswap.protocol.draws import keys_under
from wattswap.runners.engines.award_table import AwardTable
from wattswap.runners.engines.idle_baseline import IdleBaseline
from wattswap.runners.engines.observer import Moved
from wattswap.runners.engines.strategy_assignment import StrategyAssignment
from wattswap.runners.engines.summed_ticks import SummedTicks
from wattswap.runners.payments.opening_book import open_books
from wattswap.runners.recording.record import RunRecord, forced_row, session_row, trade_rows
from wattswap.runners.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from wattswap.agents.law import Cars, ChargingState
    from wattswap.agents.physics import Ints
    from wattswap.runners.recording.time_series import TimeSeries
    from wattswap.runners.scenario.street import Street


class StreetRun(NamedTuple):
    """What came of one street; the record has no ticks, they are summed up in the series."""

    record: RunRecord
    series: TimeSeries


def can_run(street: Street) -> bool:
    """Whether a street can be run beside others: its cars charge at one power until they are full."""
    return street.scenario.vehicles.curve == "flat"


class SideBySide:
    """A run of several streets with the same ticks and the same rules, all feeders of all of them at once."""

    def __init__(self, streets: Sequence[Street]) -> None:
        self.streets, worlds = streets, [World(street) for street in streets]
        self.world, self._worlds = World.side_by_side(worlds), worlds
        self.rules, self.ticks = self.world.rules, streets[0].ticks
        self._terms = Terms.of(*self.world.feeder_rules)
        self._base_w = np.ascontiguousarray(self.world.base_w.T)
        self._limit_w = np.ascontiguousarray(np.concatenate([street.limit_w for street in streets]).T)
        fleet = self.world.fleet
        seeds = [street.scenario.seed for street in streets]
        keys = [keys_under(seed, world.fleet.key) for seed, world in zip(seeds, worlds, strict=True)]
        self._key = np.concatenate(keys)
        """Under which the market draws for all rows, whatever their street's seed."""
        parts = [
            StrategyAssignment(world.fleet, street.scenario.seed, world.rules, street.folder)
            for world, street in zip(worlds, streets, strict=True)
        ]
        self.assignment = StrategyAssignment.joined(parts)
        self._number = np.concatenate([np.arange(len(street.feeders)) for street in streets])
        """By feeder: its number in its own street."""
        self._feeders = len(self._number)
        pairs = zip(streets, worlds, strict=True)
        self.records = [RunRecord(book=book) for street, world in pairs for book in open_books(street, world)]
        self._idle = IdleBaseline(self.world, self.ticks)
        self._sums = SummedTicks(self._idle, fleet, self._feeders)
        hot = self._base_w[:-1] + self._idle.load_w > self._limit_w - self._terms.margin_w
        self._hot_ticks = np.flatnonzero(hot.any(axis=1))
        self._first_row = np.searchsorted(fleet.feeder, np.arange(self._feeders + 1))
        self._explicit = np.zeros(len(fleet), dtype=bool)
        self._stopped_at = np.full(len(fleet), NEVER)
        self._earned, self._deferred_ws = np.zeros((2, len(fleet)), dtype=np.int64)
        self._closed_until = -1
        self._new: dict[int, RunRecord] = {}
        """By feeder, the records in which something new stands since the last tick."""
        self.awards = AwardTable.none()

    @property
    def _stepped(self) -> Ints:
        """The explicit cars; the world moves these alone."""
        return self.world.plugged

    def run(self, progress: Callable[[int], None] = lambda _tick: None) -> list[StreetRun]:
        """Every tick that needs a step, then the closing step of the last instant; what came of each street."""
        tick = 0
        while (tick := self._next(tick)) < self.ticks:
            self._close(tick)
            self._tick(tick)
            self._order(tick)
            tick += 1
            progress(tick)
        self._close(self.ticks)
        return self._results()

    def _next(self, tick: int) -> int:
        """The first tick from this one on in which anything has to be decided."""
        if len(self._stepped):
            return tick
        at = np.searchsorted(self._hot_ticks, tick)
        return int(self._hot_ticks[at]) if at < len(self._hot_ticks) else self.ticks

    # -- a tick -------------------------------------------------------------------------------------------------------

    def _tick(self, tick: int) -> None:
        base_w, limit_w = self._base_w[tick], self._limit_w[tick]
        charging, cars, segments, rest_w = self._look(tick)
        assessment = law.assess(base_w + rest_w, limit_w, cars, segments, self._terms)
        if assessment.release.any():
            self._end_awards(assessment.release[self.world.fleet.feeder[self.awards.row]])
            cars = self._cars(charging)
        if (assessment.need_w > 0).any():
            self._round(tick, np.maximum(assessment.need_w, 0), cars)
            charging, cars, segments, rest_w = self._look(tick)
        room_w = assessment.target_w - base_w - rest_w
        room_w -= segments.sum(cars.firm_w - np.minimum(cars.reduce_w, cars.firm_w) - cars.feed_w)
        if ((room_w < 0) & (rest_w > 0)).any():  # the last resort may cut anybody
            rows = self._plugged(np.flatnonzero((room_w < 0) & (rest_w > 0)), tick)
            self._wake(rows[self._idle.left_ws(rows, tick) >= self.rules.tick_s], tick)
            charging, cars, segments, rest_w = self._look(tick)
        granted = law.grants(
            base_w + rest_w,
            assessment.target_w,
            cars,
            segments,
            now_ms=tick * self.rules.tick_ms,
            seed=0,
            rules=self.rules,
        )
        self._move(tick, charging, cars, granted, segments)

    def _look(self, tick: int) -> tuple[ChargingState, Cars, Segments, Ints]:
        """The explicit cars as they stand, and by feeder what all others draw."""
        charging = self.world.charging(tick)
        segments = self._segments(self._stepped)
        rest_w = self._idle.load_w[tick] - segments.sum(charging.baseline_w)
        return charging, self._cars(charging), segments, rest_w

    def _segments(self, rows: Ints) -> Segments:
        return Segments.of(self.world.fleet.feeder[rows], self._feeders)

    def _cars(self, charging: ChargingState) -> Cars:
        """What the transformers know of the explicit cars."""
        rows, awards = self._stepped, self.awards
        reduce_w, feed_w = np.zeros((2, len(rows)), dtype=np.int64)
        at = np.searchsorted(rows, awards.row)
        reduce_w[at[awards.runs]] = awards.award_w[awards.runs, :FEED].sum(axis=1)
        feed_w[at[awards.runs]] = awards.award_w[awards.runs, FEED]
        open_lots = awards.lots(at, self.rules)
        owed_ws = lots.owed_ws(open_lots, len(rows))
        rent_price = lots.rent_price(open_lots, self._stopped_at[rows])
        key, firm_w, wanted_w, drew = self._key[rows], charging.firm_w, charging.wanted_w, self.world.drew[rows]
        return law.Cars(key, firm_w, wanted_w, drew, owed_ws, rent_price, reduce_w, feed_w)

    def _plugged(self, feeders: NDArray[np.intp], tick: int) -> Ints:
        """The plugged cars of these feeders."""
        fleet, bounds = self.world.fleet, self._first_row
        rows = np.concatenate([np.arange(bounds[feeder], bounds[feeder + 1]) for feeder in feeders.tolist()])
        here = (fleet.arrival_tick[rows] <= tick) & (fleet.departure_tick[rows] > tick)
        plugged: Ints = rows[here]
        return plugged

    def _wake(self, rows: Ints, tick: int) -> None:
        """Make these plugged cars explicit, with the state that their baseline has brought them to."""
        rows = rows[~self._explicit[rows]]
        self._sync(rows, tick)
        self.world.drew[rows] = self._idle.drew(rows, tick)
        self._explicit[rows] = True
        self.world.plugged = np.union1d(self._stepped, rows)

    def _sync(self, rows: Ints, tick: int) -> None:
        """Let the world know how far cars are that have not been stepped up to this tick."""
        world, left_ws = self.world, self._idle.left_ws(rows, tick)
        drawn_ws = world.remaining_ws[rows] - left_ws
        world.remaining_ws[rows] = world.baseline_ws[rows] = left_ws
        world.stored_ws[rows] += drawn_ws
        world.imported_ws[rows] += drawn_ws

    # -- a round ------------------------------------------------------------------------------------------------------

    def _round(self, tick: int, need_w: Ints, cars: Cars) -> None:
        """Ask who could answer anything on the feeders in need, and award what is bought."""
        world, now_ms, awards = self.world, tick * self.rules.tick_ms, self.awards
        feeders = np.flatnonzero(need_w > 0)
        asked = self._plugged(feeders, tick)
        running = awards.row[awards.runs]
        asked = asked[~np.isin(asked, running)]
        implicit = asked[~self._explicit[asked]]
        self._sync(implicit, tick)
        charging = self._standing(asked, tick)
        if not self.assignment.learns:  # who draws nothing and cannot feed has nothing to say, and nothing to learn
            speaks = (charging.firm_w > 0) | (world.fleet.feed_w[asked] > 0)
            asked, charging = asked[speaks], law.ChargingState(*(column[speaks] for column in charging))
        segments, feeder = self._segments(asked), world.fleet.feeder[asked]
        owed_ws = np.zeros(len(world.fleet), dtype=np.int64)
        owed_ws[self._stepped] = cars.owed_ws
        until_ms = self.rules.window_end_ms(now_ms)
        own = world.own(asked, charging, owed_ws[asked], now_ms)
        call = Call(need_w[feeder], now_ms, until_ms, self.rules.feed_h)
        offers = market.Offers(self._key[asked], own.firm_w, *self.assignment.admitted(call, own, asked))
        bought = market.buy(
            need_w,
            offers,
            segments,
            [record.book.site_uncommitted_nanos for record in self.records if record.book is not None],
            from_ms=now_ms,
            until_ms=until_ms,
            seed=0,
            terms=self._terms,
        )
        awarded = np.bincount(world.fleet.feeder[running], minlength=self._feeders)
        called = self._idle.plugged[tick] - awarded
        for number in feeders[called[feeders] > 0].tolist():
            said = market.relief_call(int(self._number[number]), now_ms, int(need_w[number]), self.rules)
            note = market.round_note(said, offers, bought, segments.rows(number))
            self.records[number].rounds.append(msgspec.structs.replace(note, called=int(called[number])))
        self.assignment.learn(call, own, market.outcome(call, bought, segments, self.rules), asked)
        self._award(tick, asked, offers, bought)

    def _standing(self, rows: Ints, tick: int) -> ChargingState:
        """Where these cars stand, which the world knows already."""
        world, max_w = self.world, self.world.fleet.max_w[rows]
        left_ws, now_ms = world.remaining_ws[rows], tick * self.rules.tick_ms
        departure_ms = world.fleet.departure_ms[rows]
        return law.charging_state(
            left_ws, world.baseline_ws[rows], max_w, max_w, max_w, departure_ms, now_ms, self.rules
        )

    def _award(self, tick: int, asked: Ints, offers: market.Offers, bought: market.Purchase) -> None:
        """Set the tokens aside, and note the awards."""
        won = bought.won
        rows = asked[won]
        self._wake(rows, tick)
        for row, nanos in zip(rows.tolist(), bought.reserved_nanos[won].tolist(), strict=True):
            record, number, session_id = self._of(row)
            assert record.book is not None
            key = settlement.payment_id(number, tick, session_id)
            assert record.book.reserve(key, nanos), "the market has counted these tokens"
        columns = (bought.award_w, bought.price_nanos_per_kwh_h, offers.relief_w, offers.ask_nanos_per_kwh_h)
        self.awards = self.awards.and_also(AwardTable.made(rows, tick, *(column[won] for column in columns)))

    def _of(self, row: int) -> tuple[RunRecord, int, str]:
        """The record and the number of a row's feeder, and the session's name, for whoever writes something down."""
        feeder = int(self.world.fleet.feeder[row])
        self._new[feeder] = self.records[feeder]
        return self.records[feeder], int(self._number[feeder]), self.world.fleet.session_id[row]

    def _order(self, tick: int) -> None:
        """Bring what ended in this tick into the order that every engine keeps."""
        for record in self._new.values():
            record.order(tick)
        self._new.clear()

    # -- the world moves ----------------------------------------------------------------------------------------------

    def _move(self, tick: int, charging: ChargingState, cars: Cars, granted: law.Grants, segments: Segments) -> None:
        world, rows = self.world, self._stepped
        drew = world.drew[rows] if tick else np.zeros(len(rows), dtype=bool)
        owed_ws = np.maximum(world.remaining_ws[rows] - world.baseline_ws[rows], 0)
        drawn_w, fed_w = world.move(charging, granted.import_w, granted.export_w)
        base_w, limit_w = self._base_w[tick + 1], self._limit_w[tick]
        moved = Moved(tick, base_w, limit_w, rows, charging, drawn_w, fed_w, granted.import_w, owed_ws)
        self.awards.meter(tick, moved, self._stopped_at, self.rules)
        self._sums.add(moved, cars.reduce_w, granted.forced_w, drew, segments)
        for car in granted.forced_w.nonzero()[0].tolist():
            record, number, session_id = self._of(int(rows[car]))
            record.trades.append(forced_row(tick, number, session_id, int(granted.forced_w[car])))
        keeps = world.remaining_ws[rows] != world.baseline_ws[rows]
        keeps[np.searchsorted(rows, self.awards.row)] = True
        if not keeps.all():
            self._rest(rows[~keeps])
            world.plugged = rows[keeps]

    def _rest(self, rows: Ints) -> None:
        """These cars are on their baseline again, or have left."""
        self._explicit[rows] = False

    def _close(self, tick: int) -> None:
        """End what has ended by this tick, in the order in which it did."""
        leaving = [self.world.departures.get(at) for at in range(self._closed_until + 1, tick + 1)]
        skipped = [(tick - len(leaving) + 1 + at, rows) for at, rows in enumerate(leaving) if rows is not None]
        self._closed_until = tick
        gone = skipped[-1][1] if skipped and skipped[-1][0] == tick else _NOBODY
        for at, rows in skipped:
            if at < tick:  # nobody was explicit then
                self._bill_all(rows, at)
                self._order(at)
        if len(self.awards):
            window_over = tick * self.rules.tick_ms % self.rules.window_ms == 0
            left = np.isin(self.awards.row, gone) if len(gone) else np.zeros(len(self.awards), dtype=bool)
            self._end_awards(left | window_over, left)
        if len(gone):
            self._bill_all(gone, tick)

    def _bill_all(self, rows: Ints, tick: int) -> None:
        """The energy bills of departing cars, netted against what they earned."""
        self._sync(rows[~self._explicit[rows]], tick)
        if self._explicit[rows].any():
            self._rest(rows)
            self.world.plugged = self._stepped[~np.isin(self._stepped, rows)]
        fleet, world = self.world.fleet, self.world
        for row in rows.tolist():
            record, _, session_id = self._of(row)
            assert record.book is not None
            billed = settlement.bill_nanos(
                int(fleet.tariff_nanos_per_kwh[row]), int(world.imported_ws[row]), int(world.exported_ws[row])
            )
            bill = record.book.bill(session_id, fleet.vehicle_id[row], billed)
            self._end_session(row, billed, bill.receivable_nanos)

    def _end_session(self, row: int, billed_nanos: int, receivable_nanos: int) -> None:
        name = self.assignment.names[self.assignment.number[row]]
        deferred_ws, earned = int(self._deferred_ws[row]), int(self._earned[row])
        ended = session_row(self.world, row, self.ticks, name, deferred_ws, earned, billed_nanos, receivable_nanos)
        self._of(row)[0].sessions.append(ended)

    def _end_awards(self, ended: NDArray[np.bool_], left: NDArray[np.bool_] | bool = False) -> None:
        """End these awards, and close and pay the lots that are over, and those of cars that left."""
        awards = self.awards
        awards.runs = awards.runs & ~ended
        over = lots.is_over(awards.owed_ws, awards.runs, self.rules) | left
        if over.any():
            self.awards = awards.where(~over)
            self._settle(awards.where(over))

    def _settle(self, awards: AwardTable) -> None:
        """Pay what these awards' cars have waited and fed, one payment per round and session."""
        for at, row in enumerate(awards.row.tolist()):
            record, number, session_id = self._of(row)
            assert record.book is not None
            note = awards.settled(at, number, session_id, self.rules)
            self._earned[row] += sum(note.nanos)
            record.book.settle(note.payment_id, self.world.fleet.vehicle_id[row], sum(note.nanos))
            record.trades.extend(trade_rows(note, number, session_id))
        np.add.at(self._deferred_ws, awards.row, awards.delivered_ws[:, :FEED].sum(axis=1))

    # -- the end ------------------------------------------------------------------------------------------------------

    def _results(self) -> list[StreetRun]:
        """Show what is left open, and part the streets."""
        awards, fleet = self.awards, self.world.fleet
        rent = awards.accrued(self._stopped_at, self.ticks, self.rules).tolist()
        for at, row in enumerate(awards.row.tolist()):
            record, number, session_id = self._of(row)
            note = awards.trade(at, number, session_id, rent[at], (0,) * TRANCHES)
            record.trades.extend(trade_rows(note, number, session_id, status="open"))
        np.add.at(self._deferred_ws, awards.row, awards.delivered_ws[:, :FEED].sum(axis=1))
        stays = np.flatnonzero((fleet.arrival_tick < self.ticks) & (fleet.departure_tick > self.ticks))
        self._sync(stays[~self._explicit[stays]], self.ticks)
        for row in stays.tolist():
            self._end_session(row, billed_nanos=0, receivable_nanos=0)
        self._order(self.ticks)
        return [self._part(street, place) for place, street in enumerate(self.streets)]

    def _part(self, street: Street, place: int) -> StreetRun:
        counts = [len(each.feeders) for each in self.streets]
        first = sum(counts[:place])
        feeders = range(first, first + counts[place])
        alone = [street.alone(number) for number in range(len(street.feeders))] if len(feeders) > 1 else [street]
        series = [
            self._sums.of(each, feeder, self._base_w, self._limit_w)
            for each, feeder in zip(alone, feeders, strict=True)
        ]
        records = self.records[feeders.start : feeders.stop]
        if len(records) == 1:
            return StreetRun(records[0], series[0])
        first_rows = [int(self._first_row[feeder] - self._first_row[first]) for feeder in feeders]
        return StreetRun(RunRecord.joined(records, first_rows), type(series[0]).joined(street, series))


_NOBODY: Ints = np.zeros(0, dtype=np.int64)
