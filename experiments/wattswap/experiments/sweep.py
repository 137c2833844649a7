"""Many runs of one street: each leaves a small file as soon as it is over, so that a second start goes on from there.

A run that fails is an answer too: it is written down with its error, and the others go on. A file that was made from
other inputs (the scenario, its data, a strategy's source, this version) is noticed and never mixed in.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from wattswap.agents.controllers import NEGOTIATED
from wattswap.experiments.executors import in_executor
from wattswap.experiments.interrupts import begin_worker, interrupt_masked
from wattswap.experiments.jobs import Job, JobOutcome
from wattswap.experiments.replications import MOST, but_for_the_seed, measure_together, passes
from wattswap.experiments.run_file import read_run_file, write_run_file
from wattswap.experiments.run_inputs import refuse_other_inputs, run_inputs
from wattswap.experiments.vary import variations
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.launch import start_run
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from wattswap.experiments.jobs import MeasuresJobs
    from wattswap.runners.engines.launch import Engine
    from wattswap.runners.scenario.street import Street

RUNS: Final = "runs"
"""The folder of the runs' files."""
MOST_SEED: Final = (1 << 63) - 1
"""The greatest seed that a scenario may have."""
_OF_EACH_JOB: Final = {
    "seed": "--seeds N, which counts up from the scenario's seed (or from that of --set seed=N),",
    "vehicles.strategy": "--strategies {}",
}
"""Keys that a run does not take from its scenario -> what sets them."""
_DIED: Final = "the process died (out of memory, or killed)"


def outcomes(
    jobs: Sequence[Job],
    processes: int,
    executor: Executor | None = None,
    *,
    measure: MeasuresJobs = measure_together,
    most: int = MOST,
    alike: Callable[[Job], Job] = but_for_the_seed,
) -> Iterator[JobOutcome]:
    """Make these runs, in this process or in so many fresh ones, or in an executor; each outcome as it comes.

    ``measure`` makes those of a pass, of which there are ``most`` at most and all have one ``alike``.
    """
    if executor is not None:
        yield from in_executor(executor, list(passes(jobs, processes, most, alike)), measure)
        return
    if processes <= 1 or len(jobs) <= 1:
        for mine in passes(jobs, 1, most, alike):
            yield from measure(mine)
        return
    together = list(passes(jobs, processes, most, alike))
    while together:
        done = set[Job]()
        try:
            for outcome in _in_processes(together, processes, measure):
                done.add(outcome.job)
                yield outcome
        except BrokenProcessPool:
            # processes take passes in their order, and one is always at hand: one of these took its process with it
            left = [mine for mine in together if done.isdisjoint(mine)]
            suspects, together = left[: processes + 1], left[processes + 1 :]
            for mine in suspects:
                yield from _apart(mine, measure)
        else:
            return


def _in_processes(together: Sequence[Sequence[Job]], processes: int, measure: MeasuresJobs) -> Iterator[JobOutcome]:
    with ProcessPoolExecutor(min(processes, len(together)), get_context("spawn"), _begin_quietly) as pool:
        with _without_main(), interrupt_masked():
            futures = [pool.submit(measure, jobs) for jobs in together]
        try:
            for future in as_completed(futures):
                yield from future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _without_main() -> Iterator[None]:
    """Start processes that do not run the user's script again.

    A job needs nothing of it, and a script without ``if __name__ == "__main__"`` would compare once more in each.
    """
    main = sys.modules["__main__"]
    hidden: dict[str, Any] = {
        name: main.__dict__.pop(name) for name in ("__file__", "__spec__") if name in main.__dict__
    }
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(hidden)


def _apart(jobs: Sequence[Job], measure: MeasuresJobs) -> Iterator[JobOutcome]:
    """Make runs in a process of their own; if it dies, each in one, so that only the guilty one fails."""
    try:
        yield from list(_in_processes([jobs], 1, measure))
    except BrokenProcessPool:
        if len(jobs) == 1:
            yield JobOutcome(jobs[0], None, _DIED)
            return
        for job in jobs:
            yield from _apart([job], measure)


def _begin_quietly() -> None:
    """What a strategy prints goes to stderr: stdout is for what the command prints."""
    begin_worker()
    sys.stdout = sys.stderr


