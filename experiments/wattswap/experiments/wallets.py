"""Whose tokens lie where, what was paid for what, and one more payment: for a person, on any ledger or run."""

from __future__ import annotations

import re
import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import structs

from wattswap.experiments import key_files
from wattswap.experiments.ledger_places import (
    LedgerPlace,
    answering,
    opened_chain,
    require_same_chain,
    sqlite_path,
    wallets_of,
)
from wattswap.experiments.nearest import nearest
from wattswap.experiments.settlement_note import require_own, settlement_note
from wattswap.ledger.amounts import iota_of
from wattswap.ledger.base import ANCHORS, Anchor, Payment
from wattswap.ledger.book import SITE, wallet
from wattswap.ledger.crossing import BILL, REWARD
from wattswap.ledger.keys import read_key_file
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_reading import read_outbox
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError, LocalProtocolError
from wattswap.runners.payments.run_payments import MEMORY
from wattswap.runners.recording.rundir import OUTBOX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wattswap.experiments.run_book import RunBook, SessionBill
    from wattswap.ledger.iota_keys import Wallets
    from wattswap.ledger.iota_ledger import IotaLedger
    from wattswap.ledger.outbox_reading import Known, OutboxReading

_WALLET: Final = wallet("")
_ANCHOR: Final = "anchor/"
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_DIGITS: Final = 64
GAS: Final = "gas"
"""What ``iota_ledger.GAS`` is; importing that needs the SDK."""


@dataclass(frozen=True)
class Holding:
    """What one account holds."""

    name: str
    account: str
    nanos: int
    address: str = ""
    """Where its tokens lie, on a network."""
    earned_nanos: int | None = None
    """Of a car in a run: earned since its last bill, and paid with the next. Of the site: promised to others."""
    owes_nanos: int | None = None
    """Of a car in a run: what its bills came to beyond what it had."""
    under_way_nanos: int = 0
    """On a network: written down to be paid from here, and not paid yet."""


@dataclass(frozen=True)
class StatementLine:
    """One payment from or to an account."""

    payment: Payment
    sign: int
    """1 if it came in, -1 if it went out."""
    digest: str = ""
    """Of the transaction that carried it, on a network."""
    session: str | None = None
    billed: SessionBill | None = None
    """What the session came to, if a run's book says."""


@dataclass(frozen=True)
class Statement:
    """An account's payments, oldest first."""

    name: str
    account: str
    lines: tuple[StatementLine, ...]
    opening_nanos: int | None


@dataclass(frozen=True)
class PaymentOrder:
    """A payment that can be made, and how its ends are called."""

    payment: Payment
    payer: str
    payee: str
    known: bool
    """It was written down before: handing it in again moves nothing twice."""
    key: Path | None = None
    """The key file that pays; None for a wallet of the run."""
    outbox: Path | None = None
    """Where it is written down before it is sent, on a network."""
    most_fee_nanos: int = 0
    """What it may cost beside the amount, on a network; most of it is a deposit that comes back."""


