"""Signatures: only the owner's key, on this network, over exactly these bytes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from wattswap.protocol.identity import (
    LOCAL_NETWORK,
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    Signer,
    address,
    message_digest,
    seeded_signer,
    verify,
)

SEED = bytes(range(32))
# RFC 8032, section 7.1, test 1.
RFC_SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RFC_PUBLIC_KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

payloads = st.binary(max_size=300)
seeds = st.binary(min_size=32, max_size=32)
networks = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def test_the_public_key_is_that_of_rfc_8032() -> None:
    assert Signer(RFC_SEED).public_key == RFC_PUBLIC_KEY


def test_the_signed_bytes_are_iotas_personal_message_digest() -> None:
    # By hand: 03 00 00, the length 10 + 1 + 5 + 5 = 21, the tag, the length and name of the network, the message.
    by_hand = b"\x03\x00\x00" + b"\x15" + b"wattswap/1" + b"\x05" + b"local" + b"hello"
    assert message_digest(b"hello", "local") == blake2b(by_hand, digest_size=32).digest()


@pytest.mark.parametrize(
    ("length", "encoded"),
    [(127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02"), (16_383, b"\xff\x7f"), (16_384, b"\x80\x80\x01")],
)
def test_lengths_are_uleb128(length: int, encoded: bytes) -> None:
    text = b"wattswap/1" + b"\x05" + b"local"
    payload = b"\xaa" * (length - len(text))
    expected = blake2b(b"\x03\x00\x00" + encoded + text + payload, digest_size=32).digest()
    assert message_digest(payload, "local") == expected


def test_a_long_network_name_keeps_its_length_in_two_bytes() -> None:
    text = b"wattswap/1" + b"\xc8\x01" + b"n" * 200 + b"x"
    expected = blake2b(b"\x03\x00\x00" + b"\xd5\x01" + text, digest_size=32).digest()
    assert message_digest(b"x", "n" * 200) == expected


def test_a_signature_is_plain_ed25519_over_that_digest() -> None:
    expected = SigningKey(SEED).sign(message_digest(b"offer", LOCAL_NETWORK)).signature
    assert Signer(SEED).sign(b"offer") == expected


def test_a_signature_and_an_address_are_those_of_the_official_sdk() -> None:
    """Recorded from iota-sdk 3.0.0b1: ``sign_personal_message`` of the tagged text, by the same key."""
    signer = Signer(SEED, network="devnet")
    assert signer.address == "0x9d24e2eeaf27c2a088a564a32fc03a882dcd9804dbc0d03a119491e54ba0c933"
    assert signer.sign(b"hello").hex() == (
        "3e8bfb5f8e100bc0e134fb2245ea488945919a0d0a4c3e025a08e55ef54533d2"
        "e44cd975d604ca12151eda3c53642d51ba951909fc14f5fff967f769c2c2a402"
    )


def test_the_address_is_the_hash_of_the_public_key() -> None:
    expected = "0x" + blake2b(RFC_PUBLIC_KEY, digest_size=32).hexdigest()
    assert Signer(RFC_SEED).address == address(RFC_PUBLIC_KEY) == expected
    assert len(expected) == 66


@given(seeds, payloads, networks)
def test_what_a_key_signs_verifies_under_its_public_key(seed: bytes, payload: bytes, network: str) -> None:
    signer = Signer(seed, network=network)
    signature = signer.sign(payload)
    assert len(signature) == SIGNATURE_BYTES
    assert signature == signer.sign(payload)
    assert verify(signer.public_key, payload, signature, network=network)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_single_altered_bit_of_the_message_is_refused(payload: bytes, data: st.DataObject) -> None:
    signer = Signer(SEED)
    altered = _with_a_bit_flipped(payload, data)
    assert not verify(signer.public_key, altered, signer.sign(payload))


@given(payloads, st.data())
def test_a_single_altered_bit_of_the_signature_is_refused(payload: bytes, data: st.DataObject) -> None:
    signer = Signer(SEED)
    altered = _with_a_bit_flipped(signer.sign(payload), data)
    assert not verify(signer.public_key, payload, altered)


@given(payloads, st.data())
def test_a_single_altered_bit_of_the_public_key_is_refused(payload: bytes, data: st.DataObject) -> None:
    signer = Signer(SEED)
    altered = _with_a_bit_flipped(signer.public_key, data)
    assert not verify(altered, payload, signer.sign(payload))


@given(payloads, networks, networks)
def test_a_signature_for_one_network_is_refused_on_another(payload: bytes, here: str, there: str) -> None:
    signer = Signer(SEED, network=here)
    assert verify(signer.public_key, payload, signer.sign(payload), network=there) == (here == there)


@given(payloads, networks, st.integers(min_value=1, max_value=5))
def test_bytes_cannot_move_between_network_and_message(payload: bytes, network: str, shift: int) -> None:
    """Without the length before the network, ("ab", "c...") and ("a", "bc...") would be signed alike."""
    name, stolen = network[:-shift], network[-shift:].encode()
    if name != network:
        assert message_digest(payload, network) != message_digest(stolen + payload, name)


@given(payloads, payloads)
def test_bytes_added_or_cut_off_are_refused(payload: bytes, more: bytes) -> None:
    signer = Signer(SEED)
    signature = signer.sign(payload)
    assert verify(signer.public_key, payload + more, signature) == (more == b"")
    assert not verify(signer.public_key, payload, signature[:-1])
    assert not verify(signer.public_key, payload, signature + b"\0")


@given(st.binary(max_size=80), payloads, st.binary(max_size=130))
def test_random_bytes_are_refused_and_never_raise(public_key: bytes, payload: bytes, signature: bytes) -> None:
    assert verify(public_key, payload, signature) is False


@given(
    st.binary(min_size=PUBLIC_KEY_BYTES, max_size=PUBLIC_KEY_BYTES),
    payloads,
    st.binary(min_size=SIGNATURE_BYTES, max_size=SIGNATURE_BYTES),
)
def test_random_bytes_of_the_right_length_are_refused(public_key: bytes, payload: bytes, signature: bytes) -> None:
    assert verify(public_key, payload, signature) is False


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_a_public_key_of_another_length_is_refused_and_never_raises(length: int) -> None:
    signature = Signer(SEED).sign(b"offer")
    assert verify(Signer(SEED).public_key.ljust(64, b"\0")[:length], b"offer", signature) is False


@pytest.mark.parametrize("public_key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32], ids=["zero", "one", "ones"])
def test_a_public_key_of_small_order_signs_nothing(public_key: bytes) -> None:
    """Under such keys a signature of zeros would be valid for any message in a careless verifier."""
    for signature in (bytes(64), public_key + bytes(32)):
        assert verify(public_key, b"pay me", signature) is False


def test_a_signature_has_one_form_only() -> None:
    """Adding the group's order to S gives another number that satisfies the equation; it must not pass too."""
    order = 2**252 + 27742317777372353535851937790883648493
    signer = Signer(SEED)
    signature = signer.sign(b"award")
    twin = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert not verify(signer.public_key, b"award", twin)


