"""The contract of every ledger: who holds what, many payments at once, each at most once, and records for ever.

A ledger is told what to pay under a settlement key that the payer chose and wrote down beforehand. Whoever does not
know whether a payment went through (a timeout, a crash) sends it again under the same key; that is always safe.
Anything that takes time (a network, a chain) belongs behind a ledger, never in an agent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from wattswap.ledger.base import Anchor, Closing, Payment, PaymentStatus
from wattswap.protocol.identity import LOCAL_NETWORK

if TYPE_CHECKING:
    from wattswap.ledger.book import Book, Entry
    from wattswap.ledger.outbox import Outbox

DRAIN_S: Final = 60.0
"""A ledger that has decided nothing for so long is waited for no longer."""
REST: Final = 99
"""While agents run, threads beside them rest so many times as long as they worked: a hundredth is theirs."""
Progress: TypeAlias = Callable[[int], None]
"""Is told how much is undecided, at first and whenever it has become less."""


class Settled(Struct, frozen=True, kw_only=True):
    """Where a ledger stands with what a book pays and with meter records."""

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
    """Keys of what the ledger came to refuse for good, each with why."""
    alarms: tuple[str, ...] = ()
    """What a person should look at."""
    waiting: tuple[str, ...] = ()
    """Why accounts, or payments that are held back, are waiting."""
    notes: tuple[str, ...] = ()
    """What is good to know, and asks for nothing."""

    @property
    def ok(self) -> bool:
        """All is paid, and nothing is odd."""
        return not self.pending and not self.refused and not self.alarms


class Ledger(Closing, ABC):
    """A ledger, and how a run's book and meter records come to it. Accounts are strings; amounts are whole nanos.

    What is posted or kept is written down when the call returns. The embedded ledger has then paid it; on a chain a
    thread of the ledger brings it over the network.
    """

    network: str = LOCAL_NETWORK
    """The network that meter records are signed for."""
    is_ours: bool = True
    """Whether nobody else reads what stands there: it is a file, or a devnet."""
    outbox: Outbox | None = None
    """What a chain still owes, and what a person should look at."""

    # -- wallets ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def balance(self, account: str) -> int:
        """Nanos the account can spend now, never negative; 0 for one the ledger has not heard of."""

    @abstractmethod
    def pay(self, payments: Sequence[Payment]) -> list[PaymentStatus]:
        """Make these payments and answer each, in their order.

        Each stands for itself: one that is refused stops no other. The same key with the same content ``EXISTS`` and
        moves nothing; with other content, or when the payer does not hold the tokens, it is ``REFUSED``. A refusal is
        not remembered: once there are tokens, the same payment may be handed in again. Whether a payment can spend
        what an earlier one of the same call brings in is up to the backend; do not build on it.
        """

    @abstractmethod
    def history(self, account: str) -> list[Payment]:
        """All payments made from or to the account, oldest first, each once; no refused ones, no opening funds."""

    @abstractmethod
    def paid_keys(self) -> set[str]:
        """The keys of all payments that were made."""

    @abstractmethod
    def anchored(self, site: str, *, run: str | None = None, first: int = 0, last: int | None = None) -> list[Anchor]:
        """The site's anchors from ``first`` to ``last``, both included, in the order of their sequence.

        With a ``run`` those that say they are another's are left out.
        """

    # -- a run's book and records -------------------------------------------------------------------------------------

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
        """Whether exactly this record is there for good."""

    @abstractmethod
    def drain(self, timeout_s: float = DRAIN_S, progress: Progress = lambda _left: None) -> Settled:
        """Wait until all is decided, or nothing more was decided for so long."""

    @abstractmethod
    def settled(self) -> Settled:
        """Where it stands now."""

    @abstractmethod
    def identities(self) -> dict[str, str]:
        """What tells this ledger, and what lies beside it, from all others."""

    def held(self, opening: Mapping[str, int]) -> dict[str, int]:
        """What these accounts, who opened with so much, hold after all that this run has paid on the ledger."""
        return {account: self.balance(account) for account in opening}

    def differences(self, expected: Mapping[str, int], opening: Mapping[str, int]) -> list[str]:
        """Where wallets hold something else than is expected, once all is settled."""
        held = self.held(dict.fromkeys(expected, 0) | dict(opening))
        return [
            f"{account} holds {held[account]} nanos on the ledger, {nanos} in the book"
            for account, nanos in expected.items()
            if held[account] != nanos
        ]
