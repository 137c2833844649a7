"""A run of a street by processes in lockstep: the conductor's side is the world, the others are the agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.protocol import events
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.ranks import LAST_RANK, RANK_OF_KIND
from wattswap.runners.node.lockstep.conductor import Conductor
from wattswap.runners.node.processes.run import ProcessRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.agents.controllers import Controller
    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.limit_order import LimitOrder
    from wattswap.runners.engines.observer import Observer, Sensed
    from wattswap.runners.node.processes.plan import Processes
    from wattswap.runners.node.processes.pool import ProcessPool
    from wattswap.runners.scenario.street import Street


class LockstepRun(ProcessRun):
    """A street being run in lockstep."""

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
        """Start the processes.

        Raises:
            WorkerLostError: one did not come up.
        """
        super().__init__(
            street, controller, processes=processes, sign=sign, observers=observers, operator=operator, drivers=drivers
        )
        self._conductor = Conductor(self._plan)

    @property
    def pool(self) -> ProcessPool:
        """The processes."""
        return self._conductor.pool

    def begin(self) -> None:
        """Tell the observers, and wake the transformers; called once, before the first step."""
        self._observers.begun(self)
        for name in self.factory.transformers:
            self._conductor.sense(0, RANK_OF_KIND[events.Woken], name, events.Woken())

    def _sense(self, told: Iterable[Sensed]) -> None:
        sensed = list(told)
        for hear in self._observers.sensed:
            hear(sensed)
        for name, event in self._told(sensed):
            self._conductor.sense(self.now_ms, RANK_OF_KIND[type(event)], name, event)

    def _tick_out(self) -> None:
        self._drain(self.now_ms + self.rules.tick_ms, LAST_RANK)

    def _run_out(self) -> None:
        self._drain(self.now_ms + 1, RANK_OF_KIND[events.Unplugged])

    def _drain(self, until_ms: int, most_rank: int) -> None:
        """Let everything happen that happens before ``until_ms``."""
        while (key := self._conductor.next_stage(until_ms, most_rank)) is not None:
            self.now_ms = key.at_ms
            for done in self._conductor.carry_out(key):
                refused = ((key.at_ms, agent, event) for agent, event in done.refused)
                self._take_in(done.powers, done.notes, done.bills, refused)


def lockstep_run(
    street: Street,
    controller: Controller | None = None,
    *,
    processes: Processes,
    sign: bool = False,
    observers: Iterable[Observer] = (),
    operator: LimitOrder | None = None,
    drivers: DriverWishes | None = None,
) -> LockstepRun:
    """A run before its first tick, of which its observers have been told.

    Raises:
        InputError: the scenario lets things go wrong, which no order can bring back.
        WorkerLostError: a process did not come up.
    """
    from wattswap.runners.engines.launch import faults_of

    if faults_of(street).any:
        raise InputError("[faults]: in lockstep nothing is late or lost; leave the table out, or use `wattswap run`")
    run = LockstepRun(
        street, controller, processes=processes, sign=sign, observers=observers, operator=operator, drivers=drivers
    )
    run.begin()
    return run
