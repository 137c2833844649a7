"""What each field of the schema answers. One ``Answers`` serves one request, and counts the bytes it hands out."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from wattswap.ledger.devnet import bcs, names, pages, sdk
from wattswap.ledger.devnet.model import CoinObject, Reference, Refused
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.pages import Page, Window
from wattswap.ledger.devnet.rules import (
    MINTED,
    MOST_GAS_BUDGET,
    MOST_OUTPUT_BYTES,
    MOST_OUTPUT_NODES,
    MOST_PAGE_SIZE,
    MOST_QUERY_BYTES,
    MOST_QUERY_DEPTH,
    MOST_QUERY_NODES,
    MOST_TYPE_DEPTH,
    PAGE_SIZE,
    PROTOCOL_CONFIG,
    PROTOCOL_VERSION,
    REFERENCE_GAS_PRICE,
)
from wattswap.ledger.devnet.store import Entry

Fields = dict[str, Any]
"""A node of the answer: values, or functions that are called when the field is asked for."""

_TIMEOUT_MS: Final = 40_000
_MOST_SIGNATURES: Final = 16
_NO_PAGE: Final = Page[CoinObject]([], [], has_previous=False, has_next=False)


class Answers:
    """The root of a query and of a mutation."""

    def __init__(self, node: DevnetNode) -> None:
        self._node = node
        self._store = node.store
        self._bytes = 0

    def roots(self) -> Fields:
        """Field name -> what answers it; graphql-core calls it with the field's arguments."""
        fields: dict[str, Callable[..., object]] = {
            "chainIdentifier": lambda: self._node.chain_id,
            "epoch": self._epoch,
            "serviceConfig": _service_config,
            "protocolConfig": _protocol_config,
            "owner": self._owner,
            "address": self._owner,
            "object": self._object,
            "objects": self._objects,
            "dryRunTransactionBlock": self._dry_run,
            "executeTransactionBlock": self._execute,
            "transactionBlock": self._transaction,
            "transactionBlocks": self._transactions,
            "isTransactionIndexedOnNode": lambda digest: self._by_digest(digest) is not None,
            "events": lambda **_: _connection(_NO_PAGE, lambda _: {}),
            "checkpoint": self._checkpoint,
            "checkpoints": lambda **window: _connection(
                pages.entries(self._store, {}, Window(**window), self._node.newest()), self._checkpoint_fields
            ),
            "coinMetadata": self._coin_metadata,
            "devnet": self._devnet,
        }
        return {name: _without_info(answer) for name, answer in fields.items()}

    # --- coins

    def _owner(self, address: str) -> Fields:
        owner = names.address(address)
        return {"address": names.shown(owner), "balance": _without_info(lambda **given: self._balance(owner, **given))}

    def _balance(self, owner: bytes, type: str | None = None) -> Fields | None:  # noqa: A002 - the schema's name
        if type is not None and names.short_type(type) not in names.IOTA_TYPES:
            return None
        nanos, count = self._store.balance(owner, self._node.newest())
        return {"coinType": {"repr": names.LONG_IOTA_TYPE}, "coinObjectCount": count, "totalBalance": str(nanos)}

    def _object(self, address: str, version: int | None = None) -> Fields | None:
        coin_id = names.address(address)
        if version is None:
            found = self._store.coins(["id = ?"], [coin_id], self._node.newest(), count=1, backwards=False)
            coin = found[0] if found else None
        else:
            coin = self._store.version(coin_id, version)
        return self._coin_fields(coin) if coin else None

    def _objects(self, filter: Mapping[str, Any] | None = None, **window: Any) -> Fields:  # noqa: A002 - as above
        found = pages.coins(self._store, filter or {}, Window(**window), self._node.newest())
        return _connection(found, self._coin_fields)

    def _coin_fields(self, coin: CoinObject) -> Fields:
        contents = {
            "type": {"repr": names.LONG_COIN_TYPE},
            "bcs": self._base64(bcs.coin_contents(coin.id, coin.nanos)),
            "json": {"id": names.shown(coin.id), "balance": {"value": str(coin.nanos)}},
        }
        return {
            "address": names.shown(coin.id),
            "version": coin.version,
            "digest": lambda _: sdk.base58(coin.digest),
            "asMoveObject": {"contents": contents},
            "bcs": lambda _: self._base64(bcs.coin_object(coin)),
        }

    def _coin_metadata(self, coinType: str) -> Fields | None:  # noqa: N803 - the schema's name
        if names.short_type(coinType) not in names.IOTA_TYPES:
            return None
        return {
            "address": names.shown(bytes(31) + b"\x02"),
            "decimals": 9,
            "description": "Coins of a local test chain. They are worth nothing.",
            "name": "IOTA",
            "symbol": "IOTA",
            "supply": str(self._store.sums().supply),
            "version": 1,
        }

    # --- transactions

    def _execute(self, txBytes: str, signatures: Sequence[str]) -> Fields:  # noqa: N803 - the schema's names
        if len(signatures) > _MOST_SIGNATURES:
            raise Refused("a transaction has one signature, or two with a sponsor")
        entry = self._node.submit(names.from_base64(txBytes), [names.from_base64(one) for one in signatures])
        return {"effects": self._effects_fields(entry)}

    def _dry_run(self, txBytes: str, txMeta: Mapping[str, Any] | None = None, skipChecks: bool | None = None) -> Fields:  # noqa: N803
        data = names.from_base64(txBytes)
        run = self._node.dry_run(data if txMeta is None else _completed(data, txMeta), checked=not skipChecks)
        if run.outcome is None:
            return {"error": run.error, "results": None, "transaction": None}
        outcome = run.outcome
        shown = {"status": _status(outcome.effects), "bcs": lambda _: self._base64(outcome.effects)}
        transaction = {
            "digest": lambda _: sdk.base58(outcome.transaction.digest),
            "sender": lambda _: self._owner(names.shown(outcome.transaction.sender)),
            "bcs": lambda _: self._base64(run.data + b"\x00"),
            "effects": shown,
        }
        return {"error": run.error or None, "results": [], "transaction": transaction}

    def _by_digest(self, digest: str) -> Entry | None:
        return self._listed(self._store.entry(digest=sdk.from_base58(digest)))

    def _listed(self, entry: Entry | None) -> Entry | None:
        return None if entry is None or entry.seq > self._node.newest() else entry

    def _transaction(self, digest: str) -> Fields | None:
        entry = self._by_digest(digest)
        return self._transaction_fields(entry) if entry else None

    def _transactions(self, filter: Mapping[str, Any] | None = None, **window: Any) -> Fields:  # noqa: A002 - as above
        found = pages.entries(self._store, filter or {}, Window(**window), self._node.newest())
        return _connection(found, self._transaction_fields)

    def _transaction_fields(self, entry: Entry) -> Fields:
        return {
            "digest": lambda _: sdk.base58(entry.digest),
            "sender": lambda _: self._owner(names.shown(entry.sender)),
            "effects": self._effects_fields(entry),
            "bcs": lambda _: self._base64(entry.signed),
        }

    def _effects_fields(self, entry: Entry) -> Fields:
        return {
            "status": _status(entry.effects),
            "checkpoint": lambda _: self._checkpoint_fields(entry),
            "bcs": lambda _: self._base64(entry.effects),
        }

    # --- the chain

    def _checkpoint(self, id: Mapping[str, Any] | None = None) -> Fields | None:  # noqa: A002 - the schema's name
        number, digest = (id or {}).get("sequenceNumber"), (id or {}).get("digest")
        if digest is not None:
            entry = self._store.entry(seq=number, checkpoint=sdk.from_base58(digest))
        else:
            entry = self._store.entry(seq=self._node.newest() if number is None else number)
        entry = self._listed(entry)
        return self._checkpoint_fields(entry) if entry else None

    def _checkpoint_fields(self, entry: Entry) -> Fields:
        return {
            "sequenceNumber": entry.seq,
            "digest": lambda _: sdk.base58(entry.checkpoint_digest),
            "networkTotalTransactions": entry.seq + 1,
            "bcs": lambda _: self._base64(entry.checkpoint),
        }

    def _epoch(self, id: int | None = None) -> Fields | None:  # noqa: A002 - as above
        now = self._node.epoch()
        if id not in {None, now}:
            return None
        last = self._store.entry()
        assert last
        return {
            "epochId": now,
            "referenceGasPrice": str(REFERENCE_GAS_PRICE),
            "totalCheckpoints": last.seq + 1,
            "totalTransactions": last.seq + 1,
            "protocolConfigs": lambda _: _protocol_config(),
            "startTimestamp": lambda _: datetime.fromtimestamp(self._node.started_ms / 1000, UTC).isoformat(),
            "systemStateVersion": 1,
            "totalGasFees": str(last.burned),
        }

    def _devnet(self) -> Fields:
        sums, last = self._store.sums(), self._store.entry()
        assert last
        return {
            "mintedNanos": str(MINTED),
            "supplyNanos": str(sums.supply),
            "burnedNanos": str(sums.burned),
            "depositsNanos": str(sums.deposits),
            "coins": lambda _: self._store.count(),
            "transactions": last.seq + 1,
            "faucet": names.shown(self._node.faucet_address),
            "stateHash": lambda _: self._store.state_hash(),
        }

    def _base64(self, data: bytes) -> str:
        self._bytes += len(data)
        if self._bytes > MOST_OUTPUT_BYTES:
            raise Refused(f"the answer would be longer than {MOST_OUTPUT_BYTES} bytes: ask for smaller pages")
        return b64encode(data).decode()


