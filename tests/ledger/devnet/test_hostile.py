"""Every byte may be hostile. Whatever comes in: a clear answer, no 5xx, no traceback, and the state as it was.

The node itself checks the rest: the fixture demands that it had nothing to say on stderr.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import resource
import socket
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from typing import Self
from urllib.parse import urlsplit

import iota_sdk as iota
import pytest
from msgspec import structs
from tests.ledger.devnet.people import WalletOwner, a_story, figures, pay, person, post

from wattswap.experiments.bench.devnet_child import Child
from wattswap.ledger.devnet import bcs
from wattswap.ledger.devnet.answers import Answers
from wattswap.ledger.devnet.api import Api, Request
from wattswap.ledger.devnet.faucet import Faucet
from wattswap.ledger.devnet.model import CoinObject
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.process import Settings
from wattswap.ledger.devnet.rules import COSTS, MOST_COST
from wattswap.ledger.devnet.store import ChainStore

EXECUTE = """mutation ($signatures: [String!]!, $txBytes: String!) {
  executeTransactionBlock(signatures: $signatures, txBytes: $txBytes) { errors effects { bcs } } }"""
OBJECTS = """query ($filter: ObjectFilter, $first: Int, $after: String) {
  objects(filter: $filter, first: $first, after: $after) { nodes { bcs asMoveObject { contents { json } } } } }"""
SENT = """query ($filter: TransactionBlockFilter, $before: String) {
  transactionBlocks(last: 3, before: $before, filter: $filter) { nodes { digest bcs effects { bcs } } } }"""
BITS = [b"", b"\x00", b"\xff", b'"', b"[", b"{", b"}", b"null", b"-1", b"1e999", b"9" * 400, b"\\ud800", b"\\u0000"]
BITS += [
    b"0x",
    b"0x" + b"f" * 64,
    b"__typename",
    b"...",
    b"$",
    b"@include(if: true)",
    b"\xf0\x9f\x8c\x9e",
    b"A" * 3_000,
]


def mutated(body: bytes, luck: random.Random) -> bytes:
    """The body with up to four accidents."""
    out = bytearray(body)
    for _ in range(luck.randint(1, 4)):
        at = luck.randrange(len(out) + 1)
        match luck.randrange(5):
            case 0:
                out[at:at] = luck.choice(BITS)
            case 1:
                del out[at : at + luck.randint(1, 20)]
            case 2 if out:
                out[at % len(out)] ^= 1 << luck.randrange(8)
            case 3:
                other = luck.randrange(len(out) + 1)
                out[at:at] = out[other : other + 30]
            case _:
                del out[at:]
    return bytes(out)


async def originals(node) -> tuple[WalletOwner, bytes, list[bytes]]:
    """Bodies as a customer sends them, and a transaction that its owner could still send."""
    anna = await person(node)
    transaction = anna.priced(
        pay(anna, WalletOwner(node).address, 5).make_move_vec(
            [iota.MoveArg.u8_vec(b"record")], iota.TypeTag.new_vector(iota.TypeTag.new_u8()), "r"
        )
    )
    # signed by a stranger: an accident around a right one, in a blank for example, would leave it right
    data, signature = transaction.to_bcs(), WalletOwner(node).key.sign_transaction(transaction).to_base64()
    filters = {"type": "0x2::coin::Coin<0x2::iota::IOTA>", "owner": anna.address.to_hex(), "objectIds": None}
    asked: list[tuple[str, dict[str, object]]] = [
        (EXECUTE, {"signatures": [signature], "txBytes": b64encode(data).decode()}),
        (OBJECTS, {"filter": filters, "first": 5, "after": None}),
        (SENT, {"filter": {"sentAddress": anna.address.to_hex(), "afterCheckpoint": 0}, "before": None}),
        ("{ checkpoint { bcs } devnet { supplyNanos } epoch(id: 1) { referenceGasPrice } }", {}),
    ]
    return anna, data, [json.dumps({"query": query, "variables": given}).encode() for query, given in asked]


def hostile_bodies(bodies: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    luck = random.Random(seed)
    for _ in range(count):
        yield mutated(luck.choice(bodies), luck)


class Talk:
    """One kept connection, as a customer has; reopened when the node closes it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._path = parts.path
        self._line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def post(self, body: bytes) -> tuple[int, bytes]:
        self._line.request("POST", self._path, body, {"Content-Type": "application/json"})
        answer = self._line.getresponse()
        return answer.status, answer.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()


