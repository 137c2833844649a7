"""What a transformer's book pays, brought to a ledger by a thread of its own: the street never waits for it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.ledger.book import SITE, Book, wallet
from wattswap.ledger.crossing import opening_in
from wattswap.ledger.settlement import new_wallets_seed, open_settlement
from wattswap.protocol.errors import InputError
from wattswap.runners.payments.payment_status import OUTSIDE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from wattswap.ledger.book import Entry
    from wattswap.ledger.iota_keys import Wallets
    from wattswap.ledger.ledger import Ledger
    from wattswap.runners.engines.store import Store

LEDGER_KEY: Final = "ledger"
"""Under this key the host remembers which ledger its book is on."""
_LOOK_S: Final = 1.0
_AGAIN_S: Final = 30.0
"""A ledger that could not be opened, or failed, is tried again after so long."""
_LAST_S: Final = 5.0
"""A node that ends waits so long for payments that are on their way."""


class _OnLedger(msgspec.Struct, frozen=True):
    """Whose a ledger is."""

    where: str
    run: str
    wallets_seed: int
    is_open: bool = False
    """Whether the site's tokens are on it."""


@dataclass(frozen=True)
class PublicNetwork:
    """A network whose tokens may be money, and whose wallets are on it."""

    chain_id: str
    folder: Path
    """Holds the keys of the site's wallet, of the one that pays fees, and of the one that anchors."""
    payees: Mapping[str, str]
    """The address of each car's wallet, by the car's name."""

    def wallets(self) -> Wallets:
        """The wallets: three to spend from, the others to pay to.

        Raises:
            InputError: a key file is missing or open to others, or an address is none.
        """
        from wattswap.ledger.iota_keys import FileWallets

        keys = {name: self.folder / f"{name}.key" for name in (SITE, "gas", "anchors")}
        return FileWallets(keys, {wallet(car): address for car, address in self.payees.items()})


class LedgerPayments:
    """A book's way to ``sqlite:FILE`` or to the IOTA node behind a URL: of a local devnet, or of a public network.

    A ledger that is down costs the street nothing: what the book pays is in the node's store, and is brought over when
    the ledger is there again, each payment once.
    """

    def __init__(
        self,
        where: str,
        entries: Sequence[Entry],
        *,
        store: Store,
        outbox: Path,
        log: FilteringBoundLogger,
        network: PublicNetwork | None = None,
    ) -> None:
        """``entries`` are those that are durable by now; ``store`` is the host's, ``outbox`` the file of a chain's.

        Raises:
            InputError: the node's tokens are on another ledger already, or the keys for its network are not there.
        """
        self._wallets = None if network is None else network.wallets()
        self._allow = () if network is None else (network.chain_id,)
        self._store, self._outbox, self._log = store, outbox, log
        if (found := store.remembered().get(LEDGER_KEY)) is None:
            self._keep(_OnLedger(where, secrets.token_hex(16), 0))
        else:
            self._on = msgspec.msgpack.decode(found, type=_OnLedger)
        if self._on.where != where:
            raise InputError(f"ledger.where is {where}, and the tokens of this transformer are on {self._on.where}")
        self._book, self._seen = Book.restore(entries), len(entries)
        """The thread's own copy of the book."""
        self._new: SimpleQueue[list[Entry] | None] = SimpleQueue()
        self._trouble, self._paid = "", 0
        self._thread = Thread(target=self._run, name="wattswap-ledger", daemon=True)
        self._thread.start()

    def follow(self, book: Book) -> None:
        """Bring over what is new in a book; all of it must be durable. Never waits."""
        if new := book.entries_since(self._seen):
            self._seen += len(new)
            self._new.put(new)

    def close(self) -> None:
        """Stop; what is not paid by then is paid when the node starts again."""
        self._new.put(None)
        self._thread.join()

    # -- its own thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._pay()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with money, the street goes on
            self._log.error("ledger stopped", why=f"{type(error).__name__}: {error}")

    def _pay(self) -> None:
        settlement: Ledger | None = None
        tried_s = -_AGAIN_S
        goes_on, has_news = True, True
        while goes_on:
            if settlement is None and monotonic() - tried_s >= _AGAIN_S:
                tried_s, settlement = monotonic(), self._opened()
            if settlement is not None and has_news and not self._posted(settlement):
                settlement.close()
                settlement = None
            goes_on, has_news = self._hear(has_news=has_news and settlement is None)
            if settlement is not None:
                try:
                    self._tell(settlement)
                except OUTSIDE_ERRORS as error:
                    self._say(str(error))
        if settlement is not None:
            self._end(settlement, has_news=has_news)

    def _hear(self, *, has_news: bool) -> tuple[bool, bool]:
        """Wait for new entries, at most a second; whether to go on, and whether there is anything to be posted."""
        try:
            new = self._new.get(timeout=_LOOK_S)
        except Empty:
            return True, has_news
        for entry in new or ():
            self._book.follow(entry)
        return new is not None, has_news or bool(new)

    def _opened(self) -> Ledger | None:
        on = self._on
        if not on.is_open:  # nothing was ever paid from wallets of a seed that did not come so far
            on = msgspec.structs.replace(on, wallets_seed=new_wallets_seed())
        opening = None if on.is_open else opening_in(self._book.entries)
        try:
            settlement = open_settlement(
                on.where,
                opening,
                wallets_seed=on.wallets_seed,
                wallets=self._wallets,
                allow=self._allow,
                outbox=self._outbox,
                run=on.run,
            )
        except (InputError, *OUTSIDE_ERRORS) as error:
            self._say(str(error))
            return None
        self._keep(msgspec.structs.replace(on, is_open=True))
        self._log.info("ledger open", where=on.where)
        return settlement

    def _posted(self, settlement: Ledger) -> bool:
        try:
            settlement.post(self._book)
        except (InputError, *OUTSIDE_ERRORS) as error:
            self._say(str(error))
            return False
        return True

    def _tell(self, settlement: Ledger) -> None:
        """Log what was paid since the last time, and what a person should look at."""
        settled = settlement.settled()
        if settled.payments != self._paid:
            self._paid = settled.payments
            self._log.info("paid", payments=settled.payments, pending=settled.pending)
        self._say("; ".join((*settled.refused, *settled.alarms, *settled.waiting)))

    def _end(self, settlement: Ledger, *, has_news: bool) -> None:
        if not has_news or self._posted(settlement):
            try:
                settlement.drain(_LAST_S)
            except OUTSIDE_ERRORS as error:
                self._say(str(error))
            self._tell(settlement)
        settlement.close()

    def _say(self, trouble: str) -> None:
        """Log what is wrong when it begins or changes, and when it is over."""
        if trouble != self._trouble:
            if trouble:
                self._log.warning("ledger trouble", why=trouble)
            else:
                self._log.info("ledger well")
        self._trouble = trouble

    def _keep(self, on: _OnLedger) -> None:
        self._on = on
        self._store.commit(((LEDGER_KEY, msgspec.msgpack.encode(on)),), ())
