"""What the world tells the agents: the only inputs of a simulated run, and so what its journal holds.

Report by exception: meters are told to those who count them for an award, and to nobody, that is to the journal alone,
where power flows without one; where a car stands is told when it changed, and to its charger as long as power matters,
for only a charger that reports can be granted any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from wattswap.protocol.events import BaseRead, Event, LimitChanged, Metered, PluggedIn, Reading, Unplugged
from wattswap.runners.engines.agent_factory import TRANSFORMER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from wattswap.agents.law import ChargingState
    from wattswap.runners.engines.agent_factory import AgentFactory
    from wattswap.runners.recording.record import TickRow
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World

Sensed: TypeAlias = tuple[str, Event]
"""An agent, or nobody, and what it is told."""

NOBODY: Final = ""
"""Who is told what only the journal keeps."""

_COLUMNS = 8


class SensorFeed:
    """The world's voice: what to tell whom at each tick."""

    def __init__(self, street: Street, world: World, factory: AgentFactory) -> None:
        self._street, self._world, self._factory = street, world, factory
        self._last_told = np.full((_COLUMNS, len(world.fleet)), -1, dtype=np.int64)
        self._limit_w = street.feeders[0].transformer.limit_w

    def closing(self, tick: int, last: TickRow | None, awarded: NDArray[np.bool_]) -> Iterator[Sensed]:
        """The meters of the tick that ended, then departures; ``awarded`` are the rows that count for an award."""
        if last is not None:
            yield from self._meters(last, awarded[last.rows])
        for row in self._world.leave(tick).tolist():
            unplugged = Unplugged(row, int(self._world.imported_ws[row]), int(self._world.exported_ws[row]))
            yield self._factory.vehicle_of[row], unplugged
            yield self._factory.charger_of[row], unplugged

    def _meters(self, last: TickRow, awarded: NDArray[np.bool_]) -> Iterator[Sensed]:
        (told,) = (awarded | (last.import_w > 0) | (last.export_w > 0)).nonzero()
        columns = (last.rows, last.import_w, last.export_w, last.charging.baseline_w, awarded)
        chargers, vehicles = self._factory.charger_of, self._factory.vehicle_of
        for row, import_w, export_w, baseline_w, counts in zip(
            *(column[told].tolist() for column in columns), strict=True
        ):
            metered = Metered(row, import_w, export_w, baseline_w)
            if counts:
                yield chargers[row], metered
                yield vehicles[row], metered
            else:
                yield NOBODY, metered

    def arrivals(self, rows: Iterable[int]) -> Iterator[Sensed]:
        """Plug in the cars of these rows."""
        for row in rows:
            yield self._factory.charger_of[row], self.plugged_in(row, self._factory.vehicle_of[row])
            yield self._factory.vehicle_of[row], self.plugged_in(row, self._factory.charger_of[row])

    def plugged_in(self, row: int, peer: str) -> PluggedIn:
        """What an agent learns when the cable goes in."""
        fleet = self._world.fleet
        return PluggedIn(
            session=row,
            session_id=fleet.session_id[row],
            peer=peer,
            need_ws=int(self._world.baseline_ws[row]),
            departure_ms=int(fleet.departure_ms[row]),
            max_w=int(fleet.max_w[row]),
            feed_w=int(fleet.feed_w[row]),
            capacity_ws=int(fleet.capacity_ws[row]),
            reserve_ws=int(fleet.reserve_ws[row]),
        )

    def opening(self, tick: int, charging: ChargingState, granted: NDArray[np.bool_]) -> Iterator[Sensed]:
        """Everyone's readings; ``granted`` are the plugged rows whose charger may give or take power."""
        yield from self._readings(charging, granted)
        for household, base_w in zip(self._factory.households, self._street.household_w[:, tick].tolist(), strict=True):
            yield household, BaseRead(base_w)
        limit_w = int(self._street.limit_w[0, tick])
        if limit_w != self._limit_w:
            self._limit_w = limit_w
            yield TRANSFORMER, LimitChanged(limit_w)

    def _readings(self, charging: ChargingState, granted: NDArray[np.bool_]) -> Iterator[Sensed]:
        world, plugged = self._world, self._world.plugged
        columns = np.array(
            (
                world.remaining_ws[plugged],
                world.baseline_ws[plugged],
                world.stored_ws[plugged],
                charging.wanted_w,
                charging.baseline_w,
                charging.firm_w,
                charging.due_ms,
                world.drew[plugged],
            )
        )
        changed = (self._last_told[:, plugged] != columns).any(axis=0)
        (told,) = (changed | granted | (charging.wanted_w > 0) | (world.rules.guaranteed_w > 0)).nonzero()
        rows, columns = plugged[told], columns[:, told]
        self._last_told[:, rows] = columns
        chargers, vehicles = self._factory.charger_of, self._factory.vehicle_of
        listed = zip(rows.tolist(), changed[told].tolist(), columns.T.tolist(), strict=True)
        for row, is_new, figures in listed:
            remaining_ws, baseline_ws, stored_ws, wanted_w, baseline_w, firm_w, due_ms, drew = figures
            reading = Reading(
                row, remaining_ws, baseline_ws, stored_ws, wanted_w, baseline_w, firm_w, due_ms, bool(drew)
            )
            yield chargers[row], reading
            if is_new:
                yield vehicles[row], reading

    def limit_w(self) -> int:
        """The limit in force."""
        return self._limit_w

    def tell_again(self, row: int) -> None:
        """Whoever is behind this row has forgotten what it was told."""
        self._last_told[:, row] = -1
