"""The code that two people compare before their agents trust each other.

It is a slow hash (Argon2id, 64 MiB) of both agents' names, roles and public keys, the same on either side. Whoever
sits between the two and hands each of them keys of his own must find two pairs with the same code: 60 bits, so about
2^30 tries at a tenth of a second each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from nacl.encoding import RawEncoder
from nacl.hash import blake2b
from nacl.pwhash.argon2id import MEMLIMIT_INTERACTIVE, OPSLIMIT_INTERACTIVE, SALTBYTES, kdf

if TYPE_CHECKING:
    from wattswap.runners.node.key_directory import PublicIdentity

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: none of I, L, O and U, which are mistaken for others."""
_LETTERS: Final = 12
_GROUP: Final = 4
_SALT: Final = b"wattswap pairing"
assert len(_SALT) == SALTBYTES


def pairing_code(one: PublicIdentity, other: PublicIdentity) -> str:
    """Twelve letters in three groups, the same whichever of the two is named first."""
    both = b"".join(sorted(blake2b(msgspec.json.encode(agent), 32, encoder=RawEncoder) for agent in (one, other)))
    digest = kdf(16, both, _SALT, OPSLIMIT_INTERACTIVE, MEMLIMIT_INTERACTIVE)
    number = int.from_bytes(digest, "big")
    letters = [_ALPHABET[number >> 5 * place & 31] for place in range(_LETTERS)]
    return "-".join("".join(letters[start : start + _GROUP]) for start in range(0, _LETTERS, _GROUP))


def same_code(one: str, other: str) -> bool:
    """Whether two people say the same code; dashes, spaces and small letters do not matter."""
    return _plain(one) == _plain(other)


def _plain(code: str) -> str:
    return code.upper().translate({ord("-"): None, ord(" "): None, ord("O"): "0", ord("I"): "1", ord("L"): "1"})
