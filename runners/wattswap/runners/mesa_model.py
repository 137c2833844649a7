"""A street as a Mesa model: ``model.step()``, ``model.agents``, ``mesa.batch_run``, and our engines underneath.

    import mesa
    from wattswap.runners import NeighbourhoodModel

    rows = mesa.batch_run(
        NeighbourhoodModel,
        {"street": "a400", "engine": "fleet", "replication": range(8)},
        number_processes=2,
        max_steps=NeighbourhoodModel.steps_of("a400"),
    )

Three things to know of Mesa's ``batch_run``. It stops after 1000 steps unless told otherwise, which would end a week
after eight hours: pass ``max_steps`` as above; without figures it says so. Its ``iterations`` repeat a model with the
same arguments, so with the same luck: vary ``replication`` instead. And from 3.5 on it replaces a ``seed`` among the
parameters by its own ``rng=``: again, vary ``replication``.

**Seeds.** A run draws from one seed: ``(seed, or the scenario's own) + replication``. It is ``model.effective_seed``
and the figure ``seed``, and ``wattswap run --seed`` with it is the same run, to the same ``trace_hash``.

**Reporters.** The figures, the keys of ``wattswap run --json``, are of the whole run: they are reckoned once, when it
has ended, and cost nothing on the way. For more, tick by tick, subclass and name what to collect, attributes of the
model and of its agents (it takes a microsecond or two per agent and step):

    class Watched(NeighbourhoodModel):
        step_reporters = {"load_w": "load_w", "limit_w": "limit_w"}
        agent_reporters = {"power_w": "power_w", "soc": "soc"}

    frame = model.datacollector.get_agent_vars_dataframe()
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

import mesa

from wattswap.protocol.errors import InputError
from wattswap.runners.engines.agent_factory import TRANSFORMER
from wattswap.runners.engines.launch import start_run
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.network.fault_free_twin import with_cost
from wattswap.runners.recording.metrics import KEYS, summary
from wattswap.runners.scenario import load_scenario, load_street
from wattswap.runners.scenario.street import one_day

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

    from wattswap.agents.base import Agent
    from wattswap.runners.engines.launch import Engine
    from wattswap.runners.engines.run import Run
    from wattswap.runners.recording.metrics import Summary
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street

    Reporters = Mapping[str, str | Callable[..., object]]

Choice = Literal["keep", "reduce", "feed"]
Kind = Literal["transformer", "charger", "vehicle"]

_SEED: Final = "seed" if tuple(map(int, mesa.__version__.split(".")[:2])) < (3, 4) else "rng"
"""What Mesa calls a seed."""
_DAY_S: Final = 24 * 3_600


class NeighbourhoodModel(mesa.Model):
    """A street, its transformer, chargers and cars; one step is one tick of the scenario (30 s)."""

    step_reporters: ClassVar[Reporters] = {}
    """What to collect of the model after each step; none by default."""
    agent_reporters: ClassVar[Reporters] = {}
    """What to collect of every agent after each step; none by default."""

    def __init__(
        self,
        street: str | Path = "a400",
        *,
        strategy: str | None = None,
        controller: str = "negotiated",
        engine: str = "messages",
        day: int | None = None,
        replication: int = 0,
        seed: int | None = None,
    ) -> None:
        """Load the street; the arguments are the options of ``wattswap run``.

        Raises:
            InputError: something that was asked for cannot be; the text says what.
        """
        self.effective_seed = effective_seed(street, replication, seed)
        """What ``wattswap run --seed`` needs to run the same."""
        super().__init__(**{_SEED: self.effective_seed})
        self.street: Street = load_street(str(street), strategy=strategy, seed=self.effective_seed, day=day)
        self._controller, self._engine = controller, engine
        self._run: Run = start_run(self.street, controller=controller, engine=cast("Engine", engine))
        self._wall_s, self._now = 0.0, _Now(self._run)
        self.summary: Summary | None = None
        """The figures, once the run has ended."""
        self._cast_views()
        self.datacollector = _Collector(self.step_reporters, self.agent_reporters, self.street.ticks)
        self.datacollector.collect(self)

    @staticmethod
    def steps_of(street: str | Path = "a400", day: int | None = None) -> int:
        """How many steps this street takes: what ``max_steps`` must be at least."""
        scenario = load_scenario(str(street)).scenario
        days = scenario.days if day is None else one_day(scenario, day).days
        return days * _DAY_S // scenario.reading_s

    def step(self) -> None:
        """One tick; with the last one the run ends, ``running`` turns False and the figures are there."""
        if not self.running:
            return
        began = perf_counter()
        self._run.step()
        if self._run.tick == self.street.ticks:
            self._run.finish()
            self.running = False
        self._wall_s += perf_counter() - began
        if not self.running:
            self._end()
        if self.step_reporters or self.agent_reporters:
            self.datacollector.collect(self)
        if self.summary is not None:
            self.datacollector.close(self, self.summary)

    def _end(self) -> None:
        figures = summary(
            self.street,
            self.record,
            controller=self._controller,
            strategy=self.street.scenario.vehicles.strategy,
            engine=self._engine,
            wall_s=self._wall_s,
        )
        self.summary = with_cost(self.street, figures)
        # Mesa 3.3 numbers agents in a table that would keep this model, and its record, for as long as the process
        # lives. Only our views are in it, and they have their numbers.
        getattr(mesa.Agent, "_ids", {}).pop(self, None)

    def _cast_views(self) -> None:
        fleet = self._run.world.fleet
        TransformerView(self)
        for station in dict.fromkeys(fleet.station_id):
            ChargerView(self, station)
        rows_of: dict[str, list[int]] = {}
        for row, vehicle in enumerate(fleet.vehicle_id):
            rows_of.setdefault(vehicle, []).append(row)
        for vehicle, rows in rows_of.items():
            VehicleView(self, vehicle, tuple(rows))

    # -- what the views and reporters look at -------------------------------------------------------------------------

    @property
    def record(self) -> RunRecord:
        """All that has happened so far."""
        return self._run.record

    @property
    def now(self) -> _Now:
        """The street in its last tick."""
        if self._now.tick != self._run.tick:
            self._now = _Now(self._run)
        return self._now

    @property
    def t_ms(self) -> int:
        """The time the world has come to, as Unix milliseconds in UTC."""
        return self.street.start_unix_ms + self._run.tick * self.street.tick_ms

    @property
    def load_w(self) -> int:
        """What the transformer carried in the last tick."""
        return self.now.load_w

    @property
    def limit_w(self) -> int:
        """What it may carry."""
        return self.now.limit_w

    @property
    def base_w(self) -> int:
        """What homes drew, less their sun."""
        return self.now.base_w

    @property
    def choices(self) -> dict[Choice, int]:
        """How many cars keep charging, give way or feed back now."""
        chosen = list(self.now.choice.values())
        return {"keep": chosen.count("keep"), "reduce": chosen.count("reduce"), "feed": chosen.count("feed")}

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


def effective_seed(street: str | Path, replication: int = 0, seed: int | None = None) -> int:
    """The seed of a replication: ``seed``, or else the scenario's own, plus ``replication``."""
    if replication < 0:
        raise InputError(f"replication {replication}: replications count from 0")
    return (load_scenario(str(street)).scenario.seed if seed is None else int(seed)) + int(replication)


