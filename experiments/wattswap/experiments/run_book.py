"""The book of a run, read back from its directory: who was billed what, and for which rounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from wattswap.ledger.book import SITE, payable, receivable, wallet
from wattswap.ledger.crossing import crossings, opening_in, promised_nanos
from wattswap.runners.recording import rundir

if TYPE_CHECKING:
    from pathlib import Path

    from wattswap.ledger.base import Payment
    from wattswap.ledger.book import Entry

_WALLET: Final = wallet("")


@dataclass(frozen=True)
class Earned:
    """What a car got for giving way in one round."""

    round: str
    session: str
    nanos: int


@dataclass(frozen=True)
class SessionBill:
    """What a session came to."""

    session: str
    vehicle: str
    nanos: int
    """Its energy at tariff, before the rewards; negative if it fed back more than it drew."""
    rounds: tuple[Earned, ...]
    """The rewards that were netted against it."""


@dataclass(frozen=True)
class RunBook:
    """Entries and balances as the run left them."""

    entries: tuple[Entry, ...]
    balances: dict[str, int]

    @property
    def vehicles(self) -> list[str]:
        """Every car that has a wallet."""
        return sorted(account.removeprefix(_WALLET) for account in self.balances if account.startswith(_WALLET))

    @cached_property
    def bills(self) -> dict[str, SessionBill]:
        """What each session came to. A car's rewards since its bill before are netted against the next."""
        found: dict[str, SessionBill] = {}
        earned: dict[str, list[Earned]] = {}
        for operation, key, subject, nanos, _ in self.entries:
            if operation == "settle" and nanos:
                number, _, session = key.partition("/")
                earned.setdefault(subject, []).append(Earned(number, session, nanos))
            elif operation == "bill":
                found[key] = SessionBill(key, subject, nanos, tuple(earned.pop(subject, ())))
        return found

    @cached_property
    def payments(self) -> list[Payment]:
        """What crossed, or would cross, a ledger, in order."""
        return crossings(self.entries)

    @property
    def openings(self) -> dict[str, int]:
        """Who was given what at the start."""
        return opening_in(self.entries)

    def holds(self, account: str) -> int:
        """The tokens that lie in an account's wallet; what the site has promised still lies in its own."""
        held = self.balances.get(account, 0)
        if account == SITE:
            held += self.promised
        return held

    @property
    def promised(self) -> int:
        """What the site holds for others."""
        return promised_nanos(self.balances)

    def earned(self, vehicle: str) -> int:
        """What a car has earned since its last bill: it is paid with the next."""
        return self.balances.get(payable(vehicle), 0)

    def owes(self, vehicle: str) -> int:
        """What a car still owes the site; negative if the site owes it."""
        return self.balances.get(receivable(vehicle), 0)


def read_book(run: Path) -> RunBook:
    """The book in a run directory.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    entries, balances = rundir.read_book(run)
    return RunBook(tuple(entries), balances)
