"""What a run needs of a ledger: its book written down as it grows, what the book pays, and its meter records.

On the embedded ledger an entry and its payment are one write. On a chain an entry and what it owes are one write, into
an outbox, and a thread of its own brings that over the network.
"""

from __future__ import annotations

import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from msgspec import Struct

from wattswap.ledger.base import Anchor, Ledger, LedgerDownError, PaymentState
from wattswap.ledger.book import SITE, Book, Entry
from wattswap.ledger.crossing import crossings
from wattswap.ledger.outbox_schema import BatchState
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.ledger.submitter import ANCHORS, anchor_item
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import NANOS_PER_IOTA

if TYPE_CHECKING:
    from wattswap.ledger.iota import IotaClient
    from wattswap.ledger.iota_keys import Wallets
    from wattswap.ledger.iota_ledger import IotaLedger

DRAIN_S: Final = 60.0
REST: Final = 99
"""While agents run, threads beside them rest so many times as long as they worked: a hundredth is theirs."""
_MOST_REST_S: Final = 10.0
_GAS_NANOS: Final = 1_000 * NANOS_PER_IOTA
"""What a devnet's faucet gives to the wallets that pay gas and that anchor."""

Progress = Callable[[int], None]  # is told how much is undecided, at first and whenever it has become less


class Settled(Struct, frozen=True, kw_only=True):
    """Where a settlement stands."""

    pending: int
    """Payments and records that are not decided."""
    payments: int
    """How many were made."""
    anchors: int
    """How many records are on the ledger."""
    fees_nanos: int = 0
    """Burned so far."""
    deposits_nanos: int = 0
    """Locked in storage deposits so far, less what was freed."""
    refused: tuple[str, ...] = ()
    """Keys of what the ledger came to refuse for good."""
    alarms: tuple[str, ...] = ()
    """What a person should look at."""
    waiting: tuple[str, ...] = ()  # why accounts are waiting, if they are

    @property
    def ok(self) -> bool:
        """All is paid, and nothing is odd."""
        return not self.pending and not self.refused and not self.alarms


class Settlement(ABC):
    """A ledger, and how a book comes to it. It owns the ledger and closes it."""

    ledger: Ledger

    @abstractmethod
    def post(self, book: Book) -> None:
        """Write down what is new in a book, and have what it pays paid."""

    @abstractmethod
    def entries(self) -> list[Entry]:
        """The book's entries as far as they were written down."""

    @abstractmethod
    def keep(self, anchors: Sequence[Anchor]) -> None:
        """Have these records anchored; a repeat is harmless."""

    @abstractmethod
    def is_anchored(self, anchor: Anchor) -> bool:
        """Whether it is on the ledger for good."""

    @abstractmethod
    def drain(self, timeout_s: float = DRAIN_S, progress: Progress = lambda _left: None) -> Settled:
        """Wait until all is decided, or nothing more was decided for so long."""

    @abstractmethod
    def settled(self) -> Settled:
        """Where it stands now."""

    @abstractmethod
    def paid_keys(self) -> set[str]:
        """The settlement keys under which the ledger has paid."""

    @abstractmethod
    def identities(self) -> dict[str, str]:
        """What tells this ledger, and what lies beside it, from all others."""

    def surplus(self) -> dict[str, int]:
        """What wallets held when it was opened beyond their opening funds."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; what was written down goes on when it is opened again. Twice is harmless."""

    def anchored(self, site: str, first: int) -> list[Anchor]:
        """A site's records from a sequence on, as the ledger lists them."""
        return self.ledger.anchored(site, first=first)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EmbeddedSettlement(Settlement):
    """A settlement on the embedded ledger: whatever returns is decided."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self.ledger: SqliteLedger = ledger
        self._refused: dict[str, str] = {}

    def post(self, book: Book) -> None:
        """Write entries down and make their payments, in one write."""
        self.ledger.post(book)

    def entries(self) -> list[Entry]:
        """The book's entries as far as they were written down."""
        return self.ledger.entries()

    def keep(self, anchors: Sequence[Anchor]) -> None:
        """Anchor these, in one write."""
        for status in self.ledger.anchor(anchors):
            if not status.ok:
                self._refused[f"anchor/{status.site}/{status.sequence}"] = status.error

    def is_anchored(self, anchor: Anchor) -> bool:
        """Whether exactly this record is there."""
        return self.ledger.anchored(anchor.site, first=anchor.sequence, last=anchor.sequence) == [anchor]

    def drain(self, timeout_s: float = DRAIN_S, progress: Progress = lambda _left: None) -> Settled:
        """Hand in once more what a wallet could not cover: it may have been paid since."""
        del timeout_s
        paid = self.paid_keys()
        missing = [payment for payment in crossings(self.entries()) if payment.key not in paid]
        for payment, status in zip(missing, self.ledger.pay(missing), strict=True):
            if status.state is PaymentState.REFUSED:
                self._refused[payment.key] = status.error
        progress(0)
        return self.settled()

    def settled(self) -> Settled:
        """Where it stands now."""
        refused = tuple(f"{key}: {error}" for key, error in self._refused.items())
        anchors = self.ledger.anchors_kept()
        return Settled(pending=0, payments=len(self.paid_keys()), anchors=anchors, refused=refused)

    def paid_keys(self) -> set[str]:
        """The settlement keys under which the ledger has paid."""
        return self.ledger.paid_keys()

    def identities(self) -> dict[str, str]:
        """The id of the ledger's file."""
        return {"ledger": self.ledger.identity}

    def close(self) -> None:
        """Close the file."""
        self.ledger.close()


