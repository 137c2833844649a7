"""What a run needs of a ledger: opened by a word, paid off the agents' thread, compared with the book at the end.

with open_worker("sqlite:street.sqlite", opening) as worker:
worker.pay(payments)            # returns at once; the agents' thread never waits for a ledger
...
settled = worker.drain()        # all is decided now, or ``settled`` says what is not
differences(book, worker.ledger)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from msgspec import Struct

from wattswap.ledger.base import Anchor, Ledger, LedgerDownError, Payment
from wattswap.ledger.book import RESERVED, SITE, Book, Entry, payable, wallet
from wattswap.ledger.local_adapter import LocalAdapter
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_schema import Backlog, BatchState, Flush
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.ledger.submitter import ANCHORS, Submitter, anchor_item
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import NANOS_PER_IOTA

DRAIN_S: Final = 60.0
REST: Final = 99
"""While agents run, threads beside them rest so many times as long as they worked: a hundredth is theirs."""
MOST_REST_S: Final = 10.0
_IDLE_S: Final = 0.05
_WALLET: Final = wallet("")
BILL: Final = "bill/"
"""How the key of a payment for a session begins."""
_GAS_NANOS: Final = 1_000 * NANOS_PER_IOTA
"""What a devnet's faucet gives to the wallets that pay gas and that anchor."""

if TYPE_CHECKING:
    from wattswap.ledger.iota import IotaClient
    from wattswap.ledger.iota_ledger import IotaLedger

_Job: TypeAlias = "tuple[bool, Sequence[Payment]] | Anchor"


class Settled(Struct, frozen=True, kw_only=True):
    """Where a worker stands."""

    backlog: Backlog
    fees_nanos: int
    """Burned so far."""
    deposits_nanos: int
    """Locked in storage deposits so far, less what was freed."""
    alarms: tuple[str, ...]
    """What a person should look at."""
    waiting: tuple[str, ...]
    """Why lanes are waiting, if they are."""

    payments: int = 0
    """How many were made."""
    anchors: int = 0
    """How many records are on the ledger."""
    refused: tuple[str, ...] = ()
    """Keys of what the ledger came to refuse for good."""

    @property
    def ok(self) -> bool:
        """All is paid, and nothing is odd."""
        return not self.backlog.items and not self.alarms


