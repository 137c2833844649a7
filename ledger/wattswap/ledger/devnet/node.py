"""The one authority: takes transactions, carries them out, keeps them, and mints a chain when there is none."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from wattswap.ledger.devnet import bcs, execution, names, rules, sdk
from wattswap.ledger.devnet.model import CoinObject, Execution, GasCost, Refused, Transaction
from wattswap.ledger.devnet.store import LIVE, ChainStore, Entry

_GIFT_BUDGET: Final = 10_000_000


class DevnetNode:
    """Serves one chain. ``now_ms`` is the clock of the checkpoints.

    An epoch lasts ``epoch_ms``, or for ever (0). What is younger than ``lag_ms`` is done and not yet listed, as behind
    an indexer that is late.
    """

    def __init__(self, store: ChainStore, now_ms: Callable[[], int], *, epoch_ms: int = 0, lag_ms: int = 0) -> None:
        self.store, self._now_ms, self._epoch_ms, self._lag_ms = store, now_ms, epoch_ms, lag_ms
        self._unlisted: deque[tuple[int, int]] = deque()
        """Number and time of what is younger than the lag, the oldest first."""
        if store.entry() is None:
            self._found()
        first, self._seed, self._purse = (
            store.entry(("seq = 0",)),
            store.about("faucet_seed"),
            store.about("faucet_coin"),
        )
        if not (first and self._seed and self._purse):
            raise Refused("the database lacks what a chain begins with: it was changed by something else")
        self.started_ms = int.from_bytes(store.about("started_ms"), "little")
        self.chain_id = first.checkpoint_digest[:4].hex()
        self.faucet_address = sdk.address_of(self._seed)
        self._check()

    def _found(self) -> None:
        """Make a new chain; its id comes from random bytes and is never that of a public one."""
        started_ms, gas = self._now_ms(), GasCost(0, rules.COIN_DEPOSIT, 0)
        while True:
            seed = secrets.token_bytes(32)
            nobody, nanos = bytes(32), rules.MINTED - rules.COIN_DEPOSIT
            coin = bcs.coin(secrets.token_bytes(32), 1, sdk.address_of(seed), nanos, nobody)
            data = bcs.genesis(coin)
            digest = bcs.digest_of("TransactionData", data)
            coin = bcs.coin(coin.id, 1, coin.owner, coin.nanos, digest)
            effects = bcs.effects(bcs.SUCCESS, gas, digest, b"", [], [coin])
            entry = self._entry(None, digest, nobody, bcs.signed(data, []), effects, gas)
            if entry.checkpoint_digest[:4].hex() not in rules.PUBLIC_CHAINS:
                break
        about = [("faucet_seed", seed), ("faucet_coin", coin.id), ("started_ms", bcs.u64(started_ms))]
        self.store.write(entry, [], [coin], about=about)

    def _check(self) -> None:
        """A database whose tokens do not add up has been tampered with: better to stop than to go on."""
        (supply, count), last = self.store.balance(LIVE), self.store.last()
        deposits = last.deposited - last.rebated
        if supply + last.burned + deposits != rules.MINTED or deposits != rules.COIN_DEPOSIT * count:
            raise Refused("the database's tokens do not add up: it was changed by something else")

    def epoch(self) -> int:
        """The epoch now."""
        return rules.EPOCH + ((self._now_ms() - self.started_ms) // self._epoch_ms if self._epoch_ms else 0)

    def newest(self) -> int:
        """The number of the newest transaction that is listed."""
        while self._unlisted and self._unlisted[0][1] + self._lag_ms <= self._now_ms():
            self._unlisted.popleft()
        return self._unlisted[0][0] - 1 if self._unlisted else self.store.last().seq

    def submit(self, data: bytes, signatures: Sequence[bytes]) -> Entry:
        """Carry out a signed transaction, once; the same bytes again give the same answer.

        Raises ``Refused`` with nothing changed. What returns is on the disk.
        """
        if known := self.store.entry(("digest = ?", bcs.digest_of("TransactionData", data))):
            return known
        transaction = sdk.transaction(data)
        _check_signatures(transaction, signatures)
        outcome = execution.execute(transaction, self.store, self.epoch())
        signed = bcs.signed(data, signatures)
        last = self.store.last()
        entry = self._entry(last, transaction.digest, transaction.sender, signed, outcome.effects, outcome.gas)
        self.store.write(entry, outcome.spent, outcome.written, _functions(transaction))
        if self._lag_ms:
            self._unlisted.append((entry.seq, self._now_ms()))
        return entry

    def _entry(
        self, last: Entry | None, digest: bytes, sender: bytes, signed: bytes, effects: bytes, gas: GasCost
    ) -> Entry:
        """A transaction and the checkpoint that makes it final."""
        seq, previous, sums, epoch = 0, None, gas, rules.EPOCH
        if last:
            seq, previous, epoch = last.seq + 1, last.checkpoint_digest, self.epoch()
            sums = GasCost(last.burned + gas.computation, last.deposited + gas.deposits, last.rebated + gas.rebate)
        contents = bcs.checkpoint_contents_digest(digest, effects)
        checkpoint = bcs.checkpoint(seq, contents, previous, sums, self._now_ms(), epoch)
        name = bcs.digest_of("CheckpointSummary", checkpoint)
        return Entry(
            seq, digest, sender, signed, effects, checkpoint, name, sums.computation, sums.deposits, sums.rebate
        )

    def dry_run(self, transaction: Transaction, *, checked: bool) -> Execution:
        """What a transaction would come to: nothing changes, and no signature is needed. Raises ``Refused``."""
        return execution.estimate(transaction, self.store, self.epoch(), checked=checked)

    def give(self, recipient: bytes, nanos: int) -> bytes:
        """Send tokens from the faucet's wallet by a transaction like any other; its digest."""
        purse = self.store.coin(self._purse)  # by its id: a look by owner could meet strangers' dust
        if purse is None or purse.nanos < nanos + _GIFT_BUDGET:
            raise Refused("the faucet is empty")
        data, signature = sdk.gift(self._seed, purse, recipient, nanos, _GIFT_BUDGET)
        return self.submit(data, [signature]).digest

    def gift(self, digest: bytes) -> CoinObject | None:
        """The coin that such a transaction made; None for one that the faucet did not send."""
        entry = self.store.entry(("digest = ? AND sender = ?", digest, self.faucet_address))
        return self.store.coin(bcs.new_id(digest, 0), ("made = ?", entry.seq)) if entry else None


def _check_signatures(transaction: Transaction, signatures: Sequence[bytes]) -> None:
    """One signature of the sender, and one of whoever else pays the gas."""
    wanted = {transaction.sender, transaction.gas_owner}
    if len(signatures) != len(wanted):
        raise Refused(f"{len(wanted)} signature(s) are needed (sender, and sponsor if any), and {len(signatures)} came")
    signers = {sdk.signer(signature, transaction.signing_digest) for signature in signatures}
    if signers != wanted:
        missing = ", ".join(f"0x{one.hex()}" for one in sorted(wanted - signers))
        raise Refused(f"the signatures are not those of sender and gas owner: that of {missing} is missing")


def _functions(transaction: Transaction) -> set[bytes]:
    """Every function it calls, by all of its names: package, package::module, package::module::function."""
    calls = [command["MoveCall"] for command in transaction.commands if "MoveCall" in command]
    paths = [(names.address(call["package"]), ["", call["module"], call["function"]]) for call in calls]
    return {package + "::".join(path[:n]).encode() for package, path in paths for n in (1, 2, 3)}