class ChainSettlement(Settlement):
    """A settlement on a chain, through an outbox, which a thread of its own moves along.

    The thread rests after it worked, until somebody drains: whoever posts has more urgent things to do. It waits for
    a signal, never by looking again and again. What it fails with is raised by the next call.
    """

    def __init__(self, ledger: IotaLedger) -> None:
        self.ledger: IotaLedger = ledger
        self._submitter, self._outbox = ledger.submitter, ledger.submitter.outbox
        self._failure: BaseException | None = None
        self._signal = threading.Condition()
        self._stopping = self._draining = self._news = False
        self._thread = threading.Thread(target=self._run, name="settlement")
        self._thread.start()

    def post(self, book: Book) -> None:
        """Write entries down with what they owe, in one write."""
        self._raise()
        if self._submitter.post(book):
            self._tell()

    def entries(self) -> list[Entry]:
        """The book's entries as far as they were written down."""
        return self._outbox.entries()

    def keep(self, anchors: Sequence[Anchor]) -> None:
        """Write these into the outbox."""
        self._raise()
        self._submitter.keep(anchors)
        self._tell()

    def is_anchored(self, anchor: Anchor) -> bool:
        """Whether it is final."""
        return self._outbox.anchor_state(anchor_item(anchor).key) is BatchState.FINAL

    def drain(self, timeout_s: float = DRAIN_S, progress: Progress = lambda _left: None) -> Settled:
        """Make everything due, and wait until it is decided, or nothing more was decided for so long."""
        self._submitter.hurry()
        with self._signal:
            self._draining = self._news = True
            self._signal.notify_all()
            left, ends = self._left(), time.monotonic() + timeout_s
            progress(left)
            while left > self._outbox.stalled and self._thread.is_alive() and time.monotonic() < ends:
                self._signal.wait(max(0.0, ends - time.monotonic()))
                before, left = left, self._left()
                if left < before:
                    ends = time.monotonic() + timeout_s
                    progress(left)
            self._draining = False
        self._raise()
        return self.settled()

    def settled(self) -> Settled:
        """Where it stands now."""
        waiting = tuple(f"{account}: {error}" for account, error in self._submitter.errors().items())
        return Settled(
            pending=self._outbox.backlog.items - len(self._outbox.stuck),
            payments=self._outbox.payments_final,
            anchors=self._outbox.anchors_final,
            fees_nanos=self._outbox.fees_nanos,
            deposits_nanos=self._outbox.deposits_nanos,
            refused=tuple(f"{key}: the ledger refused it again and again" for key in self._outbox.stuck),
            alarms=tuple(self._outbox.alarms),
            waiting=waiting,
        )

    def paid_keys(self) -> set[str]:
        """The settlement keys under which the ledger has paid."""
        return self._outbox.paid_keys()

    def identities(self) -> dict[str, str]:
        """The chain's id, and that of the outbox's file."""
        return {"ledger": self.ledger.chain_id, "outbox": self._outbox.name}

    def surplus(self) -> dict[str, int]:
        """What wallets held when it was opened beyond their opening funds."""
        return {account: nanos for account, nanos in self.ledger.surplus.items() if nanos}

    def thaw(self) -> list[str]:
        """A person has looked at frozen accounts and lets them go on; which these were."""
        frozen = [account for account in self._outbox.accounts if self._outbox.frozen(account)]
        for account in frozen:
            self._outbox.thaw(account)
        return frozen

    def retry(self) -> int:
        """Try again what was given up; how many items that is."""
        return self._outbox.retry()

    def acknowledge(self) -> int:
        """A person has read the alarms; how many there were."""
        return self._outbox.acknowledge()

    def close(self) -> None:
        """Stop the thread; what was written down is paid when the outbox is opened again."""
        with self._signal:
            self._stopping = True
            self._signal.notify_all()
        self._thread.join()
        self.ledger.close()

    # -- its own thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            rest_s = 0.0
            while self._wait(rest_s):
                began_s = time.monotonic()
                while self._submitter.work(lambda: self._stopping) and self._draining:
                    with self._signal:
                        self._signal.notify_all()
                rest_s = min(REST * (time.monotonic() - began_s), _MOST_REST_S)
                with self._signal:
                    self._signal.notify_all()
        except BaseException as error:  # noqa: BLE001 - it ends the thread, and is raised where somebody listens
            self._failure = error
            with self._signal:
                self._signal.notify_all()

    def _wait(self, rest_s: float) -> bool:
        """Rest, then wait until there is something to do, or an account may try again; False when it is to stop."""
        with self._signal:
            if not self._draining:
                self._signal.wait_for(lambda: self._stopping or self._draining, rest_s)
            while not (self._stopping or self._news):
                retry_ms = self._submitter.wait_ms() if self._left() > self._outbox.stalled else None
                if retry_ms == 0:
                    break
                if not self._signal.wait(None if retry_ms is None else retry_ms / 1_000):
                    break
            self._news = False
            return not self._stopping

    def _left(self) -> int:
        return self._outbox.backlog.items + self._submitter.unchecked

    def _tell(self) -> None:
        with self._signal:
            self._news = True
            self._signal.notify_all()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure


