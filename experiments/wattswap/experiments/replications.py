"""Runs that differ in their seed alone, made in one pass: a replication is a feeder more, not a run more."""

from __future__ import annotations

from itertools import groupby
from time import perf_counter
from typing import TYPE_CHECKING, Final

from wattswap.agents.controllers import NEGOTIATED
from wattswap.experiments.api import run
from wattswap.experiments.jobs import Job, JobOutcome
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.side_by_side import SideBySide, can_run, have_one_grid
from wattswap.runners.payments.run_payments import is_needed
from wattswap.runners.recording.metrics import summary
from wattswap.runners.recording.transformer_life import aged_together
from wattswap.runners.scenario import load_streets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wattswap.runners.recording.metrics import Summary
    from wattswap.runners.scenario.street import Street

MOST: Final = 32
"""So many runs share a pass at most: after a kill, no more than a pass has to be made again."""


def but_for_the_seed(job: Job) -> Job:
    """What jobs have in common that differ in their seed alone."""
    return job._replace(seed=0)


def passes(
    jobs: Sequence[Job], processes: int, most: int = MOST, alike: Callable[[Job], Job] = but_for_the_seed
) -> Iterator[list[Job]]:
    """Jobs that follow each other and may share a pass, those of one ``alike``, so cut that every process has some."""
    for _, group in groupby(jobs, key=alike):
        same = list(group)
        shares = same[0].engine == "fleet" and same[0].controller == NEGOTIATED
        size = max(1, min(most, -(-len(same) // processes))) if shares else 1
        yield from (same[at : at + size] for at in range(0, len(same), size))


def can_share(streets: Sequence[Street]) -> bool:
    """Whether these streets can be run in one pass."""
    alone = all(can_run(street) and not is_needed(street, "memory") for street in streets)
    return alone and have_one_grid(streets)


def run_together(streets: Sequence[Street]) -> list[Summary]:
    """The figures of each street, as a run of it alone has them; the time is each one's share of the pass."""
    began_s = perf_counter()
    found = SideBySide(streets).run()
    wall_s = (perf_counter() - began_s) / len(streets)
    aged = aged_together(streets, [series for _, series in found])
    return [
        summary(
            street,
            record,
            controller=NEGOTIATED,
            strategy=street.scenario.vehicles.strategy,
            engine="fleet",
            wall_s=wall_s,
            series=series,
            aged=each_aged,
        )
        for street, (record, series), each_aged in zip(streets, found, aged, strict=True)
    ]


def measure(job: Job) -> JobOutcome:
    """Make the run; whatever goes wrong in it is its outcome."""
    try:
        result = run(
            job.scenario,
            controller=job.controller,
            strategy=job.strategy,
            engine=job.engine,
            seed=job.seed,
            day=job.day,
            settings=(*job.settings, *job.varied),
        )
    except InputError as error:
        return JobOutcome(job, None, str(error))
    except Exception as error:  # noqa: BLE001 - a crash of one run is a row of the table, not the end of the others
        return JobOutcome(job, None, f"{type(error).__name__}: {error}")
    return JobOutcome(job, result.summary)


def measure_together(jobs: Sequence[Job]) -> list[JobOutcome]:
    """Make runs that differ in their seed alone, in one pass if that can be; else, or if it fails, one by one."""
    try:
        streets = streets_of(jobs) if len(jobs) > 1 else []
        if streets and can_share(streets):
            return [JobOutcome(*pair) for pair in zip(jobs, run_together(streets), strict=True)]
    except Exception:  # noqa: BLE001, S110 - alone, each says itself what is wrong with it
        pass
    return [measure(job) for job in jobs]


def streets_of(jobs: Sequence[Job]) -> list[Street]:
    """The streets of runs that differ in their seed alone."""
    first, seeds = jobs[0], [job.seed for job in jobs]
    settings = (*first.settings, *first.varied)
    return load_streets(first.scenario, seeds, settings=settings, strategy=first.strategy, day=first.day)
