"""Who said it: Ed25519 keys, signatures over messages, and the IOTA address of a key.

What is signed is never the message itself but IOTA's *personal message* digest of it,

    blake2b-256(03 00 00 || uleb128(length of text) || text)
    text = tag || uleb128(length of network) || network || message

A transaction's digest starts from 00 00 00 instead, so whatever bytes a peer makes us sign, the signature can never
move tokens, even if one key both signs messages and owns a wallet. The tag keeps other programs' messages out, the
network id those of another site or chain; the length before it keeps any network and message from being read as
another pair.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final, NoReturn

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

SEED_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

LOCAL_NETWORK: Final = "local"
"""The network id of runs that touch no chain."""

_TAG: Final = b"wattswap/1"
_PERSONAL_MESSAGE: Final = b"\x03\x00\x00"
_MOST_VERIFIED: Final = 2_048
"""So many answers about signatures are remembered, some 2 MB at most."""


class Signer:
    """A private key bound to one network. Neither ``repr`` nor ``pickle`` nor ``copy`` gives its secret away."""

    __slots__ = ("_key", "_network", "_public_key", "_seeded")

    def __init__(self, seed: bytes, *, network: str = LOCAL_NETWORK, seeded: bool = False) -> None:
        """Take the 32-byte seed of RFC 8032. ``seeded`` marks a key that others can derive again."""
        self._key = SigningKey(seed)
        self._public_key = bytes(self._key.verify_key)
        self._network = network
        self._seeded = seeded

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that others know it by."""
        return self._public_key

    @property
    def address(self) -> str:
        """Its IOTA address."""
        return address(self._public_key)

    @property
    def network(self) -> str:
        """The network its signatures are valid on."""
        return self._network

    @property
    def seeded(self) -> bool:
        """Whether it was derived from a run's seed: anyone can do that again, so it must never guard real tokens."""
        return self._seeded

    def sign(self, payload: bytes) -> bytes:
        """The 64-byte signature of a message on the signer's network; the same message always gives the same one."""
        return self._key.sign(message_digest(payload, self._network)).signature

    def secret_seed(self) -> bytes:
        """The secret itself, 32 bytes, for the one place that writes key files. Never log it, never send it."""
        return bytes(self._key)

    def __repr__(self) -> str:
        """Name the key by its public side only."""
        mark = ", seeded" if self._seeded else ""
        return f"<Signer {self.address} on {self._network!r}{mark}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a secret travels as a key file or not at all."""
        raise TypeError("a Signer is not pickled or copied: hand over the path of its key file")


@lru_cache(maxsize=_MOST_VERIFIED)
def verify(public_key: bytes, payload: bytes, signature: bytes, *, network: str = LOCAL_NETWORK) -> bool:
    """Whether the owner of the key signed exactly this message for this network. Never raises, whatever the bytes.

    The newest answers are remembered: all chargers and cars that one node hosts look at the same call.
    """
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        VerifyKey(public_key).verify(message_digest(payload, network), signature)
    except BadSignatureError:
        return False
    return True


def seeded_signer(run_seed: int, name: str, *, network: str = LOCAL_NETWORK) -> Signer:
    """The key of an agent in a reproducible run: the same for the same run seed and name, on every machine."""
    material = f"{run_seed}\0{name}".encode()
    seed = blake2b(material, digest_size=SEED_BYTES, person=b"wattswap/seeded").digest()
    return Signer(seed, network=network, seeded=True)


def address(public_key: bytes) -> str:
    """The IOTA address of an Ed25519 public key: 0x and 64 hexadecimal digits."""
    return "0x" + blake2b(public_key, digest_size=32).hexdigest()


def message_digest(payload: bytes, network: str) -> bytes:
    """The 32 bytes that are signed for a message on a network."""
    name = network.encode()
    text = _TAG + uleb128(len(name)) + name + payload
    return blake2b(_PERSONAL_MESSAGE + uleb128(len(text)) + text, digest_size=32).digest()


def uleb128(number: int) -> bytes:
    """Encode a length as IOTA does: seven bits a byte, lowest first, the high bit set on all but the last."""
    encoded = bytearray()
    while number >> 7:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
