"""Moves an account's batches through its adapter: builds, signs once, hands in the stored bytes, notes the outcome.

Nothing here remembers anything that matters: after a crash a new payer over the same outbox goes on. The ledger
says what was paid, the outbox what is owed. An account is reconciled with its ledger before it pays anything, and so
is every other that the outbox knows, idle ones too:

1. the outbox is sound (``Outbox.check``, when it is opened);
2. every transaction that the account ever sent is looked at. What one of ours paid is paid, and nothing else is,
   whatever the outbox says: it may have been restored from a backup, or altered. An unknown one freezes the account;
3. no settlement key was paid twice, and none of ours is gone: the ledger was not set back;
4. the SIGNED batch is looked up by its digest, and its coins are compared with the ledger's;
5. only then may the account pay, and never what one of its transactions has paid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from zlib import crc32

from wattswap.ledger.account_adapter import (
    AccountAdapter,
    BatchOutcome,
    Manifest,
    Owed,
    Purse,
    Sighting,
    Verdict,
    open_manifest,
    tag,
)
from wattswap.ledger.base import DamagedError, LedgerDownError, require
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_reading import Batch

FIRST_WAIT_MS: Final = 200
OVERLAP: Final = 20
"""So many checkpoints are compared once more: a service behind several nodes may list a little less than it had."""
STRANGE_AFTER: Final = 6
"""So many tries on a coin that another transaction holds, some 10 s, before that one is called a stranger's."""
_SET_BACK: Final = (
    "the ledger lacks a transaction that was final: it was set back to an earlier state, or is another ledger. Nothing"
    " was moved; put its newest state back"
)
LONGEST_WAIT_MS: Final = 30_000
"""Between two tries on an account: doubled each time, up to this, and spread by up to half so that none march."""


