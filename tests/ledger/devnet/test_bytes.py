"""The bytes the node writes are the SDK's, to the last one."""

from __future__ import annotations

import iota_sdk as iota
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.ledger.devnet import bcs, sdk
from wattswap.ledger.devnet.model import CoinObject, GasCost, Refused
from wattswap.protocol.identity import uleb128

IDS = st.binary(min_size=32, max_size=32)
U64 = st.integers(0, 2**64 - 1)
COINS = st.builds(bcs.coin, IDS, st.integers(0, 2**63), IDS, U64, IDS)
GAS = st.builds(GasCost, U64, U64, U64)


def owner(address: bytes):
    return iota.Owner.new_address(iota.Address.from_bytes(address))


def summary(gas: GasCost):
    return iota.GasCostSummary(
        computation_cost=gas.computation,
        computation_cost_burned=gas.computation,
        storage_cost=gas.deposits,
        storage_rebate=gas.rebate,
        non_refundable_storage_fee=0,
    )


def transaction_digest(value: bytes):
    return iota.TransactionDigest.from_bytes(value)


@given(COINS)
def test_a_coin_has_the_bytes_and_the_digest_of_the_sdk(coin: CoinObject):
    contents = coin.id + coin.nanos.to_bytes(8, "little")
    version = iota.Version.from_u64(coin.version)
    struct = iota.MoveStruct(struct_type=iota.StructTag.new_gas_coin(), version=version, contents=contents)
    data = iota.ObjectData.new_move_struct(struct)
    theirs = iota.Object(data, owner(coin.owner), transaction_digest(coin.previous), 980_400)
    assert bcs.coin_object(coin) == theirs.to_bcs()
    assert coin.digest == theirs.digest().to_bytes()


def change(coin_id: bytes, before: CoinObject | None, after: CoinObject | None):
    was, now = iota.ObjectIn.MISSING(), iota.ObjectOut.MISSING()
    if before:
        digest = iota.ObjectDigest.from_bytes(before.digest)
        was = iota.ObjectIn.DATA(iota.Version.from_u64(before.version), digest, owner(before.owner))
    if after:
        now = iota.ObjectOut.OBJECT_WRITE(iota.ObjectDigest.from_bytes(after.digest), owner(after.owner))
    operation = iota.IdOperation.NONE if before and after else iota.IdOperation.DELETED
    return iota.ChangedObject(
        object_id=iota.ObjectId.from_bytes(coin_id),
        input_state=was,
        output_state=now,
        id_operation=operation if before else iota.IdOperation.CREATED,
    )


@given(GAS, IDS, st.lists(COINS, min_size=1, max_size=5), st.lists(COINS, max_size=5), st.integers(0, 2**63), IDS)
def test_effects_have_the_bytes_and_the_digest_of_the_sdk(gas, digest, spent, new, version, address):
    spent = list({coin.id: coin for coin in spent}.values())
    kept = [bcs.coin(coin.id, version, address, coin.nanos // 2, digest) for coin in spent[: 1 + len(spent) // 2]]
    written = list({coin.id: coin for coin in (*new, *kept)}.values())
    written = [bcs.coin(coin.id, version, coin.owner, coin.nanos, digest) for coin in written]
    before, after = {coin.id: coin for coin in spent}, {coin.id: coin for coin in written}
    ids = sorted(before | after)
    theirs = iota.TransactionEffects.new_v1(
        iota.TransactionEffectsV1(
            iota.ExecutionStatus.SUCCESS(),
            1,
            summary(gas),
            transaction_digest(digest),
            ids.index(spent[0].id),
            None,
            [transaction_digest(one) for one in sorted({coin.previous for coin in spent})],
            iota.Version.from_u64(version),
            [change(one, before.get(one), after.get(one)) for one in ids],
            [],
            None,
        )
    )
    ours = bcs.effects(bcs.SUCCESS, gas, digest, spent[0].id, spent, written)
    assert ours == theirs.to_bcs()
    assert bcs.digest_of("TransactionEffects", ours) == theirs.digest().to_bytes()


@given(st.integers(0, 2**32), IDS, U64, st.integers(0, 2**32))
def test_a_checkpoint_has_the_bytes_and_the_digest_of_the_sdk(number, transaction, time_ms, epoch):
    contents = iota.CheckpointContentsDigest.from_bytes(transaction)
    nothing = summary(GasCost(0, 0, 0))
    theirs = iota.CheckpointSummary(epoch, number, number + 1, contents, None, nothing, time_ms, [], None, b"")
    ours = bcs.checkpoint(number, transaction, time_ms, epoch)
    assert ours == theirs.to_bcs()
    assert bcs.digest_of("CheckpointSummary", ours) == theirs.digest().to_bytes()


@given(COINS)
def test_the_sdk_reads_what_the_faucet_mints(coin: CoinObject):
    data = bcs.mint(coin)
    read = iota.Transaction.from_bcs(data)
    assert read.to_bcs() == data
    version = iota.Version.from_u64(coin.version)
    contents = coin.id + coin.nanos.to_bytes(8, "little")
    struct = iota.MoveStruct(struct_type=iota.StructTag.new_gas_coin(), version=version, contents=contents)
    minted = iota.GenesisObject(iota.ObjectData.new_move_struct(struct), owner(coin.owner))
    kind = iota.TransactionKind.new_genesis(iota.GenesisTransaction([minted], []))
    assert read.kind().to_bcs() == kind.to_bcs()


@given(IDS, st.integers(0, 2**32))
def test_new_ids_are_those_of_the_network(digest, counter):
    assert bcs.new_id(digest, counter) == iota.ObjectId.derive_id(transaction_digest(digest), counter).to_bytes()


@given(st.integers(0, 2**32))
def test_a_length_is_written_as_the_sdk_reads_it(number):
    encoded = uleb128(number)
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(encoded)) == number
    assert encoded[-1] or number == 0


@given(st.binary(max_size=200))
def test_what_the_sdk_cannot_read_is_refused_and_nothing_else(data):
    with pytest.raises(Refused):
        sdk.transaction(data)


def test_a_failure_reads_back_with_its_reason():
    status = sdk.failure_status("InsufficientGas")
    gas = GasCost(1, 0, 0)
    coin = bcs.coin(bytes(32), 1, bytes(32), 5, bytes(32))
    effects = iota.TransactionEffects.from_bcs(bcs.effects(status, gas, bytes(32), coin.id, [coin], [coin]))
    assert "InsufficientGas" in effects.as_v1().status().to_json()
