"""The words themselves: closed, positional, immutable, with bounds that fit into a frame."""

from __future__ import annotations

import re
from typing import get_args

import msgspec
import pytest

from wattswap.protocol import effects, events
from wattswap.protocol.codec import MOST_BYTES, decode, encode, seal, unseal
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import (
    SEALED,
    Award,
    CappedOffer,
    Delivery,
    Inner,
    Mandate,
    Message,
    Offer,
    Receipt,
    ReliefCall,
    Sealed,
    Tranche,
    WitnessedDelivery,
)
from wattswap.protocol.units import MOST_MS, MOST_NANOS, MOST_W, MOST_WS

SENT = get_args(Message)
MOST_NUMBER = (1 << 31) - 1
MOST_SESSION = (1 << 52) - 1
WIDEST = "\N{AUTOMOBILE}" * 80
"""Eighty characters of four bytes each."""
LONGEST: tuple[Inner, ...] = (
    Mandate(MOST_NUMBER, WIDEST, MOST_WS, MOST_W, WIDEST, -MOST_MS),
    ReliefCall(MOST_NUMBER, MOST_NUMBER, MOST_W, -MOST_MS, -MOST_MS, -MOST_MS),
    Offer(MOST_NUMBER, MOST_NUMBER, MOST_NUMBER, (Tranche(MOST_W, MOST_NANOS),) * 4),
    Award(MOST_NUMBER, MOST_NUMBER, MOST_NUMBER, -MOST_MS, (MOST_W,) * 3, (MOST_NANOS,) * 3, MOST_NUMBER),
    Delivery(MOST_NUMBER, MOST_NUMBER, MOST_NUMBER, (MOST_WS,) * 3, MOST_WS, MOST_WS, MOST_NANOS),
    Receipt(MOST_NUMBER, MOST_NUMBER, MOST_NUMBER, MOST_NANOS),
)


def test_a_tag_once_given_never_changes() -> None:
    """It is what stands on the wire: a peer of last year reads it."""
    tags = {kind.__name__: kind.__struct_config__.tag for kind in (*SENT, *SEALED)}
    assert tags == {
        "Mandate": 1,
        "Report": 2,
        "BaseReport": 3,
        "ReliefCall": 4,
        "Offer": 5,
        "Award": 6,
        "Release": 7,
        "Grant": 8,
        "Delivery": 9,
        "Receipt": 10,
        "Departed": 11,
        "Sealed": 12,
        "CappedOffer": 13,
        "WitnessedDelivery": 14,
        "Ack": 15,
        "Cleared": 16,
    }


def test_what_carries_rights_or_money_travels_sealed_only() -> None:
    assert set(SEALED) == set(get_args(Inner))
    assert not set(SEALED) & set(SENT)


@pytest.mark.parametrize("kind", [*SENT, *SEALED, Tranche])
def test_a_message_is_positional_and_cannot_be_changed(kind: type[msgspec.Struct]) -> None:
    config = kind.__struct_config__
    assert config.array_like
    assert config.frozen


@pytest.mark.parametrize("kind", [*SENT, *SEALED, Tranche])
def test_a_message_holds_bounded_integers_names_bytes_and_flags_only(kind: type[msgspec.Struct]) -> None:
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        assert bounded(field.type), f"{kind.__name__}.{field.name}"


@pytest.mark.parametrize("kind", [*SENT, *SEALED])
def test_a_message_says_who_speaks_and_what_it_means(kind: type[msgspec.Struct]) -> None:
    said_by = r"^(Transformer|Vehicle|Charger|Household) -> |^A message as the bytes"
    assert re.match(said_by, kind.__doc__ or "")


@pytest.mark.parametrize("inner", LONGEST, ids=lambda inner: type(inner).__name__)
def test_the_longest_honest_message_fits_into_a_sealed_one(inner: Inner) -> None:
    sealed = seal(inner, Signer(bytes(32)))
    assert decode(encode(sealed)) == sealed
    assert unseal(sealed) == inner


def test_two_sealed_messages_of_any_kind_fit_into_one_frame() -> None:
    longest = max((seal(inner, Signer(bytes(32))) for inner in LONGEST), key=lambda sealed: len(sealed.payload))
    frame = encode(WitnessedDelivery(MOST_NUMBER, longest, longest))
    assert len(frame) <= MOST_BYTES
    assert decode(frame) == WitnessedDelivery(MOST_NUMBER, longest, longest)
    assert decode(encode(CappedOffer(0, 0, longest))) == CappedOffer(0, 0, longest)


def test_a_payload_longer_than_any_honest_one_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match=r"length <= 768 - at `\$\[1\]\[2\]`"):
        decode(encode(Sealed(5, bytes(769))))


def test_every_effect_and_every_event_has_a_tag_of_its_own() -> None:
    """They are hashed and journalled by tag: two alike would be told apart by nothing."""
    for union in (effects.Effect, events.Event):
        tags = [kind.__struct_config__.tag for kind in get_args(union)]
        assert len(set(tags)) == len(tags)
        assert all(type(tag) is int for tag in tags)


def bounded(type_: msgspec.inspect.Type) -> bool:
    match type_:
        case msgspec.inspect.BoolType():
            return True
        case msgspec.inspect.IntType(ge=low, le=high):
            return low is not None and high is not None and -(1 << 63) <= low < high < 1 << 63
        case msgspec.inspect.UnionType(types=(some, msgspec.inspect.NoneType())):
            return bounded(some)
        case msgspec.inspect.StrType(max_length=most) | msgspec.inspect.BytesType(max_length=most):
            return most is not None
        case msgspec.inspect.VarTupleType(item_type=item, max_length=most):
            return most is not None and bounded(item)
        case msgspec.inspect.StructType(cls=cls):
            return cls in {Tranche, Sealed}
        case _:
            return False


@pytest.mark.parametrize("tranches", [0, 1, 2, 4])
def test_what_is_bought_and_delivered_has_three_tranches(tranches: int) -> None:
    """An agent counts by the tranche: one too few or too many is refused before it could."""
    each = (5,) * tranches
    for message in (
        Award(0, 0, 1, 0, each, (5, 5, 5), 0),
        Award(0, 0, 1, 0, (5, 5, 5), each, 0),
        Delivery(0, 0, 1, each, 0, 0, 0),
    ):
        with pytest.raises(RemoteProtocolError, match=r"not a message: Expected `array` of length"):
            unseal(seal(message))


def test_nobody_receives_less_than_nothing() -> None:
    with pytest.raises(RemoteProtocolError, match=r"not a message: Expected `int` >= 0"):
        unseal(seal(Receipt(0, 0, 1, -1)))
