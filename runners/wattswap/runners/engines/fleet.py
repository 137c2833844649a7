"""The fleet engine: all cars as arrays, one loop over ticks, the same law as the agents. No messages, no clocks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from wattswap.agents import law, market, settlement
from wattswap.agents.controllers.plugged import Plugged
from wattswap.agents.offers import FEED, TRANCHES, Call
from wattswap.agents.rules import Terms
from wattswap.agents.segments import Segments
from wattswap.protocol.effects import NoteTrade
from wattswap.runners.engines.observer import Observers
from wattswap.runners.engines.strategy_assignment import StrategyAssignment
from wattswap.runners.payments.opening_book import open_books
from wattswap.runners.recording.record import RunRecord, TickRow, forced_row, session_row, trade_rows
from wattswap.runners.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from wattswap.agents.controllers import Controller
    from wattswap.agents.law import Cars, ChargingState, Grants
    from wattswap.agents.physics import Ints
    from wattswap.runners.engines.observer import Observer
    from wattswap.runners.scenario.street import Street


@dataclass(slots=True)
class Awards:
    """Awards in force, one row each; tranches as columns of shape (awards, 3)."""

    row: Ints
    tick: Ints
    award_w: Ints
    price: Ints
    offered_w: Ints
    ask: Ints
    delivered_ws: Ints
    baseline_ws: Ints

    @classmethod
    def none(cls) -> Self:
        """No award is in force."""
        one, wide = np.zeros(0, dtype=np.int64), np.zeros((0, TRANCHES), dtype=np.int64)
        return cls(one, one, wide, wide, wide, wide, wide, one)

    def __len__(self) -> int:
        return len(self.row)

    def where(self, chosen: NDArray[np.bool_]) -> Awards:
        """These awards alone."""
        return Awards(*(getattr(self, column.name)[chosen] for column in fields(self)))

    def and_also(self, other: Awards) -> Awards:
        """These awards and the others."""
        return Awards(
            *(np.concatenate((getattr(self, column.name), getattr(other, column.name))) for column in fields(self))
        )


class FleetRun:
    """One run of a street in the fleet engine: all its feeders at once."""

    def __init__(
        self, street: Street, controller: Controller | None = None, observers: Iterable[Observer] = ()
    ) -> None:
        self.street, self.controller, self.world = street, controller, World(street)
        world, rules = self.world, self.world.rules
        self._terms = Terms.of(*world.feeder_rules)
        self.assignment = StrategyAssignment(world.fleet, street.scenario.seed, rules, street.folder)
        self.rules, self.seed = rules, street.scenario.seed
        self._observers = Observers(observers)
        self._records = tuple(RunRecord() for _ in street.feeders)
        self._first_rows = [world.rows_of(feeder).start for feeder in range(len(street.feeders))]
        self.books = open_books(street, world)
        for each, book in zip(self._records, self.books, strict=True):
            each.book = book
        self.awards = Awards.none()
        self.tick = 0
        """The next one."""
        self._earned = np.zeros(len(world.fleet), dtype=np.int64)
        self._deferred_ws = np.zeros(len(world.fleet), dtype=np.int64)
        self._drawn_w = np.zeros(len(world.fleet), dtype=np.int64)
        self._most_w = np.zeros(len(world.fleet), dtype=np.int64)

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
        for row in self.world.plugged.tolist():
            self._end_session(row, billed_nanos=0, receivable_nanos=0)
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

    def earned_nanos(self, row: int) -> int:
        """What a session has been paid so far."""
        return int(self._earned[row])

    def _tick(self, tick: int) -> None:
        world = self.world
        world.arrive(tick)
        charging, segments = world.charging(tick), self._segments(world.plugged)
        cars = self._cars(charging, tick)
        base_w, limit_w = world.base_w[:, tick], self.street.limit_w[:, tick]
        if self.controller is not None:
            granted = self._controlled(self.controller, base_w, limit_w, cars, charging, segments)
            self._move(tick, charging, cars, granted, segments)
            return
        assessment = law.assess(base_w, limit_w, cars, segments, self._terms)
        if assessment.release.any():
            self._settle(assessment.release[world.fleet.feeder[self.awards.row]])
        if (assessment.need_w > 0).any():
            ceiling = law.ceiling_nanos_per_kwh(assessment.demand_w, limit_w, self._terms)
            self._round(tick, np.maximum(assessment.need_w, 0), ceiling, charging)
        cars = self._cars(charging, tick)
        granted = law.grants(base_w, assessment.target_w, cars, segments, self.rules)
        self._move(tick, charging, cars, granted, segments)

    def _segments(self, rows: Ints) -> Segments:
        return Segments.of(self.world.fleet.feeder[rows], len(self.street.feeders))

    def _controlled(
        self,
        controller: Controller,
        base_w: Ints,
        limit_w: Ints,
        cars: Cars,
        charging: ChargingState,
        segments: Segments,
    ) -> Grants:
        """What the controller grants on each feeder."""
        targets_w, plugged = law.target_w(limit_w, self._terms), self._plugged(charging)
        granted = []
        for feeder, (base, target) in enumerate(zip(base_w.tolist(), targets_w.tolist(), strict=True)):
            rows = segments.rows(feeder)
            here = Plugged(*(column[rows] for column in plugged))
            granted.append(controller(base, target, cars.of(rows), here, self.rules))
        return law.Grants(*(np.concatenate(columns) for columns in zip(*granted, strict=True)))

    def _cars(self, charging: ChargingState, tick: int) -> Cars:
        """What the transformers know: standings and awards in force of the plugged cars."""
        plugged = self.world.plugged
        reduce_w, feed_w = np.zeros((2, len(plugged)), dtype=np.int64)
        if len(self.awards):
            at = self._bound()
            reduce_w[at] = self.awards.award_w[:, :FEED].sum(axis=1)
            feed_w[at] = self.awards.award_w[:, FEED]
        laxity_ms = charging.due_ms - tick * self.rules.tick_ms
        return law.Cars(charging.firm_w, charging.wanted_w, laxity_ms, self.world.drew[plugged], reduce_w, feed_w)

    def _bound(self) -> NDArray[np.intp]:
        """The place of each award's car among the plugged ones."""
        return np.searchsorted(self.world.plugged, self.awards.row)

    def _plugged(self, charging: ChargingState) -> Plugged:
        """What controllers may know besides."""
        rows, fleet = self.world.plugged, self.world.fleet
        self._most_w[rows] = np.maximum(self._most_w[rows], charging.wanted_w)
        arrival_ms = np.maximum(fleet.arrival_tick[rows], 0) * self.rules.tick_ms
        return Plugged(arrival_ms, fleet.departure_ms[rows], self._drawn_w[rows], self._most_w[rows])

    def _round(self, tick: int, need_w: Ints, ceiling: Ints, charging: ChargingState) -> None:
        """Call every car of a feeder in need that holds no award, and award what is bought."""
        world, now_ms = self.world, tick * self.rules.tick_ms
        chosen = need_w[world.fleet.feeder[world.plugged]] > 0
        chosen[self._bound()] = False
        called = world.plugged[chosen]
        segments, feeder = self._segments(called), world.fleet.feeder[called]
        until_ms = self.rules.window_end_ms(now_ms)
        own = world.own(called, law.ChargingState(*(column[chosen] for column in charging)), now_ms)
        call = Call(need_w[feeder], ceiling[feeder], now_ms, until_ms)
        offers = market.Offers(own.key, own.firm_w, *self.assignment.admitted(call, own, called))
        bought = market.buy(
            need_w,
            ceiling,
            offers,
            segments,
            [book.site_uncommitted_nanos for book in self.books],
            from_ms=now_ms,
            until_ms=until_ms,
            seed=self.seed,
            terms=self._terms,
        )
        for number in np.unique(feeder).tolist():
            said = market.relief_call(number, now_ms, int(need_w[number]), int(ceiling[number]), self.rules)
            note = market.round_note(said, offers, bought, segments.rows(number))
            self.records[number].rounds.append(note)
        self._award(tick, called, offers, bought)

    def _award(self, tick: int, called: Ints, offers: market.Offers, bought: market.Purchase) -> None:
        """Set the tokens aside, and note the awards."""
        world, won = self.world, bought.won
        rows, reserved_nanos = called[won], bought.reserved_nanos[won]
        for row, nanos in zip(rows.tolist(), reserved_nanos.tolist(), strict=True):
            key = settlement.payment_id(int(world.fleet.feeder[row]), tick, world.fleet.session_id[row])
            assert self.books[world.fleet.feeder[row]].reserve(key, nanos), "the market has counted these tokens"
        awards = Awards(
            row=rows,
            tick=np.full(len(rows), tick),
            award_w=bought.award_w[won],
            price=bought.price_nanos_per_kwh[won],
            offered_w=offers.relief_w[won],
            ask=offers.ask_nanos_per_kwh[won],
            delivered_ws=np.zeros((len(rows), TRANCHES), dtype=np.int64),
            baseline_ws=np.zeros(len(rows), dtype=np.int64),
        )
        self.awards = self.awards.and_also(awards)

    def _move(self, tick: int, charging: ChargingState, cars: Cars, granted: Grants, segments: Segments) -> None:
        world, awards = self.world, self.awards
        plugged = world.plugged
        owed_ws = np.maximum(world.remaining_ws[plugged] - world.baseline_ws[plugged], 0)
        drawn_w, fed_w = world.move(charging, granted.import_w, granted.export_w)
        self._drawn_w[plugged] = drawn_w
        if len(awards):
            at = self._bound()
            delivered_w = settlement.relief_w(awards.award_w, charging.baseline_w[at], drawn_w[at], fed_w[at])
            awards.delivered_ws = awards.delivered_ws + delivered_w * self.rules.tick_s
            awards.baseline_ws = awards.baseline_ws + charging.baseline_w[at] * self.rules.tick_s
        columns = (plugged, drawn_w, fed_w, cars.reduce_w, granted.forced_w, owed_ws)
        for feeder, record in enumerate(self._records):
            rows = segments.rows(feeder)
            cars_here, drawn_here, fed_here, reduce_here, forced_here, owed_here = (column[rows] for column in columns)
            for car in forced_here.nonzero()[0].tolist():
                session_id = world.fleet.session_id[cars_here[car]]
                record.trades.append(forced_row(tick, feeder, session_id, int(forced_here[car])))
            record.ticks.append(
                TickRow(
                    tick,
                    int(world.base_w[feeder, tick + 1]),
                    int(self.street.limit_w[feeder, tick]),
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
        """End what has ended: awards at their window's end, then departures, each with its bill."""
        leaving = self.world.leave(tick)
        window_over = tick * self.rules.tick_ms % self.rules.window_ms == 0
        if len(self.awards) and (window_over or len(leaving)):
            self._settle(np.isin(self.awards.row, leaving) | window_over)
        for row in leaving.tolist():
            self._bill(row)

    def _settle(self, ended: NDArray[np.bool_]) -> None:
        """Pay what the ended awards delivered, one payment per round and session."""
        fleet, awards = self.world.fleet, self.awards.where(ended)
        self.awards = self.awards.where(~ended)
        nanos = settlement.value_nanos(awards.price, awards.delivered_ws)
        for i, row in enumerate(awards.row.tolist()):
            feeder, tick, session_id = int(fleet.feeder[row]), int(awards.tick[i]), fleet.session_id[row]
            note = NoteTrade(
                tick=tick,
                session=row,
                payment_id=settlement.payment_id(feeder, tick, session_id),
                award_w=tuple(awards.award_w[i].tolist()),
                price_nanos_per_kwh=tuple(awards.price[i].tolist()),
                delivered_ws=tuple(awards.delivered_ws[i].tolist()),
                nanos=tuple(nanos[i].tolist()),
                offered_w=tuple(awards.offered_w[i].tolist()),
                ask_nanos_per_kwh=tuple(awards.ask[i].tolist()),
                baseline_ws=int(awards.baseline_ws[i]),
                disputed=False,
            )
            self.books[feeder].settle(note.payment_id, fleet.vehicle_id[row], sum(note.nanos))
            self.records[feeder].trades.extend(trade_rows(note, feeder, session_id))
        self._earned[awards.row] += nanos.sum(axis=1)
        self._deferred_ws[awards.row] += awards.delivered_ws[:, :FEED].sum(axis=1)

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
