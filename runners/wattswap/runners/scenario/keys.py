"""Keys of a scenario by dotted path (``transformer.limit_w``, ``event.0.to``): placing, checking, explaining."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from wattswap.protocol.errors import InputError

_NO_CEILING: Final = "the highest price is market.reserve_nanos_per_kwh_h, fixed and sealed"
_REPLACED: Final = {
    "market.ceiling_from_nanos_per_kwh": "market.reserve_nanos_per_kwh_h took its place, a price per kWh and hour",
    "market.ceiling_to_nanos_per_kwh": "market.reserve_nanos_per_kwh_h took its place, a price per kWh and hour",
    "market.ceiling_at_pct": "market.reserve_nanos_per_kwh_h took its place, and it does not rise with the load",
    "market.owed_bonus_s": "who drew in the last tick comes first now; delete it",
}
"""Keys of the first edition of the law, and what to do about them."""
_GROUPED = re.compile(r"-?[1-9][0-9]{0,2}([.,][0-9]{3})+")
_INDEX = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True)
class Origin:
    """Where a scenario's values come from: a file, and options of the command that changed some of them."""

    file: str
    options: dict[str, str] = field(default_factory=dict)
    """Dotted path -> the option that set it, such as ``--set event.0.limit_w=0``."""

    def wrong(self, what: str, *paths: str) -> InputError:
        """An error about the values at ``paths``, naming the last option that set one of them, or else the file."""
        for key, option in reversed(self.options.items()):
            if any(_is_part(key, path) or _is_part(path, key) for path in paths):
                return InputError(f"{option}: {what}")
        return InputError(f"{self.file}: {what}")


def _is_part(path: str, whole: str) -> bool:
    return path == whole or path.startswith(f"{whole}.")


def nearest(word: str, names: Sequence[str]) -> str:
    """What to do about a name that is not there: the one that was likely meant, or all there are."""
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def place(raw: dict[str, Any], path: str, value: object, option: str) -> None:
    """Set the value at a dotted path, making tables and the next entry of a list on the way. Changes ``raw``."""
    parts = path.split(".")
    node: Any = raw
    for at, (part, following) in enumerate(zip(parts, [*parts[1:], ""], strict=True)):
        last = at == len(parts) - 1
        fresh = value if last else ([] if _INDEX.fullmatch(following) else {})
        node = _put(node, part, fresh, last, f"{option}: {'.'.join(parts[:at])}")


def _put(node: Any, part: str, fresh: object, replace: bool, what: str) -> Any:
    """Put ``fresh`` under ``part`` of a table or list if it is not there or to be replaced; what stands there then."""
    if isinstance(node, dict):
        if replace or part not in node:
            node[part] = fresh
        return node[part]
    if not isinstance(node, list):
        raise InputError(f"{what} is a single value, it has no {part}; shorten the key")
    if not _INDEX.fullmatch(part) or int(part) > len(node):
        raise InputError(f"{what} is a list of {len(node)}, {part!r} is no place in it; count from 0")
    if int(part) == len(node):
        node.append(fresh)
    elif replace:
        node[int(part)] = fresh
    return node[int(part)]


def refuse_misfits(raw: object, kind: Any, origin: Origin, path: str = "") -> None:
    """Refuse an unknown or missing key, a value of the wrong type or out of its range, anywhere below ``path``."""
    kind, bounds = _unwrap(kind)
    if get_origin(kind) is tuple:
        _refuse_in_list(raw, get_args(kind)[0], origin, path)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        _refuse_in_table(raw, kind, origin, path)
    elif not _fits(raw, kind):
        advice = _choice(raw, kind) or _thousands(raw, kind)
        raise origin.wrong(f"{path} must be {_expected(kind)}, not {_shown(raw)}{advice}", path)
    elif bounds is not None and (advice := _out_of_bounds(raw, bounds)):
        raise origin.wrong(f"{path} is {raw}; {advice}", path)


class Bounds(NamedTuple):
    """The numbers a type allows: from ``least`` to ``most``, both included."""

    least: float
    most: float
    multiple_of: int
    advice: str
    """What to do about a number out of bounds, where there is more to say than the bounds."""


def bounds_of(kind: Any) -> Bounds | None:
    """The bounds a type sets by ``Meta``; None where it sets none."""
    return _unwrap(kind)[1]


def _unwrap(kind: Any) -> tuple[Any, Bounds | None]:
    """A type without its ``Meta``, and the bounds that it sets; a number may be whole or decimal, with one ``Meta``."""
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    metas = [meta for part in parts if get_origin(part) is Annotated for meta in get_args(part)[1:]]
    if not metas:
        return kind, None
    plain, meta = tuple(get_args(part)[0] for part in parts), metas[0]
    bounds = Bounds(meta.ge, meta.le, meta.multiple_of or 1, meta.description or "")
    return (plain[0] if len(plain) == 1 else int | float), bounds


