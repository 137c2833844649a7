"""A transaction of the local ledgers: what one account hands in as one piece, named by the hash of its bytes.

A chain knows transactions by their digest and lets an owner's coin be spent once per version. The ledgers in memory
and in SQLite do the same with a number per account, so that one outbox serves all of them: a transaction is valid only
while its ``sequence`` is the account's next, it happens as a whole or is noted as failed, and the same bytes handed in
again change nothing.
"""

from __future__ import annotations

from enum import StrEnum, unique
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from wattswap.ledger.base import Anchor, Payment
from wattswap.protocol.errors import LocalProtocolError

Order: TypeAlias = tuple[str, str, int]
"""One payment of a transaction: (key, payee, nanos)."""
Note: TypeAlias = tuple[str, int, bytes]
"""One anchor of a transaction: (site, sequence, content)."""

_DIGEST_BYTES: Final = 32


class LocalTransaction(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What an account hands in."""

    account: str
    sequence: int
    """0 for its first, then one more each time, whether it succeeded or failed."""
    orders: tuple[Order, ...]
    notes: tuple[Note, ...]
    memo: bytes
    """For whoever wrote it; the ledger keeps it unread."""

    def payments(self) -> list[Payment]:
        """Its orders as payments."""
        return [Payment(key=key, payer=self.account, payee=payee, nanos=nanos) for key, payee, nanos in self.orders]

    def anchors(self) -> list[Anchor]:
        """Its notes as anchors."""
        return [Anchor(site=site, sequence=sequence, content=content) for site, sequence, content in self.notes]


@unique
class Ending(StrEnum):
    """How a transaction ended. Both are final."""

    DONE = "done"
    FAILED = "failed"


class Executed(Struct, frozen=True):
    """What a ledger says of a transaction it has carried out."""

    digest: str
    ending: Ending
    error: str = ""
    """Why it failed, one line."""


class SupersededError(LocalProtocolError):
    """Its sequence is not the account's next; ``digest`` names the transaction in its place, if there is one."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"another transaction stands in its place: {digest or 'none yet'}")
        self.digest = digest


def encode(transaction: LocalTransaction) -> bytes:
    """Its one and only byte form: a positional array in MessagePack."""
    return msgspec.msgpack.encode(transaction)


def decode(raw: bytes) -> LocalTransaction:
    """The transaction of these bytes. Raises ``LocalProtocolError`` if they are not in its one form."""
    try:
        transaction = msgspec.msgpack.decode(raw, type=LocalTransaction)
    except msgspec.MsgspecError as error:
        raise LocalProtocolError(f"not a transaction: {error}") from None
    if encode(transaction) != raw:
        raise LocalProtocolError("not a transaction in its one form")
    return transaction


def digest(raw: bytes) -> str:
    """The name of a transaction: the hash of its bytes, in hexadecimal."""
    return blake2b(raw, digest_size=_DIGEST_BYTES, person=b"wattswap/tx").hexdigest()
