"""Wallet owners who use the node through the SDK, and a way to write such a test as one story."""

from __future__ import annotations

import asyncio
import functools
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from typing import Any

import iota_sdk as iota

from wattswap.experiments.bench import devnet_load as load
from wattswap.ledger.devnet.process import DevnetReady

IOTA = 10**9
FEE = 1_000_000
DEPOSIT = 980_400
Arg = iota.PtbArgument


def a_story(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test that awaits."""

    @functools.wraps(test)
    def told(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))

    return told


class WalletOwner(load.Wallet):
    """A wallet with the words that tests use."""

    @property
    def offline(self):
        """A builder that asks nobody."""
        return iota.TransactionBuilder(self.address)

    def priced(self, builder, *, gas=None, budget=50_000_000, price=1_000):
        """Finish an offline transaction."""
        coins = [self.coin] if gas is None else gas
        return builder.gas(coins).gas_price(price).gas_budget(budget).finish()

    async def send(self, transaction, *signers):
        """Sign and send a finished transaction."""
        signatures = [one.key.sign_transaction(transaction) for one in (signers or (self,))]
        return (await load.in_time(self.client.execute_transaction(signatures, transaction))).as_v1()

    async def balance(self):
        return sum(coin.balance() for coin in (await load.in_time(self.client.gas_coins(self.address))).data)

    async def coins(self):
        """References of all coins, by id."""
        page = await load.in_time(self.client.gas_coins(self.address))
        return [(await self.client.object(coin.id())).object_ref() for coin in page.data]

    async def refresh(self):
        """Know the first coin again after others changed it."""
        self.coin = (await self.coins())[0]


async def person(ready: DevnetReady) -> WalletOwner:
    """Somebody with 1,000 IOTA."""
    somebody = WalletOwner(ready)
    await somebody.fund()
    return somebody


def pay(person: WalletOwner, payee: Any, nanos: int) -> Any:
    """A builder for an offline payment."""
    return person.offline.send_iota(payee, Arg.u64(nanos))


def post(url: str, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
    """Status and answer of a plain POST."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def ask(ready: DevnetReady, query: str, **variables: object) -> Any:
    """What a person's ad hoc query gives, errors and all."""
    status, answer = post(ready.url, json.dumps({"query": query, "variables": variables}).encode())
    assert status == 200
    return json.loads(answer)


def figures(ready: DevnetReady) -> Any:
    """Where all tokens are, and how many transactions there were: with one more, one of these is another."""
    fields = "mintedNanos supplyNanos burnedNanos depositsNanos coins transactions"
    found = ask(ready, f"{{ devnet {{ {fields} }} }}")["data"]["devnet"]
    return {name: int(value) for name, value in found.items()}


def assert_conserved(ready: DevnetReady) -> None:
    """Every token is in a coin, in a deposit, or burned."""
    now = figures(ready)
    assert now["supplyNanos"] + now["burnedNanos"] + now["depositsNanos"] == now["mintedNanos"]
    assert now["depositsNanos"] == DEPOSIT * now["coins"]
