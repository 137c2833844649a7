"""A resolved scenario as TOML again, so that a run's record can be read, changed and run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from wattswap.runners.scenario.bundled import DATA, PREFIX
from wattswap.runners.scenario.read import Source

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def resolved_toml(source: Source, inputs: Mapping[str, str]) -> str:
    """The scenario with every key written out, and ``inputs`` (file name -> sha256) as its last table.

    It can be read from any folder: bundled files are named ``bundled:...``, others by their full path. Pass a
    street's ``source`` and ``inputs``.
    """
    tables = msgspec.to_builtins(source.scenario, builtin_types=(datetime,))
    for table in (tables["base"], *tables["household"]):
        table["household_csv"] = _anywhere(source, table["household_csv"])
        table["pv_csv"] = _anywhere(source, table["pv_csv"])
    tables["sessions"]["csv"] = _anywhere(source, tables["sessions"]["csv"])
    for table in (tables["vehicles"], *tables["battery"]):
        table["strategy"] = "+".join(_strategy_anywhere(source, part) for part in table["strategy"].split("+"))
    tables["inputs"] = dict(inputs)
    return "\n".join(_document(tables)) + "\n"


def _anywhere(source: Source, name: str) -> str:
    if not name:
        return ""
    path = source.path(name).resolve()
    return PREFIX + path.relative_to(DATA).as_posix() if path.is_relative_to(DATA) else str(path)


def _strategy_anywhere(source: Source, part: str) -> str:
    """One share of a mix; where it names a Python file (in the working folder or beside the scenario), in full."""
    name, marker, rest = part.partition(".py:")
    found = next((path for path in (Path(f"{name}.py"), source.path(f"{name}.py")) if path.is_file()), None)
    if not marker or found is None or "+" in str(found.resolve()):
        return part
    return f"{found.resolve().with_suffix('')}.py:{rest}"


def _document(tables: Mapping[str, object]) -> Iterator[str]:
    """Plain keys, then tables, then lists of tables, as TOML wants them."""
    yield from (_pair(key, value) for key, value in tables.items() if not isinstance(value, (dict, list, tuple)))
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from ("", f"[{key}]", *(_pair(name, item) for name, item in value.items()))
    for key, value in tables.items():
        for table in value if isinstance(value, (list, tuple)) else ():
            yield from ("", f"[[{key}]]", *(_pair(name, item) for name, item in table.items()))


def _pair(key: str, value: object) -> str:
    name = key if _BARE.fullmatch(key) else _text(key)
    if isinstance(value, datetime):
        return f"{name} = {value.isoformat()}"
    return f"{name} = {_text(value) if isinstance(value, str) else value}"


def _text(value: str) -> str:
    """A basic string of TOML: JSON's escapes are valid there, only DEL needs one more."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
