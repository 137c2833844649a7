"""Pays what an outbox owes: a ``Payer`` for each of its accounts, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from wattswap.ledger.account_adapter import AccountAdapter, Owed
from wattswap.ledger.base import wall_ms
from wattswap.ledger.book import Book
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.payer import Payer


class Submitter:
    """The payers of an outbox. Usable from any thread, one at a time."""

    payer_class: type[Payer] = Payer

    def __init__(
        self, outbox: Outbox, adapter_of: Callable[[str], AccountAdapter], *, clock: Callable[[], int] = wall_ms
    ) -> None:
        self.outbox, self._adapter_of, self._clock = outbox, adapter_of, clock
        self._payers: dict[str, Payer] = {}
        self._hurried = False
        self._mutex = threading.RLock()

    def owe(self, owed: Sequence[Owed]) -> list[bool]:
        """Write payments and anchors down, each on the account that makes it; for each, whether it was new."""
        with self._mutex:
            return self.outbox.owe(owed, self.tag_of, self._clock())

    def post(self, book: Book, feeder: str = "") -> bool:
        """Write down what is new in a feeder's book, with what it owes; whether it owes anything new."""
        return self.outbox.post(book, self.tag_of, self._clock(), feeder)

    def tag_of(self, account: str, item: Owed) -> bytes:
        """What stands for an item in what the account writes on the ledger."""
        return self.payer(account).tag(item)

    def payer(self, name: str) -> Payer:
        """Who pays from an account."""
        if name not in self._payers:
            self._payers[name] = self.payer_class(name, self.outbox, self._adapter_of(name), self._clock)
        return self._payers[name]

    def work(self, enough: Callable[[], bool] = lambda: False) -> bool:
        """One pass over all accounts with something to do; whether anything changed, so that another pass may be due.

        ``enough`` is asked before each account: a ledger that hangs would else hold up who wants to stop.
        """
        with self._mutex:
            if self._hurried:
                self._hurried = False
                for payer in self._payers.values():
                    payer.hurry()
            names = dict.fromkeys((*self.outbox.busy_accounts, *self.unchecked()))
            changed = [self.payer(name).work() for name in names if not (enough() or self.outbox.frozen(name))]
            for payer in self._payers.values() if any(changed) else ():
                if payer.is_poor:  # it may have been paid some
                    payer.done()
            return any(changed)

    def hurry(self) -> None:
        """Let accounts that wait try again in the next pass, and begin anew with short waits. Returns at once."""
        self._hurried = True

    def unchecked(self) -> list[str]:
        """The accounts that have not been compared with the ledger since the start."""
        ready = {name for name, payer in list(self._payers.items()) if payer.is_ready}
        return [name for name in self.outbox.accounts if name not in ready and not self.outbox.frozen(name)]

    def held(self) -> dict[str, str]:
        """Why items are held back, by their key: they alone wait for a person, and all others go on."""
        held = [payer.held for payer in list(self._payers.values()) if payer.held and not payer.is_frozen]
        return {key: why for one in held for key, why in one.items()}

    def others(self) -> int:
        """How many transactions other runs have sent with the same keys."""
        return len(set[str]().union(*(payer.others for payer in list(self._payers.values()))))

    def forgotten(self) -> int:
        """How many payments and records the outbox has made of which nothing stands in it any more."""
        return sum(payer.forgotten() for payer in list(self._payers.values()))

    def errors(self) -> dict[str, str]:
        """Why accounts are waiting, by account."""
        return {name: payer.error for name, payer in list(self._payers.items()) if payer.error}

    def wait_ms(self) -> int:
        """How long until a waiting account tries again, in ms; 0 if one can now."""
        payers = [self._payers.get(name) for name in self.outbox.busy_accounts]
        waits = [0 if one is None else one.wait_until_ms for one in payers if one is None or not one.only_holds_back]
        return max(0, min(waits, default=0) - self._clock())
