"""Finding coins and transactions again: by whom, to whom, what, when, in pages, through history."""

from __future__ import annotations

import re

import iota_sdk as iota
import pytest
from tests.ledger.devnet.people import Arg, WalletOwner, a_story, ask, pay, person

from wattswap.ledger.devnet.store import ChainStore

FORWARD, BACKWARD = iota.Direction.FORWARD, iota.Direction.BACKWARD


def page(direction, limit: int, cursor: str | None = None):
    return iota.PaginationFilter(direction=direction, cursor=cursor, limit=limit)


def digests(found) -> list[str]:
    return [one.transaction.digest().to_base58() for one in found.data]


async def busy(node, payments: int) -> tuple[WalletOwner, WalletOwner, list[str]]:
    """Two wallets, and the digests of so many payments between them."""
    anna, bert = await person(node), WalletOwner(node)
    made = []
    for _ in range(payments):
        effects = await anna.send(anna.priced(pay(anna, bert.address, 5)))
        anna.coin = effects.gas_object().reference
        made.append(effects.transaction_digest().to_base58())
    return anna, bert, made


@a_story
async def test_a_transaction_is_found_by_sender_consumed_coin_and_digest(node):
    anna, _, made = await busy(node, 3)
    client = anna.client
    assert digests(await client.transactions(iota.TransactionsFilter(sent_address=anna.address))) == made
    wanted = iota.TransactionsFilter(input_object=anna.coin.object_id)
    assert digests(await client.transactions(wanted)) == made
    digest = iota.TransactionDigest.from_base58(made[0])
    assert (await client.transaction(digest)).transaction.digest().to_base58() == made[0]
    effects, both = await client.transaction_effects(digest), await client.transaction_data_effects(digest)
    assert effects.to_bcs() == both.effects.to_bcs()
    assert len((await client.transactions_data_effects(wanted)).data) == 3
    assert await client.transaction(iota.TransactionDigest.from_bytes(bytes(32))) is None


@a_story
async def test_transactions_are_found_after_a_checkpoint(node):
    """A checkpoint holds one transaction here, so the bound can be told: it is outside."""
    anna, _, made = await busy(node, 4)
    last = await anna.client.latest_checkpoint_sequence_number()
    wanted = iota.TransactionsFilter(sent_address=anna.address, after_checkpoint=last - 2)
    assert digests(await anna.client.transactions(wanted)) == made[2:]


@a_story
async def test_a_filter_that_this_node_does_not_know_is_refused_and_not_left_out(node):
    anna, bert, _ = await busy(node, 1)
    with pytest.raises(iota.SdkFfiError, match="does not filter by recvAddress"):
        await anna.client.transactions(iota.TransactionsFilter(recv_address=bert.address))
    with pytest.raises(iota.SdkFfiError, match="all objects of this node"):
        await anna.client.objects(iota.ObjectFilter(type_tag="0x2::coin::Coin"))


@a_story
async def test_pages_go_forward_and_backward_over_every_transaction_once(node):
    anna, _, made = await busy(node, 7)
    wanted = iota.TransactionsFilter(sent_address=anna.address)
    for direction in (FORWARD, BACKWARD):
        seen, cursor, more = list[str](), None, True
        while more:
            found = await anna.client.transactions(wanted, page(direction, 3, cursor))
            info = found.page_info
            forward = direction == FORWARD
            seen = seen + digests(found) if forward else digests(found) + seen
            cursor = info.end_cursor if forward else info.start_cursor
            more = info.has_next_page if forward else info.has_previous_page
        assert seen == made


@a_story
async def test_coins_come_in_pages_too(node):
    _, bert, made = await busy(node, 7)
    seen, cursor = [], None
    for size in (3, 3, 1):
        found = await bert.client.gas_coins(bert.address, page(FORWARD, 3, cursor))
        assert len(found.data) == size
        seen += [coin.id().to_hex() for coin in found.data]
        cursor = found.page_info.end_cursor
    assert not found.page_info.has_next_page
    assert len(set(seen)) == len(made)


