"""A run's way to its ledger: its book and payments written down as it goes, its meters anchored by another thread.

    payments = RunPayments(street, "sqlite:street.sqlite", folder=run_dir)
    run_street(street, observers=[payments])
    payments.settle()       # waits for the ledger, compares it with the book, and says what came of it

A ledger that is down costs the run nothing: book and debts are in its files, and whoever opens them again goes on where
this ended. Ledger, outbox, meter records and run each have a random id, and none is ever used with another's.
"""

from __future__ import annotations

import errno
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, thread_time
from typing import TYPE_CHECKING, Any, Final, Literal

from nacl.utils import random

from wattswap.ledger.anchoring import Anchorer
from wattswap.ledger.anchors import Detail, Whose
from wattswap.ledger.base import LedgerDownError
from wattswap.ledger.crossing import opening_in, summed
from wattswap.ledger.file_lock import FileLock, HeldError
from wattswap.ledger.keys import read_key_file, write_key_file
from wattswap.ledger.ledger import Ledger, Progress
from wattswap.ledger.settlement import new_wallets_seed, open_settlement
from wattswap.protocol.errors import InputError, LocalProtocolError
from wattswap.protocol.identity import SEED_BYTES, Signer
from wattswap.protocol.units import MS_PER_S
from wattswap.runners.engines.observer import Observer
from wattswap.runners.payments.meter_anchoring import MeterAnchoring
from wattswap.runners.payments.payment_status import OUTSIDE_ERRORS, payment_status, reward_states
from wattswap.runners.payments.wallets_seed import SEED_FILE, write_wallets_seed
from wattswap.runners.recording.rundir import LEDGER, METERS, OUTBOX
from wattswap.runners.scenario.street import rows_of

if TYPE_CHECKING:
    from wattswap.ledger.book import Book
    from wattswap.ledger.iota_keys import Wallets
    from wattswap.runners.engines.run import Run
    from wattswap.runners.scenario.street import Street

Block = dict[str, Any]
"""The key ``settlement`` of ``run.json``."""

MEMORY: Final = "memory"
SQLITE: Final = "sqlite:"
METERS_IDENTITY: Final = "meters"
"""How the names of archives begin among the ``identities``."""
SITE_KEY: Final = "site.key"
"""The random key that signs a run's meter records, in its directory."""
_POST_EVERY_S: Final = 1.0
"""So much of a run's book, in wall time, may be lost when the power fails."""


