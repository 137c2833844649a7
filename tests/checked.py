"""A run whose agents check themselves after every event."""

from __future__ import annotations

from typing import Any

from wattswap.runners.engines.simulated import SimulatedRun
from wattswap.runners.scenario import Street


class _SelfChecks:
    run: SimulatedRun

    def audit(self, now_ms: int, agent: str, event: Any, done: Any) -> None:
        self.run.agents[agent].check()


def checked_run(street: Street, *args: Any, **options: Any) -> SimulatedRun:
    """A messages run of this street in which every agent asserts after each event what must hold of its state."""
    checks = _SelfChecks()
    checks.run = SimulatedRun(street, *args, auditor=checks, **options)
    return checks.run
