"""A network with faults: messages are lost, repeated and late, and nodes crash, freeze and are cut off.

Each outage is an event of the run: it begins and ends at its own millisecond, whether or not anything else happens
then. All of it is drawn from one seed, so a run goes wrong in the same way every time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wattswap.agents.charger import Charger
from wattswap.runners.engines.node import Running
from wattswap.runners.network.fault_schedule import DriftingClock, FaultCounts

if TYPE_CHECKING:
    from wattswap.runners.engines.loop import SimulatedRun
    from wattswap.runners.engines.node import Node
    from wattswap.runners.network.fault_schedule import FaultSchedule, Outage


class FaultyNetwork:
    """Carries the messages of one run and strikes its nodes; ``attach`` it to the run before the first step."""

    def __init__(self, schedule: FaultSchedule) -> None:
        self.schedule, self.counts = schedule, FaultCounts()
        self._random, self._faults = schedule.random, schedule.faults
        self._down: dict[str, Outage] = {}
        """The crash or freeze under way, by agent."""

    def attach(self, run: SimulatedRun) -> None:
        """Let chargers' clocks drift, for theirs are the leases, and enter all outages into the run's events."""
        self._run = run
        run.records[0].counts = self.counts
        for name, node in run.nodes.items():
            if isinstance(node.agent, Charger):
                node.clock = DriftingClock(self.schedule.drift_ppm[name])
        for outage in self.schedule.outages:
            self.strike(outage)

    # -- messages -----------------------------------------------------------------------------------------------------

    def arrivals(self, sender: Node, to: Node, now_ms: int) -> list[int]:
        """When a message sent now arrives: once, twice or never."""
        arrivals, counts = self._arrivals(sender, to, now_ms), self.counts
        counts.sent += 1
        if not arrivals:
            counts.lost += 1
        elif len(arrivals) > 1:
            counts.repeated += 1
        if arrivals and arrivals[0] > now_ms:
            counts.delayed += 1
        return arrivals

    def _arrivals(self, sender: Node, to: Node, now_ms: int) -> list[int]:
        faults, random = self._faults, self._random
        if not sender.speaks or not to.hears:
            return []
        if now_ms >= faults.until_ms:
            return [now_ms]
        if random.random() * 1e6 < faults.loss_ppm:
            return []
        copies = 2 if random.random() * 1e6 < faults.repeat_ppm else 1
        return [now_ms + (random.randint(0, faults.delay_ms) if faults.delay_ms else 0) for _ in range(copies)]

    def unheard(self) -> None:
        """A message arrived at an agent that had crashed."""
        self.counts.unheard += 1

    # -- outages ------------------------------------------------------------------------------------------------------

    def strike(self, outage: Outage) -> None:
        """Let this happen, from ``outage.from_ms`` on or, if that is over, from now on.

        A crash or freeze of an agent that is down already begins when that is over, for as long as is left of it.
        """
        begin = self._cut if outage.is_cut else self._begin
        self._run.at(outage.from_ms, partial(begin, outage))

    def _cut(self, outage: Outage) -> None:
        self.counts.partitions += 1
        node, one_way = self._run.nodes[outage.agent], outage.kind == "one-way cut"
        node.cut(one_way=one_way)
        self._run.at(outage.to_ms, partial(node.heal, one_way=one_way))

    def _begin(self, outage: Outage) -> None:
        name = outage.agent
        if (before := self._down.get(name)) is not None:
            if before.to_ms < outage.to_ms:
                self._run.at(before.to_ms, partial(self._begin, outage))
            return
        self._down[name] = outage
        node = self._run.nodes[name]
        if outage.kind == "crash":
            self._crash(name)
        elif outage.kind == "torn crash":
            node.crash_in_next_event(self.schedule.part, partial(self._crash, name))
        else:
            self._freeze(name, node, outage)
        self._run.at(outage.to_ms, partial(self._end, outage))

    def _crash(self, name: str) -> None:
        """The agent stops; a charging station whose agent has stopped lets through the guaranteed minimum."""
        self.counts.crashes += 1
        self._run.nodes[name].crash()
        self._run.fall_back(name)

    def _freeze(self, name: str, node: Node, outage: Outage) -> None:
        """The agent stops for a while; a charging station's own watchdog falls back when the lease is over."""
        self.counts.freezes += 1
        node.freeze()
        ends_ms = node.agent.lease_ends_ms if isinstance(node.agent, Charger) else None
        if ends_ms is not None:
            self._run.at(node.true_ms(ends_ms), partial(self._watchdog, name, outage))

    def _watchdog(self, name: str, outage: Outage) -> None:
        if self._down.get(name) is outage:
            self._run.fall_back(name)

    def _end(self, outage: Outage) -> None:
        """The agent thaws and reads what has queued up, or starts again from what was durable."""
        name = outage.agent
        del self._down[name]
        if outage.kind == "freeze":
            self._run.thaw(name)
            return
        if self._run.nodes[name].state is Running.FAILS_NEXT:
            self._crash(name)
        self.counts.restarts += 1
        self._run.restart(name)
