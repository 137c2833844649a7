"""Many streets in one pass of the fleet's law: a replication is only one more feeder.

What a car draws that never gave way is known beforehand, so only the *explicit* cars are stepped: those that are behind
their baseline, under an award, or still owed something. A tick in which nobody is explicit and no feeder is above its
target is skipped. What comes of each street is what a run of it alone comes to, to the last watt-second and nano.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.agents import law, market, settlement
from wattswap.agents.offers import Call, by_car
from wattswap.agents.rules import Terms
from wattswap.agents.segments import Segments
from wattswap.protocol.draws import keys_under
from wattswap.protocol.units import MOST_W
from wattswap.runners.engines.idle_baseline import IdleBaseline
from wattswap.runners.engines.pass_record import PassRecord
from wattswap.runners.engines.steps_choice import steps_for
from wattswap.runners.engines.strategy_assignment import StrategyAssignment
from wattswap.runners.engines.summed_ticks import SummedTicks
from wattswap.runners.payments.opening_book import open_accounts
from wattswap.runners.recording.record import RunRecord
from wattswap.runners.world import World, fleet_of, rules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from wattswap.agents.law import Grants
    from wattswap.agents.physics import Ints
    from wattswap.runners.engines.steps import Look, Steps
    from wattswap.runners.recording.time_series import TimeSeries
    from wattswap.runners.scenario.street import Street


_NOBODY: Final[Ints] = np.zeros(0, dtype=np.int64)


class StreetRun(NamedTuple):
    """What came of one street; the record has no ticks, they are summed up in the series."""

    record: RunRecord
    series: TimeSeries


def can_run(street: Street) -> bool:
    """Whether a street can be run beside others: its cars charge at one power until they are full."""
    return street.scenario.vehicles.curve == "flat"


def have_one_grid(streets: Sequence[Street]) -> bool:
    """Whether streets that are run side by side have the same ticks and what else all feeders must share."""
    grids = {(street.ticks, street.start_unix_ms) for street in streets}
    rules = {rules_of(street.scenario, feeder.transformer).common for street in streets for feeder in street.feeders}
    return len(grids) <= 1 and len(rules) <= 1


class SideBySide:
    """A run of several streets with the same ticks and the same rules, all feeders of all of them at once."""

    def __init__(self, streets: Sequence[Street], steps: type[Steps] | None = None) -> None:
        """``steps`` are chosen by the size of the pass unless they are given."""
        self.streets, fleets, self.world = streets, [fleet_of(street) for street in streets], World(*streets)
        self.rules, self.ticks = self.world.rules, streets[0].ticks
        self._terms = Terms.of(*self.world.feeder_rules)
        self.base_w = np.ascontiguousarray(self.world.base_w.T)
        self.limit_w = np.stack([feeder.limit_w for street in streets for feeder in street.feeders], axis=1)
        fleet = self.world.fleet
        seeds = [street.scenario.seed for street in streets]
        keys = [keys_under(seed, fleet.key) for seed, fleet in zip(seeds, fleets, strict=True)]
        self._key = np.concatenate(keys)
        """Under which the market draws for all rows, whatever their street's seed."""
        parts = [
            StrategyAssignment(fleet, street.scenario.seed, self.rules, street.folder)
            for fleet, street in zip(fleets, streets, strict=True)
        ]
        self.assignment = StrategyAssignment.joined(parts)
        self._number = np.concatenate([np.arange(len(street.feeders)) for street in streets])
        """By feeder: its number in its own street."""
        self._feeders = len(self._number)
        self.accounts, self.car = open_accounts(streets)
        """The tokens of all sites and cars, and by row the number of its car among them."""
        self.record = PassRecord(self.world, self._number, self.ticks)
        self.idle = IdleBaseline(self.world, self.ticks)
        self.sums = SummedTicks(self.idle, fleet, self._feeders)
        over_w = self.base_w[:-1] + self.idle.load_w
        over_w -= self.limit_w
        self._hot_ticks = np.flatnonzero((over_w > -self._terms.margin_w).any(axis=1))
        self._explicit = np.zeros(len(fleet), dtype=bool)
        self._closed_until = -1
        steps = steps or steps_for(self._feeders * self.ticks)
        self.awards = steps.table(len(fleet), self.rules)
        self._always_asked = (fleet.feed_w > 0) & self.assignment.may_feed() | self.assignment.learns
        """By row: whether it is asked even when it draws nothing: it may ever feed, or learns and hears every round."""
        self._may_speak = _Spans(*self._spans(), len(fleet))
        self.steps = steps(self.world, self._key, self.idle, self.awards, self.sums)

    def _spans(self) -> tuple[Ints, Ints]:
        """From which tick to which each row may have something to say when it is called."""
        fleet, idle = self.world.fleet, self.idle
        return np.maximum(fleet.arrival_tick, 0), np.where(self._always_asked, fleet.departure_tick, idle.until)

    @property
    def _stepped(self) -> Ints:
        """The explicit cars; the world moves these alone."""
        return self.world.plugged

    def run(self, progress: Callable[[int], None] = lambda _tick: None) -> list[StreetRun]:
        """Run all streets; what came of each."""
        self.pass_through(progress)
        names = [self.assignment.names[number] for number in self.assignment.number.tolist()]
        records = self.record.records(names)
        return [self._part(street, place, records) for place, street in enumerate(self.streets)]

    def pass_through(self, progress: Callable[[int], None] = lambda _tick: None) -> None:
        """Every tick that needs a step, then the closing step of the last instant; it is all in the columns then."""
        tick = 0
        while (tick := self._next(tick)) < self.ticks:
            self._close(tick)
            self._tick(tick)
            tick += 1
            progress(tick)
        self._close(self.ticks)
        self._leave_open()

    def _next(self, tick: int) -> int:
        """The first tick from this one on in which anything has to be decided."""
        if len(self._stepped):
            return tick
        at = np.searchsorted(self._hot_ticks, tick)
        return int(self._hot_ticks[at]) if at < len(self._hot_ticks) else self.ticks

    # -- a tick -------------------------------------------------------------------------------------------------------

    def _tick(self, tick: int) -> None:
        base_w, limit_w = self.base_w[tick], self.limit_w[tick]
        look = self.steps.look(tick)
        assessment = law.assess(base_w + look.rest_w, limit_w, look.cars, look.segments, self._terms)
        if assessment.release.any():
            self.awards.end(assessment.release[self.world.fleet.feeder[self.awards.running_row]])
            self._pay(tick)
            look = look._replace(cars=self.steps.cars(look.charging))
        if (assessment.need_w > 0).any() and self._round(tick, np.maximum(assessment.need_w, 0)):
            look = self.steps.look(tick, look)
        short = (look.rest_w > 0) & (self._room_w(assessment.target_w - base_w, look) < 0)
        if short.any():  # the last resort may cut anybody
            rows = self._plugged(np.flatnonzero(short), tick)
            self._wake(rows[self.idle.left_ws(rows, tick) >= self.rules.tick_s], tick)
            look = self.steps.look(tick, look)
        granted = self.steps.grants(base_w + look.rest_w, assessment.target_w, look, tick)
        self._move(tick, look, granted)

    @staticmethod
    def _room_w(above_base_w: Ints, look: Look) -> Ints:
        """What is left on each feeder once every car draws what it may unasked, less what it sold."""
        (_, firm_w, *_, reduce_w, feed_w), segments = look.cars, look.segments
        room_w: Ints = above_base_w - look.rest_w - segments.sum(firm_w - np.minimum(reduce_w, firm_w) - feed_w)
        return room_w

    def _segments(self, rows: Ints) -> Segments:
        return Segments.of(self.world.fleet.feeder[rows], self._feeders)

    def _plugged(self, feeders: NDArray[np.intp], tick: int) -> Ints:
        """The plugged cars of these feeders."""
        fleet, rows = self.world.fleet, self.steps.rows_of(feeders)
        here = (fleet.arrival_tick[rows] <= tick) & (fleet.departure_tick[rows] > tick)
        plugged: Ints = rows[here]
        return plugged

    def _wake(self, rows: Ints, tick: int) -> None:
        """Make these plugged cars explicit, with the state that their baseline has brought them to."""
        rows = rows[~self._explicit[rows]]
        self.steps.sync(rows, tick)
        self.world.drew[rows] = self.idle.drew(rows, tick)
        self._explicit[rows] = True
        self.world.plugged = np.flatnonzero(self._explicit)

    # -- a round ------------------------------------------------------------------------------------------------------

    def _round(self, tick: int, need_w: Ints) -> bool:
        """Ask who could answer anything on the feeders in need, and award what is bought; whether anything is."""
        world, now_ms, awards = self.world, tick * self.rules.tick_ms, self.awards
        needs = need_w > 0
        asked, charging = self.steps.asked(tick, needs, self._may_speak.at(tick), self._explicit, self._always_asked)
        segments, feeder = self._segments(asked), world.fleet.feeder[asked]
        until_ms = self.rules.window_end_ms(now_ms)
        own = world.own(asked, charging, awards.owed_ws[asked], now_ms)
        call = Call(need_w[feeder], now_ms, until_ms, self.rules.feed_h)
        answers = self.assignment.admitted(call, own, asked, self.steps.admitted)
        offers = market.Offers(self._key[asked], own.firm_w, *answers)
        bought = market.buy(
            need_w,
            offers,
            segments,
            self.accounts.site_nanos,
            from_ms=now_ms,
            until_ms=until_ms,
            seed=0,
            terms=self._terms,
            choose=self.steps.cheapest,
        )
        awarded = np.bincount(world.fleet.feeder[awards.running_row], minlength=self._feeders)
        called = self.idle.plugged[tick] - awarded
        figures = market.round_figures(offers, bought, segments)._replace(called=called)
        told = np.flatnonzero(needs & (called > 0))
        figures = market.RoundFigures(*(column[told] for column in figures))
        self.record.add_rounds(tick, told, np.minimum(need_w[told], MOST_W), figures)
        if self.assignment.learns:
            self.assignment.learn(call, own, market.outcome(call, bought, segments, self.rules), asked)
        (won,) = bought.won.nonzero()
        if len(won):
            self._award(tick, asked, won, offers, bought)
        return len(won) > 0

    def _award(
        self, tick: int, asked: Ints, won: NDArray[np.intp], offers: market.Offers, bought: market.Purchase
    ) -> None:
        """Set the tokens aside, and note the awards of those that won."""
        rows = asked[won]
        self._wake(rows, tick)
        nanos = bought.reserved_nanos[won]
        self.accounts.reserve(self.world.fleet.feeder[rows], nanos)
        columns = (bought.award_w, bought.price_nanos_per_kwh_h, offers.relief_w, offers.ask_nanos_per_kwh_h)
        award_w, price, relief_w, ask = (column.take(won, axis=0) for column in columns)
        self.awards.add(rows, tick, award_w, price, relief_w, ask, reserved_nanos=nanos)

    # -- the world moves ----------------------------------------------------------------------------------------------

    def _move(self, tick: int, look: Look, granted: Grants) -> None:
        rows, keeps = self._stepped, self.steps.move(tick, look, granted)
        forced = granted.forced_w > 0
        if np.count_nonzero(forced):
            self.record.add_forced(tick, rows[forced], granted.forced_w[forced])
        if not keeps.all():
            self._rest(rows[~keeps])
            self.world.plugged = rows[keeps]

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
        if tick * self.rules.tick_ms % self.rules.window_ms == 0:
            self.awards.end_all()
        self._pay(tick, gone)
        if len(gone):
            self._bill_all(gone, tick)

    def _bill_all(self, rows: Ints, tick: int) -> None:
        """The energy bills of departing cars, netted against what they earned."""
        self.steps.sync(rows[~self._explicit[rows]], tick)
        if self._explicit[rows].any():
            self._rest(rows)
            self.world.plugged = np.flatnonzero(self._explicit)
        fleet, world, record = self.world.fleet, self.world, self.record
        columns = (rows, fleet.feeder[rows], self.car[rows], fleet.tariff_nanos_per_kwh[rows])
        meters = (world.imported_ws[rows], world.exported_ws[rows])
        for row, feeder, car, tariff, *ws in zip(*(column.tolist() for column in (*columns, *meters)), strict=True):
            record.billed_nanos[row] = settlement.bill_nanos(tariff, *ws)
            record.receivable_nanos[row] = self.accounts.bill(feeder, car, record.billed_nanos[row])

    def _pay(self, tick: int, left: Ints = _NOBODY) -> None:
        """Pay the lots that are over, and those of cars that left: one payment per round and session."""
        closed = self.awards.closed(left)
        if len(closed.row):
            nanos, row = closed.worth_nanos(self.rules), closed.row
            paid = by_car(np.add, nanos).astype(np.int64)
            self.accounts.settle(self.world.fleet.feeder[row], self.car[row], closed.reserved_nanos, paid)
            self.record.add_closed(tick, closed, nanos)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _leave_open(self) -> None:
        """Show what is left open, and bring everybody who stays to where it stands."""
        left, fleet = self.awards.left_open(self.ticks), self.world.fleet
        self.record.add_closed(self.ticks, left, np.zeros_like(left.award_w), is_open=True)
        stays = np.flatnonzero((fleet.arrival_tick < self.ticks) & (fleet.departure_tick > self.ticks))
        self.steps.sync(stays[~self._explicit[stays]], self.ticks)

    def _part(self, street: Street, place: int, every: Sequence[RunRecord]) -> StreetRun:
        counts = [len(each.feeders) for each in self.streets]
        first = sum(counts[:place])
        feeders = range(first, first + counts[place])
        alone = [street.alone(number) for number in range(len(street.feeders))] if len(feeders) > 1 else [street]
        series = [
            self.sums.of(each, feeder, self.base_w, self.limit_w) for each, feeder in zip(alone, feeders, strict=True)
        ]
        records = every[feeders.start : feeders.stop]
        if len(records) == 1:
            return StreetRun(records[0], series[0])
        first_row = self.steps.first_row
        first_rows = [int(first_row[feeder] - first_row[first]) for feeder in feeders]
        return StreetRun(RunRecord.joined(records, first_rows), type(series[0]).joined(street, series))


class _Spans:
    """Which of many rows are within their span of ticks, asked for ticks that never fall."""

    def __init__(self, first: Ints, until: Ints, rows: int) -> None:
        lasts = until > first
        self._changes = [(np.flatnonzero(lasts)[np.argsort(at[lasts], kind="stable")], at) for at in (first, until)]
        self._ticks = [at[order] for order, at in self._changes]
        self._done = [0, 0]
        self._within = np.zeros(rows, dtype=bool)

    def at(self, tick: int) -> NDArray[np.bool_]:
        """Whether each row's span has begun by this tick, and not ended."""
        for which, begins in enumerate((True, False)):
            upto = int(np.searchsorted(self._ticks[which], tick, side="right"))
            self._within[self._changes[which][0][self._done[which] : upto]] = begins
            self._done[which] = upto
        return self._within
