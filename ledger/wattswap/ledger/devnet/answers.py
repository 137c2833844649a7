"""What each field of the schema answers: values, or functions that are called when the field is asked for.

Addresses and other bytes stay bytes here: how they are written is the business of the schema's scalars. What a field
means, and what it is given, is said there too.
"""
# ruff: noqa: A002, D102 - names and meanings are the schema's

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from wattswap.ledger.devnet import bcs, names, rules, sdk
from wattswap.ledger.devnet.model import CoinObject, Execution, Reference, Refused
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.pages import listing
from wattswap.ledger.devnet.store import LIVE, Condition, Entry

Fields = dict[str, Any]
Given = Mapping[str, Any]
"""An input of the schema: what was left out is not in it, or None."""

_MOST_SIGNATURES: Final = 16


class Answers:
    """The root of a query and of a mutation: one method for each of their fields, under its name in Python."""

    def __init__(self, node: DevnetNode) -> None:
        self._node, self._store = node, node.store

    # --- coins

    def owner(self, address: bytes) -> Fields:
        return {"address": address, "balance": partial(self._balance, address)}

    address = owner

    def _balance(self, owner: bytes, type: str = names.IOTA) -> Fields | None:
        if names.full_type(type or names.IOTA) != names.IOTA:
            return None
        nanos, count = self._store.balance(("owner = ?", owner), self._store.at(self._node.newest()))
        return {"coinType": {"repr": names.IOTA}, "coinObjectCount": count, "totalBalance": nanos}

    def object(self, address: bytes, version: int | None = None) -> Fields | None:
        when = self._store.at(self._node.newest()) if version is None else ("version = ?", version)
        coin = self._store.coin(address, when)
        return _coin(coin) if coin else None

    def objects(self, filter: Given | None = None, **window: Any) -> Fields:
        return listing(self._store, CoinObject, filter or {}, self._node.newest(), _coin, **window)

    def coin_metadata(self, coin_type: str) -> Fields | None:
        if names.full_type(coin_type) != names.IOTA:
            return None
        about = "Coins of a local test chain. They are worth nothing."
        shown = {"address": bytes(31) + b"\x02", "decimals": 9, "description": about, "name": "IOTA", "symbol": "IOTA"}
        return {**shown, "supply": self._store.balance(LIVE)[0], "version": 1}

    # --- transactions

    def execute_transaction_block(self, tx_bytes: str, signatures: Sequence[str]) -> Fields:
        if len(signatures) > _MOST_SIGNATURES:
            raise Refused("a transaction has one signature, or two with a sponsor")
        entry = self._node.submit(names.from_base64(tx_bytes), [names.from_base64(one) for one in signatures])
        return {"effects": self._effects(entry)}

    def dry_run_transaction_block(
        self, tx_bytes: str, tx_meta: Given | None = None, *, skip_checks: bool = False
    ) -> Fields:
        """Say what a transaction would come to; with ``tx_meta`` the bytes are those of its commands only."""
        data = names.from_base64(tx_bytes)
        if tx_meta is not None:
            data = _completed(data, {name: value for name, value in tx_meta.items() if value is not None})
        read = sdk.transaction(data)
        try:
            outcome = self._node.dry_run(read, checked=not skip_checks)
        except Refused as refused:
            return {"error": str(refused)}
        effects = {"status": _status(outcome), "bcs": outcome.effects}
        shown = {**self._transaction(read.digest, read.sender, data + b"\x00"), "effects": effects}
        return {"error": outcome.error or None, "results": [], "transaction": shown}

    def transaction_block(self, digest: str) -> Fields | None:
        entry = self._entry("digest = ?", sdk.from_base58(digest))
        return self._block(entry) if entry else None

    def transaction_blocks(self, filter: Given | None = None, **window: Any) -> Fields:
        return listing(self._store, Entry, filter or {}, self._node.newest(), self._block, **window)

    def is_transaction_indexed_on_node(self, digest: str) -> bool:
        return self._entry("digest = ?", sdk.from_base58(digest)) is not None

    def events(self, **_: Any) -> Fields:
        return listing(self._store, Entry, {"transactionIds": []}, 0, self._block)

    def _entry(self, condition: str, value: Any) -> Entry | None:
        """The listed transaction of which this holds."""
        return self._store.entry((condition, value), ("seq <= ?", self._node.newest()))

    def _block(self, entry: Entry) -> Fields:
        return {**self._transaction(entry.digest, entry.sender, entry.signed), "effects": self._effects(entry)}

    def _transaction(self, digest: bytes, sender: bytes, data: bytes) -> Fields:
        return {"digest": lambda: sdk.base58(digest), "sender": lambda: self.owner(sender), "bcs": data}

    def _effects(self, entry: Entry) -> Fields:
        return {"status": _status(entry), "checkpoint": lambda: _checkpoint(entry), "bcs": entry.effects}

    # --- the chain

    def chain_identifier(self) -> str:
        return self._node.chain_id

    def checkpoint(self, id: Given | None = None) -> Fields | None:
        given = id or {}
        found: list[Condition] = [("seq <= ?", self._node.newest())]
        if (digest := given.get("digest")) is not None:
            found.append(("checkpoint_digest = ?", sdk.from_base58(digest)))
        if (number := given.get("sequenceNumber")) is not None:
            found.append(("seq = ?", number))
        entry = self._store.entry(*found)
        return _checkpoint(entry) if entry else None

    def checkpoints(self, **window: Any) -> Fields:
        return listing(self._store, Entry, {}, self._node.newest(), _checkpoint, **window)

    def epoch(self, id: int | None = None) -> Fields | None:
        now, last = self._node.epoch(), self._store.last()
        if id not in {None, now}:
            return None
        return {
            "epochId": now,
            "referenceGasPrice": rules.REFERENCE_GAS_PRICE,
            "totalCheckpoints": last.seq + 1,
            "totalTransactions": last.seq + 1,
            "protocolConfigs": self.protocol_config,
            "startTimestamp": datetime.fromtimestamp(self._node.started_ms / 1000, UTC).isoformat(),
            "systemStateVersion": 1,
            "totalGasFees": last.burned,
        }

    def service_config(self) -> Fields:
        return {"enabledFeatures": ["COINS", "SYSTEM_STATE"], **rules.SERVICE}

    def protocol_config(self, protocol_version: int | None = None) -> Fields:
        if protocol_version not in {None, rules.PROTOCOL_VERSION}:
            raise Refused(f"the protocol's version is {rules.PROTOCOL_VERSION}, and no other is known")
        configs = [{"key": key, "value": str(value)} for key, value in rules.PROTOCOL.items()]
        return {"protocolVersion": rules.PROTOCOL_VERSION, "featureFlags": [], "configs": configs}

    def devnet(self) -> Fields:
        (supply, coins), last = self._store.balance(LIVE), self._store.last()
        return {
            "mintedNanos": rules.MINTED,
            "supplyNanos": supply,
            "burnedNanos": last.burned,
            "depositsNanos": last.deposited - last.rebated,
            "coins": coins,
            "transactions": last.seq + 1,
            "faucet": self._node.faucet_address,
            "stateHash": self._store.state_hash,
        }


