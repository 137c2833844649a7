"""Finding coins and transactions again: by whom, to whom, what, when, in pages, through history."""

from __future__ import annotations

import json
import re
from itertools import pairwise

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
async def test_a_transaction_is_found_by_sender_recipient_object_and_digest(node):
    anna, bert, made = await busy(node, 3)
    client = anna.client
    assert digests(await client.transactions(iota.TransactionsFilter(sent_address=anna.address))) == made
    assert digests(await client.transactions(iota.TransactionsFilter(recv_address=bert.address))) == made
    coin = anna.coin.object_id
    for wanted in ({"changed_object": coin}, {"input_object": coin}):
        found = digests(await client.transactions(iota.TransactionsFilter(**wanted, sent_address=anna.address)))
        assert found == made
    wanted = iota.TransactionsFilter(transaction_ids=made[1:])
    assert digests(await client.transactions(wanted)) == made[1:]
    one = await client.transaction(iota.TransactionDigest.from_base58(made[0]))
    assert one.transaction.digest().to_base58() == made[0]
    assert await client.transaction(iota.TransactionDigest.from_bytes(bytes(32))) is None


@a_story
async def test_transactions_are_found_by_checkpoint_and_kind(node):
    """A checkpoint holds one transaction here, so the bounds can be told apart: both are outside."""
    anna, _, made = await busy(node, 4)
    last = await anna.client.latest_checkpoint_sequence_number()
    for wanted, found in (
        ({"after_checkpoint": last - 2}, made[2:]),
        ({"at_checkpoint": last - 2}, made[1:2]),
        ({"after_checkpoint": last - 3, "before_checkpoint": last}, made[1:3]),
        ({"kind": iota.TransactionBlockKindInput.PROGRAMMABLE_TX}, made),
        ({"kind": iota.TransactionBlockKindInput.SYSTEM_TX}, []),
    ):
        filters = iota.TransactionsFilter(sent_address=anna.address, **wanted)
        assert digests(await anna.client.transactions(filters)) == found, wanted


@a_story
async def test_effects_come_with_or_without_the_data(node):
    anna, _, made = await busy(node, 2)
    digest, wanted = iota.TransactionDigest.from_base58(made[1]), iota.TransactionsFilter(sent_address=anna.address)
    effects = await anna.client.transaction_effects(digest)
    both = await anna.client.transaction_data_effects(digest)
    assert effects.to_bcs() == both.effects.to_bcs()
    assert both.signed_transaction.transaction.digest().to_base58() == made[1]
    assert len((await anna.client.transactions_effects(wanted)).data) == 2
    assert len((await anna.client.transactions_data_effects(wanted)).data) == 2


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
        found = await bert.client.coins(bert.address, page(FORWARD, 3, cursor))
        assert len(found.data) == size
        seen += [coin.id().to_hex() for coin in found.data]
        cursor = found.page_info.end_cursor
    assert not found.page_info.has_next_page
    assert len(set(seen)) == len(made)
    wanted = iota.ObjectFilter(object_ids=[iota.ObjectId.from_hex(one) for one in seen[:2]])
    assert [one.id().to_hex() for one in (await bert.client.objects(wanted)).data] == sorted(seen[:2])


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
    assert iota.Coin.try_from_object(now).balance() == int((await _contents(anna, coin))["balance"]["value"])


async def _contents(anna: WalletOwner, coin):
    found = await anna.client.move_object_contents(coin)
    return json.loads(found) if isinstance(found, str) else found


@a_story
async def test_a_coin_that_ended_is_gone_but_its_history_stays(node):
    anna, bert = await person(node), await person(node)
    builder = bert.offline.transfer_objects(anna.address, [Arg.object_ref(bert.coin)]).sponsor(anna.address)
    await bert.send(builder.gas([anna.coin]).gas_price(1_000).gas_budget(10_000_000).finish(), bert, anna)
    effects = await anna.do(anna.build.transfer_objects(anna.address, [Arg.gas()]))
    (ended,) = effects.deleted()
    known = {one.object_id.to_hex(): one.version for one in (anna.coin, bert.coin)}
    assert await anna.client.object(ended.object_id) is None
    assert await anna.client.object(ended.object_id, known[ended.object_id.to_hex()]) is not None
    wanted = iota.TransactionsFilter(wrapped_or_deleted_object=ended.object_id)
    assert digests(await anna.client.transactions(wanted)) == [effects.transaction_digest().to_base58()]


@a_story
async def test_every_transaction_has_a_checkpoint_and_they_form_a_chain(node):
    anna, _, _ = await busy(node, 3)
    client = anna.client
    last = await client.latest_checkpoint_sequence_number()
    assert await client.total_transaction_blocks() == last + 1
    chain = [await client.checkpoint(seq_num=number) for number in range(last - 2, last + 1)]
    for before, after in pairwise(chain):
        assert after.previous_digest().to_base58() == before.digest().to_base58()
        assert after.timestamp_ms() >= before.timestamp_ms()
    assert (await client.checkpoint(digest=chain[0].digest())).to_bcs() == chain[0].to_bcs()
    assert len((await client.checkpoints(page(BACKWARD, 3))).data) == 3
    assert (await client.checkpoint(seq_num=0)).digest().to_bytes()[:4].hex() == node.chain_id


