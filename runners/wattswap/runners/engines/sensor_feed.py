"""What the world tells the agents: the only inputs of a simulated run, and so what its journal holds.

Agents are told of what they need. The meters of a session are told to its charger and its car while they count for an
award; where power flows without an award they are told to nobody, that is to the journal alone. The state of a car is
told when it changed, and to its charger as long as power matters, for only a charger that reports is granted any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from wattswap.protocol.effects import NoteAward, NoteTrade
from wattswap.protocol.events import BaseRead, LimitChanged, Metered, PluggedIn, Reading, Unplugged
from wattswap.runners.engines.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from wattswap.agents.law import ChargingState
    from wattswap.agents.physics import Ints
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.agent_factory import AgentFactory
    from wattswap.runners.engines.observer import Moved, Note, Sensed
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World

NOBODY: Final = ""
"""Who is told what only the journal keeps."""

CHARGER, VEHICLE, CHARGER_FIRST, VEHICLE_FIRST = 1, 2, 3, 4
"""Which agents of an event's session are told: its charger, its car, or both, one before the other."""

OF_A_SESSION: Final = (Metered, Reading, PluggedIn, Unplugged)

_COLUMNS = 8


def hearers_by_row(charger_of: Sequence[str], vehicle_of: Sequence[str]) -> Mapping[int | str, list[tuple[str, ...]]]:
    """The names of who is told, by the four numbers above, or nobody, and the session's row."""
    pairs = list(zip(charger_of, vehicle_of, strict=True))
    return {
        NOBODY: [()] * len(pairs),
        CHARGER: [(charger,) for charger, _ in pairs],
        VEHICLE: [(vehicle,) for _, vehicle in pairs],
        CHARGER_FIRST: list(pairs),
        VEHICLE_FIRST: [(vehicle, charger) for charger, vehicle in pairs],
    }


class Feed(Protocol):
    """Where a run's agents get to know of the world: from a simulated one, or from the journal of an earlier run."""

    def closing(self, tick: int) -> Iterator[Sensed]:
        """The meters of the tick that ended, then departures."""

    def arrivals(self, tick: int) -> Iterator[Sensed]:
        """The cars that are plugged in."""

    def opening(self, tick: int, charging: ChargingState, granted: NDArray[np.bool_]) -> Iterator[Sensed]:
        """Everyone's readings; ``granted`` are the plugged rows whose charger may give or take power."""

    def holds(self, name: str) -> Iterator[Event]:
        """What an agent senses that has just started again."""

    def limit_w(self) -> Ints:
        """The limits in force, by feeder."""


class SensorFeed(Observer):
    """The sensors of a simulated street: what to tell whom at each tick.

    As an observer it learns whose meters count for an award, and what they show.
    """

    def __init__(self, street: Street, world: World, factory: AgentFactory) -> None:
        self._street, self._world, self._factory = street, world, factory
        self._last_told = np.full((_COLUMNS, len(world.fleet)), -1, dtype=np.int64)
        self._limit_w = np.array([feeder.transformer.limit_w for feeder in street.feeders], dtype=np.int64)
        self._award_tick = np.full(len(world.fleet), -1, dtype=np.int64)
        """When each session's newest award was made; -1 once it is settled, or if it never had one."""
        self._last: Moved | None = None

    def noted(self, transformer: str, note: Note) -> None:  # noqa: ARG002 - sessions have numbers of their own
        """An award counts from when it is made until it is settled."""
        if isinstance(note, NoteAward):
            self._award_tick[note.session] = note.tick
        elif isinstance(note, NoteTrade) and self._award_tick[note.session] == note.tick:
            self._award_tick[note.session] = -1

    def moved(self, moved: Moved) -> None:
        """The meters show this until the next tick ends."""
        self._last = moved

    def closing(self, tick: int) -> Iterator[Sensed]:
        """The meters of the tick that ended, then departures."""
        if self._last is not None:
            yield from self._meters(self._last)
        for row in self._world.leave(tick).tolist():
            yield VEHICLE_FIRST, Unplugged(row, int(self._world.imported_ws[row]), int(self._world.exported_ws[row]))

    def _meters(self, last: Moved) -> Iterator[Sensed]:
        awarded = self._award_tick[last.rows] >= 0
        (told,) = (awarded | (last.import_w > 0) | (last.export_w > 0)).nonzero()
        columns = (last.rows, last.import_w, last.export_w, last.charging.baseline_w, awarded)
        for row, import_w, export_w, baseline_w, counts in zip(
            *(column[told].tolist() for column in columns), strict=True
        ):
            yield CHARGER_FIRST if counts else NOBODY, Metered(row, import_w, export_w, baseline_w)

    def arrivals(self, tick: int) -> Iterator[Sensed]:
        """The cars that are plugged in: each charger learns which car it is, and each car which charger."""
        for row in self._world.arrive(tick).tolist():
            yield CHARGER, self._plugged_in(row, self._factory.vehicle_of[row])
            yield VEHICLE, self._plugged_in(row, self._factory.charger_of[row])

    def _plugged_in(self, row: int, peer: str) -> PluggedIn:
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
        before_w, self._limit_w = self._limit_w, self._limits_w(tick)
        for feeder in (self._limit_w != before_w).nonzero()[0].tolist():
            yield self._factory.transformers[feeder], LimitChanged(int(self._limit_w[feeder]))

    def _limits_w(self, tick: int) -> Ints:
        """What holds from this tick on, by feeder."""
        limits_w: Ints = self._street.limit_w[:, tick]
        return limits_w

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
        listed = zip(rows.tolist(), changed[told].tolist(), columns.T.tolist(), strict=True)
        for row, is_new, figures in listed:
            remaining_ws, baseline_ws, stored_ws, wanted_w, baseline_w, firm_w, due_ms, drew = figures
            reading = Reading(
                row, remaining_ws, baseline_ws, stored_ws, wanted_w, baseline_w, firm_w, due_ms, bool(drew)
            )
            yield CHARGER_FIRST if is_new else CHARGER, reading

    def holds(self, name: str) -> Iterator[Event]:
        """A charger or a car senses the cable that is in, a transformer the limit in force.

        Where the session stands is told again at the next tick: the agent has forgotten it.
        """
        for row in self._world.plugged.tolist():
            charger, vehicle = self._factory.charger_of[row], self._factory.vehicle_of[row]
            if name in (charger, vehicle):
                self._last_told[:, row] = -1
                yield self._plugged_in(row, vehicle if name == charger else charger)
        if name in self._factory.transformers:
            yield LimitChanged(int(self._limit_w[self._factory.transformers.index(name)]))

    def limit_w(self) -> Ints:
        """The limits in force, by feeder."""
        return self._limit_w