class Purses:
    """The accounts of a place, to be looked at."""

    def __init__(
        self,
        place: LedgerPlace,
        ledger: SqliteLedger | IotaLedger | None,
        outboxes: Sequence[OutboxReading] = (),
        files: tuple[Path | None, Path | None] = (None, None),
    ) -> None:
        """``files`` are the key that is meant and the outbox it pays through."""
        self.place, self._ledger, self._outboxes = place, ledger, outboxes
        self._key_file, self._outbox_file = files

    # -- who ----------------------------------------------------------------------------------------------------------

    @property
    def book(self) -> RunBook | None:
        """The book of the run, if there is one."""
        return self.place.book

    def accounts(self) -> list[str]:
        """All accounts that are known by name, the site's first."""
        if isinstance(self._ledger, SqliteLedger):
            known = {account for account in self._ledger.accounts() if account != ANCHORS}
        else:
            known = {*self._sites(), GAS, ANCHORS} if self._ledger is not None and self.place.run is not None else set()
        if self.book is not None:
            known |= {*self._sites(), *(wallet(vehicle) for vehicle in self.book.vehicles)}
        return sorted(known, key=lambda account: (account.startswith(_WALLET), account))

    def _sites(self) -> Iterable[str]:
        return (SITE,) if self.book is None else self.book.sites

    def account_of(self, word: str) -> str:
        """The account that a person means: by its name, by a car's or a session's, an address, a key.

        Raises:
            InputError: nobody is called so; the nearest is named.
        """
        known = self.accounts()
        for account in (word, wallet(word)):
            if account in known:
                return account
        if self.book is not None and word in self.book.bills:
            return wallet(self.book.bills[word].vehicle)
        on_network = self._ledger is not None and not isinstance(self._ledger, SqliteLedger)
        if on_network and word.lower().startswith("0x"):
            return address_of(word)
        if on_network and (word in key_files.names() or key_files.key_path(word).is_file()):
            return key_files.read_key(word)[1].address
        names = [name_of(account) for account in known] + (key_files.names() if on_network else [])
        if not names:
            raise InputError(f"nobody is known by the name {word!r} here: give an address, a key, or a run with --run")
        raise InputError(f"there is no wallet {word!r} on {self.place.title}; the nearest is {nearest(word, names)!r}")

    def address(self, account: str) -> str:
        """Where an account's tokens lie; empty where accounts have no addresses."""
        if self._ledger is None or isinstance(self._ledger, SqliteLedger):
            return ""
        return self._ledger.wallets.address(account)

    # -- what ---------------------------------------------------------------------------------------------------------

    def balance(self, account: str) -> int:
        """The tokens in its wallet."""
        if self._ledger is not None:
            return self._ledger.balance(account)
        assert self.book is not None
        return self.book.holds(account)

    def holding(self, account: str) -> Holding:
        """What it holds, has earned and owes."""
        name, book = name_of(account), self.book
        earned = owes = None
        if book is not None and account in book.sites:
            earned = book.promised(account)
        elif book is not None and account.startswith(_WALLET):
            earned, owes = book.earned(name), book.owes(name)
        here, under_way = self.address(account), self._under_way(account)
        return Holding(name, account, self.balance(account), here, earned, owes, under_way)

    def holdings(self) -> list[Holding]:
        """What everyone holds who is known by name."""
        return [self.holding(account) for account in self.accounts()]

    def statement(self, account: str) -> Statement:
        """All payments from and to an account.

        Raises:
            InputError: nobody wrote down what it paid.
        """
        lines = tuple(self._line(payment, account) for payment in self._payments(account))
        opening = None if self.book is None else self.book.openings.get(account)
        return Statement(name_of(account), account, lines, opening)

    def _payments(self, account: str) -> Sequence[Payment]:
        if isinstance(self._ledger, SqliteLedger):
            return self._ledger.history(account)
        if self._outboxes:
            names = dict.fromkeys((account, self.address(account)))  # by hand it is paid under its address
            found = {one.item: one for outbox in self._outboxes for name in names for one in outbox.receipts(name)}
            items = sorted(found, key=lambda item: found[item].at_ms)
            return [
                structs.replace(item, payee=account) if item.payee in names else item
                for item in items
                if isinstance(item, Payment)
            ]
        if self._ledger is None and self.book is not None:
            return [payment for payment in self.book.payments if account in (payment.payer, payment.payee)]
        raise InputError(
            "a network does not say what a payment was for, and nothing was written down here: name a run with --run,"
            " or a key that has paid"
        )

    def _line(self, payment: Payment, account: str) -> StatementLine:
        session = payment.key.removeprefix(BILL) if payment.key.startswith(BILL) else None
        billed = self.book.bills.get(session) if self.book is not None and session is not None else None
        known = self._found(payment.key)
        digest = "" if known is None else known.digest
        return StatementLine(payment, 1 if payment.payee == account else -1, digest, session, billed)

    def _found(self, key: str) -> Known | None:
        """What the outboxes of a network know of a settlement key."""
        return next((known for outbox in self._outboxes if (known := outbox.find(key)) is not None), None)

    # -- one more payment ---------------------------------------------------------------------------------------------

    def order(self, payer: str, payee: str, nanos: int, key: str | None) -> PaymentOrder:
        """A payment that can be made now.

        Raises:
            InputError: it cannot: somebody is unknown, tokens are missing, the key stands for something else.
        """
        if self._ledger is None:
            raise InputError(
                f"{self.place.title} settled in memory, where nothing can be paid any more: name a ledger with --ledger"
            )
        if key is not None and key.startswith((BILL, REWARD, _ANCHOR)):
            raise InputError(f"--key {key}: keys that begin so stand for a run's own payments; choose another one")
        source, target = self.account_of(payer), self.account_of(payee)
        if _ADDRESS.fullmatch(source) and self._key_file is None:
            raise InputError(f"an address cannot pay, {payer} needs its key: name the key or its file")
        if source == target or self.address(source) == self.address(target) != "":
            raise InputError(f"{name_of(source)} cannot pay itself")
        try:
            payment = Payment(
                key=f"pay/{secrets.token_hex(8)}" if key is None else key,
                payer=source,
                payee=self.address(target) or target,  # the same payment, however the payee is called
                nanos=nanos,
            )
        except LocalProtocolError as error:
            raise InputError(str(error)) from None
        known = self._known(payment)
        if not known:
            self._require_funds(payment)
        fee = 0 if isinstance(self._ledger, SqliteLedger) else self._ledger.adapter(source).most_fee_nanos(1)
        return PaymentOrder(payment, name_of(source), name_of(target), known, self._key_file, self._outbox_file, fee)

    def _known(self, payment: Payment) -> bool:
        """Whether exactly this was written down before."""
        if isinstance(self._ledger, SqliteLedger):
            before = self._ledger.payment(payment.key)
        else:
            found = self._found(payment.key)
            item = None if found is None else found.item
            if isinstance(item, Anchor):
                raise InputError(f"the key {payment.key!r} is that of a meter record: leave --key out")
            before = item
        if before is not None and before != payment:
            payer, payee = self._called(before.payer), self._called(before.payee)
            raise InputError(
                f"the key {payment.key!r} already stands for {iota_of(before.nanos)} IOTA from {payer} to {payee}:"
                " leave --key out for a new payment"
            )
        return before is not None

    def _called(self, account: str) -> str:
        """How a person calls an account, also one that stands somewhere under its address."""
        names = {self.address(known): known for known in self.accounts()} if _ADDRESS.fullmatch(account) else {}
        return name_of(names.get(account, account))

    def _require_funds(self, payment: Payment) -> None:
        has = self._spendable(payment.payer)
        if payment.nanos > has:
            raise InputError(
                f"{name_of(payment.payer)} can spend {iota_of(has)} IOTA, which is less than {iota_of(payment.nanos)}"
            )

    def _spendable(self, account: str) -> int:
        """What is not needed for gas, nor promised to others in this outbox."""
        assert self._ledger is not None
        if isinstance(self._ledger, SqliteLedger):
            return self._ledger.balance(account)
        return max(0, self._ledger.adapter(account).spendable() - self._under_way(account))

    def _under_way(self, account: str) -> int:
        return sum(outbox.outstanding_nanos(account) for outbox in self._outboxes)


