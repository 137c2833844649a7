"""The one door to an IOTA node: plain Python values in and out, every call with a time limit, in a thread of its own.

The SDK's calls are coroutines; they run on an event loop in this client's thread, never in the caller's, so a node that
hangs holds nobody up for longer than the limit. **Never fork a process that has a client**: parent and child would both
hang. SDK objects never leave this module and ``iota_transactions``: copying one corrupts memory.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from functools import partial
from itertools import count
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import iota_sdk
import msgspec
from iota_sdk import InternalError, SdkFfiError
from msgspec import Struct

from wattswap.ledger.account_adapter import BatchOutcome, CoinRef, Verdict
from wattswap.ledger.base import Closing, LedgerDownError
from wattswap.ledger.iota_bytes import quicken
from wattswap.protocol.errors import InputError, LocalProtocolError

quicken()

PUBLIC_CHAINS: Final = {"6364aad5": "mainnet", "2304aa97": "testnet", "daf90477": "public devnet"}
"""By chain id. Tokens of the first are money."""

_T = TypeVar("_T")
_PAGE: Final = 50
_MOST_PAGES: Final = 60
"""So many pages of one wallet's coins are read at most: putting small coins together makes them fewer."""
_EPOCH_KNOWN_S: Final = 60.0
_COINS: Final = "0x2::coin::Coin<0x2::iota::IOTA>"
_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1")
_DEVNET_QUERY: Final = "{ devnet { mintedNanos } }"


class Coin(Struct, frozen=True):
    """A coin as it is now."""

    ref: CoinRef
    nanos: int
    cause: str = ""
    """The transaction that left it as it is."""


class SentTransaction(Struct, frozen=True, kw_only=True):
    """A transaction that is on the chain."""

    digest: str
    raw: bytes
    """Its BCS bytes, without signatures."""
    outcome: BatchOutcome


class RefusedError(Exception):
    """The node did not take a transaction in; its text says why. Whether it was taken in before is another question."""


