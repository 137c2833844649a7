"""What the node speaks of: coins, transactions, and what became of them. Ids, addresses and digests are 32 bytes."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct, field


class Refused(ValueError):  # noqa: N818 - a verdict
    """What came in cannot be carried out, and nothing has changed. The text is one line, fit to be sent back."""


class CoinObject(Struct, frozen=True):
    """A coin of IOTA in one version. It is never changed: a transaction writes a later version beside it."""

    id: bytes
    version: int
    owner: bytes
    nanos: int
    previous: bytes
    """Digest of the transaction that wrote this version."""
    digest: bytes
    """Of the object's bytes; references name it, so a reference holds for this content only."""


class Reference(Struct, frozen=True):
    """One version of an object, as a transaction names it."""

    id: bytes
    version: int
    digest: bytes


class ArgumentPlace(Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """An input by its number, or what an earlier command left: all of it, or one of its values."""

    input: int | None = None
    result: int | None = None
    nested_result: tuple[int, int] | None = None


Argument = Literal["Gas"] | ArgumentPlace
"""Where a command takes a value from. Arguments and commands are named as the SDK's JSON names them."""


class SplitCoins(Struct, frozen=True):
    """New coins, one for each amount, out of a coin."""

    coin: Argument
    amounts: list[Argument]


class MergeCoins(Struct, frozen=True):
    """Coins that end, their tokens going into one that stays."""

    coin: Argument
    sources: list[Argument] = field(name="coins_to_merge")


class TransferObjects(Struct, frozen=True):
    """Coins that get a new owner."""

    objects: list[Argument]
    address: Argument


class MakeVector(Struct, frozen=True):
    """A vector of plain values that nobody takes: how a record is anchored."""

    type: str | None
    elements: list[Argument]


class MoveCall(Struct, frozen=True):
    """A call of a Move function; ``machine`` knows one."""

    package: str
    module: str
    function: str
    types: list[str] = field(name="type_arguments")
    arguments: list[Argument]


Command = SplitCoins | MergeCoins | TransferObjects | MakeVector | MoveCall


class Transaction(Struct, frozen=True):
    """A programmable transaction, read."""

    digest: bytes
    signing_digest: bytes
    size: int
    """Of its bytes."""
    sender: bytes
    inputs: list[bytes | Reference]
    """Plain values in BCS, and owned objects."""
    commands: list[Command]
    gas: list[Reference]
    gas_owner: bytes
    gas_price: int
    gas_budget: int
    last_epoch: int | None


class GasCost(Struct, frozen=True):
    """What a transaction cost, in nanos. Computation is burned; deposits come back when their coins end."""

    computation: int
    deposits: int
    rebate: int

    @property
    def net(self) -> int:
        """What the gas coin loses; negative if more deposits came back than the rest cost."""
        return self.computation + self.deposits - self.rebate


class Execution(Struct, frozen=True):
    """All that a transaction comes to: what the store writes, in one go."""

    transaction: Transaction
    gas: GasCost
    spent: list[CoinObject]
    """Every version it used up, the gas coins among them."""
    written: list[CoinObject]
    """Every new version, sorted by id."""
    effects: bytes
    error: str
    """Why its commands did not take place (it is charged all the same); empty if they did."""


class View(Protocol):
    """What the pure part may ask about the state."""

    def coin(self, coin_id: bytes) -> CoinObject | None:
        """The coin as it is now, or None if there is none (any more)."""
        ...

    def spender(self, coin_id: bytes, version: int) -> bytes | None:
        """Digest of the transaction that used this version up: the lock that lets no second one in."""
        ...
