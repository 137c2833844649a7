"""The same history as plain lines, one for each tick: for a file, a pipe or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.experiments.dashboard.told_so_far import ToldSoFar, clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattswap.experiments.dashboard.told_so_far import FeederLoad
    from wattswap.runners.watching.history import Head, History


class TerminalLines:
    """Says each tick once, the oldest first; of a run that is over, each when its time has come."""

    def __init__(self, history: History, say: Callable[[str], None], speed: float | None = None) -> None:
        self._told, self._say = ToldSoFar(history, speed), say
        self._next = 0
        self._is_lost = False

    @property
    def is_over(self) -> bool:
        """Everything was said."""
        return self._told.is_over and self._next > self._told.tick

    def look(self) -> None:
        """Say what is new."""
        told = self._told
        if told.take_in():
            self._next = 0
        if (head := told.history.head) is None:
            return
        if told.is_lost and not self._is_lost:
            self._say("connection lost; trying again")
        self._is_lost = told.is_lost
        for tick in range(self._next, told.tick + 1):
            self._say(self._line(head, tick))
            self._next = tick + 1

    def _line(self, head: Head, tick: int) -> str:
        loads = "; ".join(map(_says, self._told.loads(head, tick)))
        told = self._told
        return f"{clock(head, tick)}  {loads}; cars: {told.doings(tick)}; calls so far: {told.calls(tick)}"


def _says(load: FeederLoad) -> str:
    name = f"{load.name} " if load.name else ""
    parts = f"homes {load.base_w / 1_000:.1f} kW, cars {load.cars_w / 1_000:.1f} kW"
    return f"{name}{load.load_w / 1_000:.1f} of {load.limit_w / 1_000:.1f} kW ({parts})"
