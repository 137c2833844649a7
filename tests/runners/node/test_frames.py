"""The frames between two nodes, byte by byte."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.protocol.errors import RemoteProtocolError
from wattswap.runners.node.frames import (
    FRAME_VERSION,
    MOST_ENVELOPES,
    MOST_FRAME_BYTES,
    Bundle,
    Envelope,
    FrameVersionError,
    Hello,
    Reason,
    Rejection,
    Welcome,
    decode_frame,
    encode_frame,
    parts,
)

NAMES = st.text("abcdefgh/0123456789ü", min_size=1, max_size=40)
ENVELOPES = st.builds(Envelope, NAMES, NAMES, st.binary(max_size=2_048))
FRAMES = st.one_of(
    st.builds(Hello, st.just(1), st.integers(1, 2**31 - 1), st.integers(1, 3_600_000), st.tuples(NAMES)),
    st.builds(Welcome, st.just(1), st.integers(1, 2**31 - 1), st.integers(1, 3_600_000), st.tuples(NAMES, NAMES)),
    st.builds(Rejection, st.just(1), st.sampled_from(Reason).map(int), st.text(max_size=200)),
    st.builds(Bundle, st.just(1), st.integers(1, 2**31 - 1), st.integers(1, 2**52 - 1), st.tuples(ENVELOPES)),
)


@given(FRAMES)
def test_a_frame_is_read_as_it_was_written(frame):
    assert decode_frame(encode_frame(frame)) == frame


@pytest.mark.parametrize(
    ("frame", "packed"),
    [
        (Hello(1, 3, 1_000, ("charger/7",)), [1, 1, 3, 1_000, ["charger/7"]]),
        (Welcome(1, 3, 1_000, ("transformer",)), [2, 1, 3, 1_000, ["transformer"]]),
        (Rejection(1, Reason.EPOCH, "old"), [3, 1, 4, "old"]),
        (Bundle(1, 3, 9, (Envelope("a", "b", b"\x01"),)), [4, 1, 3, 9, [["a", "b", b"\x01"]]]),
        (Bundle(1, 3, 10, ()), [4, 1, 3, 10, []]),
    ],
)
def test_the_bytes_are_those_of_the_page(frame, packed):
    """Written by another MessagePack library, as a node in another language would."""
    assert encode_frame(frame) == msgpack.packb(packed)
    assert decode_frame(msgpack.packb(packed)) == frame


@pytest.mark.parametrize(
    "packed",
    [
        [],
        None,
        {},
        [9, 1],
        [1],
        [1, 1, 0, 1_000, ["a"]],
        [1, 1, 1, 0, ["a"]],
        [1, 1, 1, 1_000, []],
        [1, 1, 1, 1_000, ["a" * 81]],
        [1, 1, 1, 1_000, [1]],
        [1, 1, 1.0, 1_000, ["a"]],
        [1, 1, True, 1_000, ["a"]],
        [4, 1, 1, 0, []],
        [4, 1, 1, 1, [["a", "b", "text"]]],
        [4, 1, 1, 1, [["a", "b", b"x" * 2_049]]],
        [4, 1, 1, 1, [["a", "b", b""]] * (MOST_ENVELOPES + 1)],
        [4, 1, 1, 1, [["a", "b"]]],
        [3, 1, 1, "x" * 201],
        ["1", 1],
    ],
    ids=repr,
)
def test_what_is_no_frame_is_refused(packed):
    with pytest.raises(RemoteProtocolError):
        decode_frame(msgpack.packb(packed))


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 77])
def test_another_version_is_told_apart_from_rubbish(kind):
    with pytest.raises(FrameVersionError, match="a frame of version 2; this node speaks version 1"):
        decode_frame(msgpack.packb([kind, 2, {"what": "ever"}]))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"\x91" * 60_000, b"\xdd\xff\xff\xff\xff", b"\x00" * (MOST_FRAME_BYTES + 1), b"\xff" * 100],
    ids=["nothing", "never", "deep", "huge header", "long", "ones"],
)
def test_hostile_bytes_are_refused_at_once(data):
    with pytest.raises(RemoteProtocolError):
        decode_frame(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_refused(data):
    try:
        frame = decode_frame(data)
    except RemoteProtocolError:
        return
    assert encode_frame(frame)


@given(st.lists(st.tuples(NAMES, NAMES, st.integers(0, 2_048)), max_size=80))
def test_parts_keep_the_order_and_fit_into_frames(shapes):
    envelopes = [Envelope(sender, receiver, bytes(size)) for sender, receiver, size in shapes]
    cut = parts(envelopes)
    assert [envelope for part in cut for envelope in part] == envelopes
    for part in cut:
        assert len(encode_frame(Bundle(FRAME_VERSION, 2**31 - 1, 2**52 - 1, part))) <= MOST_FRAME_BYTES
    assert len(cut) == 1 or all(cut)


def test_many_small_messages_are_cut_by_number():
    cut = parts([Envelope("a", "b", b"x")] * (2 * MOST_ENVELOPES + 1))
    assert [len(part) for part in cut] == [MOST_ENVELOPES, MOST_ENVELOPES, 1]