def _completed(kind: bytes, about: Mapping[str, Any]) -> bytes:
    """A transaction from its commands and what is said beside them; what is not said gets the widest terms."""
    given = {name: value for name, value in about.items() if value is not None}
    sender = names.address(given.get("sender", "0x0"))
    gas = [
        Reference(names.address(one["address"]), one["version"], sdk.from_base58(one["digest"]))
        for one in given.get("gasObjects", [])
    ]
    owner = names.address(given["gasSponsor"]) if "gasSponsor" in given else sender
    price, budget = given.get("gasPrice", REFERENCE_GAS_PRICE), given.get("gasBudget", MOST_GAS_BUDGET)
    return bcs.transaction(kind, sender, gas, owner, price, budget)


def _without_info(answer: Callable[..., object]) -> Callable[..., object]:
    """As graphql-core calls it: with its own information first, which nobody here needs."""
    return lambda _info, **given: answer(**given)


def _connection(page: Page[Any], fields: Callable[[Any], Fields]) -> Fields:
    info = {
        "hasPreviousPage": page.has_previous,
        "hasNextPage": page.has_next,
        "startCursor": page.cursors[0] if page.cursors else None,
        "endCursor": page.cursors[-1] if page.cursors else None,
    }
    return {"pageInfo": info, "nodes": [fields(row) for row in page.rows]}