class RunPayments(Observer):
    """One run's settlement. Its methods but ``settle`` and ``close`` return at once.

    ``folder`` is where outbox and meter records lie; without one they are in memory. ``keys`` is a folder with the
    wallets' keys, for a chain that ``allow`` names. ``opened`` is called once the ledger is open, with what must be
    known to go on after a crash.
    """

    def __init__(
        self,
        street: Street,
        where: str,
        *,
        folder: Path | None = None,
        wallets_seed: int | None = None,
        keys: Path | None = None,
        allow: Sequence[str] = (),
        opened: Callable[[Block], None] = lambda _block: None,
    ) -> None:
        self._street, self._folder, self._opened = street, folder, opened
        self._where = absolute(where)
        self._seed = new_wallets_seed() if wallets_seed is None else wallets_seed
        self._keys, self._allow = keys, allow
        self.run_id = secrets.token_hex(16)
        self._made: list[Path] = []
        self._held = ExitStack()
        """The folder of keys, from the opening until the end."""
        self._settlement: Ledger | None = None
        self._public_key: str | None = None
        self._metering: list[MeterAnchoring] = []
        """By feeder."""
        self._run: Run | None = None
        self._metered, self._posted, self._posted_s = 0, 0, 0.0
        self._alarms: list[str] = []
        self._post_error = ""
        self._is_over = False
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
        """Write down what the run has come to since the last time, at most every second."""
        if self._run is None or self._settlement is None:
            return
        rows = [record.ticks[-1] for record in self._run.records if record.ticks]
        if rows and rows[0].tick >= self._metered:
            self._metered = rows[0].tick + 1
            for metering, row in zip(self._metering, rows, strict=False):
                metering.passed(row)
        if monotonic() - self._posted_s >= _POST_EVERY_S:
            self._post(_books_of(self._run))

    def finished(self, run: Run) -> None:
        """The run has made its closing step."""
        self.tick_passed(run.tick)
        self._post(_books_of(run))
        self.agents_cpu_s = thread_time() - self._began_s

    def _post(self, books: Mapping[str, Book]) -> None:
        if self._settlement is not None and (self._is_over or not self._post_error):
            try:
                for feeder, book in books.items():
                    self._settlement.post(book, feeder)
                self._posted, self._post_error = sum(len(book.entries) for book in books.values()), ""
            except OUTSIDE_ERRORS as error:  # the book has it, and whoever finishes the run takes it from there
                self._post_error = str(error)
        self._posted_s = monotonic()

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def settle(self, progress: Progress = lambda _left: None) -> None:
        """Wait until the ledger has decided, or long enough; from now on it can be compared with the book."""
        if self._settlement is None or self._run is None:
            raise LocalProtocolError("a settlement begins before it ends")
        patience_s = float(self._street.scenario.ledger.drain_s)
        try:
            for metering in self._metering:
                metering.finish(patience_s)
                self._alarms += [metering.anchorer.alarm] if metering.anchorer.alarm else []
        except OUTSIDE_ERRORS as error:
            self._alarms.append(f"meter records are not all on the ledger: {error}")
        try:
            self._is_over = True
            self._post(_books_of(self._run))
            self._settlement.drain(patience_s, progress)
        except OUTSIDE_ERRORS as error:
            self._alarms.append(str(error))
        self._alarms += [self._post_error] if self._post_error else []

    def block(self) -> Block:
        """How it stands now; after ``settle`` with the differences between book and ledger."""
        if self._settlement is None or self._run is None:
            return self._block()
        made = sum(metering.anchorer.made for metering in self._metering)
        figures = payment_status(
            self._settlement,
            _books_of(self._run),
            made,
            self._alarms,
            compared=self._is_over,
        )
        return {
            **self._block(),
            **figures,
            "entries": self._posted,
            "records": made,
            "metered_until_ms": max((one.metered_until_ms for one in self._metering), default=0),
            "records_by_site": {one.anchorer.site: one.anchorer.made for one in self._metering},
            "agents_cpu_s": round(self.agents_cpu_s, 3),
        }

    def mark(self) -> None:
        """Write into the run's trades what became of their rewards: netted, waiting, or crossed."""
        if self._settlement is None or self._run is None:
            return
        states = reward_states(self._settlement, _books_of(self._run))
        for record in self._run.records:
            record.trades = [
                trade._replace(status=states.get(trade.payment_id, trade.status)) if trade.status == "paid" else trade
                for trade in record.trades
            ]

    def close(self) -> None:
        """Stop, whatever is left. Closing twice is harmless."""
        for metering in self._metering:
            metering.close()
        if self._settlement is not None:
            self._settlement.close()
        self._held.close()

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
        feeders, vehicles = feeders_of(self._street), run.world.fleet.vehicle_id
        self._held.enter_context(keys_held(self._keys))
        if outbox is not None and self._keys is None and not self._where.startswith(SQLITE):
            self._made.append(outbox.with_name(SEED_FILE))
            write_wallets_seed(outbox.parent, self._seed)
        with ExitStack() as undo:
            settlement = open_settlement(
                self._where,
                summed(opening_in(book.entries, feeder) for feeder, book in _books_of(run).items()),
                wallets_seed=self._seed,
                wallets=None if self._keys is None else wallets_in(self._keys, feeders, vehicles),
                allow=self._allow,
                outbox=outbox,
                run=self.run_id,
            )
            undo.callback(settlement.close)
            detail = detail_of(self._street.scenario.ledger.anchor, self._where, settlement)
            if detail is not None:
                self._meter(run, settlement, detail)
            undo.pop_all()
        self._settlement = settlement

    def _meter(self, run: Run, settlement: Ledger, detail: Detail) -> None:
        street, every_ticks = self._street, ticks_a_record(self._street)
        signer = Signer(random(SEED_BYTES), network=settlement.network)
        self._public_key = signer.public_key.hex()
        if self._folder is not None:
            self._made.append(self._folder / SITE_KEY)
            write_key_file(self._folder / SITE_KEY, signer)
        for number, feeder in enumerate(feeders_of(street)):
            anchorer = Anchorer(
                None if self._folder is None else self._folder / meters_file(feeder),
                signer,
                whose_records(street, self.run_id, feeder),
                settlement,
                detail=detail,
            )
            fleet = rows_of(run.world.fleet, run.world.rows_of(number))
            self._metering.append(MeterAnchoring(street.alone(number), fleet, anchorer, every_ticks))

    def _block(self) -> Block:
        """What is known before anything was paid."""
        identities = {} if self._settlement is None else self._settlement.identities()
        for metering, feeder in zip(self._metering, feeders_of(self._street), strict=False):
            identities[meters_identity(feeder)] = metering.anchorer.identity
        return {
            "ledger": self._where,
            "run_id": self.run_id,
            "identities": identities,
            "feeders": [feeder for feeder in feeders_of(self._street) if feeder],
            "keys": None if self._keys is None else str(self._keys.absolute()),
            "public_key": self._public_key,
            "payments": 0,
            "pending": 0,
            "refused": 0,
            "earned_nanos": 0,
            "netted_nanos": 0,
            "waiting_nanos": 0,
            "crossed_nanos": 0,
            "fees_nanos": 0,
            "deposits_nanos": 0,
            "anchors": 0,
            "entries": 0,
            "records": 0,
            "records_by_site": {},
            "agree": False,
            "differences": [],
            "alarms": [],
            "notes": [],
            "agents_cpu_s": 0.0,
        }


