"""Reading a meter's JSON: where in the document each figure stands, and in which unit."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

import msgspec

from wattswap.protocol.units import MOST_W, MOST_WS
from wattswap.runners.node.drivers.device import DeviceError, DeviceReading

MOST_DOCUMENT_BYTES: Final = 262_144
_W: Final = {"W": 1, "kW": 1_000}
_WS: Final = {"Wh": 3_600, "kWh": 3_600_000}
_NOT_PLUGGED: Final = frozenset({"a", "e", "f", "false", "off", "no", "disconnected", "available", "0", ""})
"""IEC 61851's states A (no car), E and F (fault), and what else meters say for it."""


class JsonFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dotted paths into a document, such as ``loadpoints.0.chargePower``; a path that is empty is not there."""

    power: str = "power_w"
    power_unit: Literal["W", "kW"] = "W"
    imported: str = ""
    exported: str = ""
    energy_unit: Literal["Wh", "kWh"] = "kWh"
    plugged: str = ""


def read_document(text: bytes | str, fields: JsonFields, at_ms: int) -> DeviceReading:
    """What a document says. A document that is a single number is the power.

    Raises:
        DeviceError: it is not JSON, a field is not there, or a figure is none.
    """
    if len(text) > MOST_DOCUMENT_BYTES:
        raise DeviceError(f"a meter's document of {len(text)} bytes; at most {MOST_DOCUMENT_BYTES} are read")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DeviceError(f"a meter's document is not JSON: {error}") from None
    if isinstance(document, int | float):
        document = {fields.power.split(".", maxsplit=1)[0]: document} if "." not in fields.power else document
    energy = _WS[fields.energy_unit]
    return DeviceReading(
        at_ms,
        _figure(document, fields.power, _W[fields.power_unit], MOST_W),
        _figure(document, fields.imported, energy, MOST_WS) if fields.imported else None,
        _figure(document, fields.exported, energy, MOST_WS) if fields.exported else None,
        _is_plugged(_at(document, fields.plugged)) if fields.plugged else None,
    )


def _figure(document: Any, path: str, unit: int, most: int) -> int:
    value = _at(document, path)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise DeviceError(f"{path} is {value[:40]!r}, not a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DeviceError(f"{path} is {str(value)[:40]!r}, not a number")
    if not -most <= value * unit <= most:  # not a number and infinity fail this too
        raise DeviceError(f"{path} is {value}, which no meter measures")
    return round(value * unit)


def _at(document: Any, path: str) -> Any:
    """What stands at a dotted path; a number in it counts the entries of a list from 0."""
    node = document
    for part in path.split("."):
        try:
            node = node[int(part)] if isinstance(node, list) else node[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise DeviceError(f"there is no {path} in the meter's document (looking for {part})") from None
    return node


def _is_plugged(value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return bool(value)
    return str(value).strip().lower() not in _NOT_PLUGGED