class SettlementWorker:
    """Pays what it is handed, on a thread of its own, through an outbox; also where an ``Anchorer`` puts its records.

    The thread rests after it worked, until it is asked to ``drain``: whoever hands over has more urgent things to do.
    What its thread fails with is raised by the next call. It owns and closes ledger and outbox.
    """

    def __init__(self, ledger: Ledger, submitter: Submitter) -> None:
        self.ledger, self._submitter, self._outbox = ledger, submitter, submitter.outbox
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._unheard = 0
        self._heard: list[_Job] = []
        self._weather = ""
        self._mutex = threading.Lock()
        self._failure: BaseException | None = None
        self._stopping, self._draining, self._pressed = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker")
        self._thread.start()

    # -- for the agents' thread ---------------------------------------------------------------------------------------

    def pay(self, payments: Sequence[Payment], *, due: bool = True) -> None:
        """Have these paid, and return at once; what is not ``due`` waits for sum or age. Repeats are harmless."""
        self._hand_over((due, tuple(payments)), len(payments))

    def settle(self, entries: Iterable[Entry]) -> None:
        """Have paid what a book's new entries let cross the ledger."""
        payments = [payment for entry in entries if (payment := crossing(entry)) is not None]
        if payments:
            self.pay(payments)

    def keep(self, anchor: Anchor) -> None:
        """Have a record anchored, and return at once."""
        self._hand_over(anchor, 1)

    def is_anchored(self, anchor: Anchor) -> bool:
        """Whether a record is on the ledger for good."""
        known = self._outbox.find(anchor_item(anchor).key)
        return known is not None and known.state is BatchState.FINAL

    @property
    def backlog(self) -> int:
        """Payments and records that are not decided yet, those not yet written down included."""
        with self._mutex:
            return self._unheard + self._outbox.backlog.items

    @property
    def fees_nanos(self) -> int:
        """Burned so far."""
        return self._outbox.fees_nanos

    @property
    def deposits_nanos(self) -> int:
        """Locked in storage deposits so far, less what was freed."""
        return self._outbox.deposits_nanos

    def is_paid(self, key: str) -> bool:
        """Whether the payment under a settlement key is made for good."""
        known = self._outbox.find(key)
        return known is not None and known.state is BatchState.FINAL

    def drain(self, timeout_s: float = DRAIN_S) -> Settled:
        """Make everything due, and wait until it is decided, or nothing more was decided for so long."""
        self._draining.set()
        self._pressed.set()
        try:
            self._wait(timeout_s)
        finally:
            self._pressed.clear()
            self._draining.clear()
        self._raise()
        return self.settled()

    def settled(self) -> Settled:
        """Where it stands now. What was handed over and is not written down yet is not in it."""
        weather = (self._weather,) if self._weather else ()
        waiting = tuple(f"{lane}: {error}" for lane, error in self._submitter.errors().items())
        return Settled(
            backlog=self._outbox.backlog,
            fees_nanos=self.fees_nanos,
            deposits_nanos=self.deposits_nanos,
            alarms=tuple(self._outbox.alarms),
            waiting=weather + waiting,
            payments=self._outbox.payments_final,
            anchors=self._outbox.anchors_final,
            refused=tuple(self._outbox.stuck),
        )

    def _wait(self, timeout_s: float) -> None:
        """Until all is decided, or nothing was for so long."""
        self._submitter.hurry()
        left, ends = self.backlog, time.monotonic() + timeout_s
        while left > self._outbox.stalled and self._thread.is_alive() and time.monotonic() < ends:
            time.sleep(_IDLE_S / 10)
            before, left = left, self.backlog
            if left < before:
                ends = time.monotonic() + timeout_s

    def close(self) -> None:
        """Stop, whatever is left; what was written down is paid when the outbox is opened again. Twice is harmless."""
        self._stopping.set()
        self._pressed.set()
        self._thread.join()
        self._outbox.close()
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- its own thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._pressed.wait(min(REST * self._turn(), MOST_REST_S))
        except BaseException as error:  # noqa: BLE001 - it ends the thread, and is raised where somebody listens
            self._failure = error

    def _turn(self) -> float:
        """Write down what has been handed over, and take it a step further; how long that took, in seconds.

        A node on the same machine works meanwhile, so what counts is the time, not this thread's part of it.
        """
        jobs, began_s = self._take(), time.monotonic()
        try:
            heard = self._listen(jobs)
            if self._draining.is_set():
                self._submitter.flush_all()
            worked = self._submitter.work(self._stopping.is_set)
            self._weather = ""
        except LedgerDownError as error:  # the outbox's own file: what was handed over is kept till it can be written
            self._weather, heard, worked = str(error), False, False
        spent_s = time.monotonic() - began_s
        if not worked and not heard:
            self._stopping.wait(min(_IDLE_S, self._submitter.wait_ms() / 1_000 or _IDLE_S))
        return spent_s

    def _listen(self, jobs: list[_Job]) -> bool:
        """Write down all that has been handed over; whether there was anything."""
        self._heard += jobs
        jobs = self._heard
        for due in (True, False):
            payments = [payment for job in jobs if isinstance(job, tuple) and job[0] is due for payment in job[1]]
            if payments:
                self._submitter.owe(payments, due=due)
        anchors = [job for job in jobs if isinstance(job, Anchor)]
        if anchors:
            self._submitter.keep(anchors)
        self._heard = []
        with self._mutex:
            self._unheard -= sum(len(job[1]) if isinstance(job, tuple) else 1 for job in jobs)
        return bool(jobs)

    def _take(self) -> list[_Job]:
        jobs: list[_Job] = []
        try:
            if not self._heard and not self._outbox.backlog.items:
                jobs.append(self._jobs.get(timeout=_IDLE_S))
            while True:
                jobs.append(self._jobs.get_nowait())
        except Empty:
            return jobs

    def _hand_over(self, job: _Job, count: int) -> None:
        self._raise()
        with self._mutex:
            self._unheard += count
        self._jobs.put(job)

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure


def open_ledger(
    where: str,
    opening: Mapping[str, int] | None,
    *,
    wallets_seed: int = 0,
    outbox: Path | None = None,
    flush: Flush | None = None,
) -> SqliteLedger | IotaLedger:
    """The ledger of ``memory``, ``sqlite:FILE`` or the URL of a local devnet, in which ``opening`` holds.

    On a devnet the wallets are derived from ``wallets_seed``; take a new one for each run, or wallets go on with what
    they hold; ``outbox`` and ``flush`` are for a network alone. Without ``opening`` everyone holds what they held.
    Raises ``InputError`` for any other word or address, and for a network where keys from a seed are unsafe.
    """
    if where == "memory":
        return SqliteLedger(None, opening)
    if where.startswith("sqlite:") and len(where) > len("sqlite:"):
        return SqliteLedger(Path(where.removeprefix("sqlite:")), opening)
    if where.startswith(("http://", "https://")):
        return _open_iota(where, opening, wallets_seed, outbox, flush)
    raise InputError(f"{where!r} is no ledger: say memory, sqlite:FILE, or the URL of an IOTA node")


