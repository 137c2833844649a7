"""Run a street from Python or from the command line: one function, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from wattswap.agents.controllers import controller_named
from wattswap.experiments import tables
from wattswap.experiments.frames import readable
from wattswap.experiments.full_disk import full_disk_told
from wattswap.experiments.result_text import line, small_table
from wattswap.experiments.run_job import LedgerChoice, RunJob
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.strategy_assignment import given_strategy
from wattswap.runners.network.fault_free_twin import without_faults
from wattswap.runners.recording.journal import Header, sha256_of
from wattswap.runners.recording.parquet_table import WITHOUT_TABLES
from wattswap.runners.recording.rundir import RunDir, wattswap_version
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from wattswap.agents.offers import Strategy
    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.limit_order import LimitOrder
    from wattswap.runners.engines.observer import Observer
    from wattswap.runners.node.processes.plan import Processes
    from wattswap.runners.recording.journal import Contents
    from wattswap.runners.recording.metrics import Summary
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.recording.rundir import Status
    from wattswap.runners.recording.time_series import TimeSeries
    from wattswap.runners.scenario.street import Street

    Progress = Callable[[int], None]

JOURNALS: Final = ("inputs", "full", "none")
UNCONTROLLED: Final = "uncontrolled"
WITHOUT_REPORT: Final = "pip install 'wattswap[sim,plots]'"


def _silent(tick: int) -> None:
    """Say nothing when a tick has passed."""


@dataclass(repr=False)
class Result:
    """What a run came to: its figures at once, tables and the uncontrolled twin when they are asked for."""

    street: Street
    record: RunRecord
    """Its rounds, trades, sessions and book; of its ticks the last one only."""
    ticks: TimeSeries
    """Its ticks, summed up."""
    summary: Summary
    """The keys of ``wattswap run --json``."""
    out: Path | None = None
    """The run directory, if one was written."""
    notes: list[str] = field(default_factory=list)
    """What could not be written, and how to change that."""

    def __repr__(self) -> str:
        """One line: what was run, and what came of it."""
        return line("Result", self.summary)

    def _repr_html_(self) -> str:
        """A small table, as notebooks show it."""
        return small_table(self.summary)

    def frame(self, name: str) -> pd.DataFrame:
        """A table (``trades``, one of :data:`.tables.TABLES`) with timestamps, kWh, kW and IOTA."""
        return readable(getattr(self, known_table(name)), self.street.scenario.start.tzinfo)

    @cached_property
    def series(self) -> pd.DataFrame:
        """The street tick by tick, see :func:`.tables.series_columns`."""
        return _frame(tables.table_of("series", self.street, self.record, self.ticks))

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """Every call, see :func:`.tables.rounds_columns`."""
        return _frame(tables.table_of("rounds", self.street, self.record, self.ticks))

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Every settled award and every forced cut, see :func:`.tables.trades_columns`."""
        return _frame(tables.table_of("trades", self.street, self.record, self.ticks))

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """Every session as it ended, see :func:`.tables.sessions_columns`."""
        return _frame(tables.table_of("sessions", self.street, self.record, self.ticks))

    @cached_property
    def cars(self) -> pd.DataFrame:
        """What each car did when, see :func:`.tables.cars_columns`."""
        return _frame(tables.table_of("cars", self.street, self.record, self.ticks))

    @cached_property
    def owed(self) -> pd.DataFrame:
        """What each session was owed at each tick, see :func:`.tables.owed_columns`."""
        return _frame(tables.table_of("owed", self.street, self.record, self.ticks))

    @cached_property
    def twin(self) -> Result:
        """The same street with everyone drawing what they want and nothing going wrong, run in the fleet engine."""
        if self.summary["controller"] == UNCONTROLLED:
            return self
        return run_loaded(without_faults(self.street), controller=UNCONTROLLED, engine="fleet")

    @property
    def uncontrolled(self) -> Summary:
        """The figures of the twin."""
        return self.twin.summary

    def plot(self) -> Any:
        """The run as a picture (a matplotlib figure); needs the extras ``sim`` and ``plots``."""
        from wattswap.experiments.plots.picture import plot_run

        return plot_run(self)


def known_table(name: str) -> str:
    """The name of a table, if there is one of that name."""
    if name not in tables.TABLES:
        raise InputError(f"there is no table {name!r}; there are {', '.join(tables.TABLES)}")
    return name