class ResultStore:
    """The files of the runs that are over.

    ``street`` is the scenario of all of them, as it stands with its own seed and strategy.
    """

    def __init__(self, out: Path, street: Street) -> None:
        self._folder = out / RUNS
        self._street = street
        self._content = street.resolved_toml.encode()
        self._inputs_of: dict[str, dict[str, Any]] = {}
        """By mix: found out once, for that looks at all that is installed."""
        self.notes: list[str] = []
        """What was found damaged and is mended, one sentence each."""

    def finished(self, jobs: Iterable[Job]) -> dict[Job, JobOutcome]:
        """What an earlier start has made of these jobs; those that failed are to be tried again.

        Raises:
            InputError: a file there was made from other inputs, or is not one of ours.
        """
        found = {job: self._read(job) for job in jobs if self._path(job).exists()}
        return {job: outcome for job, outcome in found.items() if outcome is not None and outcome.figures is not None}

    def keep(self, outcome: JobOutcome) -> None:
        """Write an outcome down, in one piece."""
        path = self._path(outcome.job)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run_file(path, outcome, self._inputs(outcome.job))

    def _read(self, job: Job) -> JobOutcome | None:
        path = self._path(job)
        if path.is_file() and path.stat().st_size == 0:
            self.notes.append(f"{path} was empty; its run was made again")
            return None
        content = read_run_file(path)
        refuse_other_inputs(path, content.inputs, self._inputs(job))
        return JobOutcome(job, content.figures, content.error)

    def _path(self, job: Job) -> Path:
        """A name people can read, and a digest that makes it one for each job."""
        short = _sha256(repr((*job[1:4], *job.varied) if job.varied else job[1:4]))[:8]
        return self._folder / f"{job.controller}-{_plain(job.strategy)}-{short}-s{job.seed}.json"

    def _inputs(self, job: Job) -> dict[str, Any]:
        if job.strategy not in self._inputs_of:
            street = self._street
            self._inputs_of[job.strategy] = run_inputs(street.scenario, self._content, job.strategy, street.folder)
        return {
            **self._inputs_of[job.strategy],
            "controller": job.controller,
            "strategy": job.strategy,
            "engine": job.engine,
            "seed": job.seed,
            **({"varied": list(job.varied)} if job.varied else {}),
        }


def checked_jobs(
    scenario: str,
    *,
    controllers: Sequence[str],
    strategies: Sequence[str],
    seeds: int,
    engine: str,
    day: int | None,
    settings: Sequence[str],
    vary: Sequence[str] = (),
) -> tuple[Street, list[Job]]:
    """The street, and a job for every combination; the scenario's own strategy if none is named.

    Strategies matter where cars are asked: another controller runs with the first of them alone.

    The seeds count up from the scenario's own, as the replications of the Mesa model do.

    Raises:
        InputError: something that was asked for cannot be; better now than in each of a hundred runs.
    """
    if seeds < 1:
        raise InputError(f"--seeds {seeds}: at least one run of each is needed")
    street = load_street(scenario, settings=list(settings), day=day)
    controllers = list(dict.fromkeys(controllers))
    mixes = list(dict.fromkeys(strategies)) or [street.scenario.vehicles.strategy]
    wanted = [(name, mix) for name in controllers for mix in (mixes if name == NEGOTIATED else mixes[:1])]
    varied = variations(vary)
    for mix in mixes:
        tried = load_street(scenario, settings=list(settings), day=day, strategy=mix)
        for controller in controllers:
            if (controller, mix) in wanted:
                start_run(tried, controller=controller, engine=cast("Engine", engine))
    if vary:
        _refuse_vain(vary, varied, lambda more: load_street(scenario, settings=[*settings, *more], day=day))
    first = street.scenario.seed
    if first + seeds - 1 > MOST_SEED:
        raise InputError(
            f"--seeds {seeds}: they count up from the scenario's seed, {first}, and none may be above {MOST_SEED};"
            " set a smaller seed"
        )
    jobs = [
        Job(scenario, controller, mix, engine, seed, day, tuple(settings), more)
        for controller, mix in wanted
        for more in varied
        for seed in range(first, first + seeds)
    ]
    return street, jobs


def _refuse_vain(
    vary: Sequence[str], varied: Iterable[tuple[str, ...]], load: Callable[[tuple[str, ...]], Street]
) -> None:
    """Refuse to vary what each job has of its own, or what makes no difference."""
    for text in vary:
        key, _, values = text.partition("=")
        if option := _OF_EACH_JOB.get(key.strip()):
            raise InputError(f"--vary {text}: each run has its own {key.strip()}; use {option.format(values)} instead")
    found: dict[str, tuple[str, ...]] = {}
    for more in varied:
        if (other := found.setdefault(load(more).resolved_toml, more)) is not more:
            raise InputError(
                f"--vary: {' '.join(other)} and {' '.join(more)} are the same run; leave one out (nothing that --day"
                " sets can be varied)"
            )


def described(outcome: JobOutcome) -> dict[str, Any]:
    """An outcome as one flat row: what was run, how it ended, and its figures."""
    job = outcome.job
    row: dict[str, Any] = {"controller": job.controller, "strategy": job.strategy, "seed": job.seed}
    if job.varied:
        row |= {"varied": " ".join(job.varied)}
    row |= {"engine": job.engine, "status": "failed" if outcome.figures is None else "complete", "error": outcome.error}
    for key, value in (outcome.figures or {}).items():
        row |= _flat(key, value)
    return row


def _flat(key: str, value: object) -> dict[str, Any]:
    """A figure as one column, or one for each of its parts."""
    if not isinstance(value, dict):
        return {key: value}
    columns: dict[str, Any] = {}
    for name, part in value.items():
        columns |= _flat(f"{key}_{name}", part)
    return columns


def _plain(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._" else "-" for letter in text)[:48]


def _sha256(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def run_all(
    store: ResultStore | None,
    jobs: Sequence[Job],
    processes: int,
    progress: Callable[[int], None],
    executor: Executor | None = None,
) -> list[JobOutcome]:
    """What is finished, and what is not yet: every job's outcome, in the jobs' order."""
    done = store.finished(jobs) if store else {}
    for outcome in outcomes([job for job in jobs if job not in done], processes, executor):
        if store:
            store.keep(outcome)
        done[outcome.job] = outcome
        progress(len(done))
    return [done[job] for job in jobs]