@a_story
async def test_an_object_is_seen_as_it_was_in_every_version(node):
    anna, _, _ = await busy(node, 3)
    coin = anna.coin.object_id
    now = await anna.client.object(coin)
    versions = range(now.version().as_u64() - 3, now.version().as_u64() + 1)
    history = [await anna.client.object(coin, iota.Version.from_u64(one)) for one in versions]
    balances = [iota.Coin.try_from_object(one).balance() for one in history]
    assert balances == sorted(balances, reverse=True)
    assert len(set(balances)) == 4
    assert history[-1].digest().to_base58() == now.digest().to_base58() == anna.coin.digest.to_base58()
    assert await anna.client.object(coin, iota.Version.from_u64(now.version().as_u64() + 1)) is None
    assert await anna.client.object_bcs(coin) == now.to_bcs()


@a_story
async def test_a_coin_that_ended_is_gone_but_its_history_stays(node):
    anna, bert = await person(node), await person(node)
    builder = bert.offline.transfer_objects(anna.address, [Arg.object_ref(bert.coin)]).sponsor(anna.address)
    await bert.send(builder.gas([anna.coin]).gas_price(1_000).gas_budget(10_000_000).finish(), bert, anna)
    gas = sorted(await anna.coins(), key=lambda one: one.object_id.to_hex() == bert.coin.object_id.to_hex())
    effects = await anna.send(anna.priced(anna.offline.transfer_objects(anna.address, [Arg.gas()]), gas=gas))
    (ended,) = effects.deleted()
    known = {one.object_id.to_hex(): one.version for one in (anna.coin, bert.coin)}
    assert await anna.client.object(ended.object_id) is None
    assert await anna.client.object(ended.object_id, known[ended.object_id.to_hex()]) is not None
    wanted = iota.TransactionsFilter(input_object=ended.object_id)
    assert digests(await anna.client.transactions(wanted))[-1] == effects.transaction_digest().to_base58()


@a_story
async def test_every_transaction_has_a_checkpoint_and_the_newest_is_known(node):
    anna, _, made = await busy(node, 2)
    query = "query ($d: String!) { transactionBlock(digest: $d) { effects { checkpoint { bcs } } } checkpoint { bcs } }"
    found = ask(node, query, d=made[1])["data"]
    assert found["transactionBlock"]["effects"] == {"checkpoint": found["checkpoint"]}
    newest = await anna.client.checkpoint()
    assert newest.sequence_number() == await anna.client.latest_checkpoint_sequence_number()
    with pytest.raises(iota.SdkFfiError, match="newest checkpoint only"):
        await anna.client.checkpoint(seq_num=0)