class IotaClient(Closing):
    """A connection to one node. ``url`` is that of GraphQL, or the node's bare address. Usable from any thread.

    Every method raises ``LedgerDownError`` when the node does not answer in time, or answers with an error.
    """

    def __init__(self, url: str, *, timeout_s: float = 15.0) -> None:
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port or an IPv6 address that is none
            is_address = False
        if not is_address:
            raise InputError(f"{url!r} is not the address of an IOTA node: give http(s)://HOST:PORT/graphql")
        self.is_on_this_machine = parts.hostname in _THIS_MACHINE
        """Whether it is reached without a network."""
        if parts.hostname and self.is_on_this_machine:
            _no_proxy_for(parts.hostname)
        if parts.path in ("", "/"):
            url = urlunsplit(parts._replace(path="/graphql"))
        self.url, self._timeout_s = url, timeout_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="iota", daemon=True)
        self._thread.start()
        self._pid = os.getpid()
        self._epoch: tuple[float, int, int] | None = None
        self._client = iota_sdk.GraphQlClient(url)

    def close(self) -> None:
        """Stop the thread. Closing twice is harmless."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    # -- the chain ----------------------------------------------------------------------------------------------------

    def chain_id(self) -> str:
        """Which network this is."""
        return str(self._call(self._client.chain_id()))

    def says_devnet(self) -> bool:
        """Whether the node calls itself a devnet of ours, whose tokens are worth nothing. It may lie."""
        if self.chain_id() in PUBLIC_CHAINS:
            return False
        query = iota_sdk.Query(query_string=_DEVNET_QUERY, variables=None)
        try:
            return "mintedNanos" in str(self._call(self._client.run_query(query)))
        except LedgerDownError:
            return False

    def epoch(self) -> tuple[int, int]:
        """The epoch and its reference gas price in nanos, as they were at most a minute ago: epochs last a day."""
        now_s = time.monotonic()
        if self._epoch is None or now_s - self._epoch[0] > _EPOCH_KNOWN_S:
            epoch = self._call(self._client.epoch(None))
            if epoch is None or epoch.reference_gas_price is None:
                raise LedgerDownError(f"{self.url} does not say which epoch it is")
            self._epoch = (now_s, int(epoch.epoch_id), int(epoch.reference_gas_price))
        return self._epoch[1:]

    # -- coins --------------------------------------------------------------------------------------------------------

    def coins(self, address: str) -> list[Coin]:
        """All IOTA coins of an address, the largest first."""
        return self.coins_of([address])[0]

    def coins_of(self, addresses: Sequence[str]) -> list[list[Coin]]:
        """The same for several addresses, asked for at the same time."""
        found = self._call(self._coins_of(addresses), limited=False)
        return [sorted(coins, key=lambda coin: (-coin.nanos, coin.ref.coin)) for coins in found]

    async def _coins_of(self, addresses: Sequence[str]) -> list[list[Coin]]:
        return await asyncio.gather(*map(self._coins, addresses))

    async def _coins(self, address: str) -> list[Coin]:
        owned = iota_sdk.ObjectFilter(owner=iota_sdk.Address.from_hex(address), type_tag=_COINS)
        return [_coin(thing) async for thing in self._listed(partial(self._client.objects, owned), most=_MOST_PAGES)]

    def coin_version(self, coin: str) -> int | None:
        """The version of a coin as it is now; None if it is gone."""
        found = self._call(self._client.object(iota_sdk.ObjectId.from_hex(coin)))
        return None if found is None else int(found.version().as_u64())

    # -- transactions -------------------------------------------------------------------------------------------------

    def execute(self, raw: bytes, signatures: list[str]) -> BatchOutcome:
        """Hand a signed transaction in and wait until it is final. The same bytes again give the same effects.

        Raises ``RefusedError`` if the node refuses it, ``LedgerDownError`` if it is not known what happened.
        """
        try:
            transaction = iota_sdk.Transaction.from_bcs(raw)
            signed = [iota_sdk.UserSignature.from_base64(signature) for signature in signatures]
            execution = self._client.execute_transaction(signed, transaction, iota_sdk.WaitForTransaction.FINALIZED)
            return _outcome(self._run(execution))
        except (SdkFfiError, InternalError) as error:
            raise RefusedError(_one_line(error)) from None

    def effects(self, digest: str) -> BatchOutcome | None:
        """What a transaction came to, once it is final; None if the node does not know it (yet)."""
        try:
            asked = iota_sdk.TransactionDigest.from_base58(digest)
        except SdkFfiError:  # an altered file named it; nobody ever sent a transaction of that name
            return None
        return self._call(self._final_effects(asked))

    async def _final_effects(self, digest: Any) -> BatchOutcome | None:
        effects = await self._client.transaction_effects(digest)
        if effects is None:
            return None
        if not await self._client.is_transaction_finalized(digest):
            raise LedgerDownError("the transaction was executed but is in no checkpoint yet")
        return _outcome(effects)

    def sent(self, address: str, after: int) -> tuple[list[SentTransaction], int]:
        """All transactions that an address has sent in checkpoints after this one (-1: ever), oldest first.

        With the newest checkpoint up to which the list is whole. A cursor of the service is no place in time (it pins
        the checkpoint it was made at as an upper bound), so none is ever kept.
        """
        return self._call(self._sent(address, after), limited=False)

    async def _sent(self, address: str, after: int) -> tuple[list[SentTransaction], int]:
        newest = await self._in_time(self._client.latest_checkpoint_sequence_number())
        if newest is None:
            raise LedgerDownError(f"{self.url} does not say which checkpoint is the newest")
        sender = iota_sdk.Address.from_hex(address)
        by = iota_sdk.TransactionsFilter(sent_address=sender, after_checkpoint=None if after < 0 else after)
        entries = self._listed(partial(self._client.transactions_data_effects, by))
        return [_sent(entry) async for entry in entries], int(newest)

    def consumer(self, coin: CoinRef) -> tuple[str, str]:
        """The transaction that consumed a version of a coin, and who sent it; empty if the node does not list it."""
        return self._call(self._consumer(coin), limited=False)

    async def _consumer(self, coin: CoinRef) -> tuple[str, str]:
        by = iota_sdk.TransactionsFilter(input_object=iota_sdk.ObjectId.from_hex(coin.coin))
        async for entry in self._listed(partial(self._client.transactions, by), backward=True):
            if (coin.coin, coin.version) in _inputs(entry.transaction):
                return str(entry.transaction.digest().to_base58()), str(entry.transaction.sender().to_hex())
        return "", ""

    # -- how ----------------------------------------------------------------------------------------------------------

    def _run(self, coroutine: Coroutine[Any, Any, _T], *, limited: bool = True) -> _T:
        """Run on the client's loop, with its time limit; what comes in pages has one for each page."""
        if self._pid != os.getpid():
            raise LocalProtocolError("a process with an IOTA client was forked")
        timely = self._in_time(coroutine) if limited else coroutine
        return asyncio.run_coroutine_threadsafe(timely, self._loop).result()

    async def _listed(
        self, ask: Callable[[Any], Awaitable[Any]], *, backward: bool = False, most: int | None = None
    ) -> AsyncIterator[Any]:
        """What a listing holds, the last first if ``backward``, of ``most`` so many pages."""
        direction = iota_sdk.Direction.BACKWARD if backward else iota_sdk.Direction.FORWARD
        cursor = None
        for _ in count() if most is None else range(most):
            wanted = iota_sdk.PaginationFilter(direction=direction, cursor=cursor, limit=_PAGE)
            page = await self._in_time(ask(wanted))
            for entry in reversed(page.data) if backward else page.data:
                yield entry
            info = page.page_info
            if not (info.has_previous_page if backward else info.has_next_page):
                return
            cursor = info.start_cursor if backward else info.end_cursor

    async def _in_time(self, wanted: Awaitable[_T]) -> _T:
        try:
            return await asyncio.wait_for(wanted, self._timeout_s)
        except TimeoutError:
            raise LedgerDownError(f"{self.url} did not answer within {self._timeout_s:g} s") from None

    def _call(self, coroutine: Coroutine[Any, Any, _T], *, limited: bool = True) -> _T:
        """The same for questions, where an error is as good as no answer."""
        try:
            return self._run(coroutine, limited=limited)
        except (SdkFfiError, InternalError) as error:
            raise LedgerDownError(_said(self.url, _one_line(error))) from None


