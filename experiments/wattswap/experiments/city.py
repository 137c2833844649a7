"""A city: many transformers, each with a street drawn from the bundled weeks, run side by side.

    city = run_city(1_000, day=7)
    city.total("paid_nanos")

Every feeder has the homes, the sun and the transformer of one of the bundled streets, and its cars are that street's
recorded users drawn anew (``sessions.resample``). Feeders trade apart, so a city is as many streets as it has
transformers, and goes on from where it was stopped.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from wattswap.agents.controllers import NEGOTIATED
from wattswap.experiments.feeder_figures import feeder_figures
from wattswap.experiments.full_disk import full_disk_told
from wattswap.experiments.jobs import Job, JobOutcome
from wattswap.experiments.processors import usable_processors
from wattswap.experiments.replications import but_for_the_seed, can_share, measure, streets_of
from wattswap.experiments.sweep import outcomes
from wattswap.protocol.draws import draw
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import Purpose
from wattswap.runners.engines.side_by_side import SideBySide
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS: Final = ("a400", "b250", "c250stress")
"""The streets that a city's are drawn from, each as likely as the others."""
FEEDERS_CSV: Final = "feeders.csv"
PICTURE: Final = "city.png"
MOST_FEEDERS: Final = 10_000
MOST_AT_ONCE: Final = 600
"""So many share a pass, at about 1 MB each: with more of them little time is won, and more is lost by a kill."""
_KIND_DRAW: Final = 9
"""Tells this draw from others of sessions."""
FIGURES: Final = (
    *("sessions", "limit_w", "peak_w", "overload_s", "baseline_overload_s", "homes_over_s", "sessions_short"),
    *("rounds", "deferred_wh", "fed_back_wh", "forced_wh", "waiting_cost_nanos", "paid_nanos"),
    *("rent_open_nanos", "ageing_h"),
)
"""What is kept of each feeder, keys of ``wattswap run --json``."""
COLUMNS: Final = ("feeder", "street", "seed", *FIGURES, "error")


@dataclass(frozen=True)
class City:
    """What came of each transformer, in the order of their numbers."""

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


def run_city(
    feeders: int,
    *,
    seed: int = 1,
    day: int | None = None,
    settings: Sequence[str] = (),
    jobs: int | None = None,
    out: Path | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> City:
    """Run a city of so many transformers; with ``out`` each is written down as soon as it is over.

    ``settings`` hold for all of them. ``progress`` is told how many are done.

    Raises:
        InputError: something that was asked for cannot be, or ``out`` holds another city.
    """
    if not 1 <= feeders <= MOST_FEEDERS:
        raise InputError(f"a city of {feeders} transformers: choose 1 to {MOST_FEEDERS:_}")
    settings = (*settings, "sessions.resample=yes")
    # what is wrong with one street is wrong with all, and said before anything is begun
    streets = {kind: load_street(kind, day=day, settings=settings) for kind in KINDS}
    strategies = {kind: street.scenario.vehicles.strategy for kind, street in streets.items()}
    wanted = {job: number for number, job in enumerate(_jobs(feeders, seed, day, settings, strategies))}
    rows = _Rows(out, seed, day, settings)
    left = [job for job, number in wanted.items() if number not in rows.found]
    progress(feeders - len(left))
    goes_on = "finished transformers stay; make room, and the same command goes on from there"
    with full_disk_told(out, goes_on), closing(rows):
        made = outcomes(
            left, jobs or usable_processors(), measure=measure_feeders, most=MOST_AT_ONCE, alike=_of_the_city
        )
        for count, outcome in enumerate(made, feeders - len(left) + 1):
            rows.add(wanted[outcome.job], outcome)
            progress(count)
    return City([rows.found[number] for number in range(feeders)], out)


def _jobs(
    feeders: int, seed: int, day: int | None, settings: tuple[str, ...], strategies: Mapping[str, str]
) -> Iterable[Job]:
    numbers = np.arange(feeders, dtype=np.uint64)
    kinds = draw(seed, numbers, Purpose.SESSION, index=_KIND_DRAW) % np.uint64(len(KINDS))
    for number, kind in enumerate(KINDS[at] for at in kinds.tolist()):
        street_seed = seed * MOST_FEEDERS + number
        yield Job(kind, NEGOTIATED, strategies[kind], "fleet", street_seed, day, settings)


def _of_the_city(job: Job) -> Job:
    """What all transformers of a city have in common: streets of all kinds share a pass."""
    return job._replace(scenario="", strategy="", seed=0)


def measure_feeders(jobs: Sequence[Job]) -> list[JobOutcome]:
    """The figures of transformers, in one pass if that can be; what streets of one kind share is read once."""
    jobs = sorted(jobs, key=lambda job: job.scenario)
    try:
        kinds = [list(of_kind) for _, of_kind in groupby(jobs, key=but_for_the_seed)]
        streets = [street for of_kind in kinds for street in streets_of(of_kind)]
        if can_share(streets):
            passed = SideBySide(streets)
            passed.pass_through()
            return [JobOutcome(*pair) for pair in zip(jobs, feeder_figures(passed), strict=True)]
    except Exception:  # noqa: BLE001, S110 - alone, each says itself what is wrong with it
        pass
    return [measure(job) for job in jobs]


class _Rows:
    """The table of a city, as it grows."""

    def __init__(self, out: Path | None, seed: int, day: int | None, settings: Sequence[str]) -> None:
        self.found: dict[int, dict[str, Any]] = {}
        self._file = None
        if out is None:
            return
        path, about = out / FEEDERS_CSV, f"# seed {seed}, day {day or 'all'}, {' '.join(settings)}"
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
            raise InputError(f"--out {out}: cannot be written to ({error.strerror}); choose another place") from None

    def add(self, number: int, outcome: JobOutcome) -> None:
        """Write down what came of a feeder."""
        figures = outcome.figures or dict.fromkeys(FIGURES, 0)
        row = {"feeder": number, "street": outcome.job.scenario, "seed": outcome.job.seed}
        self.found[number] = {**row, **{name: figures[name] for name in FIGURES}, "error": outcome.error or ""}
        if self._file is not None:
            self._table.writerow(self.found[number])
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
        for name in ("feeder", "seed", *FIGURES):
            row[name] = float(row[name]) if name == "ageing_h" else int(row[name])
    except ValueError:
        return None
    return row
