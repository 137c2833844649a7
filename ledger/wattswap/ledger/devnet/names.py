"""How people and clients write bytes, addresses, types and functions. What cannot be read is ``Refused``."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Final

from wattswap.ledger.devnet.model import Refused

_HEX: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_FUNCTION: Final = re.compile(r"(\w+)((?:::[A-Za-z_]\w{0,127}){0,2})", re.ASCII)
_MOST_TYPE: Final = 1_000

COINS: Final = f"0x{2:064x}::coin::Coin<0x{2:064x}::iota::IOTA>"
IOTA: Final = f"0x{2:064x}::iota::IOTA"


def address(text: str) -> bytes:
    """An address or object id, short or long."""
    if not _HEX.fullmatch(text):
        raise Refused("an address is 0x and up to 64 hexadecimal digits")
    return bytes.fromhex(text[2:].zfill(64))


def function(text: str) -> bytes:
    """The key of a package, ``package::module`` or ``package::module::function``."""
    parts = _FUNCTION.fullmatch(text)
    if parts is None:
        raise Refused("a function filter is package, package::module or package::module::function")
    return address(parts[1]) + parts[2].encode()


def full_type(text: str) -> str:
    """A type with its addresses in full, without blanks."""
    if len(text) > _MOST_TYPE:
        raise Refused("a type name is not that long")
    return re.sub(r"0x([0-9a-fA-F]+)", lambda found: f"0x{found[1].lstrip('0'):0>64}", text.replace(" ", ""))


def from_base64(text: str) -> bytes:
    """Bytes in base64, strictly."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise Refused("not base64") from None
