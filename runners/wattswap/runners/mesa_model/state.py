"""What a street does now, for views and reporters: its last tick, looked up by the names of cars and stations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from wattswap.runners.engines.loop import SimulatedRun

if TYPE_CHECKING:
    from wattswap.agents.base import Agent
    from wattswap.runners.engines.run import Run
    from wattswap.runners.recording.record import TickRow

Choice = Literal["keep", "reduce", "feed"]
Place = tuple[int, str]
"""The number of a feeder, and a name there: two feeders may have stations or cars of one name."""


class StreetState:
    """A run, as its views look at it."""

    def __init__(self, run: Run) -> None:
        self._run, self._now = run, LastTick(run)
        self.feeders = tuple(feeder.name for feeder in run.street.feeders)

    @property
    def now(self) -> LastTick:
        """The street in its last tick."""
        if self._now.tick != self._run.tick:
            self._now = LastTick(self._run)
        return self._now

    def agent_behind(self, name: str) -> Agent | None:
        """The agent of this name that decides, in the messages engine; in the fleet engine there are only arrays."""
        return self._run.nodes[name].agent if isinstance(self._run, SimulatedRun) else None

    def earned_nanos(self, row: int) -> int:
        """What a session has been paid so far."""
        return self._run.earned_nanos(row)

    def vehicle_of(self, row: int) -> str:
        """The name of a session's car."""
        return self._run.world.fleet.vehicle_id[row]

    def strategy_of(self, row: int) -> str:
        """The strategy a session's car follows."""
        assignment = self._run.assignment
        return assignment.names[int(assignment.number[row])]

    def soc_of(self, row: int) -> float:
        """How full a session's battery is, 0 to 1."""
        world = self._run.world
        return float(world.stored_ws[row] / max(int(world.fleet.capacity_ws[row]), 1))


class LastTick:
    """The street in its last tick, looked up by row of the fleet; made when somebody asks."""

    def __init__(self, run: Run) -> None:
        self.tick, fleet = run.tick, run.world.fleet
        self.power_w: dict[int, int] = {}
        """Of the plugged sessions; feeding back is negative."""
        self.choice: dict[int, Choice | None] = {}
        """Of the plugged sessions; None for one that draws nothing and holds no award."""
        last = [record.ticks[-1] for record in run.records if record.ticks]
        self.base_w: list[int] = [row.base_w for row in last] or run.world.base_w[:, 0].tolist()
        """By feeder, as are ``limit_w`` and ``load_w``."""
        self.limit_w: list[int] = [row.limit_w for row in last] or run.street.limit_w[:, 0].tolist()
        self.load_w: list[int] = [*self.base_w]
        for feeder, row in enumerate(last):
            self.load_w[feeder] += int(row.import_w.sum() - row.export_w.sum())
            self._read(row, run.world.rows_of(feeder).start)
        plugged = [(int(fleet.feeder[row]), row) for row in self.power_w]
        self.row_of_vehicle = {(feeder, fleet.vehicle_id[row]): row for feeder, row in plugged}
        self.row_of_station = {(feeder, fleet.station_id[row]): row for feeder, row in plugged}

    def _read(self, last: TickRow, first_row: int) -> None:
        columns = (last.rows + first_row, last.import_w, last.export_w, last.reduce_w)
        for row, import_w, export_w, reduce_w in zip(*(column.tolist() for column in columns), strict=True):
            self.power_w[row] = import_w - export_w
            self.choice[row] = "feed" if export_w else "reduce" if reduce_w else "keep" if import_w else None