def ticks_a_record(street: Street) -> int:
    """How many ticks a meter record covers."""
    return -(-street.scenario.ledger.anchor_s * MS_PER_S // street.tick_ms)


def feeders_of(street: Street) -> tuple[str, ...]:
    """By what name each feeder's site is known on the ledger; the only one has none."""
    return tuple(feeder.name for feeder in street.feeders) if len(street.feeders) > 1 else ("",)


def meters_file(feeder: str) -> str:
    """The archive of a feeder's meter records."""
    return f"meters-{feeder}.sqlite" if feeder else METERS


def meters_identity(feeder: str) -> str:
    """Under which name its random id stands in ``identities``."""
    return f"{METERS_IDENTITY}-{feeder}" if feeder else METERS_IDENTITY


def whose_records(street: Street, run_id: str, feeder: str = "") -> Whose:
    """What all meter records of a site say: of which site, of which run, and when it began."""
    site = f"{street.name}/{feeder}" if feeder else street.name
    return Whose(site=site, run=run_id, begins=street.scenario.start.isoformat())


def site_signer(folder: Path, settlement: Ledger) -> Signer:
    """The key that signs the meter records of the run in this folder.

    Raises:
        InputError: it is gone, or others can read it.
    """
    return read_key_file(folder / SITE_KEY, network=settlement.network)


@contextmanager
def keys_held(keys: Path | None) -> Iterator[None]:
    """Be the only one who pays with a folder of keys, if there is one: two would take each other's coins.

    Raises:
        InputError: another process pays with them.
    """
    lock = None if keys is None else _lock_of(keys)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _lock_of(keys: Path) -> FileLock | None:
    try:
        return FileLock(keys / "in-use")
    except HeldError as error:
        raise InputError(f"--keys {keys}: {error.holder} pays with these keys; go on when it has ended") from None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES, errno.EROFS):  # no folder is told of when its keys are read
            return None
        raise InputError(f"--keys {keys}: its file `in-use` is no lock ({error.strerror}): remove it") from None


def wallets_in(keys: Path, feeders: Sequence[str] = ("",), vehicles: Iterable[str] = ()) -> Wallets:
    """The wallets whose keys lie in a folder: ``site.key``, ``gas.key``, ``anchors.key``, and one for each car.

    Of several feeders each site has its own, ``site-<feeder>.key``.

    Cars that have none yet get a random one.

    Raises:
        InputError: there is no such folder, others can read it, or a key is missing.
    """
    from wattswap.ledger.iota_keys import wallets_of_folder

    return wallets_of_folder(keys, feeders, vehicles)


def is_needed(street: Street, where: str) -> bool:
    """Whether a run has anything to do with a ledger: not one in memory that anchors nothing."""
    return where != MEMORY or street.scenario.ledger.anchor in ("full", "root")


def detail_of(anchor: Literal["auto", "full", "root", "none"], where: str, settlement: Ledger) -> Detail | None:
    """How much of its readings a run puts on this ledger; None: nothing.

    Raises:
        InputError: the readings would stand in the open on a network that others read.
    """
    if anchor == "auto":
        return None if where == MEMORY else Detail.ROOT
    if anchor == "full" and not settlement.is_ours:
        raise InputError(
            f"ledger.anchor = full: at {where} everyone could read who charges when, for ever; root anchors a proof of"
            " the readings alone"
        )
    return None if anchor == "none" else Detail(anchor)


def _books_of(run: Run) -> dict[str, Book]:
    """The book of each feeder."""
    books = [record.book for record in run.records if record.book is not None]
    if len(books) < len(run.street.feeders):
        raise LocalProtocolError("a run opens its books before its first tick")
    return dict(zip(feeders_of(run.street), books, strict=True))


def absolute(where: str) -> str:
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
    if path.exists() or path.is_symlink():
        raise InputError(
            f"--ledger {where}: {path} is there already, and a ledger's file belongs to one run; name a new one, or"
            " remove it if its run was killed as it began and no token has moved"
        )
    return [path]
