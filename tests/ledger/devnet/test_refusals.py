"""What a network refuses, and what it lets fail at the sender's cost. A refusal leaves no trace at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import iota_sdk as iota
import pytest
from tests.ledger.devnet.people import (
    DEPOSIT,
    FEE,
    IOTA,
    Arg,
    WalletOwner,
    a_story,
    assert_conserved,
    figures,
    pay,
    person,
)


def of_version(reference, version: int):
    """The same reference, but of another version."""
    return iota.ObjectReference(
        object_id=reference.object_id, version=iota.Version.from_u64(version), digest=reference.digest
    )


def with_digest(reference, digest: bytes):
    """The same reference, but of other content."""
    return iota.ObjectReference(
        object_id=reference.object_id, version=reference.version, digest=iota.ObjectDigest.from_bytes(digest)
    )


def five(anna: WalletOwner, **terms: Any) -> Any:
    return anna.priced(pay(anna, anna.address, 5), **terms)


REFUSED: dict[str, tuple[str, Callable[[WalletOwner, WalletOwner], Any]]] = {
    "wrong version": ("current version is", lambda a, b: five(a, gas=[of_version(a.coin, 99)])),
    "a version beyond all": ("no object has", lambda a, b: five(a, gas=[of_version(a.coin, 2**63)])),
    "wrong digest": ("has the digest", lambda a, b: five(a, gas=[with_digest(a.coin, bytes(32))])),
    "no such coin": ("no such object", lambda a, b: five(a, gas=[_nothing()])),
    "gas of another": ("belongs to", lambda a, b: five(a, gas=[b.coin])),
    "coin of another": ("belongs to", lambda a, b: a.priced(a.offline.transfer_objects(a.address, [_ref(b.coin)]))),
    "gas twice": ("more than once", lambda a, b: _raw(a, [], gas=[a.coin, a.coin])),
    "gas as input": ("more than once", lambda a, b: _raw(a, [_owned(a.coin)])),
    "input twice": ("more than once", lambda a, b: _raw(a, [_owned(b.coin), _owned(b.coin)])),
    "no gas": ("0 gas coins, and 1 to 256", lambda a, b: _raw(a, [], gas=[])),
    "budget under the fee": ("1000000 to 50000000000", lambda a, b: five(a, budget=FEE - 1)),
    "budget over the most": ("1000000 to 50000000000", lambda a, b: five(a, budget=50 * IOTA + 1)),
    "price under the reference": ("1000 to 100000 are allowed", lambda a, b: five(a, price=999)),
    "price over the most": ("1000 to 100000 are allowed", lambda a, b: five(a, price=100_001, budget=IOTA)),
    "expired": ("expired with epoch 0", lambda a, b: a.priced(pay(a, b.address, 5).expiration(0))),
    "clock": ("no shared objects", lambda a, b: _raw(a, [_clock()])),
    "receiving": ("no shared objects", lambda a, b: _raw(a, [iota.Input.new_receiving(a.coin)])),
    "publish": ("no Move machine", lambda a, b: _publish(a)),
    "17 KiB in a value": ("0 to 16384 are allowed", lambda a, b: _raw(a, [iota.Input.new_pure(bytes(17_000))])),
    "129 KiB": ("131072 is the most", lambda a, b: _raw(a, [iota.Input.new_pure(bytes(16_000))] * 9)),
    "1024 commands": ("0 to 1023 are allowed", lambda a, b: _many(a, 1_024)),
}


def _nothing():
    address = "0x" + "11" * 32
    digest = iota.ObjectDigest.from_bytes(bytes(32))
    return iota.ObjectReference(
        object_id=iota.ObjectId.from_hex(address), version=iota.Version.from_u64(1), digest=digest
    )


def _owned(reference):
    return iota.Input.new_immutable_or_owned(reference)


def _ref(reference):
    return Arg.object_ref(reference)


def _clock():
    return iota.Input.new_shared(iota.ObjectId.from_hex("0x" + "0" * 63 + "6"), iota.Version.from_u64(1), False)


def _raw(anna: WalletOwner, inputs, commands=(), gas=None):
    """A transaction exactly as given: the SDK's builder would mend some of these."""
    kind = iota.TransactionKind.new_programmable(iota.ProgrammableTransaction(inputs, list(commands)))
    coins = [anna.coin] if gas is None else gas
    payment = iota.GasPayment(objects=coins, owner=anna.address, price=1_000, budget=50_000_000)
    return iota.Transaction.new_v1(iota.TransactionV1(kind, anna.address, payment, iota.TransactionExpiration.NONE()))


