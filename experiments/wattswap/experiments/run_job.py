"""A run to be made: in which engine, with which observers, and what it came to."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from wattswap.agents.controllers import controller_named
from wattswap.experiments.growing_tables import GrowingTables
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.launch import start_run
from wattswap.runners.engines.observer import TickProgress
from wattswap.runners.network.fault_free_twin import with_cost
from wattswap.runners.payments.run_payments import RunPayments, is_needed
from wattswap.runners.recording.metrics import summary
from wattswap.runners.recording.record import RunRecord
from wattswap.runners.recording.rundir import SETTLEMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.launch import Engine
    from wattswap.runners.engines.limit_order import LimitOrder
    from wattswap.runners.engines.observer import Observer
    from wattswap.runners.engines.run import Run
    from wattswap.runners.node.processes.plan import Processes
    from wattswap.runners.recording.journal import Header, Journal
    from wattswap.runners.recording.metrics import Summary
    from wattswap.runners.recording.rundir import RunDir
    from wattswap.runners.scenario.street import Street

    Progress = Callable[[int], None]


@dataclass(frozen=True)
class LedgerChoice:
    """Where a run settles, and with which wallets."""

    ledger: str
    wallets_seed: int | None
    keys: Path | None
    allow: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse keys for a ledger whose wallets have none."""
        given = {"--keys": self.keys, "--allow": self.allow or None}
        unused = [name for name, value in given.items() if value is not None]
        if unused and not self.ledger.startswith("http"):
            raise InputError(
                f"{' and '.join(unused)}: for an IOTA node alone; --ledger {self.ledger} has no wallets with keys"
            )


@dataclass
class RunJob:
    """A run to be made, or being made."""

    street: Street
    controller: str
    engine: str
    _: KW_ONLY
    sign: bool
    progress: Progress
    processes: Processes | None = None
    speed: float | None = None
    """Of processes on the wall clock, how many times faster they are; None in lockstep."""
    journals: tuple[Path, Header] | None = None
    """Where processes on the wall clock keep theirs, and how each begins."""
    journal: Journal | None = None
    settlement: RunPayments | None = None
    folder: Path | None = None
    """The run directory, if there is one."""
    observers: Sequence[Observer] = ()
    """Who watches beside those that the run itself needs."""
    operator: LimitOrder | None = None
    """Who may move the limit while the run goes on."""
    drivers: DriverWishes | None = None
    """What drivers tell their cars meanwhile."""
    settling: Progress = lambda _left: None
    """Is told how much is still on its way once the last tick has passed."""
    began_s: float = field(default_factory=perf_counter)
    _run: Run | None = None

    @property
    def record(self) -> RunRecord:
        """What there is so far."""
        return RunRecord() if self._run is None else self._run.record

    def settle_on(self, choice: LedgerChoice, directory: RunDir | None = None) -> None:
        """Settle on this ledger, if there is anything to settle."""
        if not is_needed(self.street, choice.ledger):
            return

        def opened(block: dict[str, Any]) -> None:
            if directory is not None:
                directory.write_figures({SETTLEMENT: block}, "interrupted")

        self.settlement = RunPayments(
            self.street,
            choice.ledger,
            folder=None if directory is None else directory.path,
            wallets_seed=choice.wallets_seed,
            keys=choice.keys,
            allow=choice.allow,
            opened=opened,
        )

    def run(self) -> Summary:
        """Run the street into the record, settle, and sum it up."""
        observers = (self.settlement, self.journal, self.tables, *self.observers, TickProgress(self.progress))
        self._run = run = self._start([observer for observer in observers if observer is not None])
        run.run()
        wall_s = perf_counter() - self.began_s
        if self.settlement is not None:
            self.settlement.settle(self.settling)
        return with_cost(self.street, self.summed_up(wall_s))

    @cached_property
    def tables(self) -> GrowingTables:
        """The tables as they grow."""
        return GrowingTables(self.street, self.folder)

    def _start(self, observers: list[Observer]) -> Run:
        if self.processes is None:
            engine = cast("Engine", self.engine)
            return start_run(
                self.street,
                controller=self.controller,
                engine=engine,
                sign=self.sign,
                observers=observers,
                operator=self.operator,
                drivers=self.drivers,
            )
        controller = controller_named(self.controller)
        if self.speed is not None:
            from wattswap.runners.node.live.run import live_run

            return live_run(
                self.street,
                controller,
                speed=self.speed,
                processes=self.processes,
                sign=self.sign,
                observers=observers,
                operator=self.operator,
                drivers=self.drivers,
                journals=self.journals,
            )
        from wattswap.runners.node.lockstep.run import lockstep_run

        return lockstep_run(
            self.street,
            controller,
            processes=self.processes,
            sign=self.sign,
            observers=observers,
            operator=self.operator,
            drivers=self.drivers,
        )

    def summed_up(self, wall_s: float | None = None) -> Summary:
        """The figures of what there is."""
        block = None
        if self.settlement is not None:
            block = self.settlement.block()
            self.settlement.mark()
        return summary(
            self.street,
            self.record,
            controller=self.controller,
            strategy=self.street.scenario.vehicles.strategy,
            engine=self.engine,
            wall_s=perf_counter() - self.began_s if wall_s is None else wall_s,
            settlement=block,
            series=self.tables.series,
        )

    def discard(self) -> None:
        """Take back what the ledger and the tables have made: the run ended before it began."""
        self.tables.discard()
        if self.settlement is not None:
            self.settlement.discard()

    def close(self) -> None:
        """Let go of the ledger; tables that were not moved to their places by now are taken back."""
        self.tables.discard()
        if self.settlement is not None:
            self.settlement.close()