def _frame(columns: tables.Columns) -> pd.DataFrame:
    """A table as a DataFrame; needs pandas, which the extra ``sim`` brings."""
    import pandas as pd

    return pd.DataFrame(columns)


def run(
    scenario: str | Path = "demo",
    *,
    controller: str = "negotiated",
    strategy: str | Strategy | None = None,
    engine: str = "messages",
    seed: int | None = None,
    day: int | None = None,
    settings: Sequence[str] = (),
    ledger: str = "memory",
    wallets_seed: int | None = None,
    keys: Path | None = None,
    allow: Sequence[str] = (),
    sign: bool = False,
    journal: str = "inputs",
    out: str | Path | None = None,
    progress: Progress = _silent,
) -> Result:
    """Run a street; the options are those of ``wattswap run``.

    ``strategy`` is a mix, or a function that answers as a strategy does. ``settings`` are texts like
    ``"vehicles.curve=taper"``. On a devnet every run takes new wallets, unless ``wallets_seed`` says from which
    number to derive them; on any other chain, which ``allow`` must name, ``keys`` is the folder with the wallets'
    key files. With ``out`` a run directory is written there, with a
    ``journal`` of what came into the run (``inputs``), of everything (``full``) or without (``none``). ``progress`` is
    called with each tick that has passed.

    Raises:
        InputError: something that was asked for cannot be; the text says what, and nothing was written.
        KeyboardInterrupt: the run was interrupted; the directory, if any, holds what there was until then.
    """
    mix = given_strategy(strategy) if callable(strategy) else strategy
    street = load_street(str(scenario), settings=list(settings), strategy=mix, seed=seed, day=day)
    return run_loaded(
        street,
        controller=controller,
        engine=engine,
        ledger=ledger,
        wallets_seed=wallets_seed,
        keys=keys,
        allow=allow,
        sign=sign,
        journal=journal,
        out=out,
        progress=progress,
    )


def run_loaded(
    street: Street,
    *,
    controller: str = "negotiated",
    engine: str = "messages",
    ledger: str = "memory",
    wallets_seed: int | None = None,
    keys: Path | None = None,
    allow: Sequence[str] = (),
    sign: bool = False,
    journal: str = "inputs",
    out: str | Path | None = None,
    progress: Progress = _silent,
    settling: Progress = _silent,
    processes: Processes | None = None,
    speed: float | None = None,
    observers: Sequence[Observer] = (),
    operator: LimitOrder | None = None,
    drivers: DriverWishes | None = None,
) -> Result:
    """Run a street that is loaded already; otherwise as :func:`run`.

    ``observers`` watch it, ``operator`` may move its limit as it goes on, and ``drivers`` tell their cars what they
    want. ``settling`` is told how much is still on
    its way to the ledger once the last tick has passed.

    With ``processes`` the agents of the messages engine run in so many processes over ZeroMQ: with ``speed`` on the
    wall clock, so many times faster, each with a journal of its own; without it in lockstep, and without a journal.

    Raises:
        WorkerLostError: one of the processes died, hung or failed.
    """
    controller_named(controller)
    _refuse_journal(journal, engine, out)
    job = RunJob(street, controller, engine, sign=sign, progress=progress, processes=processes, speed=speed)
    job.observers, job.operator, job.drivers, job.settling = observers, operator, drivers, settling
    choice = LedgerChoice(ledger, wallets_seed, keys, allow)
    if out is None:
        return _run_bare(job, choice)
    directory = RunDir.create(Path(out), street.resolved_toml)
    with full_disk_told(out, "what is there stays; make room and run it again"):
        return _run_with(directory, job, journal, choice)


def _run_with(directory: RunDir, job: RunJob, journal: str, choice: LedgerChoice) -> Result:
    """Run into a directory that was made, with its journal and its ledger; both are closed afterwards."""
    try:
        if job.engine == "messages" and journal != "none" and job.processes is None:
            job.journal = directory.journal(_header(job, journal))
        elif job.speed is not None and journal != "none":
            job.observers = (*job.observers, _live_log(directory))
            job.journals = directory.journal_folder(), _header(job, "full")
        job.settle_on(choice, directory)
        return _run_into(directory, job)
    finally:
        job.close()
        directory.close()


def _live_log(directory: RunDir) -> Observer:
    from wattswap.experiments.live_log import LiveLog

    return LiveLog(directory.log)


