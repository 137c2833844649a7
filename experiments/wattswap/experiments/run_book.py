"""The book of a run, read back from its directory: who was billed what, and for which rounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from wattswap.ledger.book import SITE, payable, receivable, wallet
from wattswap.ledger.crossing import crossing, crossings, held_in, opening_in, promised_nanos, site_account, summed
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
    """The book of each feeder's site as the run left it; the only feeder of a street has no name."""

    entries_of: dict[str, tuple[Entry, ...]]
    balances_of: dict[str, dict[str, int]]

    @property
    def sites(self) -> dict[str, str]:
        """The account of each site -> its feeder."""
        return {site_account(feeder): feeder for feeder in self.entries_of}

    @property
    def vehicles(self) -> list[str]:
        """Every car that has a wallet."""
        accounts = {account for balances in self.balances_of.values() for account in balances}
        return sorted(account.removeprefix(_WALLET) for account in accounts if account.startswith(_WALLET))

    @cached_property
    def bills(self) -> dict[str, SessionBill]:
        """What each session came to, by its name (``<feeder>/<session>`` where there are several feeders).

        A car's rewards since its bill before are netted against the next, but for those that crossed a ledger at once.
        """
        found: dict[str, SessionBill] = {}
        for feeder, entries in self.entries_of.items():
            earned: dict[str, list[Earned]] = {}
            for entry in entries:
                operation, key, subject, nanos, _ = entry
                if operation == "settle" and nanos and crossing(entry) is None:
                    number, _, session = key.partition("/")
                    earned.setdefault(subject, []).append(Earned(number, session, nanos))
                elif operation == "bill":
                    session = f"{feeder}/{key}" if feeder else key
                    found[session] = SessionBill(session, subject, nanos, tuple(earned.pop(subject, ())))
        return found

    @cached_property
    def payments(self) -> list[Payment]:
        """What crossed, or would cross, a ledger: of each feeder in order."""
        return [payment for feeder, entries in self.entries_of.items() for payment in crossings(entries, feeder)]

    @property
    def openings(self) -> dict[str, int]:
        """Who was given what at the start."""
        return summed(opening_in(entries, feeder) for feeder, entries in self.entries_of.items())

    def holds(self, account: str) -> int:
        """The tokens that lie in an account's wallet; what a site has promised still lies in its own."""
        return self._held.get(account, 0)

    @cached_property
    def _held(self) -> dict[str, int]:
        return summed(held_in(balances, feeder) for feeder, balances in self.balances_of.items())

    def promised(self, site: str = SITE) -> int:
        """What a site holds for others."""
        return promised_nanos(self.balances_of[self.sites[site]])

    def earned(self, vehicle: str) -> int:
        """What a car has earned since its last bill: it is paid with the next."""
        return self._sum(payable(vehicle))

    def owes(self, vehicle: str) -> int:
        """What a car still owes the sites; negative if they owe it."""
        return self._sum(receivable(vehicle))

    def _sum(self, account: str) -> int:
        return sum(balances.get(account, 0) for balances in self.balances_of.values())


def read_book(run: Path, run_id: str | None = None) -> RunBook:
    """The books in a run directory; ``run_id`` is that of its settlement, if it has one.

    Raises:
        InputError: there is none, it cannot be read, or it is another run's.
    """
    read = {feeder: rundir.read_book(run, feeder, run_id=run_id) for feeder in rundir.feeders_with_books(run)}
    return RunBook(
        {feeder: tuple(entries) for feeder, (entries, _) in read.items()},
        {feeder: balances for feeder, (_, balances) in read.items()},
    )
