"""The one authority: takes transactions, carries them out, keeps them, and mints a chain when there is none."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from wattswap.ledger.devnet import bcs, decode, execution, names, sdk
from wattswap.ledger.devnet.model import CoinObject, Execution, GasCost, MoveCall, Refused, Transaction
from wattswap.ledger.devnet.rules import COIN_DEPOSIT, EPOCH, MINTED, PUBLIC_CHAINS, REFERENCE_GAS_PRICE
from wattswap.ledger.devnet.store import ChainStore, Entry, Mention

_GIFT_BUDGET: Final = 10_000_000


class DryRun(Struct, frozen=True):
    """What a transaction would come to; ``outcome`` is None if it would be refused."""

    data: bytes
    outcome: Execution | None
    error: str


class DevnetNode:
    """Serves one chain. ``now_ms`` is the clock of the checkpoints.

    An epoch lasts ``epoch_ms``, or for ever (0). What is younger than ``lag_ms`` is done and not yet listed, as behind
    an indexer that is late.
    """

    def __init__(self, store: ChainStore, now_ms: Callable[[], int], *, epoch_ms: int = 0, lag_ms: int = 0) -> None:
        self.store = store
        self._epoch_ms, self._lag_ms = epoch_ms, lag_ms
        self._unlisted: deque[tuple[int, int]] = deque()
        """Number and time of what is younger than the lag, the oldest first."""
        self._now_ms = now_ms
        if store.entry(seq=0) is None:
            self._found()
        first, seed, purse = store.entry(seq=0), store.about("faucet_seed"), store.about("faucet_coin")
        if not (first and seed and purse):
            raise Refused("the database lacks what a chain begins with: it was changed by something else")
        self.started_ms = int.from_bytes(store.about("started_ms") or b"", "little")
        self.chain_id = first.checkpoint_digest[:4].hex()
        self._seed, self._purse = seed, purse  # the coin keeps its id; a look by owner could meet strangers' dust
        self.faucet_address = sdk.address_of(seed)
        self._check()

    def _found(self) -> None:
        """Make a new chain; its id comes from random bytes and is never that of a public one."""
        started_ms = self._now_ms()
        while True:
            seed = secrets.token_bytes(32)
            coin = CoinObject(secrets.token_bytes(32), 1, sdk.address_of(seed), MINTED - COIN_DEPOSIT, b"", b"")
            data = sdk.genesis([coin])
            digest = bcs.transaction_digest(data)
            coin = bcs.coin(coin.id, 1, coin.owner, coin.nanos, digest)
            gas = GasCost(0, COIN_DEPOSIT, 0)
            effects = bcs.effects(bcs.SUCCESS, gas, digest, b"", [], [coin])
            entry = self._entry(None, digest, bytes(32), bcs.signed(data, []), effects, gas)
            if entry.checkpoint_digest[:4].hex() not in PUBLIC_CHAINS:
                break
        mentions = [(Mention.RECIPIENT, coin.owner), (Mention.CHANGED, coin.id)]
        about = [("faucet_seed", seed), ("faucet_coin", coin.id), ("started_ms", bcs.u64(started_ms))]
        self.store.write(entry, [], [coin], mentions, about)

    def _check(self) -> None:
        """A database whose tokens do not add up has been tampered with: better to stop than to go on."""
        sums = self.store.sums()
        if sums.supply + sums.burned + sums.deposits != MINTED or sums.deposits != COIN_DEPOSIT * self.store.count():
            raise Refused("the database's tokens do not add up: it was changed by something else")

    def epoch(self) -> int:
        """The epoch now."""
        return EPOCH + ((self._now_ms() - self.started_ms) // self._epoch_ms if self._epoch_ms else 0)

    def newest(self) -> int:
        """The number of the newest transaction that is listed."""
        while self._unlisted and self._unlisted[0][1] + self._lag_ms <= self._now_ms():
            self._unlisted.popleft()
        if self._unlisted:
            return self._unlisted[0][0] - 1
        last = self.store.entry()
        return last.seq if last else 0

    def submit(self, data: bytes, signatures: Sequence[bytes]) -> Entry:
        """Carry out a signed transaction, once; the same bytes again give the same answer.

        Raises ``Refused`` with nothing changed. What returns is on the disk.
        """
        known = self.store.entry(digest=bcs.transaction_digest(data))
        if known:
            return known
        transaction = decode.transaction(data)
        _check_signatures(transaction, signatures)
        outcome = execution.execute(transaction, self.store, self.epoch())
        signed = bcs.signed(data, signatures)
        last = self.store.entry()
        entry = self._entry(last, transaction.digest, transaction.sender, signed, outcome.effects, outcome.gas)
        self.store.write(entry, outcome.spent, outcome.written, _mentions(outcome))
        if self._lag_ms:
            self._unlisted.append((entry.seq, self._now_ms()))
        return entry

    def _entry(
        self, last: Entry | None, digest: bytes, sender: bytes, signed: bytes, effects: bytes, gas: GasCost
    ) -> Entry:
        """A transaction and the checkpoint that makes it final."""
        seq, previous, sums = 0, None, gas
        if last:
            seq, previous = last.seq + 1, last.checkpoint_digest
            sums = GasCost(last.burned + gas.computation, last.deposited + gas.deposits, last.rebated + gas.rebate)
        contents = bcs.checkpoint_contents_digest(digest, effects)
        checkpoint = bcs.checkpoint(seq, contents, previous, sums, self._now_ms(), self.epoch() if last else EPOCH)
        name = bcs.checkpoint_digest(checkpoint)
        return Entry(
            seq, digest, sender, signed, effects, checkpoint, name, sums.computation, sums.deposits, sums.rebate
        )

    def dry_run(self, data: bytes, *, checked: bool) -> DryRun:
        """Say what a transaction would come to; nothing changes, and no signature is needed."""
        transaction = decode.transaction(data)
        try:
            outcome = execution.estimate(transaction, self.store, self.epoch(), checked=checked)
        except Refused as refused:
            return DryRun(data, None, str(refused))
        return DryRun(data, outcome, outcome.error)

    def give(self, recipient: bytes, nanos: int) -> bytes:
        """Send tokens from the faucet's wallet by a transaction like any other; its digest."""
        purse = self.store.coin(self._purse)
        if purse is None or purse.nanos < nanos + _GIFT_BUDGET:
            raise Refused("the faucet is empty")
        data, signature = sdk.gift(self._seed, purse, recipient, nanos, _GIFT_BUDGET, REFERENCE_GAS_PRICE)
        return self.submit(data, [signature]).digest

    def gift(self, digest: bytes) -> CoinObject | None:
        """The coin that such a transaction made; None for one that the faucet did not send."""
        entry = self.store.entry(digest=digest)
        if entry is None or entry.sender != self.faucet_address:
            return None
        coins = self.store.versions(bcs.new_id(digest, 0))
        return coins[0] if coins else None