def _result(job: RunJob, figures: Summary) -> Result:
    return Result(job.street, job.record, job.tables.series, figures, job.folder)


def _run_bare(job: RunJob, choice: LedgerChoice) -> Result:
    """A run that leaves no directory."""
    job.settle_on(choice)
    try:
        return _result(job, job.run())
    except InputError:
        job.discard()
        raise
    finally:
        job.close()


def _refuse_journal(journal: str, engine: str, out: str | Path | None) -> None:
    if journal not in JOURNALS:
        nearest = get_close_matches(journal, JOURNALS, n=1, cutoff=0.0)[0]
        raise InputError(f"--journal {journal}: the nearest is {nearest!r} (all: {', '.join(JOURNALS)})")
    if journal == "full" and engine == "fleet":
        raise InputError("--journal full: the fleet engine sends no messages and has no journal; --engine messages has")
    if journal == "full" and out is None:
        raise InputError("--journal full: a journal lies in a run directory; name one with --out DIR")


def _header(job: RunJob, journal: str) -> Header:
    street = job.street
    return Header(
        wattswap=wattswap_version(),
        scenario=street.name,
        scenario_sha256=sha256_of(street.resolved_toml),
        seed=street.scenario.seed,
        controller=job.controller,
        engine="messages",
        strategy=street.scenario.vehicles.strategy,
        sign=job.sign,
        contents=cast("Contents", journal),
    )


def _run_into(directory: RunDir, job: RunJob) -> Result:
    """Run the street and leave its directory ``complete``, ``interrupted`` or ``failed``, or not at all."""
    street, controller, log = job.street, job.controller, directory.log
    job.folder = directory.path
    log.info("run started", scenario=street.name, controller=controller, engine=job.engine, seed=street.scenario.seed)
    try:
        figures = job.run()
    except InputError:
        job.discard()
        directory.discard()
        raise
    except KeyboardInterrupt:
        job.tables.catch_up()
        log.warning("run interrupted", ticks=len(job.tables.series), of=street.ticks)
        _write(directory, job, _result(job, job.summed_up()), "interrupted")
        raise
    except BaseException:
        log.exception("run failed", ticks=len(job.tables.series), of=street.ticks)
        directory.write_figures({}, "failed")
        raise
    try:
        result = _result(job, figures)
        _write(directory, job, result, "complete")
        if controller != UNCONTROLLED:
            directory.write_figures({**figures, UNCONTROLLED: result.uncontrolled}, "complete")
            directory.write_table(UNCONTROLLED, tables.load_columns(street, result.twin.ticks.street))
        _report(directory, result)
        log.info("run finished", ticks=len(job.tables.series))
    except Exception:
        log.exception("run failed after its last tick")
        directory.write_figures(figures, "failed")
        raise
    return result


def _write(directory: RunDir, job: RunJob, result: Result, status: Status) -> None:
    """Write figures, tables and ledger."""
    log, figures = directory.log, result.summary
    directory.write_figures(figures, status)
    if figures["fallback_unsafe_w"]:
        log.warning("limit exceeded if nobody answers the chargers", fallback_unsafe_w=figures["fallback_unsafe_w"])
    job.tables.close()
    rewritten = ("trades", "cars", "owed") if job.settlement is not None else ("cars", "owed")
    # what cars did and were owed, and what the ledger made of trades, are known only now
    written = [
        directory.write_table(name, tables.table_of(name, result.street, result.record, result.ticks))
        for name in rewritten
    ]
    if not all(written):
        _note(directory, result, f"tables were left out, they need pyarrow: {WITHOUT_TABLES}")
    run_id = "" if job.settlement is None else job.settlement.run_id
    directory.write_ledgers(result.street, result.record, run_id=run_id)
    log.info("figures", status=status, **figures)


def _report(directory: RunDir, result: Result) -> None:
    """Write the page for people, if there is what draws it."""
    if not all(find_spec(name) for name in ("matplotlib", "pandas", "pyarrow", "wattswap.experiments.report")):
        _note(directory, result, f"report.html was left out, it needs pictures: {WITHOUT_REPORT}")
        return
    from wattswap.experiments.report import write_report

    write_report(directory.path)


def _note(directory: RunDir, result: Result, note: str) -> None:
    result.notes.append(note)
    directory.log.warning(note)
