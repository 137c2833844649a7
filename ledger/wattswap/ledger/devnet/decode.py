"""From the bytes of a transaction to its ``model``: the SDK reads the bytes, this reads the SDK's JSON.

The shapes below are those of the SDK: a variant is an object with one key, a 64-bit number is a string.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from wattswap.ledger.devnet import bcs, sdk
from wattswap.ledger.devnet.model import (
    Argument,
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


class _Place(Struct, rename="pascal", forbid_unknown_fields=True):
    input: int | None = None
    result: int | None = None
    nested_result: tuple[int, int] | None = None


_Argument = Literal["Gas"] | _Place


class _Split(Struct):
    coin: _Argument
    amounts: list[_Argument]


class _Merge(Struct):
    coin: _Argument
    coins_to_merge: list[_Argument]


class _Transfer(Struct):
    objects: list[_Argument]
    address: _Argument


class _Vector(Struct):
    elements: list[_Argument]
    type: str | None = None


class _Call(Struct):
    package: str
    module: str
    function: str
    type_arguments: list[str] = []
    arguments: list[_Argument] = []


class _Command(Struct, rename="pascal"):
    split_coins: _Split | None = None
    merge_coins: _Merge | None = None
    transfer_objects: _Transfer | None = None
    make_move_vector: _Vector | None = None
    move_call: _Call | None = None


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
    if given.split_coins:
        return SplitCoins(_argument(given.split_coins.coin), _arguments(given.split_coins.amounts))
    if given.merge_coins:
        return MergeCoins(_argument(given.merge_coins.coin), _arguments(given.merge_coins.coins_to_merge))
    if given.transfer_objects:
        return TransferObjects(_arguments(given.transfer_objects.objects), _argument(given.transfer_objects.address))
    if given.make_move_vector:
        return MakeVector(given.make_move_vector.type, _arguments(given.make_move_vector.elements))
    if given.move_call:
        call = given.move_call
        return MoveCall(
            _bytes(call.package), call.module, call.function, call.type_arguments, _arguments(call.arguments)
        )
    raise Refused("this node has no Move machine: it cannot publish or upgrade packages")


def _arguments(given: list[_Argument]) -> list[Argument]:
    return [_argument(one) for one in given]


def _argument(given: _Argument) -> Argument:
    if isinstance(given, str):
        return Argument("gas")
    if given.input is not None:
        return Argument("input", given.input)
    if given.result is not None:
        return Argument("result", given.result)
    if given.nested_result is None:
        raise Refused("this node does not know such an argument")
    return Argument("result", *given.nested_result)


def _reference(given: _Reference) -> Reference:
    if given.version > MOST_VERSION:
        raise Refused(f"no object has version {given.version}")
    return Reference(_bytes(given.object_id), given.version, sdk.from_base58(given.digest))


def _bytes(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))
