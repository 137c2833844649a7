"""The official SDK, as far as the node needs it: it reads what comes from outside, and it signs and verifies.

The SDK has no types, so this is the one module where values of any kind come in; bytes and plain values go out.
Whatever the SDK cannot read is ``Refused``, also when its Rust side gives up (``InternalError``).
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any, Final

import iota_sdk
from iota_sdk import InternalError, SdkFfiError

from wattswap.ledger.devnet import bcs, rules
from wattswap.ledger.devnet.model import CoinObject, Reference, Refused, Transaction
from wattswap.ledger.iota_bytes import quicken

quicken()

_FAILURES: Final = (InternalError, SdkFfiError)


def transaction(data: bytes) -> Transaction:
    """Read a transaction, or refuse it: what is no transaction, and what this node cannot do at all."""
    if len(data) > rules.PROTOCOL["max_tx_size_bytes"]:
        raise Refused(f"the transaction has {len(data)} bytes, and {rules.PROTOCOL['max_tx_size_bytes']} is the most")
    try:
        read = iota_sdk.Transaction.from_bcs(data)
        if read.to_bcs() != data:  # this SDK reads no others; its next version should not surprise us
            raise Refused("the transaction's bytes are not canonical")
        body = json.loads(read.to_json())["V1"]
    except _FAILURES as error:
        raise Refused(f"the bytes are no transaction: {_reason(error)}") from None
    if "Programmable" not in body["kind"]:
        raise Refused("only programmable transactions can be sent")
    program, gas, expires = body["kind"]["Programmable"], body["gas_payment"], body["expiration"]
    return Transaction(
        digest=bcs.digest_of("TransactionData", data),
        signing_digest=bcs.hashed(bytes(3) + data),
        sender=_bytes(body["sender"]),
        inputs=[_input(one) for one in program["inputs"]],
        commands=program["commands"],
        gas=[_reference(one) for one in gas["objects"]],
        gas_owner=_bytes(gas["owner"]),
        gas_price=int(gas["price"]),
        gas_budget=int(gas["budget"]),
        last_epoch=None if expires == "None" else int(expires["Epoch"]),
    )


def _input(given: dict[str, Any]) -> bytes | Reference:
    match given:
        case {"Pure": value}:
            return b64decode(value)
        case {"ImmutableOrOwned": named}:
            return _reference(named)
    raise Refused("this node has no shared objects and receives none: inputs are plain values or owned coins")


def _reference(given: dict[str, str]) -> Reference:
    version = int(given["version"])
    if version > rules.MOST_VERSION:
        raise Refused(f"no object has version {version}")
    return Reference(_bytes(given["object_id"]), version, from_base58(given["digest"]))


def _bytes(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))


def signer(signature: bytes, signing_digest: bytes) -> bytes:
    """The address whose key made this signature; refused unless it is right."""
    try:
        user = iota_sdk.UserSignature.from_bytes(signature)
        simple = user.as_opt_simple()
        if simple is None:
            raise Refused("this node verifies single signatures only (Ed25519, Secp256k1, Secp256r1)")
        iota_sdk.UserSignatureVerifier().verify(signing_digest, user)
    except _FAILURES as error:
        raise Refused(f"a signature is not valid: {_reason(error)}") from None
    key = simple.opt_ed25519_public_key() or simple.opt_secp256k1_public_key() or simple.opt_secp256r1_public_key()
    return bytes(key.derive_address().to_bytes())


def failure_status(error: object, command: int | None) -> bytes:
    """The bytes of a failed status; ``error`` is the error as the SDK's JSON has it."""
    status = {"error": error} if command is None else {"error": error, "command": command}
    return bytes(iota_sdk.execution_status_from_json(json.dumps({"success": False, "status": status})).to_bcs())


def base58(data: bytes) -> str:
    """A digest as people write it."""
    return str(iota_sdk.Digest.from_bytes(data).to_base58())


def from_base58(text: str) -> bytes:
    """A digest as people write it, read."""
    try:
        return bytes(iota_sdk.Digest.from_base58(text).to_bytes())
    except _FAILURES:
        raise Refused("a digest is 32 bytes in base58") from None


def address_of(seed: bytes) -> bytes:
    """The address of the Ed25519 key with this seed."""
    return bytes(iota_sdk.Ed25519PrivateKey(seed).public_key().derive_address().to_bytes())


def gift(seed: bytes, coin: CoinObject, recipient: bytes, nanos: int, budget: int) -> tuple[bytes, bytes]:
    """The transaction by which the key with this seed sends tokens from its coin, with its signature."""
    key = iota_sdk.Ed25519PrivateKey(seed)
    builder = iota_sdk.TransactionBuilder(key.public_key().derive_address())
    builder.send_iota(iota_sdk.Address.from_bytes(recipient), iota_sdk.PtbArgument.u64(nanos))
    reference = iota_sdk.ObjectReference(
        object_id=iota_sdk.ObjectId.from_bytes(coin.id),
        version=iota_sdk.Version.from_u64(coin.version),
        digest=iota_sdk.ObjectDigest.from_bytes(coin.digest),
    )
    made = builder.gas([reference]).gas_price(rules.REFERENCE_GAS_PRICE).gas_budget(budget).finish()
    return bytes(made.to_bcs()), bytes(key.sign_transaction(made).to_bytes())


def _reason(error: Exception) -> str:
    """What the SDK says, short and in one line."""
    return " ".join(str(error).split())[:200]
