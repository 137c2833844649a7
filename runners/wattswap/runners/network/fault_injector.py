"""Trouble in a simulated street: agents that crash, freeze and come back, clocks that run fast.

It stands between the heap and the agents and decides whether an event reaches its agent now, later or never.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from wattswap.protocol.events import PluggedIn, Received, Unplugged
from wattswap.runners.engines.agent_factory import TRANSFORMER
from wattswap.runners.network.fault_schedule import FaultSchedule

if TYPE_CHECKING:
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.simulated import SimulatedRun
    from wattswap.runners.network.fault_schedule import FaultOptions, Outage


class FaultInjector:
    """The outages of one run as they come and go."""

    def __init__(self, run: SimulatedRun, faults: FaultOptions) -> None:
        self._run = run
        ends_ms = run.street.ticks * run.rules.tick_ms
        self.schedule = FaultSchedule(faults, run.street.scenario.seed, run.factory.names, ends_ms)
        self._down: dict[str, Outage] = {}
        self._held: defaultdict[str, list[Event]] = defaultdict(list)
        self._watchdogs: dict[str, int] = {}
        """When a frozen charger's hardware falls back by itself."""
        self._tearing: set[str] = set()
        """Those whose next event is still handled, but only a part of what they want done is."""
        self._epochs: defaultdict[str, int] = defaultdict(lambda: 1)
        self._due = [outage for outage in self.schedule.outages if not outage.is_cut][::-1]
        self._cuts_due_ms = [outage.from_ms for outage in self.schedule.outages if outage.is_cut][::-1]

    def admits(self, name: str, event: Event) -> bool:
        """Whether this event reaches its agent now."""
        self._come_and_go()
        outage = self._down.get(name)
        if outage is None:
            return True
        if name in self._tearing:
            self._tearing.remove(name)
            self._run.feed_in_part(name, event, self.schedule.part)
            self._run.crash(name)
            return False
        if outage.kind == "freeze" or isinstance(event, PluggedIn | Unplugged):
            self._held[name].append(event)
        elif isinstance(event, Received):
            self.schedule.counts.unheard += 1
        return False

    def is_down(self, name: str) -> bool:
        """Whether an agent is out of order now."""
        return name in self._down

    def _come_and_go(self) -> None:
        now_ms, counts = self._run.now_ms, self.schedule.counts
        self.fall_back(now_ms)
        while self._cuts_due_ms and self._cuts_due_ms[-1] <= now_ms:
            self._cuts_due_ms.pop()
            counts.partitions += 1
        for name, outage in [(name, outage) for name, outage in self._down.items() if outage.to_ms <= now_ms]:
            del self._down[name]
            self._tearing.discard(name)
            self._come_back(name, outage)
        while self._due and self._due[-1].from_ms <= now_ms:
            outage = self._due.pop()
            if outage.to_ms > now_ms and outage.agent not in self._down:
                self._down[outage.agent] = outage
                if outage.kind == "crash":
                    counts.crashes += 1
                    self._run.crash(outage.agent)
                    self._tearing.add(outage.agent)
                    continue
                counts.freezes += 1
                if (ends_ms := self._run.lease_ends_ms(outage.agent)) is not None:
                    self._watchdogs[outage.agent] = ends_ms

    def _come_back(self, name: str, outage: Outage) -> None:
        """Thaw and read what has queued up, or start again from what was durable and feel which cable went or is in."""
        held = self._held.pop(name, [])
        self._watchdogs.pop(name, None)
        if outage.kind == "crash":
            self.schedule.counts.restarts += 1
            self._epochs[name] += 1
            self._run.restart(name, self._epochs[name])
            held = [event for event in held if isinstance(event, Unplugged)]
        for event in held:
            self._run.feed_again(name, event)
        if outage.kind == "crash":
            self._run.feel_cable(name)
        if outage.kind == "crash" and name == TRANSFORMER:
            self._run.hear_limit()

    def fall_back(self, now_ms: int) -> None:
        """Let the hardware of frozen chargers fall back whose lease is over."""
        for name in [name for name, at_ms in self._watchdogs.items() if at_ms <= now_ms]:
            del self._watchdogs[name]
            self._run.crash(name)

    def local_ms(self, name: str, true_ms: int) -> int:
        """What an agent's clock says; only chargers' are off, for theirs are the leases."""
        return self.schedule.local_ms(name, true_ms) if name.startswith("charger/") else true_ms

    def true_ms(self, name: str, local_ms: int) -> int:
        """When an agent's clock will say so."""
        return self.schedule.true_ms(name, local_ms) if name.startswith("charger/") else local_ms
