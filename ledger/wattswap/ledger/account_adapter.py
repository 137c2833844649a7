"""What the outbox needs of a ledger: one account's way of paying, in plain types.

An adapter belongs to one payer and has one writer. It reads the coins its next transaction will consume, signs a
transaction that names exactly these, hands bytes in, and says what became of a digest. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum, unique
from hashlib import blake2b
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from wattswap.ledger.base import Anchor, Payment
from wattswap.ledger.crossing import BILL, REWARD

OUTBOX_ID_BYTES: Final = 8
_TAG_BYTES: Final = 16
_MAC_BYTES: Final = 16
_MAGIC: Final = b"WSM1"
_HEAD_BYTES: Final = len(_MAGIC) + OUTBOX_ID_BYTES + 8


Owed: TypeAlias = Payment | Anchor
"""What a transaction carries."""


class CoinRef(Struct, frozen=True):
    """What a transaction consumes: one version of one coin, which no other transaction can consume too."""

    coin: str
    version: int
    digest: str = ""


class Purse(Struct, frozen=True, kw_only=True):
    """What an account can spend now."""

    coins: tuple[CoinRef, ...]
    nanos: int
    """What is left for payees after the most that fees can come to."""
    causes: frozenset[str] = frozenset()
    """The transactions that left these coins as they are."""
    more: bool = False
    """Whether the account has more coins than these, so that putting small ones together would help."""
    epoch: int
    """The chain's, by which a transaction's expiry is reckoned."""


class Signed(Struct, frozen=True, kw_only=True):
    """A transaction that can be handed in: from here on its bytes never change."""

    raw: bytes
    digest: str
    coins: tuple[CoinRef, ...]
    expires: int
    """The last epoch in which it can happen."""


@unique
class Verdict(StrEnum):
    """What a ledger says of a transaction."""

    FINAL = "final"
    """It happened, for good."""
    FAILED = "failed"
    """It was executed and came to nothing, for good; fees were taken, its coins have new versions."""
    CONFLICT = "conflict"
    """Another transaction holds one of its coins; ``others`` names it, if the ledger does."""
    ABSENT = "absent"
    """The ledger answers and does not know it. It may still happen if it was ever handed in."""
    UNKNOWN = "unknown"
    """No answer, or none that decides."""


class BatchOutcome(Struct, frozen=True, kw_only=True):
    """A verdict with what belongs to it."""

    verdict: Verdict
    fee_nanos: int = 0
    """What was burned."""
    deposit_nanos: int = 0
    """What was locked with new objects, less what was freed; negative if more was freed."""
    error: str = ""
    """One line for people."""
    others: tuple[str, ...] = ()
    """Digests of the transactions that hold its coins."""


class Consumer(Struct, frozen=True):
    """The transaction that consumed a version of a coin."""

    digest: str
    """Empty if the ledger does not say which one."""
    is_own: bool
    """Whether this account sent it; a coin that pays the gas is shared with others."""


class Sighting(Struct, frozen=True, kw_only=True):
    """A transaction of the account, as the ledger lists it."""

    digest: str
    outcome: BatchOutcome
    memo: bytes
    """The manifest that its writer put in, if any."""


class AccountAdapter(Protocol):
    """One account's way of paying. A failing network or node raises ``LedgerDownError`` or is an ``UNKNOWN``."""

    secret: bytes
    """Keys the tags and the seal of its manifests; at most 64 bytes."""
    most_items: int
    """Items in one transaction."""
    most_bytes: int
    """Bytes of anchored content in one transaction."""
    is_whole: bool
    """Whether what the node does not know has certainly never happened: on a devnet, where one node is the network."""

    def read(self) -> Purse:
        """What can be spent now."""
        ...

    def obstacle(self, item: Owed) -> str:
        """Why an item cannot be paid from here at all, whatever tokens there are; empty if it can."""
        ...

    def sign(self, items: Sequence[Owed], purse: Purse, memo: bytes) -> Signed:
        """A transaction over exactly the purse's coins. Touches no network; the same arguments give the same bytes."""
        ...

    def memo(self, signed: Signed) -> bytes:
        """The manifest in it."""
        ...

    def submit(self, signed: Signed) -> BatchOutcome:
        """Hand the bytes in, perhaps for the second time."""
        ...

    def status(self, digest: str) -> BatchOutcome:
        """What became of a transaction: ``FINAL``, ``FAILED``, ``ABSENT`` or ``UNKNOWN``."""
        ...

    def consumer(self, coin: CoinRef) -> Consumer | None:
        """The transaction that consumed this version; None if none did."""
        ...

    def dead(self, signed: Signed) -> bool:
        """Whether there is proof that it never happened and never can: expired, unknown, and its coins untouched."""
        ...

    def sent(self, after: int) -> tuple[list[Sighting], int]:
        """The account's own transactions in checkpoints after this one (-1: ever), oldest first.

        With the newest checkpoint up to which the list is whole.
        """
        ...


class Manifest(Struct, frozen=True):
    """What a transaction says of itself to its writer, so that a restored backup knows what it has paid already.

    Settlement keys stand in it as keyed tags: on a public ledger nobody else can read or forge them.
    """

    outbox: bytes
    """The id of the outbox that wrote it, ``OUTBOX_ID_BYTES``."""
    batch: int
    tags: tuple[bytes, ...]

    def seal(self, secret: bytes) -> bytes:
        """Its bytes: 4 magic, 8 outbox, 8 batch, 16 a tag, 16 seal."""
        body = _MAGIC + self.outbox + self.batch.to_bytes(8, "big") + b"".join(self.tags)
        return body + _mac(body, secret)


def tag(item: Owed, secret: bytes, run: str = "") -> bytes:
    """What stands for an item in a manifest: for its settlement key, and for who gets how much or what is anchored.

    What a run's book or meters owe is that run's, for the next one has bills of the same names; what a person pays
    under a key is the same payment in whichever outbox it is written down.
    """
    what = item.content if isinstance(item, Anchor) else f"{item.payee}\n{item.nanos}".encode()
    is_runs = isinstance(item, Anchor) or item.key.startswith((BILL, REWARD))
    body = (run if is_runs else "").encode() + b"\0" + item.key.encode() + b"\0" + what
    return blake2b(body, digest_size=_TAG_BYTES, key=secret, person=b"wattswap/tag").digest()


def open_manifest(memo: bytes, secret: bytes) -> Manifest | None:
    """The manifest that this secret sealed; None for anything else."""
    body, mac = memo[:-_MAC_BYTES], memo[-_MAC_BYTES:]
    if len(body) < _HEAD_BYTES or not body.startswith(_MAGIC) or mac != _mac(body, secret):
        return None
    outbox = body[len(_MAGIC) : len(_MAGIC) + OUTBOX_ID_BYTES]
    batch = int.from_bytes(body[_HEAD_BYTES - 8 : _HEAD_BYTES], "big")
    tags = tuple(body[at : at + _TAG_BYTES] for at in range(_HEAD_BYTES, len(body), _TAG_BYTES))
    return Manifest(outbox, batch, tags)


def _mac(body: bytes, secret: bytes) -> bytes:
    return blake2b(body, digest_size=_MAC_BYTES, key=secret, person=b"wattswap/seal").digest()
