"""Merkle trees: one hash for many records, and a short proof that one record is among them.

The tree of RFC 6962 with blake2b-256: leaves and inner nodes are hashed apart, and an odd tree is split at the largest
power of two, so no list of leaves has the root of another. A leaf is salted, for meter readings are easily guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from wattswap.protocol.errors import LocalProtocolError

HASH_BYTES: Final = 32
SALT_BYTES: Final = 16


def leaf(salt: bytes, content: bytes) -> bytes:
    """The hash of one record; without its salt (``SALT_BYTES``) nobody can try contents until one fits."""
    if len(salt) != SALT_BYTES:
        raise LocalProtocolError(f"a salt has {SALT_BYTES} bytes")
    return _hash(b"\0" + salt + content)


def root(leaves: Sequence[bytes]) -> bytes:
    """The one hash over all leaves, in their order; that of no leaves is the hash of nothing."""
    if not leaves:
        return _hash(b"")
    level = leaves
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """What someone needs, besides the leaf itself, to reach the root: its siblings, lowest first."""
    siblings: list[bytes] = []
    level = leaves
    while len(level) > 1:
        siblings += level[index ^ 1 : (index ^ 1) + 1]  # the odd one at the end has none
        level, index = _above(level), index // 2
    return siblings


def reaches(leaf_hash: bytes, index: int, count: int, siblings: Sequence[bytes], wanted: bytes) -> bool:
    """Whether this leaf is the ``index``-th of ``count`` under the wanted root. Never raises, whatever the proof."""
    if not 0 <= index < count:
        return False
    reached, left = leaf_hash, list(siblings)
    while count > 1:
        if index ^ 1 < count:
            if not left:
                return False
            sibling = left.pop(0)
            reached = _hash(b"\1" + (sibling + reached if index % 2 else reached + sibling))
        index, count = index // 2, (count + 1) // 2
    return not left and reached == wanted


def _above(level: Sequence[bytes]) -> list[bytes]:
    """The next level: pairs from the left, an odd one as it is. It is the same tree as split by powers of two."""
    pairs = zip(level[::2], level[1::2], strict=False)
    return [*(_hash(b"\1" + left + right) for left, right in pairs), *level[len(level) & ~1 :]]


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=HASH_BYTES).digest()
