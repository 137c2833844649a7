"""Frames: what two nodes say to each other, byte by byte, so that a node can be written in any language.

A frame is one ZeroMQ message of one part between a DEALER (who connects) and a ROUTER (who listens), over TCP with
CURVE. It holds one MessagePack array; integers, text and byte strings only. The first two elements are always the
kind of frame and the version of this page, so that any two versions can tell each other that they differ:

    hello      [1, 1, epoch, beat_ms, [name, ...]]                  DEALER -> ROUTER, first, and again when asked
    welcome    [2, 1, epoch, beat_ms, [name, ...]]                  ROUTER -> DEALER, answers a hello
    rejection  [3, 1, reason, text]                                 either way: this is not accepted, and why
    bundle     [4, 1, epoch, seq, [[sender, receiver, message], ...]]
    signals    [5, 1, epoch, seq, [[sender, receiver, event], ...]]  a charger tells a car what the cable tells it

- ``epoch`` counts how often the node has started; it is durable, and a lower one than before is refused.
- ``beat_ms`` is the length of the node's heartbeat; two nodes that talk must agree on it.
- ``name`` is an agent that speaks and listens through this connection. Those that the receiver trusts must be bound to
  the connection's key; others are left out.
- ``seq`` counts the frames from this node to that one within the epoch, from 1; one that does not rise is dropped.
- ``message`` is a byte string of at most 2,048 bytes, as ``wattswap.protocol.codec`` reads and writes it.
- ``event`` is an event as ``wattswap.protocol.events`` defines it, one of ``PluggedIn``, ``Unplugged``, ``Metered``,
  ``CarStatus`` and ``Reading``: a car has no other way to know that it is plugged in, and what the charger's meter
  shows.
- A bundle without messages is a sign of life. Whoever has sent nothing for a heartbeat sends one.

A frame has at most 65,536 bytes and 1,024 messages. ``reason`` is one of :class:`Reason`.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from wattswap.protocol.codec import MOST_BYTES
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import CarStatus, DriverWish, Metered, PluggedIn, Reading, Unplugged
from wattswap.protocol.messages import Name

FRAME_VERSION: Final = 1
MOST_FRAME_BYTES: Final = 65_536
MOST_ENVELOPES: Final = 1_024
_ENVELOPE_OVERHEAD_BYTES: Final = 12
"""More than the headers of an envelope's array and its three elements."""
_BUNDLE_OVERHEAD_BYTES: Final = 64

Version = Literal[1]
Epoch = Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]
Seq = Annotated[int, Meta(ge=1, le=(1 << 52) - 1)]
BeatMs = Annotated[int, Meta(ge=1, le=3_600_000)]
Names = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=MOST_ENVELOPES)]


@unique
class Reason(IntEnum):
    """Why a frame is not accepted."""

    VERSION = 1
    """The frame is of another version."""
    HELLO_FIRST = 2
    """There is no hello from this connection's key since the receiver started."""
    NAME = 3
    """A name in the hello is not bound to the connection's key."""
    EPOCH = 4
    """A node with this key has already spoken in a later epoch: an old copy of it."""
    BEAT = 5
    """The two nodes' heartbeats differ."""


class Envelope(Struct, frozen=True, array_like=True, gc=False):
    """A message in the codec's bytes, from one agent to another."""

    sender: Name
    receiver: Name
    message: Annotated[bytes, Meta(max_length=MOST_BYTES)]


class _FrameKind(Struct, frozen=True, array_like=True, gc=False):
    """Base of all frames."""


class Hello(_FrameKind, frozen=True, tag=1):
    """Whoever connects says who speaks through the connection."""

    version: Version
    epoch: Epoch
    beat_ms: BeatMs
    names: Names


class Welcome(_FrameKind, frozen=True, tag=2):
    """The answer to a hello that was accepted, with the same content about the other side."""

    version: Version
    epoch: Epoch
    beat_ms: BeatMs
    names: Names


class Rejection(_FrameKind, frozen=True, tag=3):
    """The answer to a frame that was not accepted."""

    version: Version
    reason: Annotated[int, Meta(ge=0, le=255)]
    text: Annotated[str, Meta(max_length=200)]


class Bundle(_FrameKind, frozen=True, tag=4):
    """Messages of one heartbeat from one node to another."""

    version: Version
    epoch: Epoch
    seq: Seq
    envelopes: Annotated[tuple[Envelope, ...], Meta(max_length=MOST_ENVELOPES)]


CableEvent = PluggedIn | Unplugged | Metered | CarStatus | Reading | DriverWish
"""The last is a car's, to its charger; all others are a charger's, to its car."""


class Signal(Struct, frozen=True, array_like=True, gc=False):
    """What a charger's cable and meter tell a car, or a car of its driver."""

    sender: Name
    receiver: Name
    event: CableEvent


class Signals(_FrameKind, frozen=True, tag=5):
    """Signals of one heartbeat, between a charger and a car."""

    version: Version
    epoch: Epoch
    seq: Seq
    signals: Annotated[tuple[Signal, ...], Meta(max_length=MOST_ENVELOPES)]


NodeFrame = Hello | Welcome | Rejection | Bundle | Signals


class _Head(Struct, frozen=True, array_like=True, gc=False):
    """What every version of a frame begins with."""

    kind: int
    version: int


class FrameVersionError(RemoteProtocolError):
    """The frame is of another version than ours."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[NodeFrame]] = msgspec.msgpack.Decoder(NodeFrame)
_head_decoder: Final = msgspec.msgpack.Decoder(_Head)


def encode_frame(frame: NodeFrame) -> bytes:
    """A frame as bytes."""
    return _encoder.encode(frame)


def decode_frame(data: bytes) -> NodeFrame:
    """Read a frame.

    Raises:
        FrameVersionError: it is of another version.
        RemoteProtocolError: it is too long, or not exactly one of the frames above.
    """
    if len(data) > MOST_FRAME_BYTES:
        raise RemoteProtocolError(f"a frame of {len(data)} bytes; at most {MOST_FRAME_BYTES} are read")
    try:
        return _decoder.decode(data)
    except (ValueError, RecursionError, OverflowError) as error:
        _refuse_other_version(data)
        raise RemoteProtocolError(f"not a frame: {error}") from error


def _refuse_other_version(data: bytes) -> None:
    try:
        head = _head_decoder.decode(data)
    except (ValueError, RecursionError, OverflowError):
        return
    if head.version != FRAME_VERSION:
        raise FrameVersionError(f"a frame of version {head.version}; this node speaks version {FRAME_VERSION}")


def parts(envelopes: list[Envelope]) -> list[tuple[Envelope, ...]]:
    """Envelopes in their order, cut into as few bundles as the limits of a frame allow; one empty part for none."""
    found: list[list[Envelope]] = [[]]
    room = MOST_FRAME_BYTES - _BUNDLE_OVERHEAD_BYTES
    for envelope in envelopes:
        names = len(envelope.sender.encode()) + len(envelope.receiver.encode())
        needed = names + len(envelope.message) + _ENVELOPE_OVERHEAD_BYTES
        if needed > room or len(found[-1]) == MOST_ENVELOPES:
            found.append([])
            room = MOST_FRAME_BYTES - _BUNDLE_OVERHEAD_BYTES
        found[-1].append(envelope)
        room -= needed
    return [tuple(part) for part in found]
