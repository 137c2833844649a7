"""From the bytes of a transaction to its ``model``: the SDK reads the bytes, this reads the SDK's JSON.

The shapes are those of the SDK: a variant is an object with one key, a 64-bit number is a string.
"""

from __future__ import annotations

from typing import Literal, cast

import msgspec
from msgspec import Struct, structs

from wattswap.ledger.devnet import bcs, sdk
from wattswap.ledger.devnet.model import (
    Command,
    MakeVector,
    MergeCoins,
    MoveCall,
    Reference,
    Refused,
    SplitCoins,
    Transaction,
    TransferObjects,
)
from wattswap.ledger.devnet.rules import MOST_TRANSACTION_BYTES, MOST_VERSION


class _Command(Struct, rename="pascal"):
    """One of these."""

    split_coins: SplitCoins | None = None
    merge_coins: MergeCoins | None = None
    transfer_objects: TransferObjects | None = None
    make_move_vector: MakeVector | None = None
    move_call: MoveCall | None = None


class _Reference(Struct):
    object_id: str
    version: int
    digest: str


class _Input(Struct, rename="pascal"):
    pure: bytes | None = None
    immutable_or_owned: _Reference | None = None


class _Programmable(Struct):
    inputs: list[_Input]
    commands: list[_Command]


class _Kind(Struct, rename="pascal"):
    programmable: _Programmable | None = None


class _Gas(Struct):
    objects: list[_Reference]
    owner: str
    price: int
    budget: int


class _Expiration(Struct, rename="pascal"):
    epoch: int | None = None


class _V1(Struct):
    kind: _Kind
    sender: str
    gas_payment: _Gas
    expiration: Literal["None"] | _Expiration


class _Transaction(Struct, rename="pascal"):
    v1: _V1


def transaction(data: bytes) -> Transaction:
    """Read a transaction, or refuse it: what is no transaction, and what this node cannot do at all."""
    if len(data) > MOST_TRANSACTION_BYTES:
        raise Refused(f"the transaction has {len(data)} bytes, and {MOST_TRANSACTION_BYTES} is the most")
    text, signing_digest = sdk.transaction_json(data)
    try:
        body = msgspec.json.decode(text, type=_Transaction, strict=False).v1
    except msgspec.ValidationError as error:
        raise Refused(f"this node does not know such a transaction: {error}") from None
    if body.kind.programmable is None:
        raise Refused("only programmable transactions can be sent")
    return Transaction(
        digest=bcs.transaction_digest(data),
        signing_digest=signing_digest,
        size=len(data),
        sender=_bytes(body.sender),
        inputs=[_input(one) for one in body.kind.programmable.inputs],
        commands=[_command(one) for one in body.kind.programmable.commands],
        gas=[_reference(one) for one in body.gas_payment.objects],
        gas_owner=_bytes(body.gas_payment.owner),
        gas_price=body.gas_payment.price,
        gas_budget=body.gas_payment.budget,
        last_epoch=body.expiration.epoch if isinstance(body.expiration, _Expiration) else None,
    )


def _input(given: _Input) -> bytes | Reference:
    if given.pure is not None:
        return given.pure
    if given.immutable_or_owned is None:
        raise Refused("this node has no shared objects and receives none: inputs are plain values or owned coins")
    return _reference(given.immutable_or_owned)


def _command(given: _Command) -> Command:
    command = next((one for one in structs.astuple(given) if one is not None), None)
    if command is None:
        raise Refused("this node has no Move machine: it cannot publish or upgrade packages")
    return cast("Command", command)


def _reference(given: _Reference) -> Reference:
    if given.version > MOST_VERSION:
        raise Refused(f"no object has version {given.version}")
    return Reference(_bytes(given.object_id), given.version, sdk.from_base58(given.digest))


def _bytes(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))
