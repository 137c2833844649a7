"""A key of a scenario over many values: ``transformer.limit_w=140k..240k:20k`` or ``vehicles.curve=flat,taper``."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from wattswap.protocol.errors import InputError
from wattswap.runners.scenario.magnitudes import spoken_number, written_out

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

MOST_VALUES: Final = 200
_UNITS: Final = {"_w": ("kW", 1_000), "_va": ("kVA", 1_000), "_wh": ("kWh", 1_000), "_pct": ("%", 1), "_s": ("s", 1)}


def variations(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """The settings of every combination of what is to be varied; one without any where nothing is.

    Raises:
        InputError: a text names no key and values, or two name one key.
    """
    keys = [text.partition("=")[0].strip() for text in texts]
    if twice := next((key for key in keys if keys.count(key) > 1), ""):
        raise InputError(f"--vary {twice}: named twice; write all its values into one, like {twice}=A,B")
    return list(product(*(_settings(text) for text in texts)))


def _settings(text: str) -> list[str]:
    key, equals, values = (part.strip() for part in text.partition("="))
    if not (key and equals and values):
        raise InputError(f"--vary {text}: write KEY=FROM..TO:STEP or KEY=A,B, like transformer.limit_w=140k..240k:20k")
    if ".." not in values:
        said = (value.strip() for value in values.split(",") if value.strip())
        return list(dict.fromkeys(f"{key}={written_out(value)}" for value in said))
    first, _, rest = values.partition("..")
    last, colon, step = rest.partition(":")
    low, high, by = (_number(part, text) for part in (first, last, step if colon else ""))
    if by <= 0 or high < low or (high - low) / by >= MOST_VALUES:
        raise InputError(f"--vary {text}: go from the smaller to the larger, in at most {MOST_VALUES} steps")
    return [f"{key}={(low + by * place).normalize():f}" for place in range(int((high - low) / by) + 1)]


def _number(text: str, whole: str) -> Decimal:
    number = spoken_number(text)
    if number is None:
        raise InputError(f"--vary {whole}: {text!r} is no number; write FROM..TO:STEP, like 140k..240k:20k")
    return number


def short(varied: str) -> str:
    """What was varied, by the last parts of its keys, for narrow tables."""
    pairs = (setting.partition("=") for setting in varied.split())
    return " ".join(f"{key.rpartition('.')[2]}{equals}{value}" for key, equals, value in pairs)


def axis(varied: str) -> tuple[str, float] | None:
    """What stands at the axis of a curve over this key, and its value there; None where it is no number."""
    key, _, value = varied.partition("=")
    try:
        number = float(value)
    except ValueError:
        return None
    unit, per_unit = next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), ("", 1))
    return f"{key} in {unit}" if unit else key, number / per_unit