def _check_signatures(transaction: Transaction, signatures: Sequence[bytes]) -> None:
    """One signature of the sender, and one of whoever else pays the gas."""
    wanted = {transaction.sender, transaction.gas_owner}
    if len(signatures) != len(wanted):
        raise Refused(f"{len(wanted)} signature(s) are needed (sender, and sponsor if any), and {len(signatures)} came")
    signers = {sdk.signer(signature, transaction.signing_digest) for signature in signatures}
    if signers != wanted:
        missing = ", ".join(names.shown(one) for one in sorted(wanted - signers))
        raise Refused(f"the signatures are not those of sender and gas owner: that of {missing} is missing")


def _mentions(outcome: Execution) -> Iterator[tuple[Mention, bytes]]:
    """All that the transaction can be found by, each once."""
    before, after = {coin.id for coin in outcome.spent}, {coin.id for coin in outcome.written}
    for kind, keys in (
        (Mention.RECIPIENT, {coin.owner for coin in outcome.written}),
        (Mention.INPUT, before),
        (Mention.CHANGED, before | after),
        (Mention.DELETED, before - after),
        (Mention.FUNCTION, _functions(outcome.transaction)),
    ):
        yield from ((kind, key) for key in keys)


def _functions(transaction: Transaction) -> set[bytes]:
    """Every function it calls, by all of its names: package, module, function."""
    found = set()
    for call in transaction.commands:
        if isinstance(call, MoveCall):
            package, parts = names.address(call.package), (call.module, call.function)
            found |= {names.function_key(package, *parts[:n]) for n in range(3)}
    return found
