"""A city: many transformers, each with a street of its own, run side by side in few passes.

    city = run_city(1_000, day=7)
    city.total("paid_nanos")

A city is a scenario with a feeder for each transformer: a file of one's own, or a drawn one (see
:mod:`wattswap.runners.scenario.city_file`). Feeders trade apart, so each is run as it would be alone, and a city goes
on from where it was stopped.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wattswap.agents.controllers import NEGOTIATED
from wattswap.experiments.city_table import CityTable
from wattswap.experiments.feeder_figures import feeder_figures
from wattswap.experiments.full_disk import full_disk_told
from wattswap.experiments.jobs import Job, JobOutcome
from wattswap.experiments.processors import usable_processors
from wattswap.experiments.replications import can_share
from wattswap.experiments.result_folder import folder_taken, keep_text
from wattswap.experiments.run_inputs import run_inputs
from wattswap.experiments.sweep import outcomes
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.launch import run_street, start_run
from wattswap.runners.engines.side_by_side import SideBySide
from wattswap.runners.recording.metrics import summary
from wattswap.runners.scenario import Source, build_street, load_scenario
from wattswap.runners.scenario.city_file import city_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.figure import Figure

CITY_TOML: Final = "city.toml"
PICTURE: Final = "city.png"
MOST_AT_ONCE: Final = 600
"""So many share a pass, at about 1 MB each: with more of them little time is won, and more is lost by a kill."""


@dataclass(frozen=True)
class City:
    """What came of each transformer, in the order of the scenario."""

    rows: Sequence[dict[str, Any]]
    out: Path | None = None
    notes: Sequence[str] = ()
    """What was found damaged in the folder and is mended, one sentence each."""

    @property
    def good(self) -> list[dict[str, Any]]:
        """The feeders whose run came through."""
        return [row for row in self.rows if not row["error"]]

    def total(self, figure: str) -> int:
        """The sum of a figure over all transformers."""
        return sum(row[figure] for row in self.good)

    def over(self, figure: str) -> int:
        """How many transformers are over their limit for a minute or more, by one of the two figures of that."""
        return sum(row[figure] >= 60 for row in self.good)

    def plot(self) -> Figure:
        """Every transformer as a square, coloured by its hours over the limit; needs matplotlib (extra ``plots``)."""
        from wattswap.experiments.plots.city_map import city_map

        return city_map(self.rows)


@dataclass(frozen=True)
class CityPlan:
    """A city that is to be run."""

    scenario: str
    """The file or bundled name of its scenario."""
    source: Source
    day: int | None
    settings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What was found damaged in its folder and is mended, one sentence each."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its transformers; a scenario that lists no feeders is one without a name."""
        return tuple(feeder.name for feeder in self.source.scenario.feeders)

    @property
    def about(self) -> str:
        """Which city this is."""
        content = sha256(msgspec.json.encode(self.source.scenario)).hexdigest()[:16]
        settings = f", {' '.join(self.settings)}" if self.settings else ""
        scenario = self.source.scenario
        return f"# {scenario.name} ({content}), seed {scenario.seed}, day {self.day or 'all'}{settings}"

    @property
    def inputs(self) -> dict[str, Any]:
        """All that its figures come from, see :func:`.run_inputs.run_inputs`."""
        scenario, source = self.source.scenario, self.source
        paths = {name: source.path(name) for name in sorted(set(_files_named(msgspec.to_builtins(scenario))))}
        files = {name: sha256(path.read_bytes()).hexdigest() for name, path in paths.items() if path.is_file()}
        content = msgspec.json.encode((scenario, files))
        return run_inputs(scenario, content, scenario.vehicles.strategy, source.folder)


def _files_named(tables: object) -> Iterator[str]:
    """Every CSV that a scenario names, wherever in it."""
    if isinstance(tables, dict):
        for key, value in tables.items():
            if isinstance(value, str):
                if value and (key == "csv" or key.endswith("_csv")):
                    yield value
            else:
                yield from _files_named(value)
    elif isinstance(tables, list | tuple):
        for table in tables:
            yield from _files_named(table)