def new_wallets_seed() -> int:
    """A random seed for the wallets of a run; any program that reads JSON reads such a number exactly."""
    return secrets.randbits(53)


def open_settlement(
    where: str,
    opening: Mapping[str, int] | None,
    *,
    wallets_seed: int = 0,
    wallets: Wallets | None = None,
    allow: Sequence[str] = (),
    outbox: Path | None = None,
    run: str = "",
) -> Settlement:
    """A settlement on ``memory``, ``sqlite:FILE`` or the IOTA node behind a URL, in which ``opening`` holds.

    On a devnet the wallets are derived from ``wallets_seed``, which no other run on that chain may have used. On any
    other chain ``wallets`` holds their keys, and ``allow`` names the chain. The outbox of a chain is in the file
    ``outbox``, or in memory: then a crash forgets it. Without ``opening`` everyone holds what they held.

    Raises:
        InputError: there is no such ledger, it is another run's, or it must not be paid on.
    """
    if where == "memory":
        return EmbeddedSettlement(SqliteLedger(None, opening, run=run))
    if where.startswith("sqlite:") and len(where) > len("sqlite:"):
        return EmbeddedSettlement(SqliteLedger(Path(where.removeprefix("sqlite:")), opening, run=run))
    if where.startswith(("http://", "https://")):
        return ChainSettlement(_open_iota(where, opening, wallets_seed, wallets, allow, outbox, run))
    raise InputError(f"{where!r} is no ledger: say memory, sqlite:FILE, or the URL of an IOTA node")


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


def _open_iota(
    url: str,
    opening: Mapping[str, int] | None,
    wallets_seed: int,
    wallets: Wallets | None,
    allow: Sequence[str],
    outbox: Path | None,
    run: str,
) -> IotaLedger:
    client = open_node(url)
    from wattswap.ledger.iota_keys import SeededWallets
    from wattswap.ledger.iota_ledger import GAS, IotaLedger
    from wattswap.ledger.outbox import Outbox

    try:
        box = Outbox(outbox, run=run)
    except BaseException:
        client.close()
        raise
    ledger = IotaLedger(client, wallets or SeededWallets(wallets_seed), box, allow=allow)
    try:
        box.watch((SITE, GAS, ANCHORS))
        if opening is not None:
            ledger.require_unused(wallets_seed)
            ledger.fund({GAS: _GAS_NANOS, ANCHORS: _GAS_NANOS, **opening})
    except LedgerDownError as error:
        ledger.close()
        raise InputError(str(error)) from None
    except BaseException:
        ledger.close()
        raise
    return ledger