class _Now:
    """The street in its last tick, looked up by row of the fleet; made when somebody asks."""

    def __init__(self, run: Run) -> None:
        self.tick = run.tick
        self.base_w, self.limit_w, self.load_w = int(run.world.base_w[0, 0]), int(run.street.limit_w[0, 0]), 0
        self.power_w: dict[int, int] = {}
        """Of the plugged sessions; feeding back is negative."""
        self.choice: dict[int, Choice | None] = {}
        """Of the plugged sessions; None for one that draws nothing and holds no award."""
        if run.record.ticks:
            self._read(run)
        fleet = run.world.fleet
        self.row_of_vehicle = {fleet.vehicle_id[row]: row for row in self.power_w}
        self.row_of_station = {fleet.station_id[row]: row for row in self.power_w}
        self.load_w = self.base_w + sum(self.power_w.values())

    def _read(self, run: Run) -> None:
        last = run.record.ticks[-1]
        self.base_w, self.limit_w = last.base_w, last.limit_w
        columns = (last.rows, last.import_w, last.export_w, last.reduce_w)
        for row, import_w, export_w, reduce_w in zip(*(column.tolist() for column in columns), strict=True):
            self.power_w[row] = import_w - export_w
            self.choice[row] = "feed" if export_w else "reduce" if reduce_w else "keep" if import_w else None


class StreetAgent(mesa.Agent):
    """What every agent of a street shows to Mesa; what does not apply to it is None, so one reporter fits all."""

    model: NeighbourhoodModel
    soc: float | None = None
    choice: Choice | None = None
    strategy: str | None = None
    earned_nanos: int | None = None

    def __init__(self, model: NeighbourhoodModel, kind: Kind, name: str) -> None:
        super().__init__(model)
        self.kind, self.name = kind, name

    @property
    def agent(self) -> Agent | None:
        """The agent that decides; None in the fleet engine, which has only arrays."""
        return self.model.agent_behind(self.name if self.kind == TRANSFORMER else f"{self.kind}/{self.name}")

    @property
    def row(self) -> int | None:
        """The session it has now, as a row of the record's tables."""
        return None

    @property
    def plugged(self) -> bool:
        """Whether a car is plugged in."""
        return self.row is not None

    @property
    def power_w(self) -> int:
        """What flows to the car; negative when it feeds back."""
        return 0 if self.row is None else self.model.now.power_w[self.row]


