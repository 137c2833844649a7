"""The Mesa model of a street."""

from __future__ import annotations

from numbers import Integral
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar, Final, cast

import mesa
import numpy as np

from wattswap.protocol.errors import InputError
from wattswap.runners.engines.launch import start_run
from wattswap.runners.mesa_model.collector import FigureCollector
from wattswap.runners.mesa_model.state import StreetState
from wattswap.runners.mesa_model.views import ChargerView, TransformerView, VehicleView
from wattswap.runners.network.fault_free_twin import with_cost
from wattswap.runners.recording.metrics import summary
from wattswap.runners.scenario import load_scenario, load_street
from wattswap.runners.scenario.street import one_day

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wattswap.runners.engines.launch import Engine
    from wattswap.runners.engines.run import Run
    from wattswap.runners.mesa_model.collector import Reporters
    from wattswap.runners.mesa_model.state import Choice, Place
    from wattswap.runners.recording.metrics import Summary
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street

_SEED: Final = "seed" if tuple(map(int, mesa.__version__.split(".")[:2])) < (3, 4) else "rng"
"""What Mesa calls a seed."""
_HOUR_S: Final = 3_600
_DAY_S: Final = 24 * _HOUR_S


class NeighbourhoodModel(mesa.Model):
    """A street, its transformers, chargers and cars; one step is one tick of the scenario (30 s)."""

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
        seed: int | np.random.SeedSequence | None = None,
        rng: int | np.random.SeedSequence | None = None,
        settings: str | Sequence[str] = (),
    ) -> None:
        """Load the street; the arguments are the options of ``wattswap run``.

        ``rng`` is Mesa's newer word for ``seed``. ``settings`` is one setting, such as ``transformer.limit_w=350000``,
        or several; a batch sweeps over a list of them.

        Raises:
            InputError: something that was asked for cannot be; the text says what.
        """
        self.effective_seed = effective_seed(street, replication, seed if rng is None else rng)
        """What ``wattswap run --seed`` needs to run the same."""
        super().__init__(**{_SEED: self.effective_seed})
        self.street: Street = load_street(
            str(street),
            settings=[settings] if isinstance(settings, str) else list(settings),
            strategy=strategy,
            seed=self.effective_seed,
            day=day,
        )
        self._controller, self._engine = controller, engine
        self._run: Run = start_run(self.street, controller=controller, engine=cast("Engine", engine))
        self._wall_s, self.state = 0.0, StreetState(self._run)
        self.summary: Summary | None = None
        """The figures, once the run has ended."""
        self._add_views()
        self.datacollector = FigureCollector(self.step_reporters, self.agent_reporters, self.street.ticks)
        self.datacollector.collect(self)

    @staticmethod
    def steps_of(street: str | Path = "a400", day: int | None = None) -> int:
        """How many steps this street takes: what ``max_steps`` must be at least."""
        scenario = load_scenario(str(street)).scenario
        scenario = scenario if day is None else one_day(scenario, day)
        return (scenario.days * _DAY_S + scenario.hours * _HOUR_S) // scenario.reading_s

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

    def _add_views(self) -> None:
        fleet = self._run.world.fleet
        for feeder in range(len(self.street.feeders)):
            TransformerView(self, self.state, feeder)
        for place in dict.fromkeys(zip(fleet.feeder.tolist(), fleet.station_id, strict=True)):
            ChargerView(self, self.state, place)
        rows_of: dict[Place, list[int]] = {}
        for row, place in enumerate(zip(fleet.feeder.tolist(), fleet.vehicle_id, strict=True)):
            rows_of.setdefault(place, []).append(row)
        for place, rows in rows_of.items():
            VehicleView(self, self.state, place, tuple(rows))

    # -- what reporters look at --------------------------------------------------------------------------------------

    @property
    def record(self) -> RunRecord:
        """All that has happened so far."""
        return self._run.record

    @property
    def t_ms(self) -> int:
        """The time the world has come to, as Unix milliseconds in UTC."""
        return self.street.start_unix_ms + self._run.tick * self.street.tick_ms

    @property
    def load_w(self) -> int:
        """What the transformers carried in the last tick, together."""
        return sum(self.state.now.load_w)

    @property
    def limit_w(self) -> int:
        """What they may carry together."""
        return sum(self.state.now.limit_w)

    @property
    def base_w(self) -> int:
        """What homes drew, less their sun."""
        return sum(self.state.now.base_w)

    @property
    def choices(self) -> dict[Choice, int]:
        """How many cars keep charging, give way or feed back now."""
        chosen = list(self.state.now.choice.values())
        return {"keep": chosen.count("keep"), "reduce": chosen.count("reduce"), "feed": chosen.count("feed")}


def effective_seed(street: str | Path, replication: int = 0, seed: int | np.random.SeedSequence | None = None) -> int:
    """The seed of a replication: ``seed``, or else the scenario's own, plus ``replication``.

    A ``SeedSequence``, as Mesa's batches spawn them, stands for the first number that it generates.

    Raises:
        InputError: a replication below 0, or a seed that is neither.
    """
    if replication < 0:
        raise InputError(f"replication {replication}: replications count from 0")
    if seed is None:
        return load_scenario(str(street)).scenario.seed + int(replication)
    if isinstance(seed, np.random.SeedSequence):
        return int(seed.generate_state(1)[0]) + int(replication)
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise InputError(
            f"seed {seed!r}: write a whole number or a numpy SeedSequence, so that the run can be repeated"
        )
    return int(seed) + int(replication)
