"""A run of a street by processes on the wall clock, at so many times its speed: the world's side.

At each beat the world tells the agents what they sense, and then goes on; what they decide until the next beat holds
for the whole of it, as in the simulator. Nobody waits for anybody: a process that is late is late.
"""

from __future__ import annotations

import time
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Final

from wattswap.protocol.errors import InputError
from wattswap.runners.engines.sensor_feed import OF_A_SESSION
from wattswap.runners.node.live.clock import LiveClock
from wattswap.runners.node.live.worker import LiveOptions, LiveWorker
from wattswap.runners.node.processes.pool import ProcessPool
from wattswap.runners.node.processes.run import ProcessRun
from wattswap.runners.node.processes.wire import Beat, Begin, Inside, News

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wattswap.agents.controllers import Controller
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.limit_order import LimitOrder
    from wattswap.runners.engines.observer import Observer, Sensed
    from wattswap.runners.node.processes.plan import Processes
    from wattswap.runners.recording.journal import Header
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.watching.funds import Funds

LEAST_BEAT_WALL_MS: Final = 100
"""A beat is four steps of message and answer, each of which takes a few milliseconds on a machine that has to do."""
SHARES_OF_A_BEAT: Final = 4
"""A quarter of the beat for the reports, a quarter for offers, and the rest for awards and grants."""


class LiveRun(ProcessRun):
    """A street being run on the wall clock."""

    def __init__(
        self,
        street: Street,
        controller: Controller | None = None,
        *,
        speed: float,
        processes: Processes,
        sign: bool = False,
        observers: Iterable[Observer] = (),
        operator: LimitOrder | None = None,
        drivers: DriverWishes | None = None,
        journals: tuple[Path, Header] | None = None,
    ) -> None:
        """Start the processes; ``journals`` says where each keeps its own, and how it begins.

        Raises:
            WorkerLostError: one did not come up.
        """
        super().__init__(
            street, controller, processes=processes, sign=sign, observers=observers, operator=operator, drivers=drivers
        )
        folder, header = journals or (None, None)
        is_watched = bool(self._observers.offered)
        options = LiveOptions(speed, self.rules.tick_ms // SHARES_OF_A_BEAT, is_watched, folder, header)
        self._clock = LiveClock(time.monotonic_ns(), speed)
        self.latest_ms = 0
        """By how much the latest beat came late, in the street's milliseconds."""
        self.lease_ends_ms: dict[str, int | None] = {}
        """By charger, as its process told last; empty where nobody watches."""
        self.funds: dict[str, Funds] = {}
        """By transformer, as its process told last; empty where nobody watches."""
        self._pool = ProcessPool(self._plan, partial(LiveWorker, options), self._when)

    @property
    def pool(self) -> ProcessPool:
        """The processes."""
        return self._pool

    def _when(self) -> str:
        return f"tick {self.tick}"

    def begin(self) -> None:
        """Tell the observers, and let all clocks begin."""
        self._observers.begun(self)
        self._clock = LiveClock(time.monotonic_ns(), self._clock.speed)
        for process in range(self._plan.processes):
            self._pool.tell(process, Begin(self._clock.began_ns))

    def step(self) -> None:
        """One tick, when its time has come."""
        self._wait_until(self.tick * self.rules.tick_ms)
        self.latest_ms = max(self.latest_ms, self._clock.now_ms() - self.tick * self.rules.tick_ms)
        super().step()

    def _sense(self, told: Iterable[Sensed]) -> None:
        """What happens at a cable its charger senses, and tells the car: so the two meters agree on every tick."""
        sensed = list(told)
        for hear in self._observers.sensed:
            hear(sensed)
        by_process: defaultdict[int, list[tuple[str, Event]]] = defaultdict(list)
        for name, event in self._told(sensed):
            senses = self.factory.charger_of[event.session] if isinstance(event, OF_A_SESSION) else name
            by_process[self._plan.process_of[senses]].append((name, event))
        for process, events in by_process.items():
            self._pool.tell(process, Beat(tuple(events)))

    def _tick_out(self) -> None:
        self._wait_until(self.now_ms + self.rules.tick_ms)

    def _run_out(self) -> None:
        """A beat more, in which deliveries and receipts of those that have left find their way."""
        self._wait_until(self.now_ms + self.rules.tick_ms)

    def _wait_until(self, at_ms: int) -> None:
        """Take in what comes until an instant of the street."""
        while True:
            wait_ms = self._clock.wall_ms_until(at_ms)
            for _, wire in self._pool.look(wait_ms):
                assert isinstance(wire, News), f"{wire} while the street runs"
                if wire.inside is not None:
                    self._look_inside(wire.inside)
                self._take_in(wire.powers, wire.notes, wire.bills, wire.refused)
            if not wait_ms:
                return

    def _look_inside(self, inside: Inside) -> None:
        """Keep what a process told of its agents, and pass the offers on to whoever watches."""
        self.lease_ends_ms |= inside.leases
        self.funds |= inside.funds
        for capped in inside.offers:
            for hear in self._observers.offered:
                hear(capped)


def least_deadline_ms(tick_ms: int) -> int:
    """How long offers are waited for at least on the wall clock."""
    return tick_ms // SHARES_OF_A_BEAT


def live_run(
    street: Street,
    controller: Controller | None = None,
    *,
    speed: float,
    processes: Processes,
    sign: bool = False,
    observers: Iterable[Observer] = (),
    operator: LimitOrder | None = None,
    drivers: DriverWishes | None = None,
    journals: tuple[Path, Header] | None = None,
) -> LiveRun:
    """A run before its first tick, of which its observers have been told.

    Raises:
        InputError: messages cannot find their way within a beat at this speed, or things are to go wrong on purpose.
        WorkerLostError: a process did not come up.
    """
    from wattswap.runners.engines.launch import faults_of

    most = street.tick_ms / LEAST_BEAT_WALL_MS
    if speed > most:
        raise InputError(
            f"--speed {speed:g}: a beat of {street.tick_ms / 1_000:g} s would pass in {street.tick_ms / speed:.0f} ms,"
            f" too short for offers and awards to find their way; at most {most:g}"
        )
    if faults_of(street).any:
        raise InputError("[faults]: only the simulator lets things go wrong on purpose; use `wattswap run`")
    run = LiveRun(
        street,
        controller,
        speed=speed,
        processes=processes,
        sign=sign,
        observers=observers,
        operator=operator,
        drivers=drivers,
        journals=journals,
    )
    run.begin()
    return run
