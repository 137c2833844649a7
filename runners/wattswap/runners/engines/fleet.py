"""The fleet engine: all cars as arrays, one loop over ticks, the same law as the agents. No messages, no clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents import law, market, settlement
from wattswap.agents.controllers import informed
from wattswap.agents.controllers.plugged import Plugged
from wattswap.agents.offers import Call
from wattswap.agents.rules import Terms
from wattswap.agents.segments import Segments
from wattswap.runners.engines.award_table import AwardTable
from wattswap.runners.engines.driver_wishes import DriverWishes
from wattswap.runners.engines.observer import Moved, Observers
from wattswap.runners.engines.strategy_assignment import StrategyAssignment
from wattswap.runners.payments.opening_book import open_books
from wattswap.runners.recording.record import RunRecord, TickRow, forced_row, session_row, trade_rows
from wattswap.runners.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.agents.controllers import Controller
    from wattswap.agents.law import Cars, ChargingState, Grants
    from wattswap.agents.physics import Ints
    from wattswap.runners.engines.award_table import Awards
    from wattswap.runners.engines.observer import Observer
    from wattswap.runners.scenario.street import Street


_NOBODY: Final = np.zeros(0, dtype=np.int64)


class FleetRun:
    """One run of a street in the fleet engine: all its feeders at once, each with a record of its own.

    ``world`` is given where cars do other than they said; else they draw what they are granted.
    """

    def __init__(
        self,
        street: Street,
        controller: Controller | None = None,
        observers: Iterable[Observer] = (),
        world: World | None = None,
        drivers: DriverWishes | None = None,
    ) -> None:
        self.street, self.controller, self.world = street, controller, world or World(street)
        seed, persons = street.scenario.seed, self.world.fleet.persons
        self._controllers = tuple(informed(controller, base_w, seed, persons) for base_w in self.world.base_w)
        """By feeder."""
        self._drivers = drivers or DriverWishes()
        fleet, rules = self.world.fleet, self.world.rules
        self._terms = Terms.of(*self.world.feeder_rules)
        self.assignment = StrategyAssignment(fleet, street.scenario.seed, rules, street.folder)
        self.rules, self.seed = rules, street.scenario.seed
        self._observers = Observers(observers)
        self._records = tuple(RunRecord() for _ in street.feeders)
        self._first_rows = [self.world.rows_of(feeder).start for feeder in range(len(street.feeders))]
        self.books = open_books(street, self.world)
        for each, book in zip(self._records, self.books, strict=True):
            each.book = book
        self.awards = AwardTable(len(fleet), rules)
        self.tick = 0
        """The next one."""
        self._earned = np.zeros(len(fleet), dtype=np.int64)
        self._deferred_ws = np.zeros(len(fleet), dtype=np.int64)
        self._drawn_w = np.zeros(len(fleet), dtype=np.int64)
        self._most_w = np.zeros(len(fleet), dtype=np.int64)
        self._place = np.unique(np.array(fleet.station_id), return_inverse=True)[1]
        """By row: where its station stands among all, by name."""

    def begin(self) -> None:
        """Tell the observers; called once, before the first step."""
        self._observers.begun(self)

    def run(self) -> RunRecord:
        """Every tick of the run, then the closing step of its last instant."""
        while self.tick < self.street.ticks:
            self.step()
        return self.finish()

    def step(self) -> None:
        """One tick: what ended is closed, the law is applied, and the world moves to the next."""
        self._close(self.tick)
        self._tick(self.tick)
        self.tick += 1
        for hear in self._observers.tick_passed:
            hear(self.tick - 1)

    def finish(self) -> RunRecord:
        """The closing step of the last instant: awards and departures, and the rows of who stays."""
        self._close(self.tick)
        self._note_open()
        for row in self.world.plugged.tolist():
            self._end_session(row, billed_nanos=0, receivable_nanos=0)
        for record in self._records:
            record.order(self.tick)
        self._observers.finished(self)
        return self.record

    @property
    def record(self) -> RunRecord:
        """What there is so far, of all feeders."""
        return self._records[0] if len(self._records) == 1 else RunRecord.joined(self._records, self._first_rows)

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """The record of each feeder."""
        return self._records

    def _note_open(self) -> None:
        """Show the lots that the run's end leaves open, unpaid, with the rent as if all came back now."""
        left = self.awards.left_open(self.tick)
        self._note(left, np.zeros_like(left.award_w), status="open")

    def _note(self, awards: Awards, nanos: Ints, status: str = "") -> None:
        """Write down what became of these awards."""
        fleet, rows = self.world.fleet, awards.row.tolist()
        feeders, names = fleet.feeder[awards.row].tolist(), [fleet.session_id[row] for row in rows]
        for feeder, name, note in zip(feeders, names, awards.notes(feeders, names, nanos), strict=True):
            self.records[feeder].trades.extend(trade_rows(note, feeder, name, status))
            if not status:
                self.books[feeder].settle(note.payment_id, fleet.vehicle_id[note.session], sum(note.nanos))
        np.add.at(self._deferred_ws, awards.row, awards.given_up_ws)

    def earned_nanos(self, row: int) -> int:
        """What a session has been paid so far."""
        return int(self._earned[row])

    def _tick(self, tick: int) -> None:
        world = self.world
        world.arrive(tick)
        self._drivers.hear(tick, world)
        charging, segments = world.charging(tick), self._segments(world.plugged)
        cars = self._cars(charging)
        base_w, limit_w = world.base_w[:, tick], self.street.limit_w[:, tick]
        if self.controller is not None:
            granted = self._controlled(base_w, limit_w, cars, charging, segments)
            self._move(tick, charging, cars, granted, segments)
            return
        assessment = law.assess(base_w, limit_w, cars, segments, self._terms)
        if assessment.release.any():
            self.awards.end(assessment.release[world.fleet.feeder[self.awards.running_row]])
            self._pay()
            cars = self._cars(charging)
        if (assessment.need_w > 0).any():
            self._round(tick, np.maximum(assessment.need_w, 0), charging, cars)
            cars = self._cars(charging)
        now_ms = tick * self.rules.tick_ms
        granted = law.grants(
            base_w, assessment.target_w, cars, segments, now_ms=now_ms, seed=self.seed, rules=self.rules
        )
        self._move(tick, charging, cars, granted, segments)

    def _segments(self, rows: Ints) -> Segments:
        feeders = len(self.street.feeders)
        return Segments.one_feeder(len(rows)) if feeders == 1 else Segments.of(self.world.fleet.feeder[rows], feeders)

    def _controlled(
        self, base_w: Ints, limit_w: Ints, cars: Cars, charging: ChargingState, segments: Segments
    ) -> Grants:
        """What the controller grants on each feeder."""
        targets_w, plugged = law.target_w(limit_w, self._terms), self._plugged(charging)
        granted = []
        for feeder, (base, target) in enumerate(zip(base_w.tolist(), targets_w.tolist(), strict=True)):
            rows = segments.rows(feeder)
            here = Plugged(*(column[rows] for column in plugged))
            controller = self._controllers[feeder]
            assert controller is not None
            granted.append(controller(base, target, cars.of(rows), here, self.rules))
        return law.Grants(*(np.concatenate(columns) for columns in zip(*granted, strict=True)))

    def _cars(self, charging: ChargingState) -> Cars:
        """What the transformers know: reports and awards in force of the plugged cars."""
        plugged, awards = self.world.plugged, self.awards
        reduce_w, feed_w = awards.bought(plugged)
        return law.Cars(
            self.world.fleet.key[plugged],
            charging.firm_w,
            charging.wanted_w,
            self.world.drew[plugged],
            awards.owed_ws[plugged],
            awards.rent_price(plugged),
            reduce_w,
            feed_w,
        )

    def _plugged(self, charging: ChargingState) -> Plugged:
        """What controllers may know besides."""
        rows, fleet = self.world.plugged, self.world.fleet
        self._most_w[rows] = np.maximum(self._most_w[rows], charging.wanted_w)
        arrival_ms = np.maximum(fleet.arrival_tick[rows], 0) * self.rules.tick_ms
        departure_ms, due_ms = fleet.departure_ms[rows], charging.due_ms
        disclosed = self.street.scenario.vehicles.disclose
        if disclosed == "nothing":
            departure_ms = due_ms = np.zeros_like(rows)
        feed_w = self.world.feedable_w(rows) if disclosed == "feeding" else np.zeros_like(rows)
        now_ms = self.tick * self.rules.tick_ms
        local_ms, present_ms = np.full_like(rows, self.rules.local_ms(now_ms)), np.full_like(rows, now_ms)
        drawn_w, most_w = self._drawn_w[rows], self._most_w[rows]
        return Plugged(arrival_ms, departure_ms, due_ms - now_ms, drawn_w, most_w, local_ms, feed_w, present_ms)

    def _round(self, tick: int, need_w: Ints, charging: ChargingState, cars: Cars) -> None:
        """Call every car of a feeder in need that holds no award, and award what is bought."""
        world, now_ms, awards = self.world, tick * self.rules.tick_ms, self.awards
        chosen = need_w[world.fleet.feeder[world.plugged]] > 0
        chosen[np.searchsorted(world.plugged, awards.running_row)] = False
        called = world.plugged[chosen]
        segments, feeder = self._segments(called), world.fleet.feeder[called]
        until_ms = self.rules.window_end_ms(now_ms)
        standing = law.ChargingState(*(column[chosen] for column in charging))
        own = world.own(called, standing, cars.owed_ws[chosen], now_ms)
        call = Call(need_w[feeder], now_ms, until_ms, self.rules.feed_h)
        relief_w, ask = self.assignment.admitted(call, own, called)
        relief_w, ask = (np.where(world.may_sell(called)[:, np.newaxis], column, 0) for column in (relief_w, ask))
        offers = market.Offers(own.key, own.firm_w, relief_w, ask)
        bought = market.buy(
            need_w,
            offers,
            segments,
            [book.site_uncommitted_nanos for book in self.books],
            from_ms=now_ms,
            until_ms=until_ms,
            seed=self.seed,
            terms=self._terms,
        )
        figures = market.round_figures(offers, bought, segments)
        for number in np.unique(feeder).tolist():
            said = market.relief_call(number, now_ms, int(need_w[number]), self.rules)
            note = figures.note(said.tick, said.need_w, number)
            self.records[number].rounds.append(note)
        self.assignment.learn(call, own, market.outcome(call, bought, segments, self.rules), called)
        self._award(tick, called, offers, bought)

    def _award(self, tick: int, called: Ints, offers: market.Offers, bought: market.Purchase) -> None:
        """Set the tokens aside, and note the awards."""
        world, won = self.world, bought.won
        rows, reserved_nanos = called[won], bought.reserved_nanos[won]
        for row, nanos in zip(rows.tolist(), reserved_nanos.tolist(), strict=True):
            key = settlement.payment_id(int(world.fleet.feeder[row]), tick, world.fleet.session_id[row])
            self.books[world.fleet.feeder[row]].set_aside(key, nanos)  # the market has counted these tokens
        columns = (bought.award_w, bought.price_nanos_per_kwh_h, offers.relief_w, offers.ask_nanos_per_kwh_h)
        self.awards.add(rows, tick, *(column[won] for column in columns))

    def _move(self, tick: int, charging: ChargingState, cars: Cars, granted: Grants, segments: Segments) -> None:
        world, plugged = self.world, self.world.plugged
        owed_ws = np.maximum(world.remaining_ws[plugged] - world.baseline_ws[plugged], 0)
        drawn_w, fed_w = world.move(charging, granted.import_w, granted.export_w)
        self._drawn_w[plugged] = drawn_w
        base_w, limit_w = world.base_w[:, tick + 1], self.street.limit_w[:, tick]
        moved = Moved(tick, base_w, limit_w, plugged, charging, drawn_w, fed_w, granted.import_w, owed_ws)
        self.awards.meter(tick, moved)
        columns = (plugged, drawn_w, fed_w, cars.reduce_w, granted.forced_w, owed_ws)
        for feeder, record in enumerate(self._records):
            rows = segments.rows(feeder)
            cars_here, drawn_here, fed_here, reduce_here, forced_here, owed_here = (column[rows] for column in columns)
            for car in forced_here.nonzero()[0].tolist():
                session_id = world.fleet.session_id[cars_here[car]]
                record.trades.append(forced_row(tick, feeder, session_id, int(forced_here[car])))
            record.end_tick(
                TickRow(
                    tick,
                    int(base_w[feeder]),
                    int(limit_w[feeder]),
                    cars_here - self._first_rows[feeder],
                    law.ChargingState(*(column[rows] for column in charging)),
                    drawn_here,
                    fed_here,
                    reduce_here,
                    forced_here,
                    owed_here,
                )
            )

    def _close(self, tick: int) -> None:
        """End what has ended: awards at their window's end, lots that are drawn back, departures with their bills."""
        leaving = self.world.leave(tick)
        if tick * self.rules.tick_ms % self.rules.window_ms == 0:
            self.awards.end_all()
        self._pay()
        if len(leaving):
            self._pay(leaving)  # a car that leaves says goodbye after the last meter reading has been heard
        for row in leaving[self._order(leaving)].tolist():
            self._bill(row)

    def _order(self, rows: Ints) -> Ints:
        """The order in which chargers are heard: by the names of the stations."""
        return np.argsort(self._place[rows], kind="stable")

    def _pay(self, left: Ints = _NOBODY) -> None:
        """Pay the lots that are over, and those of cars that left: one payment per round and session."""
        closed = self.awards.closed(left)
        if len(closed.row):
            closed = closed.of(self._order(closed.row))
            nanos = closed.worth_nanos(self.rules)
            np.add.at(self._earned, closed.row, nanos.sum(axis=1).astype(np.int64))
            self._note(closed, nanos)

    def _bill(self, row: int) -> None:
        """The energy bill of a departing car, netted against what it earned."""
        fleet, book = self.world.fleet, self.books[self.world.fleet.feeder[row]]
        billed = settlement.bill_nanos(
            int(fleet.tariff_nanos_per_kwh[row]), int(self.world.imported_ws[row]), int(self.world.exported_ws[row])
        )
        bill = book.bill(fleet.session_id[row], fleet.vehicle_id[row], billed)
        self._end_session(row, billed, bill.receivable_nanos)

    def _end_session(self, row: int, billed_nanos: int, receivable_nanos: int) -> None:
        self.records[self.world.fleet.feeder[row]].sessions.append(
            session_row(
                self.world,
                row,
                self.street.ticks,
                self.assignment.names[self.assignment.number[row]],
                int(self._deferred_ws[row]),
                int(self._earned[row]),
                billed_nanos,
                receivable_nanos,
            )
        )
