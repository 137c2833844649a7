"""What the node speaks of: coins, transactions, and what became of them. Ids, addresses and digests are 32 bytes."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


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


Argument = Any
"""Where a command takes a value from, as the SDK's JSON has it: "Gas", {"Input": 0} or a result of a command."""
Command = dict[str, Any]
"""Its name and its parts, as the SDK's JSON has them; ``machine`` says which there are."""


class Transaction(Struct, frozen=True):
    """A programmable transaction, read."""

    digest: bytes
    sender: bytes
    inputs: list[bytes | Reference]
    """Plain values in BCS, and owned coins."""
    commands: list[Command]
    gas: list[Reference]
    gas_owner: bytes
    """The sender, or a sponsor who signs it too."""
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

    gas: GasCost
    spent: list[CoinObject]
    """Every version it used up, the gas coins among them."""
    written: list[CoinObject]
    """Every new version, sorted by id."""
    effects: bytes
    """These say, too, whether its commands took place: it is charged all the same."""
