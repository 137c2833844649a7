"""How long many runs will take, roughly, so that nobody begins a week of work by a slip of a digit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wattswap.runners.scenario.street import Street

_TICK_S: Final = {"fleet": 60e-6, "messages": 350e-6}
"""What a tick of a feeder takes a processor: weeks of the bundled streets, on the machine that the README names."""
DAY_S: Final = 86_400


def estimated_s(street: Street, runs: int, engine: str, processes: int) -> float:
    """Seconds that so many runs of a street take, within a factor of two or three."""
    return runs * street.ticks * len(street.feeders) * _TICK_S.get(engine, _TICK_S["messages"]) / max(processes, 1)
