"""What the official SDK gets from the node, as far as Wattswap uses it: payments, gas, anchors, a sponsor."""

from __future__ import annotations

import json

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
    pay,
    person,
)

U8S = iota.TypeTag.new_vector(iota.TypeTag.new_u8())


@a_story
async def test_the_chain_has_an_id_of_its_own_and_a_gas_price(node):
    client = iota.GraphQlClient(node.url)
    assert await client.chain_id() == node.chain_id
    assert node.chain_id not in {"6364aad5", "2304aa97", "daf90477"}
    assert await client.reference_gas_price() == 1_000
    assert await client.max_page_size() == 50
    assert (await client.epoch()).epoch_id == 1


@a_story
async def test_a_payment_is_final_at_once(node):
    anna, bert = await person(node), WalletOwner(node)
    assert (await anna.balance(), await bert.balance()) == (1_000 * IOTA, 0)
    effects = await anna.send(anna.priced(pay(anna, bert.address, 10_000_000)))
    assert effects.status().is_success()
    assert await bert.balance() == 10_000_000
    assert await anna.balance() == 1_000 * IOTA - 10_000_000 - FEE - DEPOSIT
    assert await anna.client.is_transaction_finalized(effects.transaction_digest())
    assert_conserved(node)


@pytest.mark.parametrize("payees", [1, 2, 511])
@a_story
async def test_one_transaction_pays_many(node, payees: int):
    anna = await person(node)
    wallets = [WalletOwner(node) for _ in range(payees)]
    payments = [iota.Payment(recipient=one.address, amount=Arg.u64(5 + n)) for n, one in enumerate(wallets)]
    effects = await anna.send(anna.priced(anna.offline.pay_iota(payments), budget=IOTA))
    assert effects.status().is_success()
    assert len(effects.created()) == payees
    assert [await one.balance() for one in wallets[-3:]] == [5 + n for n in range(payees)][-3:]
    assert effects.gas_cost_summary().storage_cost == DEPOSIT * (payees + 1)
    assert_conserved(node)


@a_story
async def test_a_network_takes_511_payees_and_no_more(node):
    """The SDK builds a payment to 512 without a word; only the network says no."""
    anna = await person(node)
    payments = [iota.Payment(recipient=WalletOwner(node).address, amount=Arg.u64(1)) for _ in range(512)]
    transaction = anna.priced(anna.offline.pay_iota(payments), budget=IOTA)
    with pytest.raises(iota.SdkFfiError, match="1 to 511"):
        await anna.send(transaction)
    assert await anna.balance() == 1_000 * IOTA


@a_story
async def test_coins_are_split_merged_and_given_away(node):
    anna, bert = await person(node), WalletOwner(node)
    builder = anna.offline
    builder.split_coins(Arg.gas(), [Arg.u64(100), Arg.u64(200), Arg.u64(300)], ["x", "y", "z"])
    builder.merge_coins(Arg.assigned("x"), [Arg.assigned("y")])
    builder.transfer_objects(bert.address, [Arg.assigned("x"), Arg.assigned("z")])
    effects = await anna.send(anna.priced(builder))
    assert effects.status().is_success()
    assert len(effects.created()) == 2, "the merged coin never came to be"
    assert sorted(coin.balance() for coin in (await bert.client.gas_coins(bert.address)).data) == [300, 300]


@a_story
async def test_a_whole_coin_changes_hands_and_keeps_its_id(node):
    anna, bert = await person(node), WalletOwner(node)
    await anna.send(anna.priced(pay(anna, anna.address, 7)))
    coins = (await anna.client.gas_coins(anna.address)).data
    small = next(coin.id().to_hex() for coin in coins if coin.balance() == 7)
    gift, anna.coin = sorted(await anna.coins(), key=lambda one: one.object_id.to_hex() != small)
    await anna.send(anna.priced(anna.offline.transfer_objects(bert.address, [Arg.object_ref(gift)])))
    assert [coin.id().to_hex() for coin in (await bert.client.gas_coins(bert.address)).data] == [small]


@a_story
async def test_giving_away_the_gas_coin_smashes_all_gas_coins_into_one(node):
    """Small rewards become one coin, and the wallet grows: their deposits come back."""
    anna, bert = await person(node), await person(node)
    payments = [iota.Payment(recipient=bert.address, amount=Arg.u64(1_000)) for _ in range(20)]
    await anna.send(anna.priced(anna.offline.pay_iota(payments)))
    before, gas = await bert.balance(), await bert.coins()
    effects = await bert.send(bert.priced(bert.offline.transfer_objects(bert.address, [Arg.gas()]), gas=gas))
    assert effects.status().is_success()
    assert len(effects.deleted()) == 20
    assert await bert.balance() == before - FEE + 20 * DEPOSIT
    assert len(await bert.coins()) == 1
    assert_conserved(node)


@a_story
async def test_a_record_is_anchored_and_read_back(node):
    """An unused vector costs the fee alone, and the record stands in the transaction."""
    anna = await person(node)
    record = json.dumps({"meter": "h-17", "ws": 123_456_789}).encode()
    builder = anna.offline.make_move_vec([iota.MoveArg.u8_vec(record)], U8S, "record")
    effects = await anna.send(anna.priced(builder))
    assert effects.status().is_success()
    assert await anna.balance() == 1_000 * IOTA - FEE
    found = await anna.client.transaction(effects.transaction_digest())
    assert record in found.transaction.to_bcs()
    assert len(found.signatures) == 1


@a_story
async def test_a_sponsor_pays_the_gas_if_both_have_signed(node):
    anna, sponsor = await person(node), await person(node)
    builder = anna.offline.transfer_objects(sponsor.address, [Arg.object_ref(anna.coin)]).sponsor(sponsor.address)
    transaction = anna.priced(builder, gas=[sponsor.coin])
    with pytest.raises(iota.SdkFfiError, match="sender and gas owner are needed"):
        await anna.send(transaction)
    effects = await anna.send(transaction, anna, sponsor)
    assert effects.status().is_success()
    assert await sponsor.balance() == 2_000 * IOTA - FEE
    assert await anna.balance() == 0


@a_story
async def test_payments_built_offline_chain_on_the_gas_coin_of_the_last(node):
    anna, bert = await person(node), WalletOwner(node)
    for _ in range(5):
        effects = await anna.send(anna.priced(pay(anna, bert.address, 5)))
        assert effects.status().is_success()
        anna.coin = effects.gas_object().reference
    assert await bert.balance() == 25


@pytest.mark.parametrize("key", [iota.Secp256k1PrivateKey, iota.Secp256r1PrivateKey])
@a_story
async def test_only_ed25519_keys_sign_here(node, key):
    anna = await person(node)
    transaction = anna.priced(pay(anna, anna.address, 5))
    with pytest.raises(iota.SdkFfiError, match="Ed25519 keys only"):
        await anna.client.execute_transaction([key.random().sign_transaction(transaction)], transaction)