def open_worker(
    where: str,
    opening: Mapping[str, int] | None,
    *,
    wallets_seed: int = 0,
    outbox: Path | None = None,
    flush: Flush | None = None,
) -> SettlementWorker:
    """A worker over ``open_ledger``. Its outbox is in the file ``outbox``, or in memory: then a crash forgets it.

    Beside a ``sqlite:FILE`` it lies in ``FILE-outbox`` unless another place is named.
    """
    if outbox is None and where.startswith("sqlite:"):
        outbox = Path(where.removeprefix("sqlite:") + "-outbox")
    ledger = open_ledger(where, opening, wallets_seed=wallets_seed, outbox=outbox, flush=flush)
    if not isinstance(ledger, SqliteLedger):
        return SettlementWorker(ledger, ledger.submitter)
    try:
        box = Outbox(outbox)
    except BaseException:
        ledger.close()
        raise
    return SettlementWorker(ledger, Submitter(box, lambda account: LocalAdapter(ledger, account), flush=flush))


def open_node(url: str) -> IotaClient:
    """A connection to the node behind a URL.

    Raises:
        InputError: this is no node's address, or the software that talks to one is not installed.
    """
    try:
        from wattswap.ledger.iota import IotaClient
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("wattswap"):
            raise
        raise InputError(f"a ledger at {url} needs {error.name}: pip install 'wattswap[iota]'") from None
    return IotaClient(url)


def crossing(entry: Entry) -> Payment | None:
    """What an entry of the book lets cross the ledger, from wallet to wallet; None for all but a bill with a net.

    ``reserved`` and ``payable`` are tokens that still lie in the site's wallet, so only the net of a bill moves.
    """
    operation, key, vehicle, _, legs = entry
    if operation != "bill":
        return None
    account = wallet(vehicle)
    to_car = sum(nanos for _, target, nanos in legs if target == account)
    to_car -= sum(nanos for source, _, nanos in legs if source == account)
    if to_car == 0:
        return None
    payer, payee = (SITE, account) if to_car > 0 else (account, SITE)
    return Payment(key=f"{BILL}{key}", payer=payer, payee=payee, nanos=abs(to_car))


def opening_of(book: Book) -> dict[str, int]:
    """Who holds what according to a book in which nothing has happened yet: the ``opening`` of its ledger."""
    return _wallets(book.balances())


def differences(book: Book | Mapping[str, int], ledger: Ledger) -> list[str]:
    """Where the ledger's wallets hold something else than the book says, once all is settled; nothing if they agree.

    Of a book that was written down, its balances are enough.
    """
    balances = book.balances() if isinstance(book, Book) else book
    expected = _wallets(balances)
    expected[SITE] += promised_nanos(balances)
    held = {account: ledger.balance(account) for account in expected}
    return [
        f"{account} holds {held[account]} nanos on the ledger, {nanos} in the book"
        for account, nanos in expected.items()
        if held[account] != nanos
    ]


def promised_nanos(balances: Mapping[str, int]) -> int:
    """What the site holds for others: reserves of open awards, and rewards earned but not yet paid."""
    return sum(nanos for account, nanos in balances.items() if account == RESERVED or account.startswith(payable("")))


def _wallets(balances: Mapping[str, int]) -> dict[str, int]:
    """What can be spent: the site's tokens, and those of the cars."""
    return {account: nanos for account, nanos in balances.items() if account == SITE or account.startswith(_WALLET)}


def _open_iota(
    url: str, opening: Mapping[str, int] | None, wallets_seed: int, outbox: Path | None, flush: Flush | None
) -> IotaLedger:
    with ExitStack() as undo:
        client = undo.enter_context(open_node(url))
        from wattswap.ledger.iota_keys import SeededWallets
        from wattswap.ledger.iota_ledger import GAS, IotaLedger

        box = undo.enter_context(Outbox(outbox))
        ledger = IotaLedger(client, SeededWallets(wallets_seed), box, flush=flush)
        ledger.fund({GAS: _GAS_NANOS, ANCHORS: _GAS_NANOS, **(opening or {})})
        undo.pop_all()
    return ledger