class Payer:
    """One account: reconciled once, then one batch after the other."""

    def __init__(self, name: str, outbox: Outbox, adapter: AccountAdapter, clock: Callable[[], int]) -> None:
        self.name, self.outbox, self.adapter, self._clock = name, outbox, adapter, clock
        self.is_ready = False
        """Whether it was compared with the ledger."""
        self.held: dict[str, str] = {}
        """Why items are held back, by their key."""
        self.is_poor = False
        """Whether it waits for tokens."""
        self.error = ""
        """Why it waits."""
        self.wait_until_ms = self._tries = 0
        self._compared = -1
        """The checkpoint up to which it was."""
        self._paid: dict[bytes, str] = {}
        """By the tag of what was paid: the transaction that paid it, as the ledger has it."""
        self._own_paid: set[bytes] = set()
        """Those of these tags under which a transaction of this very outbox has paid."""
        self._known_to = 0
        """The newest item of which it is known whether one of these has paid it."""
        self.others: set[str] = set()
        """Transactions that other runs have sent with the same keys."""
        self._seen: frozenset[str] = frozenset()
        """The transactions behind its coins when it was compared last: gifts, and what strangers sent."""

    def work(self) -> bool:
        """Take the account as far as it goes now; whether anything changed."""
        if self._clock() < self.wait_until_ms:
            return False
        try:
            return self._advance()
        except LedgerDownError as error:
            self._later(str(error))
            return False
        except DamagedError as error:
            self._freeze(f"{error}, so nothing is paid: restore the outbox, or its key, from a backup")
            return True

    def hurry(self) -> None:
        """Try again at once, and begin anew with short waits."""
        self.wait_until_ms, self._tries = 0, min(self._tries, 1)

    def done(self) -> None:
        """The account is well again."""
        self.wait_until_ms, self._tries, self.error, self.is_poor = 0, 0, "", False

    @property
    def is_frozen(self) -> bool:
        """Whether a person has to look before it goes on."""
        return bool(self.outbox.frozen(self.name))

    def forgotten(self) -> int:
        """How many payments and records this outbox has made of which nothing stands in it: it is an older copy."""
        return len(self._own_paid - self.outbox.tags(self.name)) if self._own_paid else 0

    @property
    def only_holds_back(self) -> bool:
        """Whether it owes nothing but what it holds back: there is nothing to try again."""
        return 0 < len(self.held) == self.outbox.due(self.name) and self.outbox.undecided(self.name) is None

    def _advance(self) -> bool:
        if not self.is_ready:
            self._reconcile()
            if self.is_frozen:
                return True
        batch = self._undecided()
        if batch is not None and self._tries:
            return self._ask(batch)
        batch = batch or self.signed()
        return batch is not None and self._submit(batch)

    def tag(self, item: Owed) -> bytes:
        """What stands for an item in what this account writes on the ledger."""
        return tag(item, self.adapter.secret, self.outbox.run)

    def signed(self) -> Batch | None:
        """B: a batch with its bytes stored; None if there is nothing to pay, or nothing to pay with."""
        held: dict[str, str] = {}
        if came := self.outbox.waiting(self.name, self._known_to):
            self._known_to = came[-1][0]
            paid = {tag: self._paid[tag] for _, tag in came if tag in self._paid}
            self.outbox.recognise(self.name, paid, self._clock())
        if not self.outbox.due(self.name):
            self.held = held
            return None
        adapter, purse = self.adapter, self.adapter.read()
        if self.outbox.taken(purse.coins):
            raise LedgerDownError("waiting for another transaction to free the coins that this one needs")
        if self._has_paid_elsewhere(purse):
            return None

        def held_back(item: Owed, written: bytes) -> bool:
            if written != self.tag(item):
                raise DamagedError(f"what is owed under {item.key!r} is not what was written down with this key")
            require(written not in self._paid, f"{item.key!r} was paid already")
            if why := adapter.obstacle(item):
                held[item.key] = f"held back, {why}"
            return bool(why)

        items = self.outbox.chosen(
            self.name,
            most_nanos=purse.nanos,
            most_items=adapter.most_items,
            most_bytes=adapter.most_bytes,
            held_back=held_back,
        )
        self.held = held
        if not items and self.only_holds_back:
            return None
        if not items and not purse.more:
            self._later(f"{self.name} can spend {purse.nanos} nanos, less than it owes")
            self.is_poor = True
            return None
        tags = tuple(map(self.tag, items))
        memo = Manifest(self.outbox.mark, self.outbox.next_batch, tags).seal(adapter.secret)
        return self.outbox.sign(self.name, items, adapter.sign(items, purse, memo), self._clock())

    def _has_paid_elsewhere(self, purse: Purse) -> bool:
        """Whether another copy of this outbox has paid something: step 2 again, where a coin has come by unknown ways.

        The purse was read before, so what a copy pays from now on takes a coin of this purse, and one of both fails.
        """
        if not purse.more and all(cause in self._seen or self._knows(cause) for cause in purse.causes):
            return False
        learned = self._compare()
        self._seen = purse.causes
        return learned or self.is_frozen

    def _submit(self, batch: Batch) -> bool:
        """C: hand in the stored bytes."""
        return self._take(batch, self.adapter.submit(batch.signed))

    def _ask(self, batch: Batch) -> bool:
        """What became of bytes that were handed in before: decided, provably dead, or to be handed in again."""
        outcome = self.adapter.status(batch.signed.digest)
        if outcome.verdict is not Verdict.ABSENT:
            return self._take(batch, outcome)
        if not self.adapter.dead(batch.signed):
            return self._submit(batch)
        self._bury(batch, "it expired unseen")
        return True

    def _bury(self, batch: Batch, why: str) -> None:
        self.outbox.bury(batch, why, self._clock())
        self.done()

    def _take(self, batch: Batch, outcome: BatchOutcome) -> bool:
        """D, E: write down what the ledger says."""
        match outcome.verdict:
            case Verdict.FINAL | Verdict.FAILED:
                memo = self.adapter.memo(batch.signed)
                self._learn([Sighting(digest=batch.signed.digest, outcome=outcome, memo=memo)])
                self.done()
                return True
            case Verdict.CONFLICT if self._is_strange(outcome):
                self._freeze_stranger(outcome.others[0])
                return True
            case Verdict.CONFLICT:
                self.is_ready = False  # what holds the coin is ours or unnamed: compare with the ledger
        self._later(outcome.error or "no answer yet")
        return False

    def _later(self, error: str) -> None:
        """Try this account again, later and later."""
        self._tries += 1
        wait_ms = min(FIRST_WAIT_MS << min(self._tries - 1, 20), LONGEST_WAIT_MS)
        spread_ms = crc32(f"{self.name} {self._tries}".encode()) % (wait_ms // 2 + 1)
        self.wait_until_ms, self.error = self._clock() + wait_ms - spread_ms, error

    # -- reconciliation -----------------------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        """Steps 2 to 4; it is ready afterwards, or frozen, or ``LedgerDownError`` says to try later."""
        self._compare()
        batch = None if self.is_frozen else self._undecided()
        if batch is not None:
            outcome = self.adapter.status(batch.signed.digest)
            if outcome.verdict is Verdict.UNKNOWN:
                raise LedgerDownError(outcome.error or "the ledger does not say what became of a transaction")
            if outcome.verdict is Verdict.ABSENT:
                self._compare_coins(batch)
            else:
                self._take(batch, outcome)
        self.is_ready = not self.is_frozen

    def _compare(self) -> bool:
        """Steps 2 and 3; whether the outbox learned anything. Freezes the account for what cannot be explained."""
        is_first, begins = not self.outbox.compared(self.name), self._compared < 0
        sightings, newest = self.adapter.sent(self._compared)
        if newest < self._compared:
            self._freeze(_SET_BACK)
            return False
        own, knew = [], len(self._paid)
        for one in sightings:
            manifest = open_manifest(one.memo, self.adapter.secret)
            if is_others := manifest is not None and manifest.outbox != self.outbox.mark:
                self._heed(one, manifest)
            if self.outbox.state_of(one.digest) is not None or not (manifest is None or is_others):
                own.append(one)
            elif not self._knows(one.digest):
                self.outbox.accept(self.name, one.digest) if is_first else self._freeze_stranger(one.digest)
        if elsewhere := len(self._paid) > knew:
            self._known_to = 0
        learned = self._learn(own) or elsewhere
        if begins:
            self._require_listed({one.digest for one in own})
        if not self.is_frozen:
            self._compared = max(self._compared, newest - OVERLAP, 0)
        return learned

    def _heed(self, one: Sighting, manifest: Manifest) -> None:
        """Keep what a transaction paid that the same key sealed elsewhere, so that it is not paid once more.

        It is a run's with this key, a copy's of it, or an outbox's that was lost.
        """
        self.others.add(one.digest)
        for paid in manifest.tags if one.outcome.verdict is Verdict.FINAL else ():
            self._paid.setdefault(paid, one.digest)

    def _learn(self, own: Sequence[Sighting]) -> bool:
        """Write down what happened; whether the outbox said something else."""
        manifests = [open_manifest(one.memo, self.adapter.secret) for one in own]
        happened = [(one, memo.tags if memo else ()) for one, memo in zip(own, manifests, strict=True)]
        news = self.outbox.learn(self.name, happened, self._clock())
        for one, memo in zip(own, manifests, strict=True):
            if memo is None or one.outcome.verdict is not Verdict.FINAL:
                continue
            for paid in memo.tags:
                before = self._paid.setdefault(paid, one.digest)
                is_news = before != one.digest and not {before, one.digest}.isdisjoint(news)
                if is_news and (keys := self.outbox.keys(self.name, [paid])):
                    self._freeze(f"paid twice: {', '.join(keys)}")
            if memo.outbox == self.outbox.mark:
                self._own_paid.update(memo.tags)
        if news:
            text = f"{len(news)} of its transactions were not in the outbox as they are on the ledger"
            text += " (restored from a backup, or altered?) and were taken from there"
            self.outbox.alarm(self.name, text, self._clock())
        return bool(news)

    def _require_listed(self, listed: set[str]) -> None:
        """What was final must be on the ledger still: else it was set back, or what it lists is not whole."""
        missing = next((digest for digest in self.outbox.finals(self.name) if digest not in listed), "")
        if missing and not (self.adapter.is_whole and self.adapter.status(missing).verdict is Verdict.ABSENT):
            raise LedgerDownError(f"the node does not list transaction {missing} (yet), which was final: ask another")
        if missing:
            self._freeze(_SET_BACK)

    def _undecided(self) -> Batch | None:
        """The batch that is SIGNED; without its bytes nobody can say what it pays, so a damaged one stops all."""
        batch = self.outbox.undecided(self.name)
        if batch is not None and batch.damaged:
            raise DamagedError(f"what is stored of transaction {batch.number} is damaged and was not handed in")
        return batch

    def _compare_coins(self, batch: Batch) -> None:
        """A coin that went into another transaction of ours makes the batch dead; a stranger's is an alarm."""
        for coin in batch.signed.coins:
            consumer = self.adapter.consumer(coin)
            if consumer is None:
                continue
            digest = consumer.digest
            if digest in ("", batch.signed.digest):
                raise LedgerDownError("a coin has moved, and the ledger does not say yet by which transaction")
            if consumer.is_own and not self._knows(digest):
                self._compare()  # a copy of this outbox may have paid since
            if consumer.is_own and not self._knows(digest):
                self._freeze_stranger(digest)
            else:
                self._bury(batch, f"its coin went into transaction {digest}")
            return

    def _knows(self, digest: str) -> bool:
        return digest in self.others or self.outbox.knows(digest)

    def _is_strange(self, outcome: BatchOutcome) -> bool:
        """Whether what holds a coin is nobody's whom we know, also after comparisons with what the ledger lists.

        It may be our own, forgotten by a restored outbox and not listed yet: then the next comparison adopts it.
        """
        known = any(map(self._knows, outcome.others))
        return bool(outcome.others) and not known and self._tries >= STRANGE_AFTER

    def _freeze_stranger(self, digest: str) -> None:
        """Somebody else has the key."""
        self._freeze(
            f"transaction {digest} spends from this account and is not in this outbox. If the key file was copied, stop"
            " the other copy and let one alone pay, then go on with --thaw; if nobody of yours paid, the key is stolen:"
            " move the tokens to a new key",
            digest,
        )

    def _freeze(self, why: str, stranger: str = "") -> None:
        self.outbox.alarm(self.name, why, self._clock(), freezes=True, stranger=stranger)
