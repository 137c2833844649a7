"""Sealed messages: the bytes that their author signed, carried untouched, and refused when altered."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.any_message import inner_messages, said

from wattswap.protocol.codec import KIND_OF, MOST_BYTES, decode, encode, seal, unseal
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.identity import SIGNATURE_BYTES, Signer
from wattswap.protocol.messages import (
    SEALED,
    CappedOffer,
    Delivery,
    Departed,
    Inner,
    Mandate,
    Offer,
    Receipt,
    Sealed,
)

SIGNER, OTHER = Signer(bytes(32)), Signer(bytes([1] * 32))


@given(inner_messages)
def test_what_is_sealed_comes_out_as_it_was(message: Inner) -> None:
    sealed = seal(message, SIGNER)
    assert unseal(sealed, SIGNER.public_key) == message
    assert sealed.kind == KIND_OF[type(message)]
    assert len(sealed.signature) == SIGNATURE_BYTES


@given(inner_messages)
def test_where_nobody_signs_the_signature_is_empty(message: Inner) -> None:
    sealed = seal(message)
    assert sealed.signature == b""
    assert unseal(sealed) == message
    assert sealed.payload == seal(message, SIGNER).payload


@given(said((Offer, Delivery)), st.booleans())
def test_a_relay_carries_the_signed_bytes_untouched(message: Inner, signed: bool) -> None:
    """Vehicle -> charger -> transformer: what arrives is byte for byte what was signed."""
    sealed = seal(message, SIGNER if signed else None)
    at_the_charger = decode(encode(sealed))
    assert isinstance(at_the_charger, Sealed)
    passed_on = decode(encode(CappedOffer(1, 11_000, at_the_charger)))
    assert isinstance(passed_on, CappedOffer)
    assert passed_on.offer.payload == sealed.payload
    assert passed_on.offer.signature == sealed.signature


def test_another_encoding_of_the_same_message_is_carried_as_it_is() -> None:
    """One value has many encodings, so bytes are signed and no one re-encodes them."""
    offer, wide = seal(Offer(0, 1, 2, ())), bytes([0x92, 1, 0x95, 5, 0xCC, 0, 1, 2, 0x90])
    assert unseal(Sealed(5, wide, SIGNER.sign(wide)), SIGNER.public_key) == unseal(offer)
    with pytest.raises(RemoteProtocolError):
        unseal(Sealed(5, wide, SIGNER.sign(offer.payload)), SIGNER.public_key)


@given(inner_messages, st.data())
def test_one_altered_bit_of_payload_or_signature_is_refused(message: Inner, data: st.DataObject) -> None:
    sealed = seal(message, SIGNER)
    at = data.draw(st.integers(0, 8 * (len(sealed.payload) + len(sealed.signature)) - 1))
    altered = bytearray(sealed.payload + sealed.signature)
    altered[at // 8] ^= 1 << at % 8
    cut = len(sealed.payload)
    with pytest.raises(RemoteProtocolError, match="not signed by who should have said it"):
        unseal(Sealed(sealed.kind, bytes(altered[:cut]), bytes(altered[cut:])), SIGNER.public_key)


@pytest.mark.parametrize("signature", [b"", b"\0", bytes(64), OTHER.sign(b"")], ids=["none", "short", "zeros", "other"])
def test_what_the_author_did_not_sign_is_refused(signature: bytes) -> None:
    payload = seal(Offer(0, 1, 2, ())).payload
    with pytest.raises(RemoteProtocolError, match="of kind 5 is not signed"):
        unseal(Sealed(5, payload, signature), SIGNER.public_key)


@given(inner_messages)
def test_a_message_signed_by_another_is_refused(message: Inner) -> None:
    with pytest.raises(RemoteProtocolError, match="not signed by who should have said it"):
        unseal(seal(message, OTHER), SIGNER.public_key)


def test_nobody_can_sign_for_an_unknown_author() -> None:
    """The transformer looks a key up and takes empty bytes for a name it does not know."""
    with pytest.raises(RemoteProtocolError, match="not signed"):
        unseal(seal(Offer(0, 1, 2, ())), b"")


@given(inner_messages, st.integers(0, (1 << 31) - 1))
def test_a_sealed_message_says_of_what_kind_it_is(message: Inner, kind: int) -> None:
    """Runners order sealed messages by their kind, unopened; a wrong one would jump the queue."""
    sealed = seal(message, SIGNER)
    if kind != sealed.kind:
        with pytest.raises(RemoteProtocolError, match=f"a sealed {type(message).__name__} says it is of kind {kind}"):
            unseal(Sealed(kind, sealed.payload, sealed.signature), SIGNER.public_key)


def test_what_never_travels_sealed_is_refused_inside() -> None:
    """A departure in an envelope is none, whoever signed it."""
    payload = encode(Departed(1, 2, 3))
    with pytest.raises(RemoteProtocolError, match="Invalid value 11"):
        unseal(Sealed(11, payload, SIGNER.sign(payload)), SIGNER.public_key)


def test_a_sealed_message_does_not_hold_another() -> None:
    payload = encode(seal(Receipt(0, 1, 2, 3)))
    with pytest.raises(RemoteProtocolError, match="Invalid value 12"):
        unseal(Sealed(12, payload))


@given(st.binary(max_size=768))
def test_random_sealed_bytes_are_read_or_refused(payload: bytes) -> None:
    for kind in (kind.__struct_config__.tag for kind in SEALED):
        assert isinstance(kind, int)
        with suppress(RemoteProtocolError):
            unseal(Sealed(kind, payload))


def test_a_payload_longer_than_a_frame_is_refused_before_it_is_read() -> None:
    payload = seal(Mandate(1, "a", 2, 3, "b")).payload + bytes(MOST_BYTES)
    with pytest.raises(RemoteProtocolError, match="at most 2048 are read"):
        unseal(Sealed(1, payload))
