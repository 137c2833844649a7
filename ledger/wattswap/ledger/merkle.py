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
    level = list(leaves)
    while len(level) > 1:  # pairs from the left, the odd one goes up as it is: the same tree as split by powers of two
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [_hash(b"\1" + left + right) for left, right in pairs] + level[len(level) & ~1 :]
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """What someone needs, besides the leaf itself, to reach the root: its siblings, lowest first."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*path(leaves[:split], index), root(leaves[split:])]
    return [*path(leaves[split:], index - split), root(leaves[:split])]


def reaches(leaf_hash: bytes, index: int, count: int, siblings: Sequence[bytes], wanted: bytes) -> bool:
    """Whether this leaf is the ``index``-th of ``count`` under the wanted root. Never raises, whatever the proof."""
    if not 0 <= index < count:
        return False
    turns = _turns(index, count)
    if len(turns) != len(siblings):
        return False
    reached = leaf_hash
    for is_right, sibling in zip(turns, siblings, strict=True):
        reached = _hash(b"\1" + (sibling + reached if is_right else reached + sibling))
    return reached == wanted


def _turns(index: int, count: int) -> list[bool]:
    """On the way up from a leaf: whether it is the right child."""
    turns = []
    while count > 1:
        split = _split(count)
        turns.append(index >= split)
        index, count = (index - split, count - split) if index >= split else (index, split)
    return turns[::-1]


def _split(count: int) -> int:
    """The largest power of two below a count of at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=HASH_BYTES).digest()