def plan_city(
    which: int | str, folder: Path, *, seed: int | None = None, day: int | None = None, settings: Sequence[str] = ()
) -> CityPlan:
    """A city from a scenario's file or bundled name, or drawn with so many transformers and written into ``folder``.

    Raises:
        InputError: something that was asked for cannot be, or ``folder`` holds another city.
    """
    note = ""
    if isinstance(which, int):
        path = folder / CITY_TOML
        text = city_text(which, 1 if seed is None else seed, path.stem)
        other = (
            f"{path}: another city lies there; run that one by its name (wattswap city {path} --out OTHER),"
            " or name a new folder"
        )
        with folder_taken(folder):
            note = keep_text(path, text, other)
        which = str(path)
    source = load_scenario(which, settings, seed=seed)
    # what is wrong with the first is mostly wrong with all, and said before anything is begun
    start_run(build_street(source, day, [0]), controller=NEGOTIATED, engine="fleet")
    return CityPlan(which, source, day, tuple(settings), (note,) if note else ())


def run_city(
    which: int | str,
    *,
    seed: int | None = None,
    day: int | None = None,
    settings: Sequence[str] = (),
    jobs: int | None = None,
    out: Path | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> City:
    """Draw a city of so many transformers and run it, or run that of a scenario.

    With ``out`` each transformer is written down as soon as it is over. ``settings`` hold for all of them.
    ``progress`` is told how many are done.

    Raises:
        InputError: something that was asked for cannot be, or ``out`` holds another city.
    """
    with ExitStack() as stack:
        folder = out or Path(stack.enter_context(TemporaryDirectory()))
        return run_plan(plan_city(which, folder, seed=seed, day=day, settings=settings), jobs, out, progress)


def run_plan(
    plan: CityPlan,
    jobs: int | None = None,
    out: Path | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> City:
    """Run a city; see :func:`run_city`."""
    scenario, names = plan.source.scenario, plan.names
    wanted = [
        Job(plan.scenario, NEGOTIATED, "", "fleet", scenario.seed, plan.day, plan.settings, feeder=number)
        for number in range(len(names))
    ]
    seeds = {feeder.name: feeder.seed or scenario.seed for feeder in scenario.feeders}
    with ExitStack() as stack:
        if out is not None:
            stack.enter_context(folder_taken(out))
        table = stack.enter_context(closing(CityTable(out, plan.about, plan.inputs, seeds)))
        stack.enter_context(
            full_disk_told(out, "finished transformers stay; make room, and the same command goes on from there")
        )
        left = [job for job in wanted if names[job.feeder] not in table.found]
        progress(len(wanted) - len(left))
        made = outcomes(
            left, jobs or usable_processors(), measure=measure_feeders, most=MOST_AT_ONCE, alike=_of_the_city
        )
        for count, outcome in enumerate(made, len(wanted) - len(left) + 1):
            name = names[outcome.job.feeder]
            table.add(name, seeds[name], outcome)
            progress(count)
    return City([table.found[name] for name in names], out, (*plan.notes, *table.notes))


def _of_the_city(job: Job) -> Job:
    """What all transformers of a city have in common."""
    return job._replace(feeder=0)


def measure_feeders(jobs: Sequence[Job]) -> list[JobOutcome]:
    """The figures of transformers of one city, in one pass if that can be."""
    try:
        first = jobs[0]
        street = build_street(_source_of(*_origin(first)), first.day, [job.feeder for job in jobs])
        if can_share([street]):
            passed = SideBySide([street])
            passed.pass_through()
            return [JobOutcome(*pair) for pair in zip(jobs, feeder_figures(passed), strict=True)]
    except Exception:  # noqa: BLE001, S110 - alone, each says itself what is wrong with it
        pass
    return [_measured_alone(job) for job in jobs]


def _measured_alone(job: Job) -> JobOutcome:
    try:
        source = _source_of(*_origin(job))
        street = build_street(source, job.day, [job.feeder])
        record = run_street(street, controller=NEGOTIATED, engine="fleet")
        strategy = source.scenario.vehicles.strategy
        figures = summary(street, record, controller=NEGOTIATED, strategy=strategy, engine="fleet", wall_s=0)
    except InputError as error:
        return JobOutcome(job, None, str(error))
    except Exception as error:  # noqa: BLE001 - a crash of one transformer is a row of the table
        return JobOutcome(job, None, f"{type(error).__name__}: {error}")
    return JobOutcome(job, figures)


def _origin(job: Job) -> tuple[str, tuple[str, ...], int]:
    return job.scenario, job.settings, job.seed


@lru_cache(maxsize=1)
def _source_of(path: str, settings: tuple[str, ...], seed: int) -> Source:
    """The city's scenario; a large one takes a second to read, and a process runs many passes of it."""
    return load_scenario(path, settings, seed=seed)
