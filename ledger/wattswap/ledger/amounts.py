"""Amounts as people write them: decimal IOTA, exact to the nano, without a float on the way."""

from __future__ import annotations

import re
from typing import Final

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MOST_NANOS, NANOS_PER_IOTA

_PLACES: Final = 9
_AMOUNT: Final = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9][0-9_]*)(?:\.(?P<fraction>[0-9]+))?", re.ASCII)


def iota_of(nanos: int) -> str:
    """An amount as decimal IOTA, every nano of it: ``1500000000`` is ``1.5``."""
    whole, fraction = divmod(abs(nanos), NANOS_PER_IOTA)
    sign = "-" if nanos < 0 else ""
    return f"{sign}{whole}.{fraction:0{_PLACES}}".rstrip("0").rstrip(".")


def nanos_of(text: str) -> int:
    """The nanos of an amount in decimal IOTA, as it is paid.

    Raises:
        InputError: it is no amount that can be paid; the text says why.
    """
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{text!r} is no amount: write IOTA as a plain decimal number, such as 1.5")
    fraction = found["fraction"] or ""
    if len(fraction) > _PLACES:
        raise InputError(f"{text!r} has {len(fraction)} decimals: the smallest amount is a nano, 0.000000001 IOTA")
    if len(found["whole"]) > 2 * _PLACES:
        raise _too_much(text)
    nanos = int(found["whole"]) * NANOS_PER_IOTA + int(fraction.ljust(_PLACES, "0"))
    if found["sign"] == "-" or nanos == 0:
        raise InputError(f"{text!r} cannot be paid: an amount is more than 0")
    if nanos > MOST_NANOS:
        raise _too_much(text)
    return nanos


def _too_much(text: str) -> InputError:
    return InputError(f"{text!r} is too much: no amount is more than {iota_of(MOST_NANOS)} IOTA")
