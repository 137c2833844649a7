"""What of a book crosses a ledger, and what became of all that cars have earned.

``reserved`` and ``payable`` are tokens that still lie in the site's wallet, so of a book that pays at departure only
the net of a bill crosses, and of one that pays each reward, every reward and every bill.

Several feeders share a ledger: each has a site of its own there, ``site/<feeder>``, and its name in its keys. A car has
one wallet for all of them, which holds what the books say together. The only feeder of a street has no name.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from wattswap.ledger.base import Payment
from wattswap.ledger.book import RESERVED, SITE, Entry, payable, wallet

BILL: Final = "bill/"
"""How the key of a payment for a session begins."""
REWARD: Final = "reward/"
"""How the key of a payment for one round begins."""
_WALLET: Final = wallet("")


def site_account(feeder: str = "") -> str:
    """The account of a feeder's site on the ledger."""
    return f"{SITE}/{feeder}" if feeder else SITE


def crossing(entry: Entry, feeder: str = "") -> Payment | None:
    """The payment that an entry makes from wallet to wallet; None for most."""
    operation, key, vehicle, _, legs = entry
    if operation not in ("bill", "settle"):
        return None
    account = wallet(vehicle)
    to_car = sum(nanos for _, target, nanos in legs if target == account)
    to_car -= sum(nanos for source, _, nanos in legs if source == account)
    if to_car == 0:
        return None
    site = site_account(feeder)
    payer, payee = (site, account) if to_car > 0 else (account, site)
    prefix = BILL if operation == "bill" else REWARD
    return Payment(key=_key(prefix, key, feeder), payer=payer, payee=payee, nanos=abs(to_car))


def crossings(entries: Iterable[Entry], feeder: str = "") -> list[Payment]:
    """All payments that these entries make, in their order."""
    return [payment for entry in entries if (payment := crossing(entry, feeder)) is not None]


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
        return Earnings(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})

    @property
    def state(self) -> str:
        """In a word, or two with a plus: ``netted``, ``waiting``, ``crossed``."""
        return "+".join(name for name in ("netted", "waiting", "crossed") if getattr(self, name)) or "netted"


def earnings(entries: Iterable[Entry], is_paid: Callable[[str], bool], feeder: str = "") -> dict[str, Earnings]:
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
                paid = nanos if is_paid(_key(REWARD, key, feeder)) else 0
                found[key] = Earnings(earned=nanos, waiting=nanos - paid, crossed=paid)
        elif operation == "bill":
            taken = sum(n for source, target, n in legs if (source, target) == (payable(vehicle), SITE))
            is_final = any(source == payable(vehicle) for source, _, _ in legs) and is_paid(_key(BILL, key, feeder))
            for reward, earned in unpaid.pop(vehicle, ()):
                netted = min(earned, taken)
                taken, rest = taken - netted, earned - netted
                crossed = rest if is_final else 0
                found[reward] = Earnings(earned=earned, netted=netted, waiting=rest - crossed, crossed=crossed)
    return found


def opening_in(entries: Iterable[Entry], feeder: str = "") -> dict[str, int]:
    """Who was given what at the start, from the entries of a book: the ``opening`` of its ledger."""
    funds = [(account, nanos) for operation, _, account, nanos, _ in entries if operation == "fund"]
    return summed({site_account(feeder) if account == SITE else account: nanos} for account, nanos in funds)


def held_in(balances: Mapping[str, int], feeder: str = "") -> dict[str, int]:
    """What must lie in the wallets on a ledger once all that a book lets cross has crossed."""
    held = {account: nanos for account, nanos in balances.items() if account.startswith(_WALLET)}
    return {site_account(feeder): balances[SITE] + promised_nanos(balances), **held}


def summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """What several books say together, by account."""
    total = Counter[str]()
    for part in parts:
        total.update(part)
    return dict(total)


def promised_nanos(balances: Mapping[str, int]) -> int:
    """What the site holds for others: reserves of open awards, and rewards earned but not yet paid."""
    return sum(nanos for account, nanos in balances.items() if account == RESERVED or account.startswith(payable("")))


def _key(prefix: str, key: str, feeder: str) -> str:
    return f"{prefix}{feeder}/{key}" if feeder else prefix + key
