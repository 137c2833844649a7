"""Every sequence of calls that a customer makes: what the official SDK gets from the node."""

from __future__ import annotations

import json
from datetime import timedelta

import iota_sdk as iota
import pytest
from tests.ledger.devnet.people import (
    DEPOSIT,
    FEE,
    FINALIZED,
    IOTA,
    Arg,
    WalletOwner,
    a_story,
    ask,
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
    assert (await client.coin_metadata("0x2::iota::IOTA")).decimals == 9
    assert await client.total_supply("0x2::iota::IOTA") < 10**18


@a_story
async def test_the_faucet_fills_an_empty_wallet(node):
    anna = await person(node)
    assert await anna.balance() == 1_000 * IOTA
    assert await WalletOwner(node).balance() == 0


@a_story
async def test_a_payment_left_to_the_sdk_is_final_at_once(node):
    anna, bert = await person(node), WalletOwner(node)
    effects = await anna.do(anna.build.send_iota(bert.address, Arg.u64(10_000_000)))
    assert effects.status().is_success()
    assert await bert.balance() == 10_000_000
    assert await anna.balance() == 1_000 * IOTA - 10_000_000 - FEE - DEPOSIT
    digest = effects.transaction_digest()
    assert await anna.client.is_transaction_finalized(digest)
    assert await anna.client.is_transaction_indexed_on_node(digest)
    await anna.client.wait_for_transaction(digest, FINALIZED, timedelta(seconds=5))
    assert_conserved(node)


@pytest.mark.parametrize("payees", [1, 2, 100, 511])
@a_story
async def test_one_transaction_pays_many(node, payees: int):
    anna = await person(node)
    wallets = [WalletOwner(node) for _ in range(payees)]
    builder = anna.build
    builder.pay_iota([iota.Payment(recipient=one.address, amount=Arg.u64(5 + n)) for n, one in enumerate(wallets)])
    effects = await anna.send(await builder.finish())
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
    builder = anna.build
    builder.split_coins(Arg.gas(), [Arg.u64(100), Arg.u64(200), Arg.u64(300)], ["x", "y", "z"])
    builder.merge_coins(Arg.assigned("x"), [Arg.assigned("y")])
    builder.transfer_objects(bert.address, [Arg.assigned("x"), Arg.assigned("z")])
    effects = await anna.do(builder)
    assert effects.status().is_success()
    assert len(effects.created()) == 2, "the merged coin never came to be"
    assert await bert.balance() == 600
    assert sorted(coin.balance() for coin in (await bert.client.gas_coins(bert.address)).data) == [300, 300]


@a_story
async def test_a_whole_coin_changes_hands_and_keeps_its_id(node):
    anna, bert = await person(node), WalletOwner(node)
    await anna.do(anna.build.send_iota(anna.address, Arg.u64(7)))
    small = next(coin for coin in (await anna.client.gas_coins(anna.address)).data if coin.balance() == 7)
    effects = await anna.do(anna.build.send_coins([Arg.object_id(small.id())], bert.address))
    assert effects.status().is_success()
    assert [coin.id().to_hex() for coin in (await bert.client.coins(bert.address)).data] == [small.id().to_hex()]


@a_story
async def test_giving_away_the_gas_coin_smashes_all_gas_coins_into_one(node):
    """Twenty small rewards become one coin, and the wallet grows: their deposits come back."""
    anna, bert = await person(node), await person(node)
    for _ in range(20):
        await anna.do(anna.build.send_iota(bert.address, Arg.u64(1_000)))
    before = await bert.balance()
    effects = await bert.do(bert.build.transfer_objects(bert.address, [Arg.gas()]))
    assert effects.status().is_success()
    assert len(effects.deleted()) == 20
    assert await bert.balance() == before - FEE + 20 * DEPOSIT
    assert len((await bert.client.gas_coins(bert.address)).data) == 1
    assert_conserved(node)


@a_story
async def test_a_record_is_anchored_and_read_back(node):
    """Anchor A: an unused vector. It costs the fee alone, and the record stands in the transaction."""
    anna = await person(node)
    record = json.dumps({"meter": "h-17", "ws": 123_456_789}).encode()
    effects = await anna.do(anna.build.make_move_vec([iota.MoveArg.u8_vec(record)], U8S, "record"))
    assert effects.status().is_success()
    assert await anna.balance() == 1_000 * IOTA - FEE
    found = await anna.client.transaction(effects.transaction_digest())
    assert record in found.transaction.to_bcs()
    assert len(found.signatures) == 1


@a_story
async def test_a_record_is_anchored_by_a_call_and_found_by_it(node):
    """Anchor B: the one Move function this node knows."""
    anna = await person(node)
    package, names = iota.Address.from_short_hex("0x1"), [iota.Identifier("option"), iota.Identifier("some")]
    effects = await anna.do(anna.build.move_call(package, *names, [Arg.u8_vec(b"record")], [U8S]))
    assert effects.status().is_success()
    for function in ("0x1::option::some", "0x1::option", "0x1"):
        wanted = iota.TransactionsFilter(sent_address=anna.address, function=function)
        assert len((await anna.client.transactions(wanted)).data) == 1
    wanted = iota.TransactionsFilter(sent_address=anna.address, function="0x1::option::none")
    assert not (await anna.client.transactions(wanted)).data


@a_story
async def test_a_sponsor_pays_the_gas_in_one_step(node):
    anna, sponsor = WalletOwner(node), await person(node)
    builder = anna.build.make_move_vec([iota.MoveArg.u8_vec(b"record")], U8S, "record").sponsor(sponsor.address)
    effects = (await builder.execute_with_sponsor(anna.signer, sponsor.signer, FINALIZED)).as_v1()
    assert effects.status().is_success()
    assert await sponsor.balance() == 1_000 * IOTA - FEE
    assert await anna.balance() == 0


@a_story
async def test_a_sponsor_pays_the_gas_in_two_steps(node):
    anna, sponsor = await person(node), await person(node)
    builder = anna.build.send_coins([Arg.object_id(anna.coin.object_id)], sponsor.address).sponsor(sponsor.address)
    transaction = await builder.finish()
    again = iota.Transaction.from_bcs(transaction.to_bcs())
    signatures = [iota.UserSignature.from_base64(anna.key.sign_transaction(transaction).to_base64())]
    with pytest.raises(iota.SdkFfiError, match="2 signature"):
        await anna.client.execute_transaction(signatures, transaction)
    signatures.append(sponsor.key.sign_transaction(again))
    effects = (await anna.client.execute_transaction(signatures, transaction)).as_v1()
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


@a_story
async def test_a_transaction_made_by_hand_is_taken_too(node):
    """Raw commands: the amount stands in the order and form of the protocol, and nothing was resolved for us."""
    anna, bert = await person(node), WalletOwner(node)
    ptb = iota.ProgrammableTransaction(
        [iota.Input.new_pure((9).to_bytes(8, "little")), iota.Input.new_pure(bert.address.to_bytes())],
        [
            iota.Command.new_split_coins(iota.SplitCoins(iota.Argument.new_gas(), [iota.Argument.new_input(0)])),
            iota.Command.new_transfer_objects(
                iota.TransferObjects([iota.Argument.new_result(0)], iota.Argument.new_input(1))
            ),
        ],
    )
    builder = iota.TransactionBuilder.from_programmable_transaction(ptb).sender(anna.address)
    effects = await anna.send(anna.priced(builder))
    assert effects.status().is_success()
    assert await bert.balance() == 9


@a_story
async def test_a_dry_run_says_the_cost_and_changes_nothing(node):
    anna, bert = await person(node), WalletOwner(node)
    transaction = anna.priced(pay(anna, bert.address, 5))
    result = await anna.client.dry_run_transaction(transaction)
    assert result.error is None
    assert result.effects.as_v1().status().is_success()
    assert result.effects.as_v1().gas_cost_summary().storage_cost == 2 * DEPOSIT
    assert result.transaction.transaction.to_bcs() == transaction.to_bcs()
    assert await bert.balance() == 0
    effects = await anna.send(transaction)
    assert effects.to_bcs() == result.effects.as_v1().to_bcs(), "what was foretold is what happens"


@a_story
async def test_a_person_may_dry_run_a_whole_transaction(node):
    """Without the meta data beside them, the bytes are those of the transaction itself."""
    anna, bert = await person(node), WalletOwner(node)
    query = """query ($tx: String!) {
      dryRunTransactionBlock(txBytes: $tx) { error transaction { digest effects { status } } } }"""
    transaction = anna.priced(pay(anna, bert.address, 5))
    found = ask(node, query, tx=transaction.to_base64())["data"]["dryRunTransactionBlock"]
    shown = {"digest": transaction.digest().to_base58(), "effects": {"status": "SUCCESS"}}
    assert found == {"error": None, "transaction": shown}


@a_story
async def test_a_dry_run_tells_what_would_fail(node):
    anna, bert = await person(node), WalletOwner(node)
    overspent = await anna.client.dry_run_transaction(anna.priced(pay(anna, bert.address, 2_000 * IOTA)))
    assert overspent.error == "InsufficientCoinBalance in command 0"
    stale = anna.priced(pay(anna, bert.address, 5))
    await anna.send(anna.priced(pay(anna, bert.address, 6)))
    result = await anna.client.dry_run_transaction(stale)
    assert "already used by transaction" in result.error
    assert result.effects is None


@a_story
async def test_a_signer_of_ones_own_signs_for_the_builder(node):
    """The way a wallet in other hardware would."""
    anna, bert = await person(node), WalletOwner(node)

    class HardwareSigner(iota.TransactionSignerFn):  # type: ignore[misc] # the SDK has no types
        async def sign(self, transaction):
            return iota.TransactionSignerFnOutput(signature=anna.key.sign_transaction(transaction))

    effects = await anna.build.send_iota(bert.address, Arg.u64(5)).execute(
        iota.TransactionSigner(HardwareSigner()), FINALIZED
    )
    assert effects.as_v1().status().is_success()


@pytest.mark.parametrize("key", [iota.Secp256k1PrivateKey, iota.Secp256r1PrivateKey])
@a_story
async def test_the_other_kinds_of_keys_sign_too(node, key):
    anna, bert = WalletOwner(node), WalletOwner(node)
    anna.key = key.random()
    anna.address = anna.key.public_key().derive_address()
    await anna.fund()
    effects = await anna.send(anna.priced(pay(anna, bert.address, 5)))
    assert effects.status().is_success()
