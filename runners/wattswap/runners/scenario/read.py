"""Reading a scenario: a bundled name or a TOML file, ``--set`` changes on top, one clear line if anything is off."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import msgspec

from wattswap.protocol.errors import InputError
from wattswap.runners.scenario.bundled import DATA, PREFIX, bundled_names
from wattswap.runners.scenario.checks import check
from wattswap.runners.scenario.feeders import complete_feeders
from wattswap.runners.scenario.keys import Origin, nearest, place, refuse_misfits
from wattswap.runners.scenario.magnitudes import written_out
from wattswap.runners.scenario.schema import Scenario
from wattswap.runners.scenario.stations import with_stations
from wattswap.runners.scenario.tables import nearest_file
from wattswap.runners.scenario.zones import zone_named


@dataclass(frozen=True)
class Source:
    """A scenario and where it stands."""

    scenario: Scenario
    folder: Path
    """What the scenario's relative paths are relative to."""

    def path(self, name: str) -> Path:
        """The file that a scenario calls ``name``: relative to the scenario, absolute, or ``bundled:``."""
        if name.startswith(PREFIX):
            return DATA / name.removeprefix(PREFIX)
        return self.folder / name


def load_scenario(
    name_or_path: str, settings: Sequence[str] = (), *, strategy: str | None = None, seed: int | None = None
) -> Source:
    """Read a bundled scenario or a TOML file, apply ``KEY=VALUE`` settings in order, then strategy and seed.

    Raises :class:`InputError` for anything that cannot be used: file, key path and what would be right.
    """
    path = _find(name_or_path)
    raw = _parse(path)
    options: dict[str, str] = {}
    for setting in settings:
        key, value = _setting(setting)
        place(raw, key, _from_here(key, value), f"--set {setting}")
        options[key] = f"--set {setting}"
    for flag, key, given in (("--strategy", "vehicles.strategy", strategy), ("--seed", "seed", seed)):
        if given is not None:
            place(raw, key, given, flag)
            options[key] = f"{flag} {given}"
    raw.setdefault("name", path.stem)
    origin = Origin(str(path), options)
    refuse_misfits(raw, Scenario, origin)
    complete_feeders(raw, origin)
    source = Source(_by_its_clocks(msgspec.convert(raw, Scenario), origin), path.parent)
    stations = source.scenario.chargers.csv
    scenario = with_stations(source.scenario, source.path(stations) if stations else None)
    check(scenario, origin)
    return replace(source, scenario=scenario)


def _by_its_clocks(scenario: Scenario, origin: Origin) -> Scenario:
    """The scenario with its start, and events without an offset, as the clocks of its zone show them."""
    if not scenario.zone:
        return scenario
    try:
        clock = zone_named(scenario.zone)
    except InputError as error:
        raise origin.wrong(f"zone: {error}", "zone") from None
    events = tuple(
        msgspec.structs.replace(event, from_=_on(clock, event.from_), to=_on(clock, event.to))
        for event in scenario.event
    )
    return msgspec.structs.replace(scenario, start=_on(clock, scenario.start), event=events)


def _on(clock: tzinfo, stamp: datetime) -> datetime:
    return stamp.replace(tzinfo=clock) if stamp.tzinfo is None else stamp.astimezone(clock)


def _from_here(key: str, value: object) -> object:
    """A file named by ``--set`` is looked for in the working folder first, unlike one the scenario names."""
    if key.endswith("csv") and isinstance(value, str) and Path(value).is_file():
        return str(Path(value).resolve())
    return value


def _find(name_or_path: str) -> Path:
    """The TOML file of a bundled name, or of a path."""
    if name_or_path in bundled_names():
        return DATA / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the TOML file in it")
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise InputError(f"{path}: there is no such scenario file{nearest_file(path)}")
    names = bundled_names()
    raise InputError(
        f"there is no scenario {name_or_path!r}; {nearest(name_or_path, names)} (bundled: "
        f"{', '.join(names)}; or name a TOML file)"
    )


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a readable file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: this is not UTF-8 text; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        advice = "texts and paths stand in quotes, numbers are written out, like 80_000"
        raise InputError(f"{path}: not valid TOML: {error}; {advice}") from None


def _setting(setting: str) -> tuple[str, object]:
    """Key and value of ``KEY=VALUE``: a TOML value or a number such as 80k where it is one, else a plain text."""
    key, equals, text = (part.strip() for part in setting.partition("="))
    if not equals or not all(part.strip() for part in key.split(".")):
        raise InputError(f"--set {setting}: write KEY=VALUE, like --set vehicles.curve=taper")
    try:
        parsed = tomllib.loads(f"value = {written_out(text)}")
    except tomllib.TOMLDecodeError:
        return key, text
    return key, parsed["value"] if len(parsed) == 1 else text
