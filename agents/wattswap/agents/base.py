"""The contract of every agent: it takes (event, now) and returns a list of effects, and does nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event


class Agent(Protocol):
    """A transformer, charger, vehicle or household, however it is driven."""

    name: str

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """What the agent wants done about an event. ``now_ms`` is the time since the run's start."""
        ...

    def check(self) -> None:
        """Assert all that must hold about the agent's state. Tests and fault runs call it after every event."""
        ...