class TransformerView(StreetAgent):
    """The street's transformer."""

    def __init__(self, model: NeighbourhoodModel) -> None:
        super().__init__(model, "transformer", TRANSFORMER)

    @property
    def power_w(self) -> int:
        """What it carries."""
        return self.model.now.load_w

    @property
    def limit_w(self) -> int:
        """What it may carry."""
        return self.model.now.limit_w


class ChargerView(StreetAgent):
    """A charger."""

    def __init__(self, model: NeighbourhoodModel, station: str) -> None:
        super().__init__(model, "charger", station)

    @property
    def row(self) -> int | None:
        """The session of the car that is plugged in."""
        return self.model.now.row_of_station.get(self.name)

    @property
    def vehicle(self) -> str | None:
        """The name of the car that is plugged in."""
        return None if self.row is None else self.model.vehicle_of(self.row)


class VehicleView(StreetAgent):
    """A car, or a stationary battery."""

    def __init__(self, model: NeighbourhoodModel, vehicle: str, rows: tuple[int, ...]) -> None:
        super().__init__(model, "vehicle", vehicle)
        self._rows = rows

    @property
    def row(self) -> int | None:
        """The session it has now."""
        return self.model.now.row_of_vehicle.get(self.name)

    @property
    def soc(self) -> float | None:  # type: ignore[override]
        """How full its battery is, 0 to 1; None while it is away, for nobody knows."""
        return None if self.row is None else self.model.soc_of(self.row)

    @property
    def choice(self) -> Choice | None:  # type: ignore[override]
        """Whether it keeps charging, gives way or feeds back now; None if it is away or wants nothing."""
        return None if self.row is None else self.model.now.choice[self.row]

    @property
    def strategy(self) -> str | None:  # type: ignore[override]
        """What it answers by."""
        return self.model.strategy_of(self._rows[0])

    @property
    def earned_nanos(self) -> int | None:  # type: ignore[override]
        """What it has been paid so far, in all its sessions."""
        return sum(self.model.earned_nanos(row) for row in self._rows)


class _Collector(mesa.DataCollector):
    """Mesa's collector; the figures of the whole run join it when they are there."""

    def __init__(self, of_model: Reporters, of_agents: Reporters, steps: int) -> None:
        super().__init__(model_reporters=dict(of_model), agent_reporters=dict(of_agents))  # type: ignore[no-untyped-call]
        self.model_vars.update({key: _OfTheRun(steps) for key in KEYS})

    def collect(self, model: mesa.Model) -> None:
        """Collect what was asked for; Mesa 3.5 wants to know when, be it nothing that was."""
        super().collect(model)  # type: ignore[no-untyped-call]
        self._mark(model)

    def close(self, model: mesa.Model, figures: Summary) -> None:
        """Write the figures beside what was collected last."""
        before = max(len(values) for values in self.model_vars.values()) - 1
        for key, value in figures.items():
            self.model_vars[key].extend([None] * before)
            self.model_vars[key].append(value)
            self.model_reporters[key] = partial(_figure, key)
        self._mark(model)

    def get_model_vars_dataframe(self) -> pd.DataFrame:
        """What was collected step by step, and beside the last step, once the run has ended, its figures."""
        import pandas as pd

        return pd.DataFrame({name: self.model_vars[name] for name in self.model_reporters})

    def _mark(self, model: mesa.Model) -> None:
        times: list[float] | None = getattr(self, "_collection_steps", None)
        now: float = getattr(model, "time", model.steps)
        if times is not None and (not times or times[-1] != now):
            times.append(now)


class _OfTheRun(list[Any]):
    """A figure of the whole run: whichever step is asked for, the answer is the same, or that it is not there yet.

    ``batch_run`` asks for a step of its own counting, which Mesa 3.3 and 3.5 do differently.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def __getitem__(self, at: Any) -> Any:
        if not self:
            raise InputError(
                f"the run was stopped before its {self._steps} steps were over, so it has no figures:"
                " pass max_steps=NeighbourhoodModel.steps_of(street, day)"
            )
        return super().__getitem__(-1 if isinstance(at, int) else at)


def _figure(key: str, model: NeighbourhoodModel) -> object:
    """A figure of the run, or None as long as it runs."""
    return None if model.summary is None else model.summary[key]