def _publish(anna: WalletOwner):
    return _raw(anna, [], [iota.Command.new_publish(iota.Publish([b"module"], []))])


def _many(anna: WalletOwner, count: int):
    one = iota.Command.new_split_coins(iota.SplitCoins(iota.Argument.new_gas(), [iota.Argument.new_input(0)]))
    return _raw(anna, [iota.Input.new_pure(bytes(8))], [one] * count)


@pytest.mark.parametrize("case", REFUSED)
@a_story
async def test_what_is_refused_costs_nothing_and_changes_nothing(node, case: str):
    reason, make = REFUSED[case]
    anna, bert = await person(node), await person(node)
    before = figures(node)
    with pytest.raises(iota.SdkFfiError, match=reason):
        await anna.send(make(anna, bert))
    assert figures(node) == before


@a_story
async def test_a_budget_that_the_coin_does_not_hold_is_refused(node):
    anna, bert = await person(node), WalletOwner(node)
    await anna.send(anna.priced(pay(anna, bert.address, 5 * FEE)))
    await bert.refresh()
    before = figures(node)
    with pytest.raises(iota.SdkFfiError, match="less than the budget"):
        await bert.send(five(bert, budget=5 * FEE + 1))
    assert figures(node) == before


@a_story
async def test_only_the_right_signatures_open_a_wallet(node):
    anna, bert = await person(node), await person(node)
    transaction, other = five(anna), five(anna, budget=60_000_000)
    before = figures(node)
    wrong = bytearray(anna.key.sign_transaction(transaction).to_bytes())
    wrong[10] ^= 1
    message = anna.key.sign_personal_message(iota.PersonalMessage(transaction.signing_digest()))
    for signatures, reason in (
        ([], "are needed"),
        ([bert.key.sign_transaction(transaction)], "are needed"),
        ([anna.key.sign_transaction(other)], "not valid"),
        ([iota.UserSignature.from_bytes(bytes(wrong))], "not valid"),
        ([message], "not valid"),
        ([anna.key.sign_transaction(transaction)] * 2, "are needed"),
        ([anna.key.sign_transaction(transaction), bert.key.sign_transaction(transaction)], "are needed"),
    ):
        with pytest.raises(iota.SdkFfiError, match=reason):
            await anna.client.execute_transaction(signatures, transaction)
    assert figures(node) == before


@a_story
async def test_a_failing_transaction_is_charged_and_rolled_back(node):
    """The second command overspends: the first leaves nothing behind, the fee is gone, the coin has a new version."""
    anna, bert = await person(node), WalletOwner(node)
    builder = pay(anna, bert.address, 5).send_iota(bert.address, Arg.u64(2_000 * IOTA))
    effects = await anna.send(anna.priced(builder))
    assert effects.status().is_failure()
    assert "InsufficientCoinBalance" in effects.status().to_json()
    assert not effects.created()
    assert (await anna.balance(), await bert.balance()) == (1_000 * IOTA - FEE, 0)
    assert effects.gas_object().reference.version.as_u64() > anna.coin.version.as_u64()
    assert_conserved(node)