def _coin(coin: CoinObject) -> Fields:
    contents = {
        "type": {"repr": names.COINS},
        "bcs": bcs.coin_contents(coin),
        "json": {"id": f"0x{coin.id.hex()}", "balance": {"value": str(coin.nanos)}},
    }
    about = {"address": coin.id, "version": coin.version, "digest": lambda: sdk.base58(coin.digest)}
    return {**about, "asMoveObject": {"contents": contents}, "bcs": lambda: bcs.coin_object(coin)}


def _checkpoint(entry: Entry) -> Fields:
    return {
        "sequenceNumber": entry.seq,
        "digest": lambda: sdk.base58(entry.checkpoint_digest),
        "networkTotalTransactions": entry.seq + 1,
        "bcs": entry.checkpoint,
    }


def _status(done: Entry | Execution) -> str:
    return "SUCCESS" if done.effects.startswith(b"\x00" + bcs.SUCCESS) else "FAILURE"


def _completed(kind: bytes, about: Given) -> bytes:
    """A transaction from its commands and what is said beside them; what is not said gets the widest terms."""
    widest = {"sender": bytes(32), "gasPrice": rules.REFERENCE_GAS_PRICE, "gasBudget": rules.PROTOCOL["max_tx_gas"]}
    terms = {**widest, **about}
    gas = [
        Reference(one["address"], one["version"], sdk.from_base58(one["digest"])) for one in about.get("gasObjects", [])
    ]
    owner = terms.get("gasSponsor", terms["sender"])
    return bcs.transaction(kind, terms["sender"], gas, owner, terms["gasPrice"], terms["gasBudget"])
