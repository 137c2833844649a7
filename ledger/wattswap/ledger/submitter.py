"""Moves batches through their account's adapter: builds, signs once, hands in the stored bytes, notes the outcome.

Nothing here remembers anything that matters: after a crash a new submitter over the same outbox goes on. Before an
account pays anything it is reconciled with its ledger, and so is every account that the outbox knows, idle ones too:

1. the outbox is sound (``Outbox.check``, when it is opened);
2. the SIGNED batch is looked up by its digest;
3. its coins are compared with the ledger's;
4. every transaction of the account since the checkpoint up to which it was compared must be one of ours. One that we
   wrote and forgot, for the outbox was restored from a backup, is adopted and never sent again; an unknown one freezes
   the account;
5. no settlement key was paid twice;
6. only then may the account pay.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final
from zlib import crc32

from wattswap.ledger.account_adapter import (
    AccountAdapter,
    BatchOutcome,
    Manifest,
    Owed,
    Sighting,
    Verdict,
    open_manifest,
    tag,
)
from wattswap.ledger.base import LedgerDownError
from wattswap.ledger.book import Book
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_schema import Batch, BatchState

FIRST_WAIT_MS: Final = 200
COMPARE_AFTER: Final = 500
"""A account is compared with its ledger again after so many transactions, so that the next start has little to list."""
OVERLAP: Final = 20
"""So many checkpoints are compared once more: a service behind several nodes may list a little less than it had."""
STRANGE_AFTER: Final = 6
"""So many tries on a coin that another transaction holds, some 10 s, before that one is called a stranger's."""
LONGEST_WAIT_MS: Final = 30_000
"""Between two tries on an account: doubled each time, up to this, and spread by up to half so that none march."""


def wall_ms() -> int:
    """The time of day in ms: for ages and labels, never for what is true."""
    return time.time_ns() // 1_000_000


