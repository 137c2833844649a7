"""Merkle trees: every leaf has its proof, and no other leaf, place or tree is proven by it."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from wattswap.ledger import merkle

SALT = bytes(merkle.SALT_BYTES)


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf(SALT, b"%d" % number) for number in range(count)]


def test_the_root_of_one_leaf_is_that_leaf_and_of_none_the_hash_of_nothing() -> None:
    assert merkle.root(leaves(1)) == leaves(1)[0]
    assert merkle.root([]) == blake2b(b"", digest_size=32).digest()


def test_an_odd_tree_is_split_at_the_largest_power_of_two() -> None:
    a, b, c = leaves(3)

    def node(left: bytes, right: bytes) -> bytes:
        return blake2b(b"\1" + left + right, digest_size=32).digest()

    assert merkle.root([a, b, c]) == node(node(a, b), c)


@pytest.mark.parametrize("count", [*range(1, 18), 100])
def test_each_leaf_reaches_the_root_from_its_own_place_alone(count: int) -> None:
    tree = leaves(count)
    root = merkle.root(tree)
    for index, leaf in enumerate(tree):
        siblings = merkle.path(tree, index)
        assert merkle.reaches(leaf, index, count, siblings, root)
        others = [place for place in range(-1, count + 1) if place != index]
        assert not any(merkle.reaches(leaf, place, count, siblings, root) for place in others)
        assert not merkle.reaches(merkle.leaf(SALT, b"forged"), index, count, siblings, root)
        assert not merkle.reaches(leaf, index, count, [*siblings, root], root)
        assert not merkle.reaches(leaf, index, count, siblings, merkle.leaf(SALT, b"other root"))


def test_no_two_lists_of_leaves_share_a_root() -> None:
    """Above all not a list and the same list with its last leaf doubled, which fools simpler trees."""
    roots = {merkle.root(leaves(count)) for count in range(40)}
    doubled = {merkle.root([*leaves(count), leaves(count)[-1]]) for count in range(1, 40)}
    assert len(roots) == 40
    assert not roots & doubled


def test_an_inner_node_is_no_leaf() -> None:
    pair = leaves(2)
    assert merkle.leaf(pair[0][:16], pair[0][16:] + pair[1]) != merkle.root(pair)


def test_a_salt_hides_what_could_be_guessed() -> None:
    assert merkle.leaf(bytes(16), b"7") != merkle.leaf(bytes(15) + b"\1", b"7")
