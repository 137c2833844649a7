"""A settlement on a chain: an outbox that is written to at once, and a thread that moves it along."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from wattswap.ledger.base import Anchor
from wattswap.ledger.book import Book, Entry
from wattswap.ledger.outbox_schema import BatchState
from wattswap.ledger.settlement_base import DRAIN_S, REST, Progress, Settled, Settlement
from wattswap.protocol.errors import LocalProtocolError

if TYPE_CHECKING:
    from wattswap.ledger.iota_ledger import IotaLedger

_MOST_REST_S: Final = 10.0


class ChainSettlement(Settlement):
    """A settlement on a chain, through an outbox, which a thread of its own moves along.

    The thread rests after it worked, until somebody drains: whoever posts has more urgent things to do. It waits for
    a signal, never by looking again and again. What it fails with is raised by the next call.
    """

    def __init__(self, ledger: IotaLedger) -> None:
        self.ledger: IotaLedger = ledger
        self._submitter, self.outbox = ledger.submitter, ledger.submitter.outbox
        self._refused: dict[str, str] = {}
        self._failure: BaseException | None = None
        self._signal = threading.Condition()
        self._stopping = self._draining = self._news = False
        self._thread = threading.Thread(target=self._run, name="settlement")
        self._thread.start()

    def post(self, book: Book, feeder: str = "") -> None:
        """Write entries down with what they owe, in one write."""
        self._raise()
        if self._submitter.post(book, feeder):
            self._tell()

    def entries(self, feeder: str = "") -> list[Entry]:
        """The entries of a feeder's book, as far as they were written down."""
        return self.outbox.entries(feeder)

    def keep(self, anchors: Sequence[Anchor]) -> None:
        """Write these into the outbox."""
        self._raise()
        try:
            self._submitter.owe(anchors)
        except LocalProtocolError as error:
            if len(anchors) == 1:
                self._refused[anchors[0].key] = str(error)
                return
            for anchor in anchors:
                self.keep([anchor])
        self._tell()

    def is_anchored(self, anchor: Anchor) -> bool:
        """Whether it is final."""
        return self.outbox.state(anchor.key) is BatchState.FINAL

    def drain(self, timeout_s: float = DRAIN_S, progress: Progress = lambda _left: None) -> Settled:
        """Make everything due, and wait until it is decided, or nothing more was decided for so long."""
        self._submitter.hurry()
        with self._signal:
            self._draining = self._news = True
            self._signal.notify_all()
            left, ends = self._left(), time.monotonic() + timeout_s
            progress(left)
            while left > self._stalled() and self._thread.is_alive() and time.monotonic() < ends:
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
        payments, anchors = self.outbox.final
        reasons = {**self._submitter.errors(), **self._submitter.held()}
        waiting = tuple(f"{name}: {error}" for name, error in reasons.items())
        return Settled(
            pending=self.outbox.unsettled - len(self.outbox.stuck),
            payments=payments,
            anchors=anchors,
            fees_nanos=self.outbox.fees_nanos,
            deposits_nanos=self.outbox.deposits_nanos,
            refused=(
                *(f"{key}: the ledger refused it again and again" for key in self.outbox.stuck),
                *(f"{key}: {error}" for key, error in self._refused.items()),
            ),
            alarms=tuple(self.outbox.alarms),
            waiting=waiting,
        )

    def paid_keys(self) -> set[str]:
        """The settlement keys under which the ledger has paid."""
        return self.outbox.paid_keys()

    def identities(self) -> dict[str, str]:
        """The chain's id, and that of the outbox's file."""
        return {"ledger": self.ledger.chain_id, "outbox": self.outbox.identity}

    def surplus(self) -> dict[str, int]:
        """What wallets held when it was opened beyond their opening funds."""
        return {account: nanos for account, nanos in self.ledger.surplus.items() if nanos}

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
                retry_ms = self._submitter.wait_ms() if self._left() > self._stalled() else None
                if retry_ms == 0:
                    break
                if not self._signal.wait(None if retry_ms is None else retry_ms / 1_000):
                    break
            self._news = False
            return not self._stopping

    def _left(self) -> int:
        return self.outbox.unsettled + self._submitter.unchecked

    def _stalled(self) -> int:
        """What waits for a person."""
        return self.outbox.stalled + len(self._submitter.held())

    def _tell(self) -> None:
        with self._signal:
            self._news = True
            self._signal.notify_all()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure
