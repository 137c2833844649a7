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
        self._trouble = ""

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
        silent = "no news since then: the street may have stopped" if told.is_silent else ""
        trouble = "connection lost; trying again" if told.is_lost else silent
        if trouble and trouble != self._trouble:
            self._say(trouble)
        self._trouble = trouble
        for tick in range(self._next, told.tick + 1):
            self._say(self._line(head, tick))
            self._next = tick + 1

    def _line(self, head: Head, tick: int) -> str:
        loads = "; ".join(map(_says, self._told.loads(head, tick)))
        told = self._told
        return f"{clock(head, tick)}  {loads}; cars: {told.doings(tick)}; calls so far: {told.calls(tick)}"


def _says(load: FeederLoad) -> str:
    name = f"{load.name} " if load.name else ""
    homes, cars = _kw(load.base_w, is_known=load.homes_known), _kw(load.cars_w, is_known=load.cars_known)
    in_all = f"{load.load_w / 1_000:.1f}" if load.is_known else "not known"
    return f"{name}{in_all} of {load.limit_w / 1_000:.1f} kW (homes {homes}, cars {cars})"


def _kw(power_w: int, *, is_known: bool) -> str:
    return f"{power_w / 1_000:.1f} kW" if is_known else "not known"
