"""What of a book crosses a ledger, and what became of all that cars have earned.

``reserved`` and ``payable`` are tokens that still lie in the site's wallet, so of a book that pays at departure only
the net of a bill crosses, and of one that pays each reward, every reward and every bill.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from wattswap.ledger.base import Ledger, Payment
from wattswap.ledger.book import RESERVED, SITE, Book, Entry, payable, wallet

BILL: Final = "bill/"
"""How the key of a payment for a session begins."""
REWARD: Final = "reward/"
"""How the key of a payment for one round begins."""
_WALLET: Final = wallet("")


def crossing(entry: Entry) -> Payment | None:
    """The payment that an entry makes from wallet to wallet; None for most."""
    operation, key, vehicle, _, legs = entry
    if operation not in ("bill", "settle"):
        return None
    account = wallet(vehicle)
    to_car = sum(nanos for _, target, nanos in legs if target == account)
    to_car -= sum(nanos for source, _, nanos in legs if source == account)
    if to_car == 0:
        return None
    payer, payee = (SITE, account) if to_car > 0 else (account, SITE)
    prefix = BILL if operation == "bill" else REWARD
    return Payment(key=f"{prefix}{key}", payer=payer, payee=payee, nanos=abs(to_car))


def crossings(entries: Iterable[Entry]) -> list[Payment]:
    """All payments that these entries make, in their order."""
    return [payment for entry in entries if (payment := crossing(entry)) is not None]


class Earnings(Struct, frozen=True, kw_only=True):
    """What became of rewards, in nanos: ``earned`` is the sum of the other three."""

    earned: int = 0
    netted: int = 0
    """What bills took of it: it paid for energy and never left the site."""
    waiting: int = 0
    """What is not billed yet, or whose payment the ledger has not made."""
    crossed: int = 0
    """What lies in the cars' wallets on the ledger."""

    def __add__(self, other: Earnings) -> Earnings:
        """Both together."""
        return Earnings(
            earned=self.earned + other.earned,
            netted=self.netted + other.netted,
            waiting=self.waiting + other.waiting,
            crossed=self.crossed + other.crossed,
        )

    @property
    def state(self) -> str:
        """In a word, or two with a plus: ``netted``, ``waiting``, ``crossed``."""
        return "+".join(name for name in ("netted", "waiting", "crossed") if getattr(self, name)) or "netted"


def earnings(entries: Iterable[Entry], is_paid: Callable[[str], bool]) -> dict[str, Earnings]:
    """What became of each reward, by its settlement key; ``is_paid`` says whether a payment was made on the ledger.

    A bill takes the oldest rewards first, so at most one reward of a bill is in part netted and in part paid.
    """
    found: dict[str, Earnings] = {}
    unpaid: dict[str, deque[tuple[str, int]]] = {}
    for entry in entries:
        operation, key, vehicle, nanos, legs = entry
        if operation == "settle" and nanos:
            if crossing(entry) is None:
                unpaid.setdefault(vehicle, deque()).append((key, nanos))
                found[key] = Earnings(earned=nanos, waiting=nanos)
            else:
                paid = nanos if is_paid(REWARD + key) else 0
                found[key] = Earnings(earned=nanos, waiting=nanos - paid, crossed=paid)
        elif operation == "bill":
            taken = sum(n for source, target, n in legs if (source, target) == (payable(vehicle), SITE))
            is_final = any(source == payable(vehicle) for source, _, _ in legs) and is_paid(BILL + key)
            for reward, earned in unpaid.pop(vehicle, ()):
                netted = min(earned, taken)
                taken, rest = taken - netted, earned - netted
                crossed = rest if is_final else 0
                found[reward] = Earnings(earned=earned, netted=netted, waiting=rest - crossed, crossed=crossed)
    return found


def opening_of(book: Book) -> dict[str, int]:
    """Who holds what according to a book in which nothing has happened yet: the ``opening`` of its ledger."""
    return _wallets(book.balances())


def opening_in(entries: Iterable[Entry]) -> dict[str, int]:
    """The same, from the entries of a book."""
    opening: dict[str, int] = {}
    for operation, _, account, nanos, _ in entries:
        if operation == "fund":
            opening[account] = opening.get(account, 0) + nanos
    return opening


def differences(
    balances: Mapping[str, int], ledger: Ledger, surplus: Mapping[str, int] = MappingProxyType({})
) -> list[str]:
    """Where the ledger's wallets hold something else than a book says, once all is settled; nothing if they agree.

    ``surplus`` is what wallets held beyond their opening funds, and is none of the book's business.
    """
    expected = _wallets(balances)
    expected[SITE] += promised_nanos(balances)
    held = {account: ledger.balance(account) - surplus.get(account, 0) for account in expected}
    return [
        f"{account} holds {held[account]} nanos on the ledger, {nanos} in the book"
        for account, nanos in expected.items()
        if held[account] != nanos
    ]


def promised_nanos(balances: Mapping[str, int]) -> int:
    """What the site holds for others: reserves of open awards, and rewards earned but not yet paid."""
    return sum(nanos for account, nanos in balances.items() if account == RESERVED or account.startswith(payable("")))


def _wallets(balances: Mapping[str, int]) -> dict[str, int]:
    """What can be spent: the site's tokens, and those of the cars."""
    return {account: nanos for account, nanos in balances.items() if account == SITE or account.startswith(_WALLET)}
