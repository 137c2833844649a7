"""How people and clients write addresses and functions, read into keys. What cannot be read is ``Refused``."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Final

from wattswap.ledger.devnet.model import Refused

_HEX: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_NAME: Final = re.compile(r"[A-Za-z_]\w{0,127}", re.ASCII)

COIN_TYPES: Final = frozenset({"0x2::coin::Coin", "0x2::coin::Coin<0x2::iota::IOTA>", "0x2::coin", "0x2"})
"""Filters that mean coins of IOTA, with short addresses."""
IOTA_TYPES: Final = frozenset({"0x2::iota::IOTA"})
LONG_IOTA_TYPE: Final = f"0x{2:064x}::iota::IOTA"
LONG_COIN_TYPE: Final = f"0x{2:064x}::coin::Coin<0x{2:064x}::iota::IOTA>"


def address(text: str) -> bytes:
    """An address or object id, short or long."""
    if not _HEX.fullmatch(text):
        raise Refused("an address is 0x and up to 64 hexadecimal digits")
    return bytes.fromhex(text[2:].zfill(64))


def shown(value: bytes) -> str:
    """An address or object id in full."""
    return "0x" + value.hex()


def short_type(text: str) -> str:
    """A type with its addresses as short as can be, without blanks."""
    if len(text) > 1_000:
        raise Refused("a type name is not that long")
    return re.sub(r"0x0*([0-9a-fA-F]+)", r"0x\1", text.replace(" ", ""))


def function(text: str) -> bytes:
    """The key of a package, ``package::module`` or ``package::module::function``."""
    package, *names = text.split("::")
    if len(names) > 2 or not all(_NAME.fullmatch(name) for name in names):
        raise Refused("a function filter is package, package::module or package::module::function")
    return function_key(address(package), *names)


def function_key(package: bytes, *names: str) -> bytes:
    """The same from its parts."""
    return package + "::".join(names).encode()


def from_base64(text: str) -> bytes:
    """Bytes in base64, strictly."""
    try:
        return b64decode(text, validate=True)
    except (NotBase64, ValueError):
        raise Refused("not base64") from None