def _status(effects: bytes) -> str:
    return "SUCCESS" if effects.startswith(b"\x00" + bcs.SUCCESS) else "FAILURE"


def _protocol_config(protocolVersion: int | None = None) -> Fields:  # noqa: N803 - the schema's name
    if protocolVersion not in {None, PROTOCOL_VERSION}:
        raise Refused(f"the protocol's version is {PROTOCOL_VERSION}, and no other is known")
    configs = [{"key": key, "value": str(value)} for key, value in PROTOCOL_CONFIG.items()]
    return {"protocolVersion": PROTOCOL_VERSION, "featureFlags": [], "configs": configs}


def _service_config() -> Fields:
    return {
        "enabledFeatures": ["COINS", "SYSTEM_STATE"],
        "defaultPageSize": PAGE_SIZE,
        "maxPageSize": MOST_PAGE_SIZE,
        "maxQueryDepth": MOST_QUERY_DEPTH,
        "maxQueryNodes": MOST_QUERY_NODES,
        "maxOutputNodes": MOST_OUTPUT_NODES,
        "maxQueryPayloadSize": MOST_QUERY_BYTES,
        "maxMoveValueDepth": 128,
        "maxTypeArgumentDepth": MOST_TYPE_DEPTH,
        "maxTypeArgumentWidth": 32,
        "maxTypeNodes": 256,
        "mutationTimeoutMs": _TIMEOUT_MS,
        "requestTimeoutMs": _TIMEOUT_MS,
    }
