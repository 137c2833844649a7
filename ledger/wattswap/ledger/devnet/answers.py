"""What each field of the schema answers: values, or functions that are called when the field is asked for.

Bytes stay bytes here: ``api`` writes them in base64. What a field means, and what it is given, is said in the schema.
"""
# ruff: noqa: A002, D102, N802, N803, N815 - names and meanings are the schema's

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from wattswap.ledger.devnet import bcs, rules, sdk
from wattswap.ledger.devnet.model import CoinObject, Refused
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.pages import DEFAULT_PAGE, listing
from wattswap.ledger.devnet.store import Entry

Fields = dict[str, Any]

_SERVICE: Final = {
    "enabledFeatures": ["COINS"],
    "defaultPageSize": DEFAULT_PAGE,
    "maxPageSize": rules.MOST_PAGE,
    "maxQueryPayloadSize": rules.MOST_QUERY_CHARACTERS,
    "maxQueryNodes": rules.MOST_QUERY_TOKENS,
    "maxOutputNodes": rules.MOST_COST,
    "maxQueryDepth": 20,
    **dict.fromkeys(("mutationTimeoutMs", "requestTimeoutMs"), 40_000),
    **dict.fromkeys(("maxMoveValueDepth", "maxTypeArgumentDepth", "maxTypeArgumentWidth", "maxTypeNodes"), 0),
}


class Answers:
    """The root of a query and of a mutation: each of their fields, under its name in the schema."""

    serviceConfig = _SERVICE

    def __init__(self, node: DevnetNode) -> None:
        self._node, self._store, self.chainIdentifier = node, node.store, node.chain_id

    def epoch(self, id: int | None = None) -> Fields | None:
        now = self._node.epoch()
        started = datetime.fromtimestamp(self._node.started_ms / 1000, UTC).isoformat()
        protocol = {"protocolVersion": 20, "featureFlags": [], "configs": []}
        about = {"referenceGasPrice": str(rules.REFERENCE_GAS_PRICE), "protocolConfigs": protocol}
        return {"epochId": now, "startTimestamp": started, **about} if id in {None, now} else None

    def object(self, address: bytes, version: int | None = None) -> Fields | None:
        when = self._store.at(self._node.newest()) if version is None else ("version = ?", version)
        coin = self._store.coin(address, when)
        return _coin(coin) if coin else None

    def objects(self, **window: Any) -> Fields:
        return listing(self._store, CoinObject, self._node.newest(), _coin, **window)

    def checkpoint(self, id: Mapping[str, Any] | None = None) -> Fields | None:
        if any(value is not None for value in (id or {}).values()):
            raise Refused("this node shows the newest checkpoint only")
        entry = self._store.entry(("seq = ?", self._node.newest()))
        return {"bcs": self._node.checkpoint(entry)} if entry else None

    def transactionBlock(self, digest: str) -> Fields | None:
        entry = self._store.entry(("digest = ?", sdk.from_base58(digest)), ("seq <= ?", self._node.newest()))
        return self._block(entry) if entry else None

    def transactionBlocks(self, **window: Any) -> Fields:
        return listing(self._store, Entry, self._node.newest(), self._block, **window)

    def executeTransactionBlock(self, txBytes: str, signatures: Sequence[str]) -> Fields:
        return self._block(self._node.submit(sdk.from_base64(txBytes), list(map(sdk.from_base64, signatures))))

    def _block(self, entry: Entry) -> Fields:
        checkpoint = {"bcs": lambda: self._node.checkpoint(entry)}
        effects = {"checkpoint": checkpoint, "bcs": entry.effects}
        return {"digest": lambda: sdk.base58(entry.digest), "bcs": entry.signed, "effects": effects}

    def devnet(self) -> Fields:
        (supply, coins), last = self._store.supply(), self._store.last()
        return {
            "mintedNanos": str(last.minted),
            "supplyNanos": str(supply),
            "burnedNanos": str(last.burned),
            "depositsNanos": str(rules.COIN_DEPOSIT * coins),
            "coins": coins,
            "transactions": last.seq + 1,
        }


def _coin(coin: CoinObject) -> Fields:
    return {"bcs": lambda: bcs.coin_object(coin)}
