"""A run whose agents check themselves after every event."""

from __future__ import annotations

from typing import Any

from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.observer import Observer
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.scenario import Street


class _SelfChecks(Observer):
    run: Any

    def begun(self, run: Any) -> None:
        self.run = run

    def handled(self, now_ms: int, agent: str, event: Any, effects: Any) -> None:
        self.run.nodes[agent].agent.check()


def checked_run(street: Street, *args: Any, **options: Any) -> SimulatedRun:
    """A messages run of this street in which every agent asserts after each event what must hold of its state."""
    return simulated_run(street, *args, observers=[_SelfChecks()], **options)
