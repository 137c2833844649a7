"""The way of bytes into the SDK, made short: version 3.0.0b1 hands them to its Rust side one by one, in Python.

A transaction that carries a street's meter records holds 100 kB; byte by byte it takes some 50 ms each time it is made,
signed or handed in, all of them with the interpreter's lock held, so the agents would wait too. Here they go at once.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from iota_sdk import iota_sdk_ffi

_BUILDER: Final = "_UniffiRustBufferBuilder"


def _write(self: Any, value: bytes) -> None:
    """As the SDK's own, in one piece."""
    with self._reserve(len(value)):
        at = ctypes.addressof(self.rbuf.data.contents) + self.rbuf.len
        ctypes.memmove(at, bytes(value), len(value))


def quicken() -> bool:
    """Put it in place; False if this version of the SDK is built otherwise, and goes on as it is."""
    builder = getattr(iota_sdk_ffi, _BUILDER, None)
    if builder is None or not hasattr(builder, "write") or not hasattr(builder, "_reserve"):
        return False
    builder.write = _write
    return True
