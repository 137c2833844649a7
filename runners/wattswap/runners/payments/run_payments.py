"""A run's way to its ledger: its bills are paid and its meters anchored by other threads while the agents go on.

    settlement = Settlement(street, "sqlite:street.sqlite", folder=run_dir)
    run_street(street, observers=[settlement])
    settlement.settle()       # waits for the ledger, compares it with the book, and says what came of it

A ledger that is down costs the run nothing: the book holds what is owed, the outbox what was handed over, and whoever
opens both again goes on where this ended.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING, Any, Final, Literal

from wattswap.ledger.anchoring import Anchorer
from wattswap.ledger.anchors import Detail
from wattswap.ledger.base import LedgerDownError
from wattswap.ledger.settlement_worker import SettlementWorker, open_worker, opening_of
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError, LocalProtocolError
from wattswap.protocol.identity import seeded_signer
from wattswap.protocol.units import MS_PER_S
from wattswap.runners.engines.agent_factory import transformer_name
from wattswap.runners.engines.observer import Observer
from wattswap.runners.payments.meter_anchoring import MeterAnchoring
from wattswap.runners.payments.payment_status import OUTSIDE_ERRORS, payment_status, unpaid_sessions
from wattswap.runners.recording.rundir import LEDGER, METERS, OUTBOX

if TYPE_CHECKING:
    from wattswap.ledger.base import Ledger
    from wattswap.ledger.book import Book
    from wattswap.runners.engines.run import Run
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street

Block = dict[str, Any]
"""The key ``settlement`` of ``run.json``."""

MEMORY: Final = "memory"
SQLITE: Final = "sqlite:"
_SEED_BITS: Final = 53
"""Any program that reads JSON reads such a number exactly."""


class RunPayments(Observer):
    """One run's settlement. Its methods but ``settle`` and ``close`` return at once.

    ``folder`` is where outbox and meter records lie; without one they are in memory. ``opened`` is called once the
    ledger is open, with what must be known to go on after a crash.
    """

    def __init__(
        self,
        street: Street,
        where: str,
        *,
        folder: Path | None = None,
        wallets_seed: int | None = None,
        opened: Callable[[Block], None] = lambda _block: None,
    ) -> None:
        self._street, self._folder, self._opened = street, folder, opened
        self._where = _absolute(where)
        self._seed = secrets.randbits(_SEED_BITS) if wallets_seed is None else wallets_seed
        self._made: list[Path] = []
        self._worker: SettlementWorker | None = None
        self._metering: MeterAnchoring | None = None
        self._run: Run | None = None
        self._told, self._metered = 0, 0
        self._weather, self._is_over = "", False
        self._began_s, self.agents_cpu_s = 0.0, 0.0

    # -- while the run goes on ----------------------------------------------------------------------------------------

    def begun(self, run: Run) -> None:
        """Open the ledger for a run before its first tick.

        Raises:
            InputError: the ledger cannot be used; nothing is left behind.
        """
        try:
            self._open(run)
        except (LedgerDownError, LocalProtocolError, sqlite3.Error) as error:
            self.discard()
            raise InputError(f"--ledger {self._where}: {error}") from None
        except BaseException:
            self.discard()
            raise
        self._run = run
        self._opened(self._block())
        self._began_s = thread_time()

    def tick_passed(self, tick: int) -> None:  # noqa: ARG002 - all there is since the last time
        """Hand over what the run has come to since the last time."""
        if self._run is None or self._worker is None:
            return
        ticks, entries = self._run.record.ticks, _book_of(self._run).entries_since(self._told)
        self._told += len(entries)
        if entries and not self._weather:
            try:
                self._worker.settle(entries)
            except OUTSIDE_ERRORS as error:  # the book has them, and whoever finishes the run takes them from there
                self._weather = str(error)
        if self._metering is not None and ticks and ticks[-1].tick >= self._metered:
            self._metered = ticks[-1].tick + 1
            self._metering.passed(ticks[-1])

    def finished(self, run: Run) -> None:
        """The run has made its closing step."""
        self.tick_passed(run.tick)
        self.agents_cpu_s = thread_time() - self._began_s

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until the ledger has decided, or long enough; from now on it can be compared with the book."""
        assert self._worker is not None
        patience_s = float(self._street.scenario.ledger.drain_s)
        try:
            if self._metering is not None:
                self._metering.finish(patience_s)
        except OUTSIDE_ERRORS as error:
            self._weather = f"meter records end early, run it again to have them all: {error}"
        try:
            self._worker.drain(patience_s)
        except OUTSIDE_ERRORS as error:
            self._weather = str(error)
        self._is_over = True

    def block(self) -> Block:
        """How it stands now; after ``settle`` with the differences between book and ledger."""
        if self._worker is None or self._run is None:
            return self._block()
        book = _book_of(self._run)
        made = 0 if self._metering is None else self._metering.anchorer.made
        figures = payment_status(
            self._worker, book.entries, book.balances(), made, self._weather, compared=self._is_over
        )
        return {**self._block(), **figures, "agents_cpu_s": round(self.agents_cpu_s, 3)}

    def mark(self, record: RunRecord) -> None:
        """Write into the record's trades which rewards are not paid: those in a bill that has not crossed."""
        if self._worker is not None and record.book is not None:
            unpaid = unpaid_sessions(self._worker, record.book.entries)
            record.trades = [
                trade._replace(status=unpaid.get(trade.session, trade.status)) if trade.status == "paid" else trade
                for trade in record.trades
            ]

    def close(self) -> None:
        """Stop, whatever is left. Closing twice is harmless."""
        if self._metering is not None:
            self._metering.close()
        if self._worker is not None:
            self._worker.close()

    def discard(self) -> None:
        """Take back the ledger's own file: the run ended before it began, and bad input leaves nothing."""
        self.close()
        for path in self._made:
            for beside in path.parent.glob(f"{path.name}*"):
                if beside.name.removeprefix(path.name) in ("", "-wal", "-shm", "-lock", "-journal"):
                    beside.unlink(missing_ok=True)

    # -- how ----------------------------------------------------------------------------------------------------------

    def _open(self, run: Run) -> None:
        self._made = _fresh(self._where, self._folder)
        outbox = None if self._folder is None or self._where == MEMORY else self._folder / OUTBOX
        with ExitStack() as undo:
            worker = open_worker(self._where, opening_of(_book_of(run)), wallets_seed=self._seed, outbox=outbox)
            undo.callback(worker.close)
            detail = detail_of(self._street.scenario.ledger.anchor, self._where, worker.ledger)
            if detail is not None:
                self._metering = self._meter(run, worker, detail)
            undo.pop_all()
        self._worker = worker

    def _meter(self, run: Run, worker: SettlementWorker, detail: Detail) -> MeterAnchoring:
        street, every_ms = self._street, self._street.scenario.ledger.anchor_s * MS_PER_S
        every_ticks = -(-every_ms // street.tick_ms)
        anchorer = Anchorer(
            None if self._folder is None else self._folder / METERS,
            seeded_signer(street.scenario.seed, transformer_name(street.feeders[0].name)),
            street.name,
            worker,
            detail=detail,
            slot_ms=every_ticks * street.tick_ms,
        )
        return MeterAnchoring(street, run.world.fleet, anchorer, every_ticks)

    def _block(self) -> Block:
        """What is known before anything was paid."""
        return {
            "ledger": self._where,
            "wallets_seed": self._seed,
            "payments": 0,
            "pending": 0,
            "refused": 0,
            "fees_nanos": 0,
            "deposits_nanos": 0,
            "anchors": 0,
            "agree": False,
            "differences": [],
            "alarms": [],
            "agents_cpu_s": 0.0,
        }


def is_needed(street: Street, where: str) -> bool:
    """Whether a run has anything to do with a ledger: not one in memory that anchors nothing."""
    return where != MEMORY or street.scenario.ledger.anchor in ("full", "root")


def detail_of(anchor: Literal["auto", "full", "root", "none"], where: str, ledger: Ledger) -> Detail | None:
    """How much of its readings a run puts on this ledger; None: nothing.

    Raises:
        InputError: the readings would stand in the open on a network that others read.
    """
    ours = isinstance(ledger, SqliteLedger) or bool(getattr(ledger, "is_devnet", False))
    if anchor == "auto":
        if where == MEMORY:
            return None
        return Detail.FULL if ours else Detail.ROOT
    if anchor == "full" and not ours:
        raise InputError(
            f"ledger.anchor = full: at {where} everyone could read who charges when, for ever; root anchors a proof of"
            " the readings alone"
        )
    return None if anchor == "none" else Detail(anchor)


def _book_of(run: Run) -> Book:
    assert run.record.book is not None, "a run opens its book before its first tick"
    return run.record.book


def _absolute(where: str) -> str:
    """The word for a ledger, fit to be used from another folder."""
    name = where.removeprefix(SQLITE)
    return f"{SQLITE}{Path(name).absolute()}" if where.startswith(SQLITE) and name else where


def _fresh(where: str, folder: Path | None) -> list[Path]:
    """The files that a ledger in a file will make; an InputError if there is one already.

    A file belongs to one run: the tokens of another would be taken for this one's.
    """
    if not where.startswith(SQLITE) or where == SQLITE:
        return []
    path = Path(where.removeprefix(SQLITE))
    if folder is not None and path in {folder.absolute() / name for name in (LEDGER, OUTBOX, METERS)}:
        raise InputError(f"--ledger {where}: the run keeps its own {path.name} there; choose another name")
    made = [path] if folder is not None else [path, path.with_name(f"{path.name}-outbox")]
    for file in made:
        if file.exists() or file.is_symlink():
            raise InputError(
                f"--ledger {where}: {file} is there already, and a ledger's file belongs to one run; name a new one"
            )
    return made
