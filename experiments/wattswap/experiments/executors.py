"""Runs of a comparison in a ``concurrent.futures`` executor: processes, threads or the workers of a cluster."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, CancelledError, as_completed
from typing import TYPE_CHECKING

from wattswap.experiments.jobs import JobOutcome
from wattswap.experiments.replications import measure_together

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor, Future

    from wattswap.experiments.jobs import Job, MeasuresJobs


class ExecutorLostError(RuntimeError):
    """An executor does no more work; what came of it until then is kept."""


def in_executor(
    executor: Executor, together: Sequence[Sequence[Job]], measure: MeasuresJobs = measure_together
) -> Iterator[JobOutcome]:
    """Make runs that may share a pass, with this function; each outcome as it comes.

    A run never raises: its error is its outcome. So what does raise is a worker that died, or a pass that could not be
    brought there. Each run of it is then tried once more by itself, and only the guilty one fails.

    Raises:
        ExecutorLostError: the executor broke, was shut down or lost its cluster.
    """
    again: list[Job] = []
    for jobs, outcome in _each(executor, together, measure):
        if isinstance(outcome, Exception):
            again += jobs
        else:
            yield from outcome
    for (job,), outcome in _each(executor, [[job] for job in again], measure):
        if isinstance(outcome, Exception):
            yield JobOutcome(job, None, f"{type(outcome).__name__}: {outcome}")
        else:
            yield from outcome


def _each(
    executor: Executor, together: Sequence[Sequence[Job]], measure: MeasuresJobs
) -> Iterator[tuple[Sequence[Job], list[JobOutcome] | Exception]]:
    """Every pass with its outcomes, or with what became of its worker."""
    passes: dict[Future[list[JobOutcome]], Sequence[Job]] = {}
    try:
        passes.update((executor.submit(measure, jobs), jobs) for jobs in together)
        for future in as_completed(passes):
            error = future.exception()
            if isinstance(error, BrokenExecutor) or (error is not None and not isinstance(error, Exception)):
                raise error
            yield passes[future], future.result() if error is None else error
    except (BrokenExecutor, CancelledError) as error:
        raise ExecutorLostError(str(error) or "it was cancelled") from error
    finally:
        for future in passes:
            future.cancel()