@contextmanager
def open_purses(place: LedgerPlace, *, word: str = "", allow: Sequence[str] | None = None) -> Iterator[Purses]:
    """The accounts of a place, nothing of which is changed. ``word`` names the one that is meant, if it is one.

    ``allow`` names the public chains that may be paid on; None is for looking only.

    Raises:
        InputError: it cannot be opened or reached; the text says why.
    """
    with answering():
        if place.ledger == MEMORY:
            place.require_book()
            yield Purses(place, None)
        elif (path := sqlite_path(place.ledger)) is not None:
            with SqliteLedger(path, reads_only=True) as ledger:
                yield Purses(place, ledger)
        else:
            with _open_network(place, word, allow) as purses:
                yield purses


@contextmanager
def _open_network(place: LedgerPlace, word: str, allow: Sequence[str] | None) -> Iterator[Purses]:
    key = _key_of(place, word)
    with ExitStack() as files:
        chain = files.enter_context(
            opened_chain(place.ledger, wallets_with(place, key), Outbox(None), allow=allow, sponsored=key is None)
        )
        require_same_chain(place, chain.network)
        run_outbox = None if place.run is None else place.run / OUTBOX
        own = run_outbox if key is None else key.with_name(f"{key.name}-outbox-{chain.network}")
        if allow is not None and key is None and own is not None and not own.exists():
            raise InputError(f"{own} is gone: without it nobody knows what this wallet has paid")
        there = [path for path in dict.fromkeys((own, run_outbox)) if path is not None and path.exists()]
        outboxes = [files.enter_context(read_outbox(path)) for path in there]
        for path, outbox in zip(there, outboxes, strict=True):
            if path == run_outbox:
                require_runs_own(place, outbox)
        yield Purses(place, chain, outboxes, (key, own))


