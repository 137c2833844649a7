"""A resolved scenario as TOML again, so that a run's record can be read, changed and run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import tomli_w

from wattswap.runners.scenario.bundled import DATA, PREFIX
from wattswap.runners.scenario.read import Source


def resolved_toml(source: Source, inputs: Mapping[str, str]) -> str:
    """The scenario with every key written out, and ``inputs`` (file name -> sha256) as its last table.

    It can be read from any folder: bundled files are named ``bundled:...``, others by their full path. Pass a
    street's ``source`` and ``inputs``.
    """
    tables = msgspec.to_builtins(source.scenario, builtin_types=(datetime,))
    places = (tables, *tables["feeder"])
    for table in (*(place["base"] for place in places), *tables["household"]):
        table["household_csv"] = _anywhere(source, table["household_csv"])
        table["pv_csv"] = _anywhere(source, table["pv_csv"])
    for place in places:
        place["transformer"]["ambient_csv"] = _anywhere(source, place["transformer"]["ambient_csv"])
        place["sessions"]["csv"] = _anywhere(source, place["sessions"]["csv"])
    for table in (tables["vehicles"], *tables["battery"]):
        table["strategy"] = "+".join(_strategy_anywhere(source, part) for part in table["strategy"].split("+"))
    tables["inputs"] = dict(inputs)
    return tomli_w.dumps({key: value for key, value in tables.items() if value != ()})


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
