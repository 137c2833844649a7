"""Bytes to messages and back: bytes from outside give a valid message or a typed refusal, never anything else."""

from __future__ import annotations

from random import Random

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.protocol.any_message import messages

from wattswap.protocol.codec import MOST_BYTES, VERSION, decode, encode, seal, unseal
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import (
    CappedOffer,
    Departed,
    Grant,
    Message,
    Offer,
    Release,
    Report,
    Sealed,
    Tranche,
)

SIGNER = Signer(bytes(32))
DEPARTED = [11, 1, 2, 3]
"""A departure as it stands on the wire: tag, session, imported, exported."""


def packed(*values: object) -> bytes:
    """``values`` as one MessagePack array, by another library than ours."""
    data: bytes = msgpack.packb(values)
    return data


def refusal(frame: bytes) -> str:
    with pytest.raises(RemoteProtocolError) as refused:
        decode(frame)
    return str(refused.value)


# -- what is said arrives ---------------------------------------------------------------------------------------------


@given(messages)
def test_every_message_comes_back_as_it_was(message: Message) -> None:
    frame = encode(message)
    assert decode(frame) == message
    assert type(decode(frame)) is type(message)
    assert len(frame) <= MOST_BYTES


@given(messages)
def test_another_library_reads_plain_arrays(message: Message) -> None:
    version, body = msgpack.unpackb(encode(message))
    assert version == VERSION
    assert body[0] == message.__struct_config__.tag
    assert len(body) == 1 + len(message.__struct_fields__)


@given(messages)
def test_what_another_library_packed_is_read(message: Message) -> None:
    assert decode(packed(*msgpack.unpackb(encode(message)))) == message


def test_a_departure_on_the_wire_byte_by_byte() -> None:
    assert encode(Departed(1, 2, 3)) == bytes([0x92, 1, 0x94, 11, 1, 2, 3])


@pytest.mark.parametrize(
    "more",
    [7, "text", b"bytes", None, True, 1.5, [1, [2]], {"a": 1}, msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 0)],
    ids=repr,
)
def test_a_newer_peer_may_say_more_at_the_end_of_a_message(more: object) -> None:
    assert decode(packed(VERSION, [*DEPARTED, more])) == Departed(1, 2, 3)
    assert decode(packed(VERSION, [*DEPARTED, more, more])) == Departed(1, 2, 3)


def test_a_newer_peer_may_say_more_of_each_tranche() -> None:
    offer = packed(VERSION, [5, 0, 1, 2, [[690, 7, "a note"]]])
    assert unseal(Sealed(5, offer)) == Offer(0, 1, 2, (Tranche(690, 7),))


