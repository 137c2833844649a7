"""The ticks of many feeders summed up: what all cars draw by themselves, and by how much stepped ones differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.runners.recording.time_series import StreetTicks, TimeSeries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.agents.segments import Segments
    from wattswap.runners.engines.idle_baseline import IdleBaseline
    from wattswap.runners.engines.observer import Moved
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import Fleet


_SUMS: Final = 7


class SummedTicks:
    """Sums by tick and feeder, and what the figures of a run need to know of each car."""

    def __init__(self, idle: IdleBaseline, fleet: Fleet, feeders: int) -> None:
        self._idle, self._fleet = idle, fleet
        self._sums: Ints = np.zeros((len(idle.load_w), _SUMS, feeders), dtype=np.int64)
        """By tick, of each column below, by feeder: by how much stepped cars differ from their baseline."""
        self.owed_ws = np.zeros(len(fleet), dtype=np.int64)
        """By row: the energy by which it was behind its baseline, summed over all ticks."""
        self._stops = np.zeros(feeders, dtype=np.int64)

    @property
    def import_w(self) -> Ints:
        """By tick and feeder: by how much more all cars draw than had nobody given way."""
        import_w: Ints = self._sums[:, 2]
        return import_w

    @property
    def export_w(self) -> Ints:
        """By tick and feeder: what is fed back."""
        export_w: Ints = self._sums[:, 3]
        return export_w

    @property
    def forced_w(self) -> Ints:
        """By tick and feeder: what the last resort took."""
        forced_w: Ints = self._sums[:, 5]
        return forced_w

    def add(self, moved: Moved, reduce_w: Ints, forced_w: Ints, drew: NDArray[np.bool_], segments: Segments) -> None:
        """Add a tick of the stepped cars; ``drew`` says who drew power in the tick before, none before the first."""
        rows, (wanted_w, baseline_w, firm_w, _) = moved.rows, moved.charging
        if not len(rows):
            return
        is_session = self._fleet.is_session[rows]
        stopped = drew & (moved.import_w == 0) & (wanted_w > 0) & is_session
        columns = np.stack(
            (
                firm_w - baseline_w,
                wanted_w - baseline_w,
                moved.import_w - baseline_w,
                moved.export_w,
                reduce_w,
                forced_w,
                moved.owed_ws * is_session,
                stopped,
            )
        )
        upto = np.zeros((len(columns), len(rows) + 1), dtype=np.int64)
        np.cumsum(columns, axis=1, out=upto[:, 1:])
        sums = upto[:, segments.bounds[1:]] - upto[:, segments.bounds[:-1]]
        self._sums[moved.tick] = sums[:-1]
        self._stops += sums[-1]
        self.owed_ws[rows] += moved.owed_ws

    def columns(self, tick: int) -> tuple[Ints, Ints, Ints]:
        """What a tick is added to: the energy by row, the sums by column and feeder, and the stops by feeder."""
        return self.owed_ws, self._sums[tick], self._stops

    def of(self, street: Street, feeder: int, base_w: Ints, limit_w: Ints) -> TimeSeries:
        """The series of one feeder, whose street of its own this is."""
        series, ticks = TimeSeries(street), len(limit_w)
        mine = slice(*np.searchsorted(self._fleet.feeder, (feeder, feeder + 1)).tolist())
        car_ticks = self._idle.car_ticks[mine]
        series.car_ticks, series.seen = int(car_ticks.sum()), car_ticks > 0
        series.owed_ws, series.stops = self.owed_ws[mine], int(self._stops[feeder])
        idle_w = self._idle.load_w[:, feeder]
        firm_w, wanted_w, import_w, export_w, reduce_w, forced_w, owed_ws = self._sums[:, :, feeder].T
        series.sum_up(
            StreetTicks(
                np.arange(ticks),
                base_w[1:, feeder],
                limit_w[:, feeder],
                idle_w + firm_w,
                idle_w + wanted_w,
                idle_w,
                idle_w + import_w,
                export_w,
                reduce_w,
                forced_w,
                owed_ws,
            )
        )
        return series
