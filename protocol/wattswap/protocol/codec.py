"""Messages as bytes and back. Every byte from outside is hostile until this module has read it.

A frame is the MessagePack array ``[version, message]``. Size is checked before anything is read, types and bounds while
reading; floats, maps, extensions and unknown tags have no place in the types and are refused with the field's path.
Further fields at the end of a message are tolerated, so that a newer peer may say more.
"""

from __future__ import annotations

from typing import Final, Literal, TypeVar, cast

import msgspec
from msgspec import Struct

from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.identity import Signer, verify
from wattswap.protocol.messages import SEALED, Inner, Message, Sealed

VERSION: Final = 1
MOST_BYTES: Final = 2_048
"""No frame is longer."""


class _Frame(Struct, frozen=True, array_like=True):
    version: Literal[1]
    message: Message


class _InnerFrame(Struct, frozen=True, array_like=True):
    version: Literal[1]
    message: Inner


KIND_OF: Final = {kind: cast("int", kind.__struct_config__.tag) for kind in SEALED}
"""The number that stands on the wire for each class of message that travels sealed."""

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(_Frame)
_inner_decoder: Final = msgspec.msgpack.Decoder(_InnerFrame)


def encode(message: Message) -> bytes:
    """A message as a frame."""
    return _encoder.encode((VERSION, message))


def decode(frame: bytes) -> Message:
    """Read a frame.

    Raises:
        RemoteProtocolError: it is too long, not MessagePack, of another version, or not exactly one of our messages.
    """
    return _read(_decoder, frame).message


def seal(message: Inner, signer: Signer | None = None) -> Sealed:
    """A message as the bytes its author signs; without a signer the signature stays empty."""
    payload = _encoder.encode((VERSION, message))
    return Sealed(KIND_OF[type(message)], payload, b"" if signer is None else signer.sign(payload))


def unseal(sealed: Sealed, author: bytes | None = None) -> Inner:
    """Read a sealed message; ``author`` is the public key that must have signed it, None where nobody signs.

    Raises:
        RemoteProtocolError: the signature is not the author's, or the bytes are no message that travels sealed.
    """
    if author is not None and not verify(author, sealed.payload, sealed.signature):
        raise RemoteProtocolError(f"a sealed message of kind {sealed.kind} is not signed by who should have said it")
    message = _read(_inner_decoder, sealed.payload).message
    if KIND_OF[type(message)] != sealed.kind:
        raise RemoteProtocolError(f"a sealed {type(message).__name__} says it is of kind {sealed.kind}")
    return message


_FrameT = TypeVar("_FrameT", _Frame, _InnerFrame)


def _read(decoder: msgspec.msgpack.Decoder[_FrameT], frame: bytes) -> _FrameT:
    if len(frame) > MOST_BYTES:
        raise RemoteProtocolError(f"a frame of {len(frame)} bytes; at most {MOST_BYTES} are read")
    try:
        return decoder.decode(frame)
    except (ValueError, RecursionError, OverflowError) as error:
        raise RemoteProtocolError(f"not a message: {error}") from error