# -- hostile bytes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"", "truncated"),
        (b"\xc1", "malformed"),
        (encode(Departed(1, 2, 3))[:-1], "truncated"),
        (encode(Departed(1, 2, 3)) + b"\0", "trailing characters"),
        (encode(Departed(1, 2, 3)) * 2, "trailing characters"),
        (packed(VERSION), "at least length 2, got 1"),
        (packed(), "at least length 2, got 0"),
        (packed(VERSION, []), r"at least length 1, got 0 - at `$[1]`"),
        (packed(VERSION, DEPARTED[:-1]), r"at least length 4, got 3 - at `$[1]`"),
        (msgpack.packb({0: VERSION, 1: DEPARTED}), "Expected `array`, got `object`"),
        (packed(VERSION, {"session": 1, "import_w": 2, "export_w": 3}), "got `object` - at `$[1]`"),
        (b"\x92\x01\x82\x08\x01\x08\x02", "got `object` - at `$[1]`"),
        (msgpack.packb(VERSION), "Expected `array`, got `int`"),
        (packed(2, DEPARTED), "at `$[0]`"),
        (packed(0, DEPARTED), "at `$[0]`"),
        (packed(True, DEPARTED), "got `bool` - at `$[0]`"),
        (packed(1.0, DEPARTED), "got `float` - at `$[0]`"),
        (packed(VERSION, [99, 1, 2, 3]), "Invalid value 99 - at `$[1][0]`"),
        (packed(VERSION, [-8, 1, 2, 3]), "Invalid value -8 - at `$[1][0]`"),
        (packed(VERSION, ["8", 1, 2, 3]), "got `str` - at `$[1][0]`"),
        (packed(VERSION, [8.0, 1, 2, 3]), "got `float` - at `$[1][0]`"),
        (packed(VERSION, [True, 1, 2, 3]), "got `bool` - at `$[1][0]`"),
        (packed(VERSION, [4, 0, 0, 1, 1, 0, 1, 1]), "Invalid value 4 - at `$[1][0]`"),
        (b"\0" * (MOST_BYTES + 1), "a frame of 2049 bytes; at most 2048 are read"),
    ],
)
def test_what_is_no_frame_is_refused(frame: bytes, why: str) -> None:
    assert why in refusal(frame)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (-1, "Expected `int` >= 0"),
        (1 << 52, "Expected `int` <= 4503599627370495"),
        ((1 << 63) - 1, "Expected `int` <= 4503599627370495"),
        ((1 << 64) - 1, "Expected `int` <= 4503599627370495"),
        (-(1 << 63), "Expected `int` >= 0"),
        (True, "got `bool`"),
        (1.0, "got `float`"),
        (float("nan"), "got `float`"),
        (float("inf"), "got `float`"),
        (-1e308, "got `float`"),
        (None, "got `None`"),
        ("1", "got `str`"),
        (b"\x01", "got `bytes`"),
        ([1], "got `array`"),
        ({1: 1}, "got `object`"),
        (msgpack.ExtType(5, b"x"), "got `ext`"),
        (msgpack.Timestamp(1, 0), "got `ext`"),
    ],
    ids=repr,
)
def test_what_is_no_integer_within_bounds_is_refused_with_its_path(value: object, why: str) -> None:
    reason = refusal(packed(VERSION, [11, value, 2, 3]))
    assert why in reason
    assert "$[1][1]" in reason


def test_an_integer_is_no_flag() -> None:
    assert "Expected `bool`, got `int` - at `$[1][5]`" in refusal(packed(VERSION, [2, 1, 2, 3, 4, 1, 1, 2, 5, 1, 9]))


def test_text_is_no_payload() -> None:
    assert "Expected `bytes`, got `str` - at `$[1][2]`" in refusal(packed(VERSION, [12, 5, "payload", b""]))


@pytest.mark.parametrize(
    ("tranches", "path"),
    [
        ([[690, 7], [690, -7]], "$[1][4][1][1]"),
        ([[100_000_001, 7]], "$[1][4][0][0]"),
        ([[690, 7], [690]], "$[1][4][1]"),
        ([[690, 7], 690], "$[1][4][1]"),
        ([[690, 7]] * 5, "$[1][4]"),
        ({0: [690, 7]}, "$[1][4]"),
    ],
)
def test_a_bad_tranche_is_named_by_its_place_in_the_offer(tranches: object, path: str) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        unseal(Sealed(5, packed(VERSION, [5, 0, 1, 2, tranches])))
    assert f"at `{path}`" in str(refused.value)


def test_bad_utf_8_in_a_name_is_refused() -> None:
    payload = packed(VERSION, [1, 1, "name", 2, 3, "payee"]).replace(b"name", b"n\xffme")
    with pytest.raises(RemoteProtocolError, match="utf-8"):
        unseal(Sealed(1, payload))


