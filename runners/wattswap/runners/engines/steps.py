"""A tick of the cars that are stepped, as three steps: look at them, grant them power, let the world move on.

Here the steps are columns of numpy, the reference. :mod:`.compiled_steps` has the same in compiled loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.agents import clearing, law
from wattswap.agents.segments import Segments
from wattswap.runners.engines.award_table import AwardTable
from wattswap.runners.engines.observer import Moved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.clearing import Cheapest
    from wattswap.agents.law import Admitted, Cars, ChargingState, Grants
    from wattswap.agents.physics import Ints
    from wattswap.runners.engines.idle_baseline import IdleBaseline
    from wattswap.runners.engines.summed_ticks import SummedTicks
    from wattswap.runners.world import World

NOT_TOLD: Final[Ints] = np.zeros(0, dtype=np.int64)


class Look(NamedTuple):
    """The stepped cars as they stand, and what all others draw."""

    rows: Ints
    charging: ChargingState
    cars: Cars
    """What the transformers know of them."""
    segments: Segments
    rest_w: Ints
    """By feeder: what the cars draw that are not stepped."""


class Steps:
    """The steps of a pass; the cars that are stepped are the world's plugged ones."""

    table: type[AwardTable] = AwardTable
    """Where the awards of the pass are kept."""
    admitted: Admitted = staticmethod(law.admitted)
    """What may stand of the cars' answers."""
    cheapest: Cheapest = staticmethod(clearing.cheapest)
    """Which of the offered tranches are bought."""

    def __init__(
        self, world: World, key: NDArray[np.uint64], idle: IdleBaseline, awards: AwardTable, sums: SummedTicks
    ) -> None:
        """``key`` is what each row draws under."""
        self._world, self._key, self._idle, self._awards, self._sums = world, key, idle, awards, sums
        self._feeders = len(world.feeder_rules)
        self.first_row: Ints = np.searchsorted(world.fleet.feeder, np.arange(self._feeders + 1))
        """By feeder, and one more: where its rows begin."""

    def rows_of(self, feeders: NDArray[np.intp]) -> Ints:
        """All rows of these feeders."""
        first = self.first_row[feeders]
        counts = self.first_row[feeders + 1] - first
        before = np.cumsum(counts) - counts
        rows: Ints = np.repeat(first - before, counts) + np.arange(counts.sum())
        return rows

    def sync(self, rows: Ints, tick: int) -> None:
        """Let the world know how far cars are that have not been stepped up to this tick."""
        world, left_ws = self._world, self._idle.left_ws(rows, tick)
        drawn_ws = world.remaining_ws[rows] - left_ws
        world.remaining_ws[rows] = world.baseline_ws[rows] = left_ws
        world.stored_ws[rows] += drawn_ws
        world.imported_ws[rows] += drawn_ws

    def asked(
        self,
        tick: int,
        needs: NDArray[np.bool_],
        may_speak: NDArray[np.bool_],
        explicit: NDArray[np.bool_],
        always: NDArray[np.bool_],
    ) -> tuple[Ints, ChargingState]:
        """The cars on feeders in need that could answer anything, and where they stand, which the world knows then.

        Who is under an award is not asked, nor who draws nothing unless it is ``always`` asked; the other columns say
        by row who may have something to say at all, and who is stepped.
        """
        world, rows = self._world, self.rows_of(np.flatnonzero(needs))
        rows = rows[may_speak[rows] | explicit[rows]]
        rows = rows[~self._awards.runs(rows)]
        self.sync(rows[~explicit[rows]], tick)
        charging = world.standing(rows, tick)
        speaks = (charging.firm_w > 0) | always[rows]
        return rows[speaks], law.ChargingState(*(column[speaks] for column in charging))

    def look(self, tick: int, before: Look | None = None) -> Look:  # noqa: ARG002 - the columns look at all anew
        """Where the stepped cars stand; ``before`` is how they stood in this tick until some more were stepped."""
        charging = self._world.charging(tick)
        segments = Segments.of(self._world.fleet.feeder[self._world.plugged], self._feeders)
        rest_w = self._idle.load_w[tick] - segments.sum(charging.baseline_w)
        return Look(self._world.plugged, charging, self.cars(charging), segments, rest_w)

    def cars(self, charging: ChargingState) -> Cars:
        """What the transformers know of the stepped cars."""
        rows, awards = self._world.plugged, self._awards
        key, firm_w, wanted_w, drew = self._key[rows], charging.firm_w, charging.wanted_w, self._world.drew[rows]
        return law.Cars(
            key, firm_w, wanted_w, drew, awards.owed_ws[rows], awards.rent_price(rows), *awards.bought(rows)
        )

    def grants(self, base_w: Ints, target_w: Ints, look: Look, tick: int) -> Grants:
        """What each stepped car may draw or feed; ``base_w`` is what all else on its feeder draws."""
        rules = self._world.rules
        now_ms = tick * rules.tick_ms
        return law.grants(base_w, target_w, look.cars, look.segments, now_ms=now_ms, seed=0, rules=rules)

    def move(self, tick: int, look: Look, granted: Grants) -> NDArray[np.bool_]:
        """Let the tick pass under these grants; who has to be stepped on."""
        world, rows = self._world, self._world.plugged
        drew = world.drew[rows] if tick else np.zeros(len(rows), dtype=bool)
        owed_ws = np.maximum(world.remaining_ws[rows] - world.baseline_ws[rows], 0)
        drawn_w, fed_w = world.move(look.charging, granted.import_w, granted.export_w)
        moved = Moved(tick, NOT_TOLD, NOT_TOLD, rows, look.charging, drawn_w, fed_w, granted.import_w, owed_ws)
        self._awards.meter(tick, moved)
        self._sums.add(moved, look.cars.reduce_w, granted.forced_w, drew, look.segments)
        keeps: NDArray[np.bool_] = world.remaining_ws[rows] != world.baseline_ws[rows]
        return keeps | (self._awards.open[rows] > 0)
