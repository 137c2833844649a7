"""The official SDK, as far as the node needs it: it reads what comes from outside, and it verifies signatures.

The SDK has no types, so this is the one module where values of any kind come in; bytes and plain values go out.
Whatever the SDK cannot read is ``Refused``, also when its Rust side gives up (``InternalError``).
"""

from __future__ import annotations

from typing import Any

import iota_sdk
from iota_sdk import InternalError, SdkFfiError

from wattswap.ledger.devnet.model import CoinObject, Refused
from wattswap.ledger.iota_bytes import quicken

quicken()

_FAILURES = (InternalError, SdkFfiError)


def transaction_json(data: bytes) -> tuple[str, bytes]:
    """Read a transaction: its JSON, and the digest that its signers sign."""
    try:
        transaction = iota_sdk.Transaction.from_bcs(data)
        if transaction.to_bcs() != data:  # this SDK reads no others; its next version should not surprise us
            raise Refused("the transaction's bytes are not canonical")
        return str(transaction.to_json()), bytes(transaction.signing_digest())
    except _FAILURES as error:
        raise Refused(f"the bytes are no transaction: {_reason(error)}") from None


def signer(signature: bytes, signing_digest: bytes) -> bytes:
    """The address whose key made this signature; refused unless it is right."""
    try:
        user = iota_sdk.UserSignature.from_bytes(signature)
        simple = user.as_opt_simple()
        if simple is None:
            raise Refused("this node verifies single signatures only (Ed25519, Secp256k1, Secp256r1)")
        iota_sdk.UserSignatureVerifier().verify(signing_digest, user)
        return bytes(_public_key(simple).derive_address().to_bytes())
    except _FAILURES as error:
        raise Refused(f"a signature is not valid: {_reason(error)}") from None


def _public_key(simple: Any) -> Any:
    if simple.is_ed25519():
        return simple.ed25519_public_key()
    return simple.secp256k1_public_key() if simple.is_secp256k1() else simple.secp256r1_public_key()


def failure_status(error: str, command: int | None) -> bytes:
    """The bytes of a failed status; ``error`` is the error's JSON in the SDK's form."""
    place = "" if command is None else f',"command":{command}'
    status = iota_sdk.execution_status_from_json(f'{{"success":false,"status":{{"error":{error}{place}}}}}')
    return bytes(status.to_bcs())


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
    return bytes(_key(seed).public_key().derive_address().to_bytes())


def gift(seed: bytes, coin: CoinObject, recipient: bytes, nanos: int, budget: int, price: int) -> tuple[bytes, bytes]:
    """The transaction by which the faucet's key sends tokens from its coin, with its signature."""
    key = _key(seed)
    builder = iota_sdk.TransactionBuilder(key.public_key().derive_address())
    builder.send_iota(iota_sdk.Address.from_bytes(recipient), iota_sdk.PtbArgument.u64(nanos))
    reference = iota_sdk.ObjectReference(
        object_id=iota_sdk.ObjectId.from_bytes(coin.id),
        version=iota_sdk.Version.from_u64(coin.version),
        digest=iota_sdk.ObjectDigest.from_bytes(coin.digest),
    )
    transaction = builder.gas([reference]).gas_price(price).gas_budget(budget).finish()
    return bytes(transaction.to_bcs()), bytes(key.sign_transaction(transaction).to_bytes())


def genesis(coins: list[CoinObject]) -> bytes:
    """The first transaction of a chain, which mints these coins."""
    objects = [iota_sdk.GenesisObject(_data(coin), _owner(coin)) for coin in coins]
    kind = iota_sdk.TransactionKind.new_genesis(iota_sdk.GenesisTransaction(objects, []))
    nobody = iota_sdk.Address.from_bytes(bytes(32))
    gas = iota_sdk.GasPayment(objects=[], owner=nobody, price=1, budget=0)
    body = iota_sdk.TransactionV1(kind, nobody, gas, iota_sdk.TransactionExpiration.NONE())
    return bytes(iota_sdk.Transaction.new_v1(body).to_bcs())


def _key(seed: bytes) -> Any:
    return iota_sdk.Ed25519PrivateKey(seed)


def _data(coin: CoinObject) -> Any:
    contents = coin.id + coin.nanos.to_bytes(8, "little")
    struct = iota_sdk.MoveStruct(
        struct_type=iota_sdk.StructTag.new_gas_coin(),
        version=iota_sdk.Version.from_u64(coin.version),
        contents=contents,
    )
    return iota_sdk.ObjectData.new_move_struct(struct)


def _owner(coin: CoinObject) -> Any:
    return iota_sdk.Owner.new_address(iota_sdk.Address.from_bytes(coin.owner))


def _reason(error: Exception) -> str:
    """What the SDK says, short and in one line."""
    return " ".join(str(error).split())[:200]
