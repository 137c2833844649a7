"""What is told of cars and chargers when it has changed: a car and its grant together, as they were at one tick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.charger import Charger
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.node.live.run import LiveRun
from wattswap.runners.recording.activities import activity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.agents.physics import Ints
    from wattswap.runners.engines.observer import Moved
    from wattswap.runners.engines.run import Run
    from wattswap.runners.recording.car_ticks import CarTicks
    from wattswap.runners.watching.history import Row

UNKNOWN: Final = -1
"""A grant or lease that nobody here knows; an activity of who has left."""
_STEP_W: Final = 250
"""A power is told anew when it has changed by so much; its meter is told with it, so nothing adds up wrongly."""
_POWERS: Final = slice(1, 4)


class CarChanges:
    """Compares each tick with what was told last.

    A car never draws more than it is granted. Both powers are told in steps, so they must be told together: each by
    itself, one would be of an earlier tick than the other, and the car seem to draw more than it may.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._told = np.full((5, len(run.world.fleet)), UNKNOWN, dtype=np.int64)
        """By row: activity, power drawn, power fed, power granted, what is left of the lease."""
        self._first_row = np.searchsorted(run.world.fleet.feeder, np.arange(len(run.records))).tolist()

    def at(self, tick: int, parts: Sequence[CarTicks], moved: Moved | None) -> tuple[list[Row], list[Row]]:
        """Rows of ``CAR_COLUMNS`` and of ``GRANT_COLUMNS``; ``parts`` has the cars of each feeder in this tick."""
        run, now = self._run, np.full_like(self._told, UNKNOWN)
        for first, cars in zip(self._first_row, parts, strict=True):
            now[:3, first + cars.row] = activity(cars), cars.import_w, cars.export_w
        if moved is not None:
            now[3, moved.rows] = moved.granted_w
            now[4, moved.rows] = _leases_left_ms(run, moved.rows, (tick + 1) * run.street.tick_ms)
        steps = abs(now[_POWERS] - self._told[_POWERS]) >= _STEP_W
        changed = steps.any(axis=0) | (now[0] != self._told[0]) | (now[4] != self._told[4])
        (rows,) = changed.nonzero()
        self._told[:, rows] = now[:, rows]
        # the world has moved on already; what its meters showed when the tick began is a tick's energy less
        before_ws = np.maximum(now[1:3, rows], 0) * (run.street.tick_ms // 1_000)
        meters_ws = np.stack((run.world.imported_ws[rows], run.world.exported_ws[rows])) - before_ws
        told = zip(rows.tolist(), now[:, rows].T.tolist(), meters_ws.T.tolist(), strict=True)
        doings: list[Row] = []
        grants: list[Row] = []
        for row, (*doing, granted_w, lease_ms), meter in told:
            doings.append([tick, row, *doing, *meter])
            grants.append([tick, row, granted_w, lease_ms])
        return doings, grants if moved is not None else []


def _leases_left_ms(run: Run, rows: Ints, at_ms: int) -> list[int]:
    """What is left of the lease of each row's charger at an instant, in whole ticks; 0 without one."""
    if isinstance(run, SimulatedRun):
        chargers = [run.factory.charger_of[row] for row in rows.tolist()]
        agents = (run.nodes[name].agent for name in chargers)
        ends = [agent.lease_ends_ms if isinstance(agent, Charger) else None for agent in agents]
        clocks = [run.local_ms(name, at_ms) for name in chargers]
    elif isinstance(run, LiveRun):
        ends = [run.lease_ends_ms.get(run.factory.charger_of[row]) for row in rows.tolist()]
        clocks = [at_ms] * len(ends)
    else:
        return [UNKNOWN] * len(rows)
    tick_ms = run.street.tick_ms
    return [
        0 if ends_ms is None else max((ends_ms - now_ms) // tick_ms * tick_ms, 0)
        for ends_ms, now_ms in zip(ends, clocks, strict=True)
    ]
