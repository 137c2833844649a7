"""The fleet engine: all cars as arrays, one loop over ticks, the same law as the agents. No messages, no clocks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from wattswap.agents import clearing, law, settlement
from wattswap.agents.controllers.plugged import Plugged
from wattswap.agents.offers import FEED, TRANCHES, Call
from wattswap.agents.round_summary import round_summary
from wattswap.protocol.draws import draw
from wattswap.protocol.effects import NoteTrade
from wattswap.protocol.messages import ReliefCall
from wattswap.protocol.units import Purpose
from wattswap.runners.engines.observer import Observers
from wattswap.runners.engines.strategy_assignment import StrategyAssignment
from wattswap.runners.payments.opening_book import open_book
from wattswap.runners.recording.record import FEEDER, RunRecord, TickRow, forced_row, session_row, trade_rows
from wattswap.runners.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from wattswap.agents.controllers import Controller
    from wattswap.agents.law import Assessment, Cars, ChargingState, Grants
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
    """One run of a street in the fleet engine."""

    def __init__(
        self, street: Street, controller: Controller | None = None, observers: Iterable[Observer] = ()
    ) -> None:
        self.street, self.controller, self.world = street, controller, World(street)
        world = self.world
        self.assignment = StrategyAssignment(world.fleet, street.scenario.seed, world.rules, street.folder)
        self.rules, self.seed = world.rules, street.scenario.seed
        self.record, self._observers = RunRecord(), Observers(observers)
        self.awards = Awards.none()
        self.tick = 0
        """The next one."""
        self.record.book = self.book = open_book(street, world)
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
        self._observers.tick_passed(self.tick - 1)

    def finish(self) -> RunRecord:
        """The closing step of the last instant: awards and departures, and the rows of who stays."""
        self._close(self.tick)
        for row in self.world.plugged.tolist():
            self._end_session(row, billed_nanos=0, receivable_nanos=0)
        self._observers.finished(self)
        return self.record

    def earned_nanos(self, row: int) -> int:
        """What a session has been paid so far."""
        return int(self._earned[row])

    def _tick(self, tick: int) -> None:
        world = self.world
        world.arrive(tick)
        charging = world.charging(tick)
        cars = self._cars(charging, tick)
        base_w, limit_w = int(world.base_w[tick]), int(self.street.limit_w[tick])
        if self.controller is not None:
            target_w = law.target_w(limit_w, self.rules)
            granted = self.controller(base_w, target_w, cars, self._plugged(charging), self.rules)
            self._move(tick, charging, cars, granted, limit_w)
            return
        assessment = law.assess(base_w, limit_w, cars, self.rules)
        if assessment.release:
            self._settle(np.ones(len(self.awards), dtype=bool))
            cars = self._cars(charging, tick)
        if assessment.need_w > 0:
            self._round(tick, assessment, limit_w, charging)
            cars = self._cars(charging, tick)
        granted = law.grants(base_w, assessment.target_w, cars, self.rules)
        self._move(tick, charging, cars, granted, limit_w)

    def _cars(self, charging: ChargingState, tick: int) -> Cars:
        """What the transformer knows: standings and awards in force of the plugged cars."""
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

    def _round(self, tick: int, assessment: Assessment, limit_w: int, charging: ChargingState) -> None:
        """Call every car that holds no award, clear, and award what the site's tokens cover."""
        world, now_ms = self.world, tick * self.rules.tick_ms
        free = np.ones(len(world.plugged), dtype=bool)
        free[self._bound()] = False
        called = world.plugged[free]
        if not len(called):
            return
        ceiling = law.ceiling_nanos_per_kwh(assessment.demand_w, limit_w, self.rules)
        until_ms = self.rules.window_end_ms(now_ms)
        call = ReliefCall(FEEDER, tick, assessment.need_w, ceiling, now_ms, until_ms, now_ms + self.rules.deadline_ms)
        bid = Call(call.need_w, ceiling, now_ms, until_ms)
        own = world.own(called, law.ChargingState(*(column[free] for column in charging)), now_ms)
        offered_w, ask = self.assignment.admitted(bid, own, called)
        ties = draw(self.seed, own.key, Purpose.TIE, now_ms // self.rules.window_ms)
        award_w, price = clearing.clear(
            offered_w,
            ask,
            ties,
            need_w=call.need_w,
            ceiling_nanos_per_kwh=ceiling,
            amp_w=self.rules.amp_w,
            rule=self.rules.clearing,
        )
        won = self._reserve(called, tick, award_w, price, (call.until_ms - now_ms) // 1000)
        award_w, price = np.where(won[:, None], award_w, 0), np.where(won[:, None], price, 0)
        self.record.rounds.append(round_summary(call, own.firm_w, offered_w, award_w, price))
        count = int(won.sum())
        self.awards = self.awards.and_also(
            Awards(
                row=called[won],
                tick=np.full(count, tick),
                award_w=award_w[won],
                price=price[won],
                offered_w=offered_w[won],
                ask=ask[won],
                delivered_ws=np.zeros((count, TRANCHES), dtype=np.int64),
                baseline_ws=np.zeros(count, dtype=np.int64),
            )
        )

    def _reserve(self, called: Ints, tick: int, award_w: Ints, price: Ints, lasts_s: int) -> NDArray[np.bool_]:
        """Who gets the award: in session order, as long as the site's tokens cover the most it may cost."""
        most_nanos = settlement.value_nanos(price, award_w * lasts_s).sum(axis=1)
        won: NDArray[np.bool_] = award_w.sum(axis=1) > 0
        for at in np.flatnonzero(won).tolist():
            key = settlement.payment_id(FEEDER, tick, self.world.fleet.session_id[called[at]])
            won[at] = self.book.reserve(key, int(most_nanos[at]))
        return won

    def _move(self, tick: int, charging: ChargingState, cars: Cars, granted: Grants, limit_w: int) -> None:
        world, awards = self.world, self.awards
        base_w = int(world.base_w[tick + 1])
        plugged = world.plugged
        owed_ws = np.maximum(world.remaining_ws[plugged] - world.baseline_ws[plugged], 0)
        drawn_w, fed_w = world.move(charging, granted.import_w, granted.export_w)
        self._drawn_w[plugged] = drawn_w
        if len(awards):
            at = self._bound()
            delivered_w = settlement.relief_w(awards.award_w, charging.baseline_w[at], drawn_w[at], fed_w[at])
            awards.delivered_ws = awards.delivered_ws + delivered_w * self.rules.tick_s
            awards.baseline_ws = awards.baseline_ws + charging.baseline_w[at] * self.rules.tick_s
        for car in granted.forced_w.nonzero()[0].tolist():
            session_id = world.fleet.session_id[plugged[car]]
            self.record.trades.append(forced_row(tick, session_id, int(granted.forced_w[car])))
        self.record.ticks.append(
            TickRow(tick, base_w, limit_w, plugged, charging, drawn_w, fed_w, cars.reduce_w, granted.forced_w, owed_ws)
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
            tick, session_id = int(awards.tick[i]), fleet.session_id[row]
            note = NoteTrade(
                tick=tick,
                session=row,
                payment_id=settlement.payment_id(FEEDER, tick, session_id),
                award_w=tuple(awards.award_w[i].tolist()),
                price_nanos_per_kwh=tuple(awards.price[i].tolist()),
                delivered_ws=tuple(awards.delivered_ws[i].tolist()),
                nanos=tuple(nanos[i].tolist()),
                offered_w=tuple(awards.offered_w[i].tolist()),
                ask_nanos_per_kwh=tuple(awards.ask[i].tolist()),
                baseline_ws=int(awards.baseline_ws[i]),
                disputed=False,
            )
            self.book.settle(note.payment_id, fleet.vehicle_id[row], sum(note.nanos))
            self.record.trades.extend(trade_rows(note, session_id))
        self._earned[awards.row] += nanos.sum(axis=1)
        self._deferred_ws[awards.row] += awards.delivered_ws[:, :FEED].sum(axis=1)

    def _bill(self, row: int) -> None:
        """The energy bill of a departing car, netted against what it earned."""
        fleet = self.world.fleet
        billed = settlement.bill_nanos(
            int(fleet.tariff_nanos_per_kwh[row]), int(self.world.imported_ws[row]), int(self.world.exported_ws[row])
        )
        bill = self.book.bill(fleet.session_id[row], fleet.vehicle_id[row], billed)
        self._end_session(row, billed, bill.receivable_nanos)

    def _end_session(self, row: int, billed_nanos: int, receivable_nanos: int) -> None:
        self.record.sessions.append(
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
