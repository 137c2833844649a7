"""The one authority: takes transactions, carries them out, keeps them, and mints what the faucet gives."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final

from wattswap.ledger.devnet import bcs, execution, rules, sdk
from wattswap.ledger.devnet.model import Execution, GasCost, Refused, Transaction
from wattswap.ledger.devnet.store import ChainStore, Entry

_NOBODY: Final = bytes(32)


class DevnetNode:
    """Serves one chain. ``now_ms`` is the clock of the checkpoints.

    An epoch lasts ``epoch_s``, or for ever (0). What is younger than ``lag_s`` is done and not yet listed, as behind
    an indexer that is late.
    """

    def __init__(self, store: ChainStore, now_ms: Callable[[], int], *, epoch_s: float = 0, lag_s: float = 0) -> None:
        self.store, self._now_ms, self.started_ms = store, now_ms, now_ms()
        self._epoch_ms, self._lag_ms = int(epoch_s * 1_000), int(lag_s * 1_000)
        if store.entry() is None:
            self.give(_NOBODY, 1)  # a chain begins with something random, for its id comes from there
        (first,) = store.find(Entry, order="seq", count=1)
        self.started_ms = first.time_ms
        self.chain_id = bcs.digest_of("CheckpointSummary", self.checkpoint(first))[:4].hex()

    def epoch(self, time_ms: int | None = None) -> int:
        """The epoch now, or at this time."""
        at_ms = self._now_ms() if time_ms is None else time_ms
        return rules.EPOCH + ((at_ms - self.started_ms) // self._epoch_ms if self._epoch_ms else 0)

    def newest(self) -> int:
        """The number of the newest transaction that is listed."""
        if not self._lag_ms:
            return self.store.last().seq
        listed = self.store.entry(("time_ms <= ?", self._now_ms() - self._lag_ms))
        return listed.seq if listed else 0

    def checkpoint(self, entry: Entry) -> bytes:
        """The summary of the checkpoint that makes a transaction final."""
        return bcs.checkpoint(entry.seq, entry.digest, entry.time_ms, self.epoch(entry.time_ms))

    def submit(self, data: bytes, signatures: Sequence[bytes]) -> Entry:
        """Carry out a signed transaction, once; the same bytes again give the same answer.

        Raises ``Refused`` with nothing changed. What returns is on the disk.
        """
        if known := self.store.entry(("digest = ?", bcs.digest_of("TransactionData", data))):
            return known
        transaction = sdk.transaction(data)
        _check_signatures(transaction, bcs.hashed(bytes(3) + data), signatures)
        outcome = execution.execute(transaction, self.store, self.epoch())
        return self._keep(transaction.digest, transaction.sender, bcs.signed(data, signatures), outcome)

    def give(self, recipient: bytes, nanos: int) -> bytes:
        """Mint a coin of so many nanos for whoever asks the faucet; the digest of the transaction that does it."""
        last, gas = self.store.entry(), GasCost(0, rules.COIN_DEPOSIT, 0)
        if (last.minted if last else 0) + nanos + rules.COIN_DEPOSIT > rules.MOST_MINTED:
            raise Refused("the faucet is empty")
        minted = bcs.coin(secrets.token_bytes(32), 1, recipient, nanos, _NOBODY)
        data = bcs.mint(minted)
        digest = bcs.digest_of("TransactionData", data)
        coin = bcs.coin(minted.id, 1, recipient, nanos, digest)
        effects = bcs.effects(bcs.SUCCESS, gas, digest, b"", [], [coin], self.epoch())
        return self._keep(digest, _NOBODY, bcs.signed(data, []), Execution(gas, [], [coin], effects)).digest

    def _keep(self, digest: bytes, sender: bytes, signed: bytes, outcome: Execution) -> Entry:
        """Write down what a transaction came to: tokens that are not paid for by others are minted."""
        last, gas = self.store.entry(), outcome.gas
        minted = 0 if outcome.spent else sum(coin.nanos for coin in outcome.written) + gas.deposits
        seq, minted, burned = (last.seq + 1, last.minted + minted, last.burned) if last else (0, minted, 0)
        made = Entry(seq, self._now_ms(), digest, sender, signed, outcome.effects, minted, burned + gas.computation)
        self.store.write(made, outcome.spent, outcome.written)
        return made


def _check_signatures(transaction: Transaction, signing_digest: bytes, signatures: Sequence[bytes]) -> None:
    """One signature of the sender, and one of whoever else pays the gas."""
    wanted = {transaction.sender, transaction.gas_owner}
    if len(signatures) != len(wanted) or {sdk.signer(one, signing_digest) for one in signatures} != wanted:
        signers = " and ".join(f"0x{one.hex()}" for one in sorted(wanted))
        raise Refused(f"the signatures of sender and gas owner are needed, and no others: {signers}")
