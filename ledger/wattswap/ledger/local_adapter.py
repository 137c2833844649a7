"""The lane of an account in the embedded ledger: its coin is the account, its version the next sequence."""

from __future__ import annotations

from typing import Final

from wattswap.ledger.account_adapter import CoinRef, Item, Outcome, Purse, Sighting, Signed, Verdict
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.ledger.transactions import Ending, Executed, LocalTransaction, SupersededError, decode, digest, encode

NEVER: Final = (1 << 62) - 1
"""The last epoch of a transaction that does not expire."""


class LocalAdapter:
    """An ``AccountAdapter`` over a ``SqliteLedger``: there are no fees, nothing expires, an answer is always final."""

    secret = b""
    most_items = 10_000
    most_bytes = 10_000_000

    def __init__(self, ledger: SqliteLedger, account: str) -> None:
        self._ledger, self._account = ledger, account

    def read(self) -> Purse:
        """The account's balance and its next sequence."""
        coin = CoinRef(self._account, self._ledger.next_sequence(self._account))
        return Purse(coins=(coin,), nanos=self._ledger.balance(self._account), epoch=0)

    def sign(self, items: list[Item], purse: Purse, memo: bytes) -> Signed:
        """The one byte form of the transaction; in a file of one's own nobody needs a signature."""
        orders = tuple((item.key, item.payee, item.nanos) for item in items if not item.content)
        notes = tuple((item.payee, item.sequence, item.content) for item in items if item.content)
        raw = encode(LocalTransaction(self._account, purse.coins[0].version, orders, notes, memo))
        return Signed(raw=raw, digest=digest(raw), coins=purse.coins, expires=NEVER)

    def submit(self, signed: Signed) -> Outcome:
        """Carry it out."""
        try:
            return _outcome(self._ledger.execute(signed.raw))
        except SupersededError as error:
            others = (error.digest,) if error.digest else ()
            return Outcome(verdict=Verdict.CONFLICT, error=str(error), others=others)

    def status(self, digest: str) -> Outcome:
        """What the ledger has written down."""
        executed = self._ledger.executed(digest)
        return Outcome(verdict=Verdict.ABSENT) if executed is None else _outcome(executed)

    def consumer(self, coin: CoinRef) -> str | None:
        """The transaction in this place of the account's."""
        return self._ledger.transaction_at(coin.coin, coin.version) or None

    def dead(self, signed: Signed) -> bool:
        """Nothing expires here: what was never carried out can always be handed in again."""
        del signed
        return False

    def sent(self, cursor: str) -> tuple[list[Sighting], str]:
        """The account's transactions from a sequence on."""
        first = int(cursor or 0)
        raws = self._ledger.sent(self._account, first)
        sightings = [
            Sighting(digest=digest(raw), outcome=self.status(digest(raw)), memo=decode(raw).memo) for raw in raws
        ]
        return sightings, str(first + len(raws))


def _outcome(executed: Executed) -> Outcome:
    verdict = Verdict.FINAL if executed.ending is Ending.DONE else Verdict.FAILED
    return Outcome(verdict=verdict, error=executed.error)