@a_story
async def test_there_are_no_events_and_nobody_is_surprised(node):
    client = iota.GraphQlClient(node.url)
    assert not (await client.events(iota.EventFilter(), page(FORWARD, 5))).data


@a_story
async def test_a_person_asks_in_words_of_their_own(node):
    """Aliases, variables with other names, inline values, fragments: the service reads GraphQL, not the SDK's texts."""
    anna, _, made = await busy(node, 1)
    query = """
      query Mine($d: String!, $who: IotaAddress!) {
        one: transactionBlock(digest: $d) { ...shown }
        many: transactionBlocks(first: 2, filter: {sentAddress: $who}) { nodes { ...shown } pageInfo { hasNextPage } }
        object(address: "0x6") { version }
        __typename
      }
      fragment shown on TransactionBlock { digest sender { address } effects { status checkpoint { sequenceNumber } } }
    """
    found = ask(node, query, d=made[0], who=anna.address.to_hex())
    assert "errors" not in found
    shown = found["data"]["one"]
    assert shown["digest"] == made[0]
    assert shown["effects"]["status"] == "SUCCESS"
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
        ('{ transactionBlocks(after: "x") { nodes { digest } } }', "cursor"),
        ('{ transactionBlocks(after: "٣") { nodes { digest } } }', "cursor"),
        ('{ objects(after: "0xzz") { nodes { digest } } }', "cursor"),
        ('{ object(address: "0x1", version: -1) { digest } }', "UInt53"),
        ('{ object(address: "0x1", version: 9007199254740992) { digest } }', "UInt53"),
        ('{ object(address: "0x1", version: ' + "9" * 5_000 + ") { digest } }", "UInt53"),
        ("{ objects(first: 99999999999) { nodes { digest } } }", "Int cannot represent"),
        ('{ owner(address: "bert") { address } }', "hexadecimal"),
        ('{ transactionBlock(digest: "0OIl") { digest } }', "base58"),
        ("{ " + " ".join(f"a{n}: chainIdentifier" for n in range(251)) + " }", "costs more than 250"),
        ("{ devnet { " + "coins " * 20 + "burnedNanos " * 281 + "} }", "300 nodes|costs more"),
        ("{ a" + "{ a" * 30 + " }" * 31, "nested deeper"),
        ("{ a" + "{ a" * 1_500 + " }" * 1_501, "nested|Syntax Error"),
        ("{ ...a } fragment a on Query { ...a }", "contains itself"),
        ("{ ...a } fragment a on Query { ...b ...b } fragment b on Query { ...a }", "contains itself"),
        ("{ " + " " * 10_000 + "}", "10000 characters"),
        ('mutation { executeTransactionBlock(txBytes: "?", signatures: []) { errors } }', "base64"),
        ('mutation { executeTransactionBlock(txBytes: "AA==", signatures: []) { errors } }', "no transaction"),
        ('{ dryRunTransactionBlock(txBytes: "AA==") { error } }', "no transaction"),
        ("{ protocolConfig(protocolVersion: 3) { protocolVersion } }", "no other is known"),
    ],
)
def test_a_query_that_cannot_be_answered_says_why(node, query: str, reason: str):
    answer = ask(node, query)
    assert re.search(reason, answer["errors"][0]["message"]), answer
    assert "Traceback" not in str(answer)


def test_a_fragment_bomb_is_counted_as_often_as_it_goes_off(node):
    """Twenty short lines that ask for a million fields."""
    bomb = "{ ...f0 } " + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(18))
    bomb += " fragment f18 on Query { chainIdentifier }"
    assert "more than 300 nodes" in ask(node, bomb)["errors"][0]["message"]


@a_story
async def test_a_cursor_sees_nothing_that_came_after_it_was_made(node):
    """IOTA's service pins the checkpoint of a cursor as the upper bound of what it finds; ours must not be kinder."""
    anna = await person(node)
    wanted = iota.TransactionsFilter(sent_address=anna.address)
    for nanos in (1, 2):
        await anna.do(anna.build.send_iota(anna.address, Arg.u64(nanos)))
    first = await anna.client.transactions(wanted, page(FORWARD, 50))
    await anna.do(anna.build.send_iota(anna.address, Arg.u64(3)))
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
        ("SELECT made FROM coins WHERE owner = 1 AND made >= 0", "received"),
    ):
        assert any(index in str(row) for row in store._rows(f"EXPLAIN QUERY PLAN {query}")), query
    store.close()
