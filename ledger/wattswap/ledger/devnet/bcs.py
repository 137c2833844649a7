"""The bytes of objects, effects and checkpoints (Binary Canonical Serialization), and the digests over them.

Written by hand because a payment to 511 wallets makes 512 of them and the SDK's way takes 0.1 ms for each. A test
compares every kind with the SDK's own encoder, which stays the yardstick. What comes from outside is never read here:
the SDK reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from msgspec import structs

from wattswap.ledger.devnet.model import CoinObject, GasCost
from wattswap.ledger.devnet.rules import COIN_DEPOSIT, EPOCH
from wattswap.protocol.identity import uleb128

_NONE: Final = b"\x00"
_SOME: Final = b"\x01"
_V1: Final = b"\x00"
_NO_GAS: Final = bytes(40)
SUCCESS: Final = b"\x00"
"""The status of a transaction whose commands took place; ``sdk.failure_status`` has the others."""


def hashed(data: bytes) -> bytes:
    """The network's hash."""
    return blake2b(data, digest_size=32).digest()


def digest_of(kind: str, data: bytes) -> bytes:
    """The digest of a transaction, an object, effects or a checkpoint; ``kind`` is the network's name for it."""
    return hashed(f"{kind}::".encode() + data)


def new_id(transaction: bytes, counter: int) -> bytes:
    """The id of the n-th object that a transaction creates."""
    return hashed(b"\xf1" + transaction + u64(counter))


def u64(number: int) -> bytes:
    """Eight bytes, the lowest first."""
    return number.to_bytes(8, "little")


def sequence(items: Sequence[bytes]) -> bytes:
    """Items that are encoded already, after their count."""
    return uleb128(len(items)) + b"".join(items)


def _digest(value: bytes) -> bytes:
    return b"\x20" + value


def coin(coin_id: bytes, version: int, owner: bytes, nanos: int, previous: bytes) -> CoinObject:
    """Make a coin and work out its digest."""
    made = CoinObject(coin_id, version, owner, nanos, previous, b"")
    return structs.replace(made, digest=digest_of("Object", coin_object(made)))


def coin_object(coin: CoinObject) -> bytes:
    """A coin as the object that the API hands out."""
    return _owned_struct(coin) + _digest(coin.previous) + u64(COIN_DEPOSIT)


def _owned_struct(coin: CoinObject) -> bytes:
    return b"\x00\x01" + u64(coin.version) + b"\x28" + coin.id + u64(coin.nanos) + b"\x00" + coin.owner


def effects(
    status: bytes,
    gas: GasCost,
    transaction: bytes,
    gas_coin: bytes,
    spent: Iterable[CoinObject],
    written: Iterable[CoinObject],
    epoch: int = EPOCH,
) -> bytes:
    """What a transaction did, in the network's words."""
    before = {coin.id: coin for coin in spent}
    after = {coin.id: coin for coin in written}
    ids = sorted(before | after)
    causes = sorted({coin.previous for coin in before.values()})
    version = next(iter(after.values())).version
    cost = u64(gas.computation) * 2 + u64(gas.deposits) + u64(gas.rebate) + u64(0)  # a deposit comes back whole
    head = _V1 + status + u64(epoch) + cost + _digest(transaction)
    gas_index = _SOME + ids.index(gas_coin).to_bytes(4, "little") if gas_coin in after else _NONE
    changes = [_change(coin_id, before.get(coin_id), after.get(coin_id)) for coin_id in ids]
    tail = sequence([_digest(cause) for cause in causes]) + u64(version) + sequence(changes)
    return head + gas_index + _NONE + tail + uleb128(0) + _NONE


def _change(coin_id: bytes, before: CoinObject | None, after: CoinObject | None) -> bytes:
    was = b"\x01" + u64(before.version) + _digest(before.digest) + b"\x00" + before.owner if before else b"\x00"
    now = b"\x01" + _digest(after.digest) + b"\x00" + after.owner if after else b"\x00"
    operation = b"\x01" if before is None else b"\x00" if after else b"\x02"
    return coin_id + was + now + operation


def checkpoint(number: int, transaction: bytes, time_ms: int, epoch: int) -> bytes:
    """The summary of a checkpoint; here each transaction gets one, so it is final as soon as it is done.

    It says nothing of contents, predecessor and gas but what tells it from others: its transaction's digest.
    """
    head = u64(epoch) + u64(number) + u64(number + 1) + _digest(transaction) + _NONE
    return head + _NO_GAS + u64(time_ms) + uleb128(0) + _NONE + uleb128(0)


def mint(coin: CoinObject) -> bytes:
    """A transaction of the system that makes this coin, as genesis does: nobody sends it, and nobody pays for it."""
    minted = b"\x01" + sequence([b"\x00" + _owned_struct(coin)]) + sequence([])
    nobody, no_gas = bytes(32), sequence([])
    return _V1 + minted + nobody + no_gas + nobody + u64(1) + u64(0) + _NONE


def signed(transaction: bytes, signatures: Sequence[bytes]) -> bytes:
    """A transaction with its signatures, the way the API hands it out."""
    return b"\x01\x00\x00\x00" + transaction + sequence([uleb128(len(one)) + one for one in signatures])