def require_runs_own(place: LedgerPlace, outbox: OutboxReading) -> None:
    """Refuse an outbox that is not the one of the run, or not of its wallets.

    Raises:
        InputError: it is another one.
    """
    assert place.run is not None
    note = settlement_note(place.run)
    for name, identity in (("outbox", outbox.identity), ("wallets", outbox.wallets)):
        require_own(place.run, {} if note is None else note.identities, name, identity)


def _key_of(place: LedgerPlace, word: str) -> Path | None:
    """The key file that a word names; None for a wallet of the run, an address, or what nobody knows."""
    if place.run is not None and _is_of_run(place.book, word):
        return None
    if word in key_files.names() or (word and not word.lower().startswith("0x") and key_files.key_path(word).exists()):
        return key_files.read_key(word)[0]
    return None


def _is_of_run(book: RunBook | None, word: str) -> bool:
    names = {SITE, GAS, ANCHORS}
    if book is not None:
        names |= {*book.sites, *book.vehicles, *book.bills}
    return name_of(word) in names


def wallets_with(place: LedgerPlace, key: Path | None) -> Wallets:
    """The wallets of a run, or the one of a key file beside the addresses of the run's."""
    from wattswap.ledger.iota_keys import FileWallets

    of_run = wallets_of(place)
    if key is None:
        return of_run or FileWallets({})
    book = place.book
    accounts = [SITE] if book is None else [*book.sites, *map(wallet, book.vehicles)]
    addresses = {} if of_run is None else {account: of_run.address(account) for account in accounts}
    return FileWallets({read_key_file(key).address: key}, addresses)


def name_of(account: str) -> str:
    """How a person calls an account."""
    return account.removeprefix(_WALLET)


def address_of(word: str) -> str:
    """An IOTA address as somebody typed it.

    Raises:
        InputError: it is none; the text says what is wrong with it.
    """
    if _ADDRESS.fullmatch(word.replace("0X", "0x", 1)):
        return word.lower()
    digits = word[2:]
    wrong = next((at for at, digit in enumerate(digits, 1) if digit not in "0123456789abcdefABCDEF"), None)
    if wrong is not None:
        raise InputError(f"{word} is no address: {digits[wrong - 1]!r}, digit {wrong} after 0x, is not hexadecimal")
    raise InputError(f"{word} is no address: it has {len(digits)} digits after 0x, an IOTA address has {_DIGITS}")
