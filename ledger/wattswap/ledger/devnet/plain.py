"""Plain values in a transaction: do these bytes spell a value of that type? All of these types can be dropped."""

from __future__ import annotations

import re
from typing import Final

from wattswap.ledger.devnet.rules import SERVICE

_SIZES: Final = {"bool": 1, "u8": 1, "u16": 2, "u32": 4, "u64": 8, "u128": 16, "u256": 32, "address": 32}
_PLAIN: Final = re.compile(rf"(vector<){{0,{SERVICE['maxTypeArgumentDepth']}}}({'|'.join(_SIZES)})>*")
_LENGTH: Final = re.compile(rb"[\x80-\xff]{0,4}[\x00-\x7f]", re.DOTALL)


def is_plain(kind: str) -> bool:
    """Whether the type is a number, bool, address, or a vector of those."""
    return _PLAIN.fullmatch(kind) is not None and kind.count("<") == kind.count(">")


def fits(value: bytes, kind: str) -> bool:
    """Whether the bytes are exactly one value of this plain type, in its canonical form."""
    return _end(value, 0, kind) == len(value)


def _end(data: bytes, start: int, kind: str) -> int:
    """Where the value that begins here ends; beyond the data if there is none."""
    beyond = len(data) + 1
    if kind == "bool":
        return start + 1 if data[start : start + 1] in {b"\x00", b"\x01"} else beyond
    if kind in _SIZES:
        return start + _SIZES[kind]
    written = _LENGTH.match(data, start)
    if written is None:
        return beyond
    count = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(written[0]))
    if count >= 1 << 32 or (len(written[0]) > 1 and data[written.end() - 1] == 0):  # too large, or not the shortest
        return beyond
    inner, start = kind[7:-1], written.end()
    if inner in _SIZES and inner != "bool":
        return start + count * _SIZES[inner]
    for _ in range(count):
        start = _end(data, start, inner)
        if start > len(data):
            break
    return start
