"""What a run needs of a ledger: its book written down as it grows, what the book pays, and its meter records.

On the embedded ledger an entry and its payment are one write. On a chain an entry and what it owes are one write, into
an outbox, and a thread of its own brings that over the network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from wattswap.ledger.base import Anchor, Closing, Ledger
from wattswap.ledger.book import Book, Entry

DRAIN_S: Final = 60.0
REST: Final = 99
"""While agents run, threads beside them rest so many times as long as they worked: a hundredth is theirs."""

Progress = Callable[[int], None]  # is told how much is undecided, at first and whenever it has become less


class Settled(Struct, frozen=True, kw_only=True):
    """Where a settlement stands."""

    pending: int
    """Payments and records that are not decided."""
    payments: int
    """How many were made."""
    anchors: int
    """How many records are on the ledger."""
    fees_nanos: int = 0
    """Burned so far."""
    deposits_nanos: int = 0
    """Locked in storage deposits so far, less what was freed."""
    refused: tuple[str, ...] = ()
    """Keys of what the ledger came to refuse for good."""
    alarms: tuple[str, ...] = ()
    """What a person should look at."""
    waiting: tuple[str, ...] = ()  # why accounts, or payments that are held back, are waiting

    @property
    def ok(self) -> bool:
        """All is paid, and nothing is odd."""
        return not self.pending and not self.refused and not self.alarms


class Settlement(Closing, ABC):
    """A ledger, and how a book comes to it. It owns the ledger and closes it."""

    ledger: Ledger

    @abstractmethod
    def post(self, book: Book, feeder: str = "") -> None:
        """Write down what is new in a feeder's book, and have what it pays paid."""

    @abstractmethod
    def entries(self, feeder: str = "") -> list[Entry]:
        """The entries of a feeder's book, as far as they were written down."""

    @abstractmethod
    def keep(self, anchors: Sequence[Anchor]) -> None:
        """Have these records anchored, some time, for ever; a repeat is harmless.

        One in whose place another record stands is left out and named among the ``refused``; it stops no other.
        """

    @abstractmethod
    def is_anchored(self, anchor: Anchor) -> bool:
        """Whether it is on the ledger for good."""

    @abstractmethod
    def drain(self, timeout_s: float = DRAIN_S, progress: Progress = lambda _left: None) -> Settled:
        """Wait until all is decided, or nothing more was decided for so long."""

    @abstractmethod
    def settled(self) -> Settled:
        """Where it stands now."""

    @abstractmethod
    def paid_keys(self) -> set[str]:
        """The settlement keys under which the ledger has paid."""

    @abstractmethod
    def identities(self) -> dict[str, str]:
        """What tells this ledger, and what lies beside it, from all others."""

    def surplus(self) -> dict[str, int]:
        """What wallets held when it was opened beyond their opening funds."""
        return {}

    def anchored(self, site: str, *, first: int = 0, last: int | None = None) -> list[Anchor]:
        """A site's records from ``first`` to ``last``, both included, as the ledger lists them."""
        return self.ledger.anchored(site, first=first, last=last)