@pytest.mark.parametrize("depth", [100, 1_000, MOST_BYTES - 20])
@pytest.mark.parametrize("nest", [b"\x91", b"\x81\x01", b"\x81"], ids=["arrays", "maps of maps", "maps as keys"])
@pytest.mark.parametrize("end", [b"", b"\xc0"], ids=["open", "closed"])
def test_nesting_is_refused_at_any_depth_and_any_place(nest: bytes, depth: int, end: bytes) -> None:
    nested = (nest * depth)[: MOST_BYTES - 20] + end
    grant = bytes([0x92, VERSION, 0x95, *DEPARTED])
    for before in (b"", b"\x92", bytes([0x92, VERSION]), bytes([0x92, VERSION, 0x94, 8])):
        refusal(before + nested)
    assert read_or_refuse(grant + nested) <= (end != b"")  # as a further field it is skipped, if there is an end to it


GIANT = {
    "array": b"\xdd\xff\xff\xff\xff",
    "map": b"\xdf\xff\xff\xff\xff",
    "string": b"\xdb\xff\xff\xff\xff",
    "bytes": b"\xc6\xff\xff\xff\xff",
    "extension": b"\xc9\xff\xff\xff\xff\x05",
}


@pytest.mark.parametrize("header", GIANT.values(), ids=GIANT)
def test_a_header_that_announces_four_gigabytes_is_refused(header: bytes) -> None:
    grant, mandate = bytes([0x92, VERSION, 0x95, *DEPARTED]), bytes([0x92, VERSION, 0x96, 1, 1])
    for before in (b"", b"\x92", bytes([0x92, VERSION]), bytes([0x92, VERSION, 0x94, 8]), grant):
        refusal(before + header)
        refusal(before + header * 300)
    with pytest.raises(RemoteProtocolError):
        unseal(Sealed(1, mandate + header))
    with pytest.raises(RemoteProtocolError):
        unseal(Sealed(5, bytes([0x92, VERSION, 0x95, 5, 0, 1, 2]) + header))


# -- whatever comes ---------------------------------------------------------------------------------------------------


def read_or_refuse(frame: bytes) -> bool:
    """Whether a frame was read; it may be refused, and nothing else may happen."""
    try:
        message = decode(frame)
    except RemoteProtocolError:
        return False
    assert decode(encode(message)) == message
    return True


@given(st.binary(max_size=MOST_BYTES + 100))
@example(b"\x92\x01")
def test_random_bytes_are_read_or_refused(frame: bytes) -> None:
    read_or_refuse(frame)


@given(messages, st.data())
def test_a_frame_with_a_few_bytes_altered_is_read_or_refused(message: Message, data: st.DataObject) -> None:
    frame = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(frame))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary(),
        lambda inside: st.lists(inside, max_size=6) | st.dictionaries(st.integers() | st.text(), inside, max_size=3),
    )
)
def test_any_other_value_in_place_of_a_message_is_read_or_refused(value: object) -> None:
    try:
        frame = packed(VERSION, value)
    except OverflowError:
        return  # a key that MessagePack cannot hold
    read_or_refuse(frame)


def test_twenty_thousand_mutations_give_a_message_or_a_refusal() -> None:
    """Deterministic: a failure is repeated by running it again."""
    random = Random(7)
    offer = seal(Offer(0, 3, 5, (Tranche(690, 10**6), Tranche(4_140, 10**9))), SIGNER)
    seeds = [encode(message) for message in (
        Report(1, 2, 3, 4, True, 1, 2, 5, 1, 9), Grant(1, 2, 3, 1, 7, 1, 5, 90_000),
        Release(0, 1, 2), Departed(1, 2, 3), offer,
        CappedOffer(5, 11_000, offer),
    )]  # fmt: skip
    read = 0
    for _ in range(20_000):
        frame = bytearray(random.choice(seeds))
        for _ in range(random.randint(1, 3)):
            at = random.randrange(len(frame) + 1)
            match random.randrange(4):
                case 0:
                    frame[at : at + 1] = random.randbytes(1)
                case 1:
                    del frame[at : at + random.randint(1, 4)]
                case 2:
                    frame[at:at] = random.randbytes(random.randint(1, 4))
                case _:
                    frame[at:at] = random.choice(seeds)[: random.randint(1, 12)]
        read += read_or_refuse(bytes(frame))
    assert 0 < read < 20_000
