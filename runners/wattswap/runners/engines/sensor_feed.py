"""What the world tells the agents: the only inputs of a simulated run, and so what its journal holds.

Agents are told of what they need. The meters of a session are told to its charger and its car while a lot is open;
where power flows without one they are told to nobody, that is to the journal alone. A car is told of its state when it
changed; its charger hears from it, as long as power matters, what it may draw and wants, and nothing of its plans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from wattswap.protocol.effects import NoteAward, NoteTrade
from wattswap.protocol.events import (
    BaseRead,
    CarStatus,
    DriverWish,
    LimitChanged,
    Metered,
    PluggedIn,
    Reading,
    Unplugged,
)
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

OF_A_SESSION: Final = (Metered, CarStatus, Reading, PluggedIn, Unplugged, DriverWish)

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

    As an observer it learns who has a lot open, and what the meters show.
    """

    def __init__(self, street: Street, world: World, factory: AgentFactory) -> None:
        self._street, self._world, self._factory = street, world, factory
        self._last_told = np.full((_COLUMNS, len(world.fleet)), -1, dtype=np.int64)
        self._limit_w = np.array([feeder.transformer.limit_w for feeder in street.feeders], dtype=np.int64)
        self._discloses = street.scenario.vehicles.disclose != "nothing"
        self._discloses_feeding = street.scenario.vehicles.disclose == "feeding"
        self._lots: set[tuple[int, int]] = set()
        """(session, tick) of the awards that are not settled."""
        self._open = np.zeros(len(world.fleet), dtype=np.int64)
        """How many of them each session has."""
        self._last: Moved | None = None

    def noted(self, transformer: str, note: Note) -> None:  # noqa: ARG002 - sessions have numbers of their own
        """A lot is open from when its award is made until it is settled."""
        if not isinstance(note, NoteAward | NoteTrade):
            return
        lot = note.session, note.tick
        if isinstance(note, NoteAward) and lot not in self._lots:
            self._lots.add(lot)
            self._open[note.session] += 1
        elif isinstance(note, NoteTrade) and lot in self._lots:
            self._lots.discard(lot)
            self._open[note.session] -= 1

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
        counts = self._open[last.rows] > 0
        (told,) = (counts | (last.import_w > 0) | (last.export_w > 0)).nonzero()
        columns = (counts, last.rows, last.import_w, last.export_w, last.charging.baseline_w, last.granted_w)
        for count, row, import_w, export_w, baseline_w, granted_w in zip(
            *(column[told].tolist() for column in columns), strict=True
        ):
            metered = Metered(row, import_w, export_w, baseline_w, granted_w, last.tick)
            yield CHARGER_FIRST if count else NOBODY, metered

    def arrivals(self, tick: int) -> Iterator[Sensed]:
        """The cars that are plugged in: each charger learns which car it is, and each car which charger."""
        for row in self._world.arrive(tick).tolist():
            yield CHARGER, self._plugged_in(row, self._factory.vehicle_of[row])
            yield VEHICLE, self._plugged_in(row, self._factory.charger_of[row], discloses=self._discloses)

    def _plugged_in(self, row: int, peer: str, *, discloses: bool = False) -> PluggedIn:
        """What the cable says; a car that discloses its departure knows it by this."""
        fleet = self._world.fleet
        return PluggedIn(
            session=row,
            session_id=fleet.session_id[row],
            peer=peer,
            need_ws=int(self._world.baseline_ws[row]),
            departure_ms=int(fleet.departure_ms[row]) if discloses else None,
            max_w=int(fleet.max_w[row]),
            feed_w=int(fleet.feed_w[row]),
            capacity_ws=int(fleet.capacity_ws[row]),
            reserve_ws=int(fleet.reserve_ws[row]),
        )

    def _wish(self, row: int) -> DriverWish:
        """What the car's driver wants by now."""
        world = self._world
        return DriverWish(row, bool(world.sells[row]), int(world.departure_ms[row]), int(world.least_ws[row]))

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
        could_w = world.feedable_w(plugged) if self._discloses_feeding else np.zeros_like(plugged)
        matters = granted | (charging.wanted_w > 0) | (could_w > 0) | (world.rules.guaranteed_w > 0)
        (told,) = (changed | matters).nonzero()
        rows, columns = plugged[told], columns[:, told]
        self._last_told[:, rows] = columns
        listed = zip(rows.tolist(), changed[told].tolist(), could_w[told].tolist(), columns.T.tolist(), strict=True)
        for row, is_new, feed_w, figures in listed:
            remaining_ws, baseline_ws, stored_ws, wanted_w, baseline_w, firm_w, due_ms, drew = figures
            told_ms, told_w = due_ms if self._discloses else None, feed_w if self._discloses_feeding else None
            yield CHARGER, CarStatus(row, firm_w, wanted_w, bool(drew), told_ms, told_w)
            if is_new:
                yield (
                    VEHICLE,
                    Reading(
                        row, remaining_ws, baseline_ws, stored_ws, wanted_w, baseline_w, firm_w, due_ms, bool(drew)
                    ),
                )

    def holds(self, name: str) -> Iterator[Event]:
        """A charger or a car senses the cable that is in, a transformer the limit in force.

        Where the session stands is told again at the next tick: the agent has forgotten it.
        """
        for row in self._world.plugged.tolist():
            charger, vehicle = self._factory.charger_of[row], self._factory.vehicle_of[row]
            if name in (charger, vehicle):
                self._last_told[:, row] = -1
                is_charger = name == charger
                peer = vehicle if is_charger else charger
                yield self._plugged_in(row, peer, discloses=self._discloses and not is_charger)
                if not is_charger and self._world.has_wished[row]:
                    yield self._wish(row)
        if name in self._factory.transformers:
            yield LimitChanged(int(self._limit_w[self._factory.transformers.index(name)]))

    def limit_w(self) -> Ints:
        """The limits in force, by feeder."""
        return self._limit_w