def test_a_message_signature_is_no_transaction_signature() -> None:
    """IOTA signs a transaction's bytes under the intent 00 00 00: no message can come out as that digest."""
    transaction = b"any transaction's bytes"
    signing_digest = blake2b(b"\0\0\0" + transaction, digest_size=32).digest()
    signer = Signer(SEED)
    for message in (transaction, b"\0\0\0" + transaction, signing_digest):
        signature = signer.sign(message)
        assert signature != SigningKey(SEED).sign(signing_digest).signature


@given(st.integers(), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_seeded_key_is_the_same_again_and_carries_its_mark(run_seed: int, name: str) -> None:
    signer = seeded_signer(run_seed, name)
    assert signer.seeded is True
    assert signer.public_key == seeded_signer(run_seed, name).public_key


def test_a_seeded_key_never_changes_between_versions() -> None:
    seed = blake2b(b"7\0charger/3", digest_size=32, person=b"wattswap/seeded").digest()
    assert seeded_signer(7, "charger/3").secret_seed() == seed


def test_seeded_keys_differ_by_seed_and_by_name() -> None:
    runs = (-1, 0, 1, 2, 12)
    names = ("", "1", "charger/1", "charger/2", "2\0charger/1")
    assert len({seeded_signer(run, name).public_key for run in runs for name in names}) == 25


def test_a_seeded_key_signs_for_the_network_it_was_made_for() -> None:
    here, there = seeded_signer(1, "a", network="here"), seeded_signer(1, "a", network="there")
    assert here.public_key == there.public_key
    assert verify(here.public_key, b"offer", here.sign(b"offer"), network="here")
    assert not verify(here.public_key, b"offer", there.sign(b"offer"), network="here")


def test_an_own_key_carries_no_mark() -> None:
    assert Signer(SEED).seeded is False


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        Signer(bytes(length))


@pytest.mark.parametrize("attribute", ["seeded", "public_key", "network", "address", "new"])
def test_nothing_about_a_signer_can_be_changed(attribute: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Signer(SEED), attribute, False)


@given(seeds)
def test_neither_repr_nor_str_shows_the_secret(seed: bytes) -> None:
    signer = Signer(seed, network="devnet", seeded=True)
    for text in (repr(signer), str(signer), f"{signer}", repr([signer])):
        assert signer.address in text
        assert "seeded" in text
        assert seed.hex() not in text
        assert repr(seed)[2:-1] not in text


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_a_signer_is_not_pickled_or_copied(take: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="key file"):
        take(Signer(SEED))


def _with_a_bit_flipped(original: bytes, data: st.DataObject) -> bytes:
    bit = data.draw(st.integers(min_value=0, max_value=8 * len(original) - 1))
    altered = bytearray(original)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)
