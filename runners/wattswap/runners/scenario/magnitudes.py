"""Numbers as people say them on a command line: ``80k`` and ``1.5M`` beside ``80_000``."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_NUMBER: Final = re.compile(r"(-?[0-9][0-9_]*(?:\.[0-9]+)?)([kM]?)")
_FACTORS: Final = {"": 1, "k": 1_000, "M": 1_000_000}


def spoken_number(text: str) -> Decimal | None:
    """The number that ``text`` says, exactly; None where it is none."""
    found = _NUMBER.fullmatch(text.strip())
    if not found:
        return None
    value = Decimal(found[1].replace("_", "")) * _FACTORS[found[2]]
    return value.to_integral_value() if value == value.to_integral_value() else value


_WHOLE: Final = re.compile(r"(-?[0-9][0-9_]*)\.0{1,2}")
"""A whole number as spreadsheets and programs write it; three zeros may be meant for thousands."""


def written_out(text: str) -> str:
    """A number with its k or M written out and, where it is whole, without a decimal point; anything else as it is."""
    if whole := _WHOLE.fullmatch(text.strip()):
        return whole[1]
    number = spoken_number(text) if text.strip().endswith(("k", "M")) else None
    return text if number is None else f"{number:f}"