def _said(url: str, problem: str) -> str:
    """What the SDK said of a question, in the words of whoever asked."""
    if "error sending request" in problem:
        return f"nobody answers at {url}; is the node running? `wattswap devnet` starts one"
    return f"{url}: {problem}"


def _outcome(effects: Any) -> BatchOutcome:
    plain = effects.as_v1()
    gas, status = plain.gas_cost_summary(), plain.status()
    succeeded = status.is_success()
    return BatchOutcome(
        verdict=Verdict.FINAL if succeeded else Verdict.FAILED,
        error="" if succeeded else _failure(status),
        fee_nanos=int(gas.computation_cost),
        deposit_nanos=int(gas.storage_cost) - int(gas.storage_rebate),
    )


def _failure(status: Any) -> str:
    """The network's name for what went wrong."""
    said = msgspec.json.decode(status.to_json())["status"]
    error = said["error"] if isinstance(said["error"], str) else msgspec.json.encode(said["error"]).decode()
    return f"{error} in command {said['command']}" if "command" in said else error


def _coin(thing: Any) -> Coin:
    ref = thing.object_ref()
    name = CoinRef(ref.object_id.to_hex(), ref.version.as_u64(), ref.digest.to_base58())
    cause = thing.previous_transaction().to_base58()
    return Coin(name, iota_sdk.Coin.try_from_object(thing).balance(), cause)


def _sent(entry: Any) -> SentTransaction:
    transaction = entry.signed_transaction.transaction
    return SentTransaction(
        digest=transaction.digest().to_base58(), raw=transaction.to_bcs(), outcome=_outcome(entry.effects)
    )


def _inputs(transaction: Any) -> set[tuple[str, int]]:
    """(id, version) of all coins that a transaction consumes."""
    body = msgspec.json.decode(transaction.to_json())["V1"]
    owned = [one["ImmutableOrOwned"] for one in body["kind"]["Programmable"]["inputs"] if "ImmutableOrOwned" in one]
    return {(ref["object_id"], int(ref["version"])) for ref in (*owned, *body["gas_payment"]["objects"])}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]


def _no_proxy_for(host: str) -> None:
    """The SDK would send even what is meant for this machine through a proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [entry for entry in os.environ.get(name, "").split(",") if entry]
        if host not in hosts:
            os.environ[name] = ",".join([*hosts, host])
