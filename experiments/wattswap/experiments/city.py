"""A city: many transformers, each with a street of its own, run side by side in few passes.

    city = run_city(1_000, day=7)
    city.total("paid_nanos")

A city is a scenario with a feeder for each transformer: a file of one's own, or a drawn one (see
:mod:`wattswap.runners.scenario.city_file`). Feeders trade apart, so each is run as it would be alone, and a city goes
on from where it was stopped.
"""

from __future__ import annotations

import csv
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wattswap.agents.controllers import NEGOTIATED
from wattswap.experiments.feeder_figures import feeder_figures
from wattswap.experiments.full_disk import full_disk_told
from wattswap.experiments.jobs import Job, JobOutcome
from wattswap.experiments.processors import usable_processors
from wattswap.experiments.replications import can_share
from wattswap.experiments.sweep import outcomes
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.launch import run_street, start_run
from wattswap.runners.engines.side_by_side import SideBySide
from wattswap.runners.recording.metrics import summary
from wattswap.runners.scenario import Source, build_street, load_scenario
from wattswap.runners.scenario.city_file import city_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

CITY_TOML: Final = "city.toml"
FEEDERS_CSV: Final = "feeders.csv"
PICTURE: Final = "city.png"
MOST_AT_ONCE: Final = 600
"""So many share a pass, at about 1 MB each: with more of them little time is won, and more is lost by a kill."""
FIGURES: Final = (
    *("sessions", "limit_w", "peak_w", "overload_s", "baseline_overload_s", "homes_over_s", "sessions_short"),
    *("rounds", "deferred_wh", "fed_back_wh", "forced_wh", "waiting_cost_nanos", "feeding_cost_nanos"),
    *("paid_nanos", "rent_open_nanos", "ageing_h"),
)
"""What is kept of each feeder, keys of ``wattswap run --json``."""
COLUMNS: Final = ("feeder", "seed", *FIGURES, "error")


@dataclass(frozen=True)
class City:
    """What came of each transformer, in the order of the scenario."""

    rows: Sequence[dict[str, Any]]
    out: Path | None = None

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


def plan_city(
    which: int | str, folder: Path, *, seed: int | None = None, day: int | None = None, settings: Sequence[str] = ()
) -> CityPlan:
    """A city from a scenario's file or bundled name, or drawn with so many transformers and written into ``folder``.

    Raises:
        InputError: something that was asked for cannot be, or ``folder`` holds another city.
    """
    if isinstance(which, int):
        path = folder / CITY_TOML
        _write(path, city_text(which, 1 if seed is None else seed, path.stem))
        which = str(path)
    source = load_scenario(which, settings, seed=seed)
    # what is wrong with the first is mostly wrong with all, and said before anything is begun
    start_run(build_street(source, day, [0]), controller=NEGOTIATED, engine="fleet")
    return CityPlan(which, source, day, tuple(settings))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{path}: another city lies there; run that one by its name (wattswap city {path} --out OTHER),"
                " or name a new folder"
            )
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path.parent, error) from None


def _unwritable(out: Path, error: OSError) -> InputError:
    return InputError(f"--out {out}: cannot be written to ({error.strerror}); choose another place")


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
    rows = _Rows(out, plan.about)
    left = [job for job in wanted if names[job.feeder] not in rows.found]
    progress(len(wanted) - len(left))
    goes_on = "finished transformers stay; make room, and the same command goes on from there"
    with full_disk_told(out, goes_on), closing(rows):
        made = outcomes(
            left, jobs or usable_processors(), measure=measure_feeders, most=MOST_AT_ONCE, alike=_of_the_city
        )
        for count, outcome in enumerate(made, len(wanted) - len(left) + 1):
            feeder = scenario.feeders[outcome.job.feeder]
            rows.add(feeder.name, feeder.seed or scenario.seed, outcome)
            progress(count)
    return City([rows.found[name] for name in names], out)


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


class _Rows:
    """The table of a city, as it grows."""

    def __init__(self, out: Path | None, about: str) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        """By the transformer's name."""
        self._file = None
        if out is None:
            return
        path = out / FEEDERS_CSV
        try:
            out.mkdir(parents=True, exist_ok=True)
            lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
            if lines and lines[0] != about:
                raise InputError(f"--out {out}: another city lies there ({lines[0][2:]}); name a new folder")
            self.found = {row["feeder"]: row for line in lines[2:] if (row := _read(line)) is not None}
            beside = path.with_suffix(".part")
            self._file = beside.open("w", encoding="utf-8", newline="")
            self._file.write(about + "\n")
            self._table = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")
            self._table.writeheader()
            self._table.writerows(self.found.values())  # without a row that was torn when the power failed
            self._file.flush()
            beside.replace(path)
        except OSError as error:
            raise _unwritable(out, error) from None

    def add(self, feeder: str, seed: int, outcome: JobOutcome) -> None:
        """Write down what came of a feeder."""
        figures = outcome.figures or dict.fromkeys(FIGURES, 0)
        row = {"feeder": feeder, "seed": seed, **{name: figures[name] for name in FIGURES}}
        self.found[feeder] = {**row, "error": outcome.error or ""}
        if self._file is not None:
            self._table.writerow(self.found[feeder])
            self._file.flush()

    def close(self) -> None:
        """No more come."""
        if self._file is not None:
            with suppress(OSError):  # a full disk was told of when the row was written
                self._file.close()


def _read(line: str) -> dict[str, Any] | None:
    """A row that was written whole, of a feeder whose run came through; None for any other."""
    cells = next(csv.reader([line]), [])
    if len(cells) != len(COLUMNS) or cells[-1]:
        return None
    row: dict[str, Any] = dict(zip(COLUMNS, cells, strict=True))
    try:
        for name in ("seed", *FIGURES):
            row[name] = float(row[name]) if name == "ageing_h" else int(row[name])
    except ValueError:
        return None
    return row
