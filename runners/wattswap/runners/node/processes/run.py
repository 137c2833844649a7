"""A run of a street by processes: here are the world and the records, elsewhere the agents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

import numpy as np

from wattswap.ledger.book import Book
from wattswap.runners.engines.agent_factory import AgentFactory
from wattswap.runners.engines.observer import Moved, Observers
from wattswap.runners.engines.sensor_feed import OF_A_SESSION, hearers_by_row
from wattswap.runners.engines.steered_feed import feed_of
from wattswap.runners.node.processes.plan import plan_of
from wattswap.runners.payments.opening_book import open_books
from wattswap.runners.recording.recorder import Recorder
from wattswap.runners.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wattswap.agents.controllers import Controller
    from wattswap.agents.law import ChargingState
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.limit_order import LimitOrder
    from wattswap.runners.engines.observer import Note, Observer, Sensed
    from wattswap.runners.engines.strategy_assignment import StrategyAssignment
    from wattswap.runners.node.processes.plan import Processes
    from wattswap.runners.node.processes.pool import ProcessPool
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street


class ProcessRun(ABC):
    """A street being run by processes. They live until :meth:`close`; use it as a context manager."""

    def __init__(
        self,
        street: Street,
        controller: Controller | None = None,
        *,
        processes: Processes,
        sign: bool = False,
        observers: Iterable[Observer] = (),
        operator: LimitOrder | None = None,
        drivers: DriverWishes | None = None,
    ) -> None:
        """Make the world and the plan; whoever derives from this starts the processes."""
        self.street, self.world = street, World(street)
        self.rules = self.world.rules
        self.factory = AgentFactory(street, self.world, controller, sign=sign)
        self._feed = feed_of(street, self.world, self.factory, operator, drivers)
        self._recorder = Recorder(street, self.world, self.factory)
        self._observers = Observers((self._recorder, self._feed, *observers))
        books = dict(zip(self.factory.transformers, open_books(street, self.world), strict=True))
        self.books = list(books.values())
        """As they were opened; from :meth:`finish` on, as they were closed."""
        self.tick = self.now_ms = 0
        rows = len(self.world.fleet)
        self._import_w, self._export_w = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
        self._hearers = hearers_by_row(self.factory.charger_of, self.factory.vehicle_of)
        self._plan = plan_of(self.world, self.factory, books, processes)

    @property
    @abstractmethod
    def pool(self) -> ProcessPool:
        """The processes."""

    @abstractmethod
    def begin(self) -> None:
        """Tell the observers, and wake the transformers; called once, before the first step."""

    @abstractmethod
    def _sense(self, told: Iterable[Sensed]) -> None:
        """Let agents learn what the world tells."""

    @abstractmethod
    def _tick_out(self) -> None:
        """Let everything happen that happens within this tick."""

    @abstractmethod
    def _run_out(self) -> None:
        """Let everything happen that belongs to the closing step."""

    def run(self) -> RunRecord:
        """Every tick of the run, then the closing step of its last instant; the processes are ended, come what may.

        Raises:
            WorkerLostError: a process died, hung or failed.
        """
        try:
            while self.tick < self.street.ticks:
                self.step()
            return self.finish()
        finally:
            self.close()

    def step(self) -> None:
        """One tick: what ended is closed, everyone reads, talks and decides, and the world moves to the next."""
        tick = self.tick
        self.now_ms = tick * self.rules.tick_ms
        self._sense(self._feed.closing(tick))
        self._sense(self._feed.arrivals(tick))
        charging, plugged = self.world.charging(tick), self.world.plugged
        granted = (self._import_w[plugged] | self._export_w[plugged]) != 0
        self._sense(self._feed.opening(tick, charging, granted))
        self._tick_out()
        self._move(tick, charging)
        self.tick = tick + 1
        for hear in self._observers.tick_passed:
            hear(tick)

    def finish(self) -> RunRecord:
        """The closing step of the last instant; the books are those of the transformers' processes."""
        self.now_ms = self.tick * self.rules.tick_ms
        self._sense(self._feed.closing(self.tick))
        self._run_out()
        closed = self.pool.close_books()
        self.books = [Book.restore(closed[name]) for name in self.factory.transformers]
        self._recorder.recovered("", ())
        self._observers.finished(self)
        self.records[0].events_hash = None  # events happen in several places at once, and nobody sees them all
        return self.record

    def hosted(self, process: int) -> list[str]:
        """The agents of a process."""
        return self._plan.hosted(process)

    def close(self) -> None:
        """End the processes. Calling it twice is harmless."""
        self.pool.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _told(self, sensed: Iterable[Sensed]) -> Iterator[tuple[str, Event]]:
        """What the world tells, with the name of each agent that is told."""
        for who, event in sensed:
            names = self._hearers[who][event.session] if isinstance(event, OF_A_SESSION) else (str(who),)
            for name in names:
                yield name, event

    def _take_in(
        self,
        powers: Iterable[tuple[int, int, int]],
        notes: Iterable[tuple[str, Note]],
        bills: Iterable[tuple[int, int, int]],
        refused: Iterable[tuple[int, str, Event]],
    ) -> None:
        """What came of what agents have handled: powers for the world, and news for the observers."""
        observers = self._observers
        for session, import_w, export_w in powers:
            self._import_w[session], self._export_w[session] = import_w, export_w
        for agent, note in notes:
            for hear_note in observers.noted:
                hear_note(agent, note)
        for bill in bills:
            for hear_bill in observers.billed:
                hear_bill(*bill)
        for now_ms, agent, event in refused:
            for hear_refused in observers.refused:
                hear_refused(now_ms, agent, event)

    def _move(self, tick: int, charging: ChargingState) -> None:
        """The world goes on to the next tick under the grants in force."""
        world = self.world
        rows = world.plugged
        owed_ws = np.maximum(world.remaining_ws[rows] - world.baseline_ws[rows], 0)
        granted_w = self._import_w[rows]
        drawn_w, fed_w = world.move(charging, granted_w, self._export_w[rows])
        base_w, limit_w = world.base_w[:, tick + 1], self._feed.limit_w()
        moved = Moved(tick, base_w, limit_w, rows, charging, drawn_w, fed_w, granted_w, owed_ws)
        for hear in self._observers.moved:
            hear(moved)

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """The record of each feeder."""
        return self._recorder.records

    @property
    def record(self) -> RunRecord:
        """What there is so far."""
        return self._recorder.record

    @property
    def assignment(self) -> StrategyAssignment:
        """Which car follows which strategy."""
        return self.factory.assignment

    def earned_nanos(self, row: int) -> int:
        """What a session has been paid so far."""
        return self._recorder.earned_nanos(row)