@a_story
async def test_a_failure_smashes_gas_and_renews_every_coin_it_named(node):
    anna = await person(node)
    await anna.send(anna.priced(pay(anna, anna.address, 7).send_iota(anna.address, Arg.u64(8))))
    coins = await anna.coins()
    whole = next(one for one in coins if one.object_id.to_hex() == anna.coin.object_id.to_hex())
    spare, named = [one for one in coins if one is not whole]
    before = await anna.balance()
    builder = anna.offline.split_coins(_ref(named), [Arg.u64(10**6)], ["x"]).transfer_objects(
        anna.address, [Arg.assigned("x")]
    )
    effects = await anna.send(anna.priced(builder, gas=[whole, spare]))
    assert effects.status().is_failure()
    assert await anna.balance() == before - FEE + DEPOSIT
    left = {one.object_id.to_hex(): one.version.as_u64() for one in await anna.coins()}
    assert left[named.object_id.to_hex()] == effects.lamport_version().as_u64()
    assert spare.object_id.to_hex() not in left
    assert_conserved(node)


@a_story
async def test_gas_that_runs_out_takes_the_fee_and_nothing_else(node):
    anna, bert = await person(node), WalletOwner(node)
    effects = await anna.send(anna.priced(pay(anna, bert.address, 5), budget=FEE + DEPOSIT - 1))
    assert "InsufficientGas" in effects.status().to_json()
    assert (await anna.balance(), await bert.balance()) == (1_000 * IOTA - FEE, 0)
    await anna.refresh()
    effects = await anna.send(anna.priced(pay(anna, bert.address, 5), budget=FEE + DEPOSIT))
    assert effects.status().is_success()


@a_story
async def test_the_budget_is_out_of_the_commands_reach(node):
    """All but the budget can be sent; one nano more is overspending."""
    for extra, works in ((0, True), (1, False)):
        anna, bert = await person(node), WalletOwner(node)
        budget = 10 * FEE
        effects = await anna.send(anna.priced(pay(anna, bert.address, 1_000 * IOTA - budget + extra), budget=budget))
        assert effects.status().is_success() == works


@a_story
async def test_a_move_call_is_refused(node):
    anna = await person(node)
    names = [iota.Identifier("coin"), iota.Identifier("burn")]
    builder = anna.offline.move_call(iota.Address.from_short_hex("0x2"), *names, [Arg.u64(1)], [])
    with pytest.raises(iota.SdkFfiError, match="no Move machine"):
        await anna.send(anna.priced(builder))


@a_story
async def test_a_coin_is_never_spent_twice(node):
    """Equivocation: two payments from one version of a coin. One takes place, the other names it in its refusal."""
    anna, bert = await person(node), WalletOwner(node)
    first, second = five(anna), anna.priced(pay(anna, bert.address, 6))
    effects = await anna.send(first)
    digest = effects.transaction_digest().to_base58()
    before = figures(node)
    with pytest.raises(iota.SdkFfiError, match=f"already used by transaction {digest}"):
        await anna.send(second)
    assert figures(node) == before


@a_story
async def test_of_many_payments_at_once_from_one_coin_one_wins(node):
    anna = await person(node)
    transactions = [anna.priced(pay(anna, WalletOwner(node).address, 5 + n)) for n in range(20)]
    results = await asyncio.gather(*(anna.send(one) for one in transactions), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in results) == 1
    assert sum("already used" in str(one) for one in results) == 19
    assert_conserved(node)


@a_story
async def test_the_same_bytes_again_give_the_same_effects(node):
    """A customer that lost the answer sends once more; nothing moves twice, whoever else has spent since."""
    anna, bert = await person(node), WalletOwner(node)
    transaction = anna.priced(pay(anna, bert.address, 5))
    effects = await anna.send(transaction)
    anna.coin = effects.gas_object().reference
    await anna.send(anna.priced(pay(anna, bert.address, 7)))
    before = figures(node)
    again = await asyncio.gather(*(anna.send(transaction) for _ in range(10)))
    assert {one.to_bcs() for one in again} == {effects.to_bcs()}
    assert figures(node) == before
    assert await bert.balance() == 12
