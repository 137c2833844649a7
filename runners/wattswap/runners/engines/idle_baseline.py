"""What cars draw that never gave way, known before a run: their baseline does not depend on any control.

A car that charges at one power until it is full draws that power for so many ticks, the rest in one more, and then
nothing. Its sum over a feeder's cars is a series, and a single car's state at a tick is a formula.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents import physics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.agents.physics import Ints
    from wattswap.runners.world import World


class IdleBaseline:
    """The baselines of a world's cars, which all charge at one power; ``ticks`` is how long the run is."""

    def __init__(self, world: World, ticks: int) -> None:
        fleet, self._tick_s = world.fleet, world.rules.tick_s
        self._first, self._max_w = np.maximum(fleet.arrival_tick, 0), fleet.max_w
        self._begin_ws, self._drew = world.baseline_ws.copy(), world.drew.copy()
        self._total_w = self._begin_ws // self._tick_s
        end = np.minimum(fleet.departure_tick, ticks)
        here = end > self._first
        feeders = len(world.feeder_rules)
        full, rest_w = np.divmod(self._total_w, self._max_w)
        until, last = np.minimum(self._first + full, end), np.minimum(self._first + full + 1, end)
        self.until: Ints = last
        """By row: the first tick in which it draws nothing any more."""
        shape, feeder, max_w, rest_w = (ticks + 1, feeders), fleet.feeder[here], self._max_w[here], rest_w[here]
        first = self._first[here]
        steps_w = (first, max_w), (until[here], rest_w - max_w), (last[here], -rest_w)
        self.load_w: Ints = _running(shape, feeder, steps_w)[:ticks]
        """By tick and feeder: the power of all plugged cars, had none ever given way."""
        one = np.ones_like(first)
        self.plugged: Ints = _running(shape, feeder, ((first, one), (end[here], -one)))[:ticks]
        """By tick and feeder: how many cars are plugged in."""
        self.car_ticks: Ints = np.where(here, end - self._first, 0)
        """By row: the ticks in which it is plugged in."""

    @property
    def by_row(self) -> tuple[Ints, Ints, Ints]:
        """By row: the tick from which it is there, what it needs then, and that as power for one tick."""
        return self._first, self._begin_ws, self._total_w

    def left_ws(self, rows: Ints, tick: int) -> Ints:
        """What these plugged cars still need at a tick's begin."""
        drawn_w = np.minimum((tick - self._first[rows]) * self._max_w[rows], self._total_w[rows])
        left_ws: Ints = self._begin_ws[rows] - drawn_w * self._tick_s
        return left_ws

    def drew(self, rows: Ints, tick: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether these plugged cars drew power in the tick before this one."""
        before_w = physics.wanted_w(self.left_ws(rows, tick - 1), self._max_w[rows], self._tick_s)
        return np.where(self._first[rows] < tick, before_w > 0, self._drew[rows])


def _running(shape: tuple[int, int], feeder: Ints, changes: Iterable[tuple[Ints, Ints]]) -> Ints:
    """What stands on each feeder in each tick after all changes up to it, given as (ticks, by how much) a row."""
    level = np.zeros(shape, dtype=np.int64)
    flat = level.reshape(-1)  # numpy adds at places of one axis many times faster than at those of two
    for tick, by in changes:
        np.add.at(flat, tick * shape[1] + feeder, by)
    return np.cumsum(level, axis=0, out=level)