@a_story
async def test_a_person_asks_in_words_of_their_own(node):
    """Aliases, variables with other names, inline values, fragments: the service reads GraphQL, not the SDK's texts."""
    anna, _, made = await busy(node, 1)
    query = """
      query Mine($d: String!, $who: IotaAddress!) {
        one: transactionBlock(digest: $d) { ...shown }
        many: transactionBlocks(first: 2, filter: {sentAddress: $who}) { nodes { ...shown } pageInfo { hasNextPage } }
        object(address: "0x6") { bcs }
        __typename
      }
      fragment shown on TransactionBlock { digest effects { bcs checkpoint { bcs } } }
    """
    found = ask(node, query, d=made[0], who=anna.address.to_hex())
    assert "errors" not in found
    shown = found["data"]["one"]
    assert shown["digest"] == made[0]
    assert found["data"]["many"] == {"nodes": [shown], "pageInfo": {"hasNextPage": False}}
    assert found["data"]["object"] is None


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("{ nothing }", "Cannot query field 'nothing'"),
        ("{ chainIdentifier", "Syntax Error"),
        ("", "Syntax Error"),
        ("{ transactionBlocks(first: 51) { nodes { digest } } }", "0 to 50"),
        ("{ transactionBlocks(first: -1) { nodes { digest } } }", "0 to 50"),
        ("{ transactionBlocks(first: 1, last: 1) { nodes { digest } } }", "not both"),
        ('{ transactionBlocks(last: 1, after: "x") { nodes { digest } } }', "not both"),
        ('{ transactionBlocks(after: "x") { nodes { digest } } }', "cursor"),
        ('{ transactionBlocks(after: "٣") { nodes { digest } } }', "cursor"),
        ('{ objects(after: "0xzz") { nodes { bcs } } }', "cursor"),
        ('{ object(address: "0x1", version: -1) { bcs } }', "UInt53"),
        ('{ object(address: "0x1", version: 9007199254740992) { bcs } }', "UInt53"),
        ('{ object(address: "0x1", version: ' + "9" * 5_000 + ") { bcs } }", "UInt53"),
        ("{ objects(first: 99999999999) { nodes { bcs } } }", "Int cannot represent"),
        ('{ object(address: "bert") { bcs } }', "hexadecimal"),
        ('{ transactionBlock(digest: "0OIl") { digest } }', "base58"),
        ("{ " + " ".join(f"a{n}: chainIdentifier" for n in range(251)) + " }", "more than 500 tokens"),
        (
            "{ " + "devnet { coins } " * 8 + " ".join(f"a{n}: devnet {{ coins }}" for n in range(8)) + " }",
            "costs more than",
        ),
        ("{ a" + "{ a" * 30 + " }" * 31, "nested too deeply|Cannot query"),
        ("{ a" + "{ a" * 1_500 + " }" * 1_501, "Syntax Error"),
        ("{ ...a } fragment a on Query { ...a }", "within itself"),
        ("{ ...a } fragment a on Query { ...b ...b } fragment b on Query { ...a }", "within itself"),
        ("{ " + " " * 10_000 + "}", "10000 characters"),
        ('mutation { executeTransactionBlock(txBytes: "?", signatures: []) { errors } }', "base64"),
        ('mutation { executeTransactionBlock(txBytes: "AA==", signatures: []) { errors } }', "no transaction"),
        ("{ __schema { types { name } } }", "introspection"),
    ],
)
def test_a_query_that_cannot_be_answered_says_why(node, query: str, reason: str):
    answer = ask(node, query)
    assert re.search(reason, answer["errors"][0]["message"]), answer
    assert "Traceback" not in str(answer)


def test_a_fragment_bomb_does_not_go_off(node):
    """Twenty short lines that ask for a million fields, all of them the same one."""
    bomb = "{ ...f0 } " + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(18))
    bomb += " fragment f18 on Query { chainIdentifier }"
    assert ask(node, bomb) == {"data": {"chainIdentifier": node.chain_id}}


@a_story
async def test_a_cursor_sees_nothing_that_came_after_it_was_made(node):
    """IOTA's service pins the checkpoint of a cursor as the upper bound of what it finds; ours must not be kinder."""
    anna = await person(node)
    wanted = iota.TransactionsFilter(sent_address=anna.address)
    for nanos in (1, 2):
        anna.coin = (await anna.send(anna.priced(pay(anna, anna.address, nanos)))).gas_object().reference
    first = await anna.client.transactions(wanted, page(FORWARD, 50))
    await anna.send(anna.priced(pay(anna, anna.address, 3)))
    assert (await anna.client.transactions(wanted, page(FORWARD, 50, first.page_info.end_cursor))).data == []
    assert len((await anna.client.transactions(wanted, page(FORWARD, 50))).data) == len(first.data) + 1
    latest = await anna.client.latest_checkpoint_sequence_number()
    later = iota.TransactionsFilter(sent_address=anna.address, after_checkpoint=latest - 1)
    assert len((await anna.client.transactions(later, page(FORWARD, 50))).data) == 1


def test_what_a_wallet_ever_had_does_not_slow_down_what_it_has():
    """A busy wallet spends a coin a payment: its balance and its coins are looked up among those that are left."""
    store = ChainStore(None)
    for query, index in (
        ("SELECT SUM(nanos), COUNT(*) FROM coins WHERE owner = 1 AND spent IS NULL", "owned"),
        ("SELECT * FROM coins WHERE owner = 1 AND spent IS NULL ORDER BY id", "owned"),
        ("SELECT * FROM coins WHERE id = 1 AND spent IS NULL", "live"),
        ("SELECT * FROM coins WHERE owner = 1 AND made <= 9 AND (spent IS NULL OR spent > 9) ORDER BY id", "owned"),
    ):
        assert any(index in str(row) for row in store._rows(f"EXPLAIN QUERY PLAN {query}")), query
    store.close()
