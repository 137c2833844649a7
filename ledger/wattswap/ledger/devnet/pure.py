"""Plain values in a transaction: do these bytes spell a value of that type? All of these types can be dropped."""

from __future__ import annotations

from typing import Final

from wattswap.ledger.devnet.rules import MOST_TYPE_DEPTH

_SIZES: Final = {"bool": 1, "u8": 1, "u16": 2, "u32": 4, "u64": 8, "u128": 16, "u256": 32, "address": 32}
_MOST_LENGTH_BYTES: Final = 5


class NotPure(ValueError):  # noqa: N818 - what the type is
    """The type is none of the plain ones."""


def check_type(name: str, depth: int = 0) -> None:
    """Raise ``NotPure`` unless the type is a number, bool, address, or a vector of those."""
    if name in _SIZES:
        return
    if not (name.startswith("vector<") and name.endswith(">")) or depth == MOST_TYPE_DEPTH:
        raise NotPure(name[:80])
    check_type(name[7:-1], depth + 1)


def fits(value: bytes, name: str) -> bool:
    """Whether the bytes are exactly one value of this type, in its canonical form."""
    check_type(name)
    return _end(value, 0, name) == len(value)


def _end(data: bytes, start: int, name: str) -> int:
    """Where the value that begins here ends; -1 if there is none."""
    size = _SIZES.get(name)
    if size is not None:
        if name == "bool" and data[start : start + 1] not in {b"\x00", b"\x01"}:
            return -1
        return start + size if start + size <= len(data) else -1
    count, start = _length(data, start)
    inner = name[7:-1]
    if inner in _SIZES and inner != "bool":
        end = start + count * _SIZES[inner]
        return end if start >= 0 and end <= len(data) else -1
    for _ in range(count):
        start = _end(data, start, inner)
        if start < 0:
            break
    return start


def _length(data: bytes, start: int) -> tuple[int, int]:
    """A count and where it ends; (0, -1) if it is not written in the shortest way."""
    count = 0
    for place, byte in enumerate(data[start : start + _MOST_LENGTH_BYTES]):
        count |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            shortest = place == 0 or byte > 0
            return (count, start + place + 1) if shortest and count < 1 << 32 else (0, -1)
    return 0, -1
