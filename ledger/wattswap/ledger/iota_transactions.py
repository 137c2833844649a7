"""IOTA transactions, made and read without a network: the same arguments always give the same bytes.

Nothing is left to a node to choose: coins, gas, price, budget and expiry are all named, so what was stored before it
was handed in is all that can ever happen.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import iota_sdk
import msgspec
from msgspec import Struct

from wattswap.ledger.account_adapter import CoinRef
from wattswap.ledger.base import Anchor
from wattswap.ledger.iota_bytes import quicken
from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.identity import Signer

quicken()

MOST_PAYEES: Final = 511
"""In one transaction: the network's limit on the arguments of a command."""
MOST_COINS: Final = 250
"""The network allows 256 gas coins."""
CHUNK_BYTES: Final = 12_000
"""The most in one input; the network allows 16 KiB."""

MOST_GAS_PRICE: Final = 10_000
"""Nanos a unit: ten times the reference price. Whoever asks for more is not paid without a person's word."""
COMPUTATION_UNITS: Final = 5_000
"""Five times the smallest bucket, for a network that puts a large transaction into a higher one."""
COIN_DEPOSIT_NANOS: Final = 1_200_000
"""One coin takes 980,400 nanos; what a budget has too much is not spent."""


class GasPayment(Struct, frozen=True, kw_only=True):
    """Who pays for a transaction, with which coins, at most how much."""

    owner: str
    coins: tuple[CoinRef, ...]
    price: int
    budget: int


def budget_nanos(payees: int, price: int) -> int:
    """More than a transaction with so many payees can cost."""
    return COMPUTATION_UNITS * price + COIN_DEPOSIT_NANOS * (payees + 2)


def build(
    sender: str,
    outputs: Sequence[tuple[str, int]],
    coins: Sequence[CoinRef],
    gas: GasPayment,
    *,
    memo: bytes,
    anchors: Sequence[Anchor],
    expires: int,
) -> tuple[bytes, str]:
    """The BCS bytes and the digest of a transaction that pays outputs (address, nanos), with a memo and anchors.

    Tokens come from ``coins`` (the sender's own); if these are the gas coins, leave them out.
    """
    own = [iota_sdk.PtbArgument.object_ref(_reference(coin)) for coin in coins]
    source = own[0] if own else iota_sdk.PtbArgument.gas()
    builder = iota_sdk.TransactionBuilder(iota_sdk.Address.from_hex(sender))
    if own[1:]:
        builder.merge_coins(source, own[1:])
    if outputs:
        names = [f"output {number}" for number in range(len(outputs))]
        builder.split_coins(source, [iota_sdk.PtbArgument.u64(nanos) for _, nanos in outputs], names)
        for name, (address, _) in zip(names, outputs, strict=True):
            builder.transfer_objects(iota_sdk.Address.from_hex(address), [iota_sdk.PtbArgument.assigned(name)])
    kind = iota_sdk.TypeTag.new_vector(iota_sdk.TypeTag.new_u8())
    for name, values in (("memo", [memo]), ("anchors", [chunk for anchor in anchors for chunk in chunks_of(anchor)])):
        if values:  # vectors that nobody uses: they stay in the transaction for whoever reads it
            builder.make_move_vec([iota_sdk.MoveArg.u8_vec(value) for value in values], kind, name)
    builder.gas([_reference(coin) for coin in gas.coins]).gas_price(gas.price).gas_budget(gas.budget)
    if gas.owner != sender:
        builder.sponsor(iota_sdk.Address.from_hex(gas.owner))
    transaction = builder.expiration(expires).finish()
    return transaction.to_bcs(), transaction.digest().to_base58()


def sign(raw: bytes, signer: Signer) -> str:
    """The wallet's signature of a transaction, as the network takes it (base64)."""
    key = iota_sdk.Ed25519PrivateKey(signer.secret_seed())
    return str(key.sign_transaction(iota_sdk.Transaction.from_bcs(raw)).to_base64())


def digest_of(raw: bytes) -> str:
    """The name of a transaction: the hash of its bytes."""
    return str(iota_sdk.Transaction.from_bcs(raw).digest().to_base58())


def transfers(raw: bytes) -> list[tuple[str, int]]:
    """Whom a transaction of :func:`build` pays (address, nanos), read from its bytes."""
    inputs, commands = _program(raw)
    payees = [one["TransferObjects"]["address"]["Input"] for one in commands if "TransferObjects" in one]
    nanos = [amount["Input"] for one in commands for amount in one.get("SplitCoins", {}).get("amounts", ())]
    pure = [base64.b64decode(value.get("Pure", "")) for value in inputs]
    return [(f"0x{pure[to].hex()}", int.from_bytes(pure[of], "little")) for to, of in zip(payees, nanos, strict=True)]


def carried(raw: bytes) -> tuple[bytes, list[Anchor]]:
    """Memo and anchors of a transaction; nothing for one that carries none."""
    inputs, commands = _program(raw)
    vectors = [command["MakeMoveVector"]["elements"] for command in commands if "MakeMoveVector" in command]
    values = [[_plain(inputs[element["Input"]]) for element in elements] for elements in vectors[:2]]
    return b"".join(values[0] if values else ()), anchors_of(values[1] if values[1:] else ())


def _program(raw: bytes) -> tuple[list[Any], list[Any]]:
    """Inputs and commands of a transaction; none of one that is no program."""
    kind = msgspec.json.decode(iota_sdk.Transaction.from_bcs(raw).to_json())["V1"]["kind"]
    program = kind.get("Programmable", {})
    return program.get("inputs", []), program.get("commands", [])


def chunks_of(anchor: Anchor) -> list[bytes]:
    """An anchor as it lies in a transaction: ``LEFT SEQUENCE SITE`` and a line feed, then its bytes.

    LEFT is how many chunks of this anchor follow; only a record of more than ``CHUNK_BYTES`` has any.
    """
    content = anchor.content
    parts = [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)]
    site = anchor.site.encode()
    return [b"%d %d %s\n%s" % (len(parts) - 1 - n, anchor.sequence, site, part) for n, part in enumerate(parts)]


def anchors_of(chunks: Sequence[bytes]) -> list[Anchor]:
    """The anchors in these chunks; what others wrote there is left out."""
    anchors: list[Anchor] = []
    content = b""
    for chunk in chunks:
        head, _, body = chunk.partition(b"\n")
        found = _HEAD.fullmatch(head)
        if found is None:
            content = b""
            continue
        content += body
        if found["left"] == b"0":
            with suppress(LocalProtocolError, UnicodeDecodeError):
                anchors.append(Anchor(site=found["site"].decode(), sequence=int(found["sequence"]), content=content))
            content = b""
    return anchors


_HEAD: Final = re.compile(rb"(?P<left>\d{1,4}) (?P<sequence>\d{1,19}) (?P<site>[^\n]{1,1000})")


def _reference(coin: CoinRef) -> Any:
    return iota_sdk.ObjectReference(
        object_id=iota_sdk.ObjectId.from_hex(coin.coin),
        version=iota_sdk.Version.from_u64(coin.version),
        digest=iota_sdk.ObjectDigest.from_base58(coin.digest),
    )


def _plain(value: dict[str, str]) -> bytes:
    """The bytes of a plain input without the length before them; nothing for an input of another kind."""
    raw = base64.b64decode(value.get("Pure", ""))
    start = next((at + 1 for at, byte in enumerate(raw) if byte < 0x80), 0)
    return raw[start:]
