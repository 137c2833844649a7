"""The steps of a tick in compiled loops, where numba is installed (extra ``fast``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents import law
from wattswap.agents.law import Cars, ChargingState, Grants
from wattswap.agents.lots import NEVER
from wattswap.agents.offers import MOST
from wattswap.agents.segments import Segments
from wattswap.agents.settlement import RENT_CAP_S
from wattswap.protocol.draws import draw
from wattswap.protocol.units import PRICE_TICK_NANOS, Purpose
from wattswap.runners.engines import compiled_loops as loops
from wattswap.runners.engines import compiled_round
from wattswap.runners.engines.award_table import AwardTable
from wattswap.runners.engines.observer import Moved
from wattswap.runners.engines.steps import NOT_TOLD, Look, Steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.offers import Call, OfferBook
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules
    from wattswap.runners.engines.idle_baseline import IdleBaseline
    from wattswap.runners.engines.summed_ticks import SummedTicks
    from wattswap.runners.world import World


class CompiledAwardTable(AwardTable):
    """An award table whose ticks are counted, and whose order is kept, in compiled loops."""

    def _with(self, new: Ints) -> tuple[Ints, Ints]:
        """The places in order and the rows of their cars with these."""
        order, car = np.empty((2, len(self._order) + len(new)), dtype=np.int64)
        every = self._all
        loops.merge(self._order, self._car, new, every.row, every.lot_price, every.tick, order, car)
        return order, car

    def meter(self, tick: int, moved: Moved) -> None:
        """Count a tick that has passed for awards and lots."""
        every, rows, rules = self._all, moved.rows, self._rules
        baseline_w, import_w = moved.charging.baseline_w, moved.import_w
        began_owing_ws, sold_w = self.owed_ws[rows], self._reduce_w[rows] + self._feed_w[rows]
        loops.deliver(
            self._runs,
            rows,
            baseline_w,
            import_w,
            moved.export_w,
            every.row,
            every.award_w,
            every.lot_price,
            every.delivered_ws,
            every.baseline_ws,
            every.owed_ws,
            self.owed_ws,
            self._price,
            rules.tick_s,
        )
        loops.draw_back(
            rows,
            baseline_w,
            import_w,
            moved.granted_w,
            began_owing_ws,
            sold_w,
            self._order,
            self._car,
            every.tick,
            every.lot_price,
            every.owed_ws,
            every.rent,
            self._touched,
            self.owed_ws,
            self._price,
            self._stopped_at,
            tick,
            rules.min_w,
            RENT_CAP_S // rules.tick_s,
            rules.tick_s,
        )


class CompiledSteps(Steps):
    """Equal to the integer to what it stands in for."""

    table = CompiledAwardTable

    def __init__(
        self, world: World, key: NDArray[np.uint64], idle: IdleBaseline, awards: AwardTable, sums: SummedTicks
    ) -> None:
        super().__init__(world, key, idle, awards, sums)
        self._tie = draw(0, key, Purpose.TIE)
        """By row: what orders cars that are behind, else alike."""

    @staticmethod
    def admitted(book: OfferBook, call: Call, rules: Rules, *, are_sound: bool = False) -> tuple[Ints, Ints]:
        """What of the cars' answers may stand; what is wrong with unsound ones is left to the columns to say."""
        own, lasts_ms = book.own, call.until_ms - call.from_ms
        relief_w, ask = np.empty((2, *book.relief_w.shape), dtype=np.int64)
        sound = compiled_round.admitted(
            book.relief_w,
            book.ask_nanos_per_kwh_h,
            own.firm_w,
            own.floor_w,
            own.max_w,
            own.feed_w,
            own.remaining_ws,
            own.stored_ws,
            own.reserve_ws,
            own.laxity_ms,
            own.round_trip_permille,
            relief_w,
            ask,
            lasts_ms,
            rules.wary_guard_ms + rules.unsure_ms,
            rules.window_ms,
            rules.tick_ms,
            MOST,
            PRICE_TICK_NANOS,
        )
        return (relief_w, ask) if sound else law.admitted(book, call, rules, are_sound=are_sound)

    @staticmethod
    def cheapest(
        relief_w: Ints,
        ask: Ints,
        admissible: NDArray[np.bool_],
        ties: NDArray[np.uint64],
        segments: Segments,
        need_w: Ints,
        amp_w: int,
    ) -> Ints:
        """Which of the offered tranches are bought."""
        return compiled_round.cheapest(relief_w, ask, admissible, ties, segments.bounds, need_w, amp_w)

    def asked(
        self,
        tick: int,
        needs: NDArray[np.bool_],
        may_speak: NDArray[np.bool_],
        explicit: NDArray[np.bool_],
        always: NDArray[np.bool_],
    ) -> tuple[Ints, ChargingState]:
        """The cars on feeders in need that could answer anything, and where they stand."""
        world = self._world
        rows, state = compiled_round.asked(
            needs,
            self.first_row,
            may_speak,
            explicit,
            always,
            *self._awards.by_row[-2:],
            *self._idle.by_row,
            world.remaining_ws,
            world.baseline_ws,
            world.stored_ws,
            world.imported_ws,
            world.fleet.max_w,
            world.departure_ms,
            tick,
            tick * world.rules.tick_ms,
            world.rules.wary_guard_ms,
            world.rules.tick_s,
        )
        return rows, ChargingState(*state)

    def look(self, tick: int, before: Look | None = None) -> Look:
        """Where the stepped cars stand; of those that ``before`` shows only what is bought of them is looked up."""
        known_before = (before.cars.owed_ws, before.cars.rent_price) if before else (NOT_TOLD,) * 2
        seen = (before.rows, *before.charging) if before else (NOT_TOLD,) * 5
        world, rows = self._world, self._world.plugged
        (state, known), rest_w = np.empty((2, 4, len(rows)), dtype=np.int64), self._idle.load_w[tick].copy()
        segments = Segments(np.empty(len(rows), dtype=np.int64), np.empty(self._feeders + 1, dtype=np.int64))
        drew, key = np.empty(len(rows), dtype=np.bool_), np.empty(len(rows), dtype=np.uint64)
        loops.look(
            rows,
            *seen,
            *known_before,
            *segments,
            world.fleet.feeder,
            state,
            known,
            world.drew,
            self._key,
            drew,
            key,
            world.remaining_ws,
            world.baseline_ws,
            world.fleet.max_w,
            world.departure_ms,
            *self._awards.by_row,
            rest_w,
            tick * world.rules.tick_ms,
            world.rules.wary_guard_ms,
            world.rules.tick_s,
            NEVER,
        )
        wanted_w, _, firm_w, _ = state
        return Look(rows, ChargingState(*state), Cars(key, firm_w, wanted_w, drew, *known), segments, rest_w)

    def grants(self, base_w: Ints, target_w: Ints, look: Look, tick: int) -> Grants:
        """What each stepped car may draw or feed; the last resort is left to the columns."""
        rules, cars = self._world.rules, look.cars
        import_w, ties = np.empty_like(cars.firm_w), self._tie[self._world.plugged]
        if loops.hand_out(base_w, target_w, look.segments.bounds, *cars[1:], ties, import_w, rules.min_w, rules.tick_s):
            return law.Grants(import_w, cars.feed_w, np.zeros_like(import_w))
        return super().grants(base_w, target_w, look, tick)

    def move(self, tick: int, look: Look, granted: Grants) -> NDArray[np.bool_]:
        """Let the tick pass under these grants; who has to be stepped on."""
        world, rows = self._world, self._world.plugged
        fleet, bounds, cars = world.fleet, look.segments.bounds, look.cars
        drawn_w, fed_w = np.empty((2, len(rows)), dtype=np.int64)
        loops.move(
            rows,
            bounds,
            *look.charging[:3],
            *granted,
            cars.reduce_w,
            world.drew,
            world.remaining_ws,
            world.baseline_ws,
            world.stored_ws,
            world.imported_ws,
            world.exported_ws,
            fleet.reserve_ws,
            world.least_ws,
            fleet.round_trip_permille,
            fleet.is_session,
            *self._sums.columns(tick),
            drawn_w,
            fed_w,
            tick == 0,
            world.rules.tick_s,
        )
        moved = Moved(tick, NOT_TOLD, NOT_TOLD, rows, look.charging, drawn_w, fed_w, granted.import_w, NOT_TOLD)
        self._awards.meter(tick, moved)
        keeps: NDArray[np.bool_] = world.remaining_ws[rows] != world.baseline_ws[rows]
        return keeps | (self._awards.open[rows] > 0)
