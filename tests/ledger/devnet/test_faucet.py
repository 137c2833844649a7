"""The faucet: its answers, and what it is worth to whoever wants all of it. ``test_hostile`` has its tank."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import iota_sdk
import pytest
import uvicorn
from tests.ledger.devnet.people import WalletOwner, a_story, assert_conserved, figures, post

from wattswap.ledger.base import LedgerDownError
from wattswap.ledger.devnet.faucet import Faucet
from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.rules import MOST_MINTED
from wattswap.ledger.devnet.server import app
from wattswap.ledger.devnet.store import ChainStore
from wattswap.ledger.iota_faucet import give


def test_a_faucet_that_has_given_all_there_may_be_says_so():
    node = DevnetNode(ChainStore(None), lambda: 0)
    node.give(b"a" * 32, MOST_MINTED // 2)
    before = node.store.last()
    with pytest.raises(Refused, match="empty"):
        node.give(b"a" * 32, MOST_MINTED // 2)
    assert node.store.last() == before
    node.store.close()


@a_story
async def test_the_faucet_answers_clearly_whatever_it_is_asked(node):
    anna = WalletOwner(node)
    before = figures(node)
    wrong = [("0xzz", 5), ("", 5), ("0x1", -5), ("0x1", 0), ("0x1", None), ("0x" + "1" * 65, 5)]
    for recipient, amount in wrong:
        body = json.dumps({"FixedAmountRequest": {"recipient": recipient, "amount": amount}}).encode()
        status, answer = post(node.url.replace("graphql", "v1/gas"), body)
        assert (status, "message" in json.loads(answer)["errors"][0]) == (400, True)
    assert figures(node) == before
    give(node.url, anna.address.to_hex(), 123)
    assert await anna.balance() == 123
    await iota_sdk.FaucetClient(node.url.removesuffix("/graphql")).request(anna.address)  # which names no amount
    assert await anna.balance() == 123 + 10 * 10**9
    assert_conserved(node)


@contextmanager
def served(*, tank_nanos: int, refill_nanos: int) -> Iterator[str]:
    """A node in this process with this faucet; the URL of its GraphQL."""
    store = ChainStore(None)
    faucet = Faucet(lambda: int(time.monotonic() * 1_000), tank_nanos=tank_nanos, refill_nanos=refill_nanos)
    server = uvicorn.Server(uvicorn.Config(app(DevnetNode(store, lambda: 0), faucet), port=0, log_level="error"))
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/graphql"
    finally:
        server.should_exit = True
        thread.join()
        store.close()


def test_a_faucet_that_has_given_enough_for_now_is_asked_again_until_it_has_refilled():
    with served(tank_nanos=100, refill_nanos=200) as url:
        began = time.monotonic()
        for _ in range(2):
            give(url, "0x1", 100)
        assert time.monotonic() - began >= 0.5


def test_a_faucet_that_never_has_so_much_is_given_up(monkeypatch):
    monkeypatch.setattr("wattswap.ledger.iota_faucet._PATIENCE_S", 0.0)
    monkeypatch.setattr("wattswap.ledger.iota_faucet._AGAIN_S", 0.0)
    with served(tank_nanos=100, refill_nanos=1) as url, pytest.raises(LedgerDownError, match="has 100 nanos just now"):
        give(url, "0x1", 101)
