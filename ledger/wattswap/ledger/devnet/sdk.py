"""The official SDK, as far as the node needs it: it reads what comes from outside, and it signs and verifies.

The SDK has no types, so this is the one module where values of any kind come in; bytes and plain values go out.
Whatever the SDK cannot read is ``Refused``, also when its Rust side gives up (``InternalError``).
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import Any, Final

import iota_sdk
from iota_sdk import InternalError, SdkFfiError

from wattswap.ledger.devnet import bcs, rules
from wattswap.ledger.devnet.model import Reference, Refused, Transaction
from wattswap.ledger.iota_bytes import quicken

quicken()

_FAILURES: Final = (InternalError, SdkFfiError)
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")


def address(text: str) -> bytes:
    """An address or object id as people write it, short or long, read."""
    if not _ADDRESS.fullmatch(text):
        raise Refused("an address is 0x and up to 64 hexadecimal digits")
    return bytes.fromhex(text[2:].zfill(64))


def base58(data: bytes) -> str:
    """A digest as people write it."""
    return str(iota_sdk.Digest.from_bytes(data).to_base58())


def from_base58(text: str) -> bytes:
    """A digest as people write it, read."""
    try:
        return bytes(iota_sdk.Digest.from_base58(text).to_bytes())
    except _FAILURES:
        raise Refused("a digest is 32 bytes in base58") from None


def from_base64(text: str) -> bytes:
    """Bytes in base64, strictly."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise Refused("not base64") from None


def transaction(data: bytes) -> Transaction:
    """Read a transaction, or refuse it: what is no transaction, and what this node cannot do at all."""
    if len(data) > rules.MOST_TRANSACTION_BYTES:
        raise Refused(f"the transaction has {len(data)} bytes, and {rules.MOST_TRANSACTION_BYTES} is the most")
    try:
        read = iota_sdk.Transaction.from_bcs(data)
        if read.to_bcs() != data:  # this SDK reads no others; its next version should not surprise us
            raise Refused("the transaction's bytes are not canonical")
        body = json.loads(read.to_json())["V1"]
    except _FAILURES as error:
        raise Refused(f"the bytes are no transaction: {error}") from None
    if "Programmable" not in body["kind"]:
        raise Refused("only programmable transactions can be sent")
    program, gas, expires = body["kind"]["Programmable"], body["gas_payment"], body["expiration"]
    return Transaction(
        digest=bcs.digest_of("TransactionData", data),
        sender=address(body["sender"]),
        inputs=[_input(one) for one in program["inputs"]],
        commands=program["commands"],
        gas=[_reference(one) for one in gas["objects"]],
        gas_owner=address(gas["owner"]),
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
    return Reference(address(given["object_id"]), version, from_base58(given["digest"]))


def signer(signature: bytes, signing_digest: bytes) -> bytes:
    """The address whose Ed25519 key made this signature; refused unless it is right."""
    try:
        user = iota_sdk.UserSignature.from_bytes(signature)
        simple = user.as_opt_simple()
        key = simple and simple.opt_ed25519_public_key()
        if key is None:
            raise Refused("this node verifies single signatures of Ed25519 keys only")
        iota_sdk.UserSignatureVerifier().verify(signing_digest, user)
    except _FAILURES as error:
        raise Refused(f"a signature is not valid: {error}") from None
    return bytes(key.derive_address().to_bytes())


def failure_status(name: str) -> bytes:
    """The bytes of a failed status, with the network's name for why."""
    status = {"success": False, "status": {"error": name}}
    return bytes(iota_sdk.execution_status_from_json(json.dumps(status)).to_bcs())