class Submitter:
    """Pays what an outbox owes, over one account for each payer. Usable from any thread, one at a time."""

    def __init__(
        self,
        outbox: Outbox,
        adapter_of: Callable[[str], AccountAdapter],
        *,
        clock: Callable[[], int] = wall_ms,
    ) -> None:
        self.outbox = outbox
        self._adapter_of, self._clock = adapter_of, clock
        self._adapters: dict[str, AccountAdapter] = {}
        self._ready: set[str] = set()
        self._tries: dict[str, int] = {}
        self._decided: dict[str, int] = {}
        self._wait_until_ms: dict[str, int] = {}
        self._last_error: dict[str, str] = {}
        self._poor: set[str] = set()
        self._held: dict[str, dict[str, str]] = {}
        self._hurried = False
        self._mutex = threading.RLock()

    # -- what is owed -------------------------------------------------------------------------------------------------

    def owe(self, owed: Sequence[Owed]) -> list[bool]:
        """Write payments and anchors down, each on the account that makes it; for each, whether it was new."""
        with self._mutex:
            return self.outbox.owe(owed, self.tag_of, self._clock())

    def post(self, book: Book, feeder: str = "") -> bool:
        """Write down what is new in a feeder's book, with what it owes; whether it owes anything new."""
        return self.outbox.post(book, self.tag_of, self._clock(), feeder)

    # -- what is done about it ----------------------------------------------------------------------------------------

    def work(self, enough: Callable[[], bool] = lambda: False) -> bool:
        """One pass over all accounts with something to do; whether anything changed, so that another pass may be due.

        ``enough`` is asked before each account: a ledger that hangs would else hold up who wants to stop.
        """
        with self._mutex:
            if self._hurried:
                self._hurried = False
                self._wait_until_ms.clear()
                self._tries = dict.fromkeys(self._tries, 1)
            names = dict.fromkeys((*self.outbox.busy_accounts, *self._unchecked()))
            changed = [self._work(name) for name in names if not enough()]
            return any(changed)

    @property
    def unchecked(self) -> int:
        """How many accounts have not been compared with the ledger since the start."""
        return len(self._unchecked())

    def _unchecked(self) -> list[str]:
        return [name for name in self.outbox.accounts if name not in self._ready and not self.outbox.frozen(name)]

    def hurry(self) -> None:
        """Let accounts that wait try again in the next pass, and begin anew with short waits. Returns at once."""
        self._hurried = True

    def held(self) -> dict[str, str]:
        """Why items are held back, by their key: they alone wait for a person, and all others go on."""
        held = [held for name, held in list(self._held.items()) if not self.outbox.frozen(name)]
        return {key: why for one in held for key, why in one.items()}

    def errors(self) -> dict[str, str]:
        """Why accounts are waiting, by account."""
        return dict(self._last_error)

    def wait_ms(self) -> int:
        """How long until a waiting account tries again, in ms; 0 if one can now."""
        now_ms = self._clock()
        names = [name for name in self.outbox.busy_accounts if not self._only_holds_back(name)]
        waits = [self._wait_until_ms.get(name, 0) - now_ms for name in names]
        return max(0, min(waits, default=0))

    # -- one account ---------------------------------------------------------------------------------------------------

    def _work(self, name: str) -> bool:
        """Take an account as far as it goes now; whether anything changed."""
        if self.outbox.frozen(name) or self._clock() < self._wait_until_ms.get(name, 0):
            return False
        try:
            changed = self._advance(name)
        except LedgerDownError as error:
            self._later(name, str(error))
            return False
        return changed

    def _advance(self, name: str) -> bool:
        if name not in self._ready:
            self._reconcile(name)
            if self.outbox.frozen(name):
                return True
        batch = self.outbox.undecided(name)
        if batch is not None and self._tries.get(name):
            return self._ask(batch)
        batch = batch or self._signed(name)
        return batch is not None and self._submit(batch)

    def _signed(self, name: str) -> Batch | None:
        """B: a batch with its bytes stored; None if there is nothing to pay, or nothing to pay with."""
        if not self.outbox.due(name):
            self._held.pop(name, None)
            return None
        adapter = self._adapter(name)
        purse = adapter.read()
        if self.outbox.taken(purse.coins):
            raise LedgerDownError("waiting for another transaction to free the coins that this one needs")
        held: dict[str, str] = {}

        def held_back(item: Owed) -> bool:
            if why := adapter.obstacle(item):
                held[item.key] = f"held back, {why}"
            return bool(why)

        items = self.outbox.chosen(
            name,
            most_nanos=purse.nanos,
            most_items=adapter.most_items,
            most_bytes=adapter.most_bytes,
            held_back=held_back,
        )
        self._held[name] = held
        if not items and self._only_holds_back(name):
            return None
        if not items and not purse.more:
            self._later(name, f"{name} can spend {purse.nanos} nanos, less than it owes")
            self._poor.add(name)
            return None
        tags = tuple(tag(item.key, adapter.secret) for item in items)
        memo = Manifest(self.outbox.mark, self.outbox.next_batch, tags).seal(adapter.secret)
        signed = adapter.sign(items, purse, memo)
        return self.outbox.sign(name, items, signed, self._clock())

    def _only_holds_back(self, name: str) -> bool:
        """Whether an account owes nothing but what it holds back: there is nothing to try again."""
        held = len(self._held.get(name, ()))
        return held > 0 and held == self.outbox.due(name) and self.outbox.undecided(name) is None

    def _submit(self, batch: Batch) -> bool:
        """C: hand in the stored bytes, if they still are what was signed."""
        if batch.damaged:
            why = (
                f"what is stored of transaction {batch.number} is damaged and was not handed in:"
                " restore the outbox from a backup"
            )
            self.outbox.alarm(batch.account, why, self._clock(), freezes=True)
            return True
        return self._take(batch, self._adapter(batch.account).submit(batch.signed))

    def _ask(self, batch: Batch) -> bool:
        """What became of bytes that were handed in before: decided, provably dead, or to be handed in again."""
        signed = batch.signed
        adapter = self._adapter(batch.account)
        outcome = adapter.status(signed.digest)
        if outcome.verdict is Verdict.ABSENT:
            if adapter.dead(signed):
                self.outbox.bury(batch, "it expired unseen", self._clock())
                self._done(batch.account)
                return True
            return self._submit(batch)
        return self._take(batch, outcome)

    def _take(self, batch: Batch, outcome: BatchOutcome) -> bool:
        """D, E: write down what the ledger says."""
        match outcome.verdict:
            case Verdict.FINAL | Verdict.FAILED:
                self.outbox.decide(batch, outcome, self._clock())
                self._decided[batch.account] = self._decided.get(batch.account, 0) + 1
                if self._decided[batch.account] % COMPARE_AFTER == 0:
                    self._ready.discard(batch.account)
                for name in (batch.account, *self._poor):  # who lacked tokens may have been paid some
                    self._done(name)
                return True
            case Verdict.CONFLICT if self._is_strange(batch.account, outcome):
                self._freeze_stranger(batch.account, outcome.others[0])
                return True
            case Verdict.CONFLICT:
                self._ready.discard(batch.account)  # what holds the coin is ours or unnamed: compare with the ledger
                self._later(batch.account, outcome.error)
            case _:
                self._later(batch.account, outcome.error or "no answer yet")
        return False

    # -- reconciliation -----------------------------------------------------------------------------------------------

    def _reconcile(self, name: str) -> None:
        """Steps 1 to 5 for one account; it is ready afterwards, or frozen, or ``LedgerDownError`` says to try later."""
        adapter = self._adapter(name)
        batch = self.outbox.undecided(name)
        if batch is not None and self._look_up(adapter, batch):
            batch = None
        self._compare_sent(name, adapter)
        if self.outbox.frozen(name):
            return
        if batch is not None and self.outbox.undecided(name) is not None:
            self._compare_coins(adapter, batch)
        if not self.outbox.frozen(name):
            self._ready.add(name)

    def _compare_coins(self, adapter: AccountAdapter, batch: Batch) -> None:
        """Step 3: a coin that went into another transaction of ours makes the batch dead; a stranger's is an alarm."""
        signed = batch.signed
        for coin in signed.coins:
            consumer = adapter.consumer(coin)
            if consumer is None:
                continue
            if consumer in ("", signed.digest):
                raise LedgerDownError("a coin has moved, and the ledger does not say yet by which transaction")
            if self.outbox.knows(consumer):
                self.outbox.bury(batch, f"its coin went into transaction {consumer}", self._clock())
                self._done(batch.account)
            else:
                self._freeze_stranger(batch.account, consumer)
            return

    def _look_up(self, adapter: AccountAdapter, batch: Batch) -> bool:
        """Step 2; whether the batch is decided."""
        signed = batch.signed
        outcome = adapter.status(signed.digest)
        if outcome.verdict is Verdict.UNKNOWN:
            raise LedgerDownError(outcome.error or "the ledger does not say what became of a transaction")
        return outcome.verdict is not Verdict.ABSENT and self._take(batch, outcome)

    def _compare_sent(self, name: str, adapter: AccountAdapter) -> None:
        """Steps 4 and 5. Freezes the account for what cannot be explained."""
        start = self.outbox.checked(name)
        sightings, newest = adapter.sent(start)
        adopted = [one for one in sightings if self._compare(name, adapter, one, first=start < 0)]
        if not self.outbox.frozen(name):
            self.outbox.move_checked(name, max(start, newest - OVERLAP, 0))
        if adopted:
            text = (
                f"{len(adopted)} of its transactions were not in the outbox (restored from a backup?) and were adopted"
            )
            self.outbox.alarm(name, text, self._clock())

    def _compare(self, name: str, adapter: AccountAdapter, sighting: Sighting, *, first: bool) -> bool:
        """Compare one transaction of the account with the outbox; whether it had to be adopted."""
        if (state := self.outbox.state_of(sighting.digest)) is not None:
            self._agree(name, sighting, state)
            return False
        if self.outbox.accepted(sighting.digest):
            return False
        manifest = open_manifest(sighting.memo, adapter.secret)
        if manifest is None or (manifest.outbox != self.outbox.mark and not first):
            if not first:
                self._freeze_stranger(name, sighting.digest)
            return False
        doubled = self.outbox.doubled(name, manifest)
        self.outbox.adopt(name, sighting, manifest, self._clock())
        if doubled and sighting.outcome.verdict is Verdict.FINAL:
            self.outbox.alarm(name, f"paid twice: {', '.join(doubled[:3])}", self._clock(), freezes=True)
        return True

    def _agree(self, name: str, sighting: Sighting, state: BatchState) -> None:
        """What the outbox says of its own transaction must be what the ledger says."""
        if state is BatchState.SIGNED:
            batch = self.outbox.undecided(name)
            if batch is not None:
                self._take(batch, sighting.outcome)
        elif state.lower() != sighting.outcome.verdict:
            why = f"transaction {sighting.digest} is {state} here and {sighting.outcome.verdict} on the ledger"
            self.outbox.alarm(name, why, self._clock(), freezes=True)

    def _freeze_stranger(self, name: str, digest: str) -> None:
        """Somebody else has the key."""
        why = (
            f"transaction {digest} spends from this account and is not in this outbox. If the key file was copied, stop"
            " the other copy and let one alone pay, then thaw; if nobody of yours paid, the key is stolen: move the"
            " tokens to a new key"
        )
        self.outbox.alarm(name, why, self._clock(), freezes=True, stranger=digest)

    def _is_strange(self, name: str, outcome: BatchOutcome) -> bool:
        """Whether what holds a coin is nobody's whom we know, also after comparisons with what the ledger lists.

        It may be our own, forgotten by a restored outbox and not listed yet: then the next comparison adopts it.
        """
        known = any(map(self.outbox.knows, outcome.others))
        return bool(outcome.others) and not known and self._tries.get(name, 0) >= STRANGE_AFTER

    # -- small things -------------------------------------------------------------------------------------------------

    def _adapter(self, name: str) -> AccountAdapter:
        if name not in self._adapters:
            self._adapters[name] = self._adapter_of(name)
        return self._adapters[name]

    def tag_of(self, account: str, key: str) -> bytes:
        """What stands for a settlement key in what the account writes on the ledger."""
        return tag(key, self._adapter(account).secret)

    def _done(self, name: str) -> None:
        """The account is well again."""
        for table in (self._tries, self._wait_until_ms, self._last_error):
            table.pop(name, None)
        self._poor.discard(name)

    def _later(self, name: str, error: str) -> None:
        """Try this account again, later and later."""
        tries = self._tries[name] = self._tries.get(name, 0) + 1
        wait_ms = min(FIRST_WAIT_MS << min(tries - 1, 20), LONGEST_WAIT_MS)
        spread_ms = crc32(f"{name} {tries}".encode()) % (wait_ms // 2 + 1)
        self._wait_until_ms[name] = self._clock() + wait_ms - spread_ms
        self._last_error[name] = error
