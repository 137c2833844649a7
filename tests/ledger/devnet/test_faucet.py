"""The faucet: its limits, its answers, and what it is worth to whoever wants all of it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import iota_sdk as iota
import pytest
import uvicorn
from tests.ledger.devnet.people import Arg, WalletOwner, a_story, figures, person, post

from wattswap.ledger.base import LedgerDownError
from wattswap.ledger.devnet.faucet import Faucet, FaucetLimits, TooOftenError
from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.server import app
from wattswap.ledger.devnet.store import ChainStore
from wattswap.ledger.iota_faucet import give


def test_the_faucets_limits_are_kept_by_the_minute():
    clock = [0]
    faucet = Faucet(FaucetLimits(nanos=5, most_nanos=10, per_minute=3, per_wallet=2), lambda: clock[0])
    assert [faucet.admit(b"a", None), faucet.admit(b"a", 10)] == [5, 10]
    with pytest.raises(TooOftenError):
        faucet.admit(b"a", None)
    assert faucet.admit(b"b", None) == 5
    with pytest.raises(TooOftenError):
        faucet.admit(b"c", None)
    for nanos in (0, -1, 11):
        with pytest.raises(Refused, match="1 to 10 nanos"):
            faucet.admit(b"c", nanos)
    clock[0] = 60_000
    assert faucet.admit(b"a", None) == 5


def test_an_empty_faucet_says_so_and_dust_does_not_hide_its_purse():
    node = DevnetNode(ChainStore(None), lambda: 0)
    for _ in range(150):
        node.give(node.faucet_address, 1)
    assert node.gift(node.give(b"a" * 32, 5 * 10**17))
    before = node.store.state_hash()
    with pytest.raises(Refused, match="empty"):
        node.give(b"a" * 32, 5 * 10**17)
    assert node.store.state_hash() == before
    node.store.close()


@a_story
async def test_the_faucet_answers_clearly_whatever_it_is_asked(node):
    anna = WalletOwner(node)
    before = figures(node)
    for recipient, amount in (("0xzz", None), ("", 5), ("0x1", -5), ("0x1", 10**30), ("0x" + "1" * 65, None)):
        request = {"recipient": recipient} if amount is None else {"recipient": recipient, "amount": amount}
        status, answer = post(node.faucet + "/v1/gas", json.dumps({"FixedAmountRequest": request}).encode())
        assert status == 400
        assert b"error" in answer
    assert figures(node) == before
    request = {"recipient": anna.address.to_hex(), "amount": 123}
    status, answer = post(node.faucet + "/v1/gas", json.dumps({"FixedAmountRequest": request}).encode())
    assert status == 202
    assert await anna.balance() == 123
    client = iota.FaucetClient(node.faucet)
    found = await client.request_status(json.loads(answer)["task"])
    assert found.status.name == "SUCCEEDED"
    assert await client.request_and_wait_for_finalized(anna.address, anna.client)
    assert await anna.balance() == 123 + 1_000 * 10**9


@a_story
async def test_only_the_faucets_own_gifts_have_a_status(node):
    anna = await person(node)
    effects = await anna.do(anna.build.send_iota(anna.address, Arg.u64(5)))
    for task in (effects.transaction_digest().to_base58(), "nonsense", "1" * 44, "%2e%2e"):
        line = http.client.HTTPConnection("127.0.0.1", node.port, timeout=10)
        line.request("GET", f"/v1/status/{task}")
        assert line.getresponse().status == 404
        line.close()


@contextmanager
def served(limits: FaucetLimits) -> Iterator[str]:
    """A node in this process whose faucet has these limits; the URL of its GraphQL."""
    store = ChainStore(None)
    faucet = Faucet(limits, lambda: int(time.monotonic() * 1_000))
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
    with served(FaucetLimits(tank_nanos=100, refill_nanos=200)) as url:
        began = time.monotonic()
        for _ in range(2):
            give(url, "0x1", 100)
        assert time.monotonic() - began >= 0.5


def test_a_faucet_that_never_has_so_much_is_given_up(monkeypatch):
    monkeypatch.setattr("wattswap.ledger.iota_faucet._PATIENCE_S", 0.0)
    monkeypatch.setattr("wattswap.ledger.iota_faucet._AGAIN_S", 0.0)
    limits = FaucetLimits(tank_nanos=100, refill_nanos=1)
    with served(limits) as url, pytest.raises(LedgerDownError, match="has 100 nanos just now"):
        give(url, "0x1", 101)
