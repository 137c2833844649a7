"""A busy customer: makes payments through the SDK as fast as it can, for the benchmark and for tests that kill nodes.

Each function returns what was acknowledged. Amounts are nanos. Wallets are made on the spot and funded by the faucet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

import iota_sdk

from wattswap.ledger.devnet.process import DevnetReady
from wattswap.ledger.devnet.rules import MOST_ARGUMENTS, REFERENCE_GAS_PRICE
from wattswap.ledger.iota_faucet import give

_BUDGET: Final = 1_000_000_000
_PATIENCE_S: Final = 30.0
_GIFT_NANOS: Final = 1_000 * 10**9
_Given = TypeVar("_Given")


class Wallet:
    """A key, a client, and the reference of the one coin that it pays from."""

    def __init__(self, ready: DevnetReady) -> None:
        self.client: Any = iota_sdk.GraphQlClient(ready.url)
        self._url = ready.url
        self.key: Any = iota_sdk.Ed25519PrivateKey.random()
        self.address: Any = self.key.public_key().derive_address()
        self.coin: Any = None

    async def fund(self) -> None:
        """Ask the faucet once, and know the coin it gave."""
        await asyncio.to_thread(give, self._url, self.address.to_hex(), _GIFT_NANOS)
        page = await in_time(self.client.gas_coins(self.address))
        found = await in_time(self.client.object(page.data[0].id()))
        self.coin = found.object_ref()

    def signed(self, payees: int, nanos: int = 1) -> tuple[Any, Any]:
        """A payment to so many new wallets, built without asking the node."""
        payments = [
            iota_sdk.Payment(recipient=_anybody(), amount=iota_sdk.PtbArgument.u64(nanos)) for _ in range(payees)
        ]
        builder = iota_sdk.TransactionBuilder(self.address)
        builder.pay_iota(payments)
        transaction = builder.gas([self.coin]).gas_price(REFERENCE_GAS_PRICE).gas_budget(_BUDGET).finish()
        return transaction, self.key.sign_transaction(transaction)

    async def pay(self, payees: int = 1) -> str:
        """Build, sign and send one transaction; its digest, once the node has acknowledged it."""
        transaction, signature = self.signed(payees)
        effects = (await in_time(self.client.execute_transaction([signature], transaction))).as_v1()
        assert effects.status().is_success(), effects.to_json()
        self.coin = effects.gas_object().reference
        return str(effects.transaction_digest().to_base58())


async def funded(ready: DevnetReady, count: int) -> list[Wallet]:
    """New wallets with tokens."""
    wallets = [Wallet(ready) for _ in range(count)]
    for wallet in wallets:
        await wallet.fund()
    return wallets


async def single(wallet: Wallet, payments: int) -> list[str]:
    """Payments one after the other, each built offline."""
    return [await wallet.pay() for _ in range(payments)]


async def side_by_side(wallets: list[Wallet], payments: int) -> list[str]:
    """So many payments of each wallet, all wallets at once."""
    return [one for many in await asyncio.gather(*(single(wallet, payments) for wallet in wallets)) for one in many]


async def batched(wallet: Wallet, transactions: int) -> list[str]:
    """Transactions with as many payees as a network allows."""
    return [await wallet.pay(MOST_ARGUMENTS) for _ in range(transactions)]


def built(wallet: Wallet, transactions: int, payees: int) -> int:
    """Build and sign only, with no node: what the SDK alone costs."""
    return sum(len(wallet.signed(payees)) > 0 for _ in range(transactions))


async def in_time(wanted: Awaitable[_Given]) -> _Given:
    """The SDK has no time-out of its own; this is ours."""
    return await asyncio.wait_for(wanted, _PATIENCE_S)


def _anybody() -> Any:
    return iota_sdk.Ed25519PrivateKey.random().public_key().derive_address()