def assert_harmless(talk: Talk, body: bytes) -> None:
    status, answer = talk.post(body)
    assert status in {200, 400, 413, 415}, (body, answer)
    assert b"Traceback" not in answer, (body, answer)
    assert b"internal error" not in answer, (body, answer)
    said = json.loads(answer)
    assert "data" in said or said["errors"], (body, answer)


async def assault(node, count: int, seed: int) -> None:
    """Mutated bodies, then well-formed requests with mutated transactions; the unharmed one would still be taken."""
    anna, data, bodies = await originals(node)
    before = figures(node)
    with Talk(node.url) as talk:
        for body in hostile_bodies(bodies, count // 2, seed):
            assert_harmless(talk, body)
        luck = random.Random(seed)
        signature = anna.key.sign_transaction(iota.Transaction.from_bcs(data))
        for _ in range(count // 2):
            harmed, signed = mutated(data, luck), signature.to_bytes()
            if luck.random() < 0.5:
                harmed, signed = data, mutated(signed, luck)
            if (harmed, signed) == (data, signature.to_bytes()):
                continue
            variables = {"signatures": [b64encode(signed).decode()], "txBytes": b64encode(harmed).decode()}
            assert_harmless(talk, json.dumps({"query": EXECUTE, "variables": variables}).encode())
    assert figures(node) == before
    assert (await anna.send(iota.Transaction.from_bcs(data))).status().is_success()


@a_story
async def test_a_thousand_mutated_requests_change_nothing(node):
    await assault(node, 1_000, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
@a_story
async def test_a_hundred_thousand_mutated_requests_change_nothing(node, seed: int):
    await assault(node, 10_000, seed=100 + seed)


@a_story
async def test_transactions_signed_by_their_owner_but_mutated_before_are_harmless_too(node):
    """The owner signs nonsense: what is read is carried out or refused by the rules, and no token appears."""
    anna, data, _ = await originals(node)
    luck, taken = random.Random(2), 0
    with Talk(node.url) as talk:
        for _ in range(500):
            bit = luck.randrange(8 * len(data))
            harmed = data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]
            try:
                transaction = iota.Transaction.from_bcs(harmed)
            except iota.SdkFfiError:
                continue
            signature = anna.key.sign_transaction(transaction).to_base64()
            variables = {"signatures": [signature], "txBytes": b64encode(harmed).decode()}
            assert_harmless(talk, json.dumps({"query": EXECUTE, "variables": variables}).encode())
            taken += 1
    assert taken > 200
    now = figures(node)
    assert now["supplyNanos"] + now["burnedNanos"] + now["depositsNanos"] == now["mintedNanos"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[" * 200_000, 400),
        (b'{"query": "{ chainIdentifier }", "variables": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}", 400),
        (b"9" * 100_000, 400),
        (b'{"query": 7}', 400),
        (b'{"query": "{ chainIdentifier }", "variables": []}', 400),
        (b"\xff\xfe{}", 400),
        (b" " * 400_000, 413),
    ],
    ids=["empty", "deep", "deep variables", "a long number", "no text", "a list", "not UTF-8", "400 kB"],
)
def test_a_body_that_is_no_request_is_refused(node, body: bytes, status: int):
    got, answer = post(node.url, body)
    assert got == status
    assert json.loads(answer)["errors"][0]["message"]


def test_only_json_by_name_is_read(node):
    """A web page elsewhere can send a form to this machine, but nothing with this content type."""
    body = b'{"query": "{ chainIdentifier }"}'
    assert post(node.url, body, "text/plain")[0] == 415
    assert post(node.url.replace("graphql", "v1/gas"), body, "application/x-www-form-urlencoded")[0] == 415
    assert post(node.url, body, "application/json; charset=utf-8")[0] == 200


def test_broken_http_is_the_clients_fault(node):
    for sent in (
        b"\x16\x03\x01\x00\xa5",
        b"POST /graphql HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
        b"GET " + b"a" * 70_000,
    ):
        with socket.create_connection(("127.0.0.1", node.port), timeout=10) as line:
            line.sendall(sent)
            line.shutdown(socket.SHUT_WR)
            assert line.recv(100).startswith((b"HTTP/1.1 400", b"")), sent


def test_a_client_that_hangs_up_in_the_middle_is_nobodys_trouble(node):
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as line:
        head = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
        line.sendall(head + b"{")
    assert figures(node)["transactions"]


def test_other_places_and_methods_are_not_there(node):
    for method, path, status in (("GET", "/etc/passwd", 404), ("PUT", "/graphql", 405), ("GET", "/v1/gas", 405)):
        line = http.client.HTTPConnection("127.0.0.1", node.port, timeout=10)
        line.request(method, path)
        assert line.getresponse().status == status
        line.close()


def test_an_answer_has_a_most_length(monkeypatch):
    """A small query can ask for much; what it may take is counted in bytes."""
    monkeypatch.setattr("wattswap.ledger.devnet.rules.BYTES_A_COST", 1)
    node = DevnetNode(ChainStore(None), lambda: 0)
    for number in range(50):
        node.give(bytes([number]) * 32, 10**9)
    assert len(Api(node).answer(Request("{ transactionBlocks(first: 50) { nodes { bcs } } }"))["data"])
    answer = Api(node).answer(Request("{ transactionBlocks(first: 50) { nodes { bcs effects { bcs } } } }"))
    assert "costs more than" in answer["errors"][0]["message"]
    node.store.close()


def test_an_error_nobody_foresaw_shows_nothing_and_changes_nothing(monkeypatch, caplog):
    """Our own bug, played: one line in the log without the values at hand, a bare answer, the state as before."""
    node = DevnetNode(ChainStore(None), lambda: 0)
    monkeypatch.setattr(Answers, "object", lambda self, address: "abc".index(address.hex()))
    answer = Api(node).answer(Request('{ object(address: "0x7") { bcs } }'))
    assert answer["errors"] == [{"message": "internal error"}]
    assert "ValueError at test_hostile.py" in caplog.text
    assert "Traceback" not in caplog.text
    node.store.close()


def test_a_transaction_that_cannot_be_written_leaves_no_part_of_it(monkeypatch):
    """The disk is full in the middle of writing: nothing of it is there afterwards, and the next one goes through."""
    node = DevnetNode(ChainStore(None), lambda: 0)
    before = node.store.supply(), node.store.last()
    node.store._database._connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON transactions BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    with pytest.raises(sqlite3.Error, match="full"):
        node.give(b"a" * 32, 10**9)
    assert (node.store.supply(), node.store.last()) == before
    node.store._database._connection.execute("DROP TRIGGER full")
    node.give(b"a" * 32, 10**9)
    assert node.store.supply() == (before[0][0] + 10**9, before[0][1] + 1)
    node.store.close()


def test_a_second_spending_is_stopped_by_the_database_too():
    """Should the checks ever let one through, the primary key does not."""
    node = DevnetNode(ChainStore(None), lambda: 0)
    node.give(b"a" * 32, 10**9)
    entry, (first,) = node.store.last(), node.store.find(CoinObject, ("made = 1",), order="id")
    second = bcs.coin(first.id, 2, b"b" * 32, 1, bytes(32))
    node.store.write(structs.replace(entry, seq=2, digest=b"2" * 32), [first], [second])
    following = structs.replace(entry, seq=3, digest=b"3" * 32)
    for spent, written, reason in (
        ([first], [], "spent"),
        ([second, second], [], "spent"),
        ([], [bcs.coin(first.id, 3, b"b" * 32, 1, bytes(32))], "UNIQUE"),
    ):
        with pytest.raises(sqlite3.IntegrityError, match=reason):
            node.store.write(following, spent, written)
    node.store.close()


# -- attacks ----------------------------------------------------------------------------------------------------------


ALIASES = " ".join(f"a{n}: devnet {{ supplyNanos }}" for n in range(50))
"""Of a sum over all coins."""
LISTINGS = " ".join(f"a{n}: objects(first: 50) {{ nodes {{ bcs }} }}" for n in range(40))


@pytest.mark.parametrize(
    "query",
    [
        f"{{ {ALIASES} }}",
        f"{{ ...f }} fragment f on Query {{ {ALIASES} }}",
        f"{{ ... on Query {{ {LISTINGS} }} }}",
        "{ " + " ".join(f"a{n}: chainIdentifier" for n in range(170)) + " }",
    ],
)
def test_what_costs_too_much_is_refused_wherever_it_hides(query: str):
    """Counted by name at the root alone, 145 aliases of a sum over all coins stood the node still."""
    node = DevnetNode(ChainStore(None), lambda: 0)
    for number in range(20 * 50):
        node.give(bytes([number % 50]) * 32, 10**9)
    answer = Api(node).answer(Request(query=query))
    assert re.search("costs more than|more than 500 tokens", answer["errors"][0]["message"])
    assert "data" not in answer
    assert "data" in Api(node).answer(Request(query="{ chainIdentifier devnet { supplyNanos mintedNanos } }"))
    node.store.close()


def test_what_is_asked_again_and_again_is_looked_up_no_oftener_than_its_cost_allows(monkeypatch):
    looks = []
    node = DevnetNode(ChainStore(None), lambda: 0)

    def devnet(answers: Answers) -> dict[str, str]:
        looks.append(answers)
        return {"supplyNanos": "1"}

    monkeypatch.setattr(Answers, "devnet", devnet)
    Api(node).answer(Request(query=f"{{ ...f ...f ...f }} fragment f on Query {{ {ALIASES} }}"))
    assert len(looks) == MOST_COST // COSTS["devnet"]
    node.store.close()


@pytest.mark.parametrize("most_files", [128, 1_024])
def test_a_thousand_connections_that_say_nothing_stop_nobody(most_files: int):
    """They filled the table of open files, and the log with 211 MB of tracebacks: now it says so in one line."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, hard))
    child = Child(Settings(port=0, as_json=True, tied=True))
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    silent = []
    try:
        for _ in range(1_100):
            line = socket.create_connection(("127.0.0.1", child.ready.port), timeout=10)
            line.sendall(b"POST /graphql HTTP/1.1\r\n")
            silent.append(line)
        status, answer = post(child.ready.url, b'{"query": "{ chainIdentifier }"}')
        assert (status, b"chainIdentifier" in answer) == (200, True)
        assert figures(child.ready)["transactions"] == 1
    finally:
        for line in silent:
            line.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        code, said = child.stop()
    assert (code, len(said.splitlines())) == (0, 1), said
    assert "too many connections" in said


def test_the_faucet_is_not_emptied_but_refills():
    clock = [0]
    faucet = Faucet(lambda: clock[0], tank_nanos=250, refill_nanos=10)
    assert [faucet.take(100) for _ in range(3)] == [True, True, False]
    assert faucet.left_nanos == 50
    assert faucet.take(50)
    clock[0] = 3_000
    assert [faucet.take(30), faucet.take(1)] == [True, False]
    clock[0] = 10**9
    assert [faucet.take(250), faucet.take(1)] == [True, False], "it holds no more than its tank"