def _out_of_bounds(value: Any, bounds: Bounds) -> str:
    """What to do about a number that is out of bounds; empty for one that is within."""
    # written so that not-a-number, which compares false with everything, is refused
    if not bounds.least <= value <= bounds.most:
        return bounds.advice or f"choose {bounds.least:_} to {bounds.most:_}"
    step = bounds.multiple_of
    if step > 1 and value % step:
        return f"prices are whole multiples of {step:_}, the nearest is {(value + step // 2) // step * step:_}"
    return ""


def _refuse_in_list(raw: object, kind: Any, origin: Origin, path: str) -> None:
    if not isinstance(raw, list):
        raise origin.wrong(f"{path} must be a list of tables, not {_shown(raw)}; write [[{path}]]", path)
    for index, entry in enumerate(raw):
        refuse_misfits(entry, kind, origin, f"{path}.{index}")


def _refuse_in_table(raw: object, kind: type[msgspec.Struct], origin: Origin, path: str) -> None:
    if not isinstance(raw, Mapping):
        raise origin.wrong(f"{path} must be a table, not {_shown(raw)}; write [{path}] and its keys below", path)
    known = _fields_of(kind)
    prefix = f"{path}." if path else ""
    for key, value in raw.items():
        if (instead := _replaced(prefix + key)) is not None:
            raise origin.wrong(f"there is no key {prefix + key} any more; {instead}", prefix + key)
        if key not in known:
            raise origin.wrong(f"there is no key {prefix + key}; {_meant(key, known, prefix)}", prefix + key)
        refuse_misfits(value, known[key].type, origin, prefix + key)
    for key, known_field in known.items():
        if known_field.required and key not in raw:
            expected = _expected(_unwrap(known_field.type)[0])
            raise origin.wrong(f"{prefix}{key} is missing; it must be {expected}", path)


@cache
def _fields_of(kind: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """The keys of a table; found out once, for a city has ten thousand of one."""
    return {known.encode_name: known for known in msgspec.structs.fields(kind)}


def _replaced(path: str) -> str | None:
    """What took the place of a key of the first edition; None for any other key."""
    if path in _REPLACED:
        return _REPLACED[path]
    return _NO_CEILING if path.rpartition(".")[2].startswith("ceiling") else None


def _meant(key: str, known: Mapping[str, msgspec.structs.FieldInfo], prefix: str) -> str:
    """What to do about an unknown key: the nearest beside it, the same one in a table below, or all there are."""
    below = [f"{prefix}{name}.{key}" for name in known if key in _keys_of(known[name].type)]
    if below:
        return f"did you mean {' or '.join(below)}?"
    near = get_close_matches(key, known, n=1)
    return f"did you mean {prefix}{near[0]}?" if near else f"there are {', '.join(prefix + name for name in known)}"


def _keys_of(kind: Any) -> set[str]:
    table = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return set(_fields_of(kind)) if table else set()


def _fits(raw: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return raw in get_args(kind)
    if get_origin(kind) is dict:
        return isinstance(raw, Mapping) and all(isinstance(value, str) for value in raw.values())
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if kind is bool:
        return isinstance(raw, bool)
    return isinstance(raw, kinds) and not isinstance(raw, bool)


def _expected(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "a table, written as [key] and the keys below it"
    words = {
        bool: "true or false",
        int: "a whole number",
        str: "a text in quotes",
        datetime: "a date and time like 2018-11-19T00:00:00+01:00",
    }
    if get_origin(kind) is dict:
        return "a table of file name and sha256"
    return words.get(kind, "a number")


def _choice(raw: object, kind: Any) -> str:
    if get_origin(kind) is not Literal or not isinstance(raw, str):
        return ""
    near = get_close_matches(raw, get_args(kind), n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""


def _thousands(raw: object, kind: Any) -> str:
    """The whole number that was likely meant: many countries put a point or a comma between thousands."""
    text = f"{raw:.3f}" if isinstance(raw, float) and raw == round(raw, 3) else raw
    if kind is not int or not isinstance(text, str) or not _GROUPED.fullmatch(text):
        return ""
    return f"; if thousands were meant, write {text.replace(',', '_').replace('.', '_')}"


def _shown(raw: object) -> str:
    if isinstance(raw, str):
        return f"the text {raw!r}"
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, Mapping):
        return "a table"
    if isinstance(raw, list):
        return "a list"
    return raw.isoformat() if isinstance(raw, date) else str(raw)
