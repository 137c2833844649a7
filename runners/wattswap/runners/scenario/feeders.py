"""Several feeders in one file: what each takes from the file's own tables, and who gets which common stations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from wattswap.protocol.draws import draw
from wattswap.protocol.units import Purpose
from wattswap.runners.scenario.keys import Origin, nearest
from wattswap.runners.scenario.schema import Battery, Event, HouseholdTable, Scenario

_ROUNDING: Final = 1e-9
_FEEDER_DRAW: Final = 10
"""Tells this draw from others of sessions."""


def complete_feeders(raw: dict[str, Any], origin: Origin) -> None:
    """Write into each ``[[feeder]]`` what it leaves out, key by key, from the file's tables. Changes ``raw``.

    A feeder that says its own ``rating_va`` and no ``limit_w`` gets the limit of that rating, not the file's; one that
    names a file of homes or their number takes neither from it. The ``csv`` of the file's sessions is not copied: a
    feeder without one of its own takes a share of them.

    Raises:
        InputError: a feeder has no transformer or no homes, neither of its own nor the file's.
    """
    for index, feeder in enumerate(raw.get("feeder", ())):
        path = f"feeder.{index}"
        for key, what in (
            ("transformer", "rating_va"),
            ("base", "household_csv, or none where there are no homes"),
        ):
            if key not in feeder and key not in raw:
                told = f"{path} ({feeder['name']}) has no {key}; write [feeder.{key}] below it, with {what}"
                raise origin.wrong(f"{told}, or one [{key}] for all feeders", path)
        common = dict(raw.get("transformer", {}))
        if "rating_va" in feeder.get("transformer", {}):
            common.pop("limit_w", None)
        feeder["transformer"] = common | feeder.get("transformer", {})
        own = feeder.get("base", {})
        instead = {"household_csv", "homes"} if {"household_csv", "homes"} & own.keys() else set[str]()
        feeder["base"] = {key: value for key, value in raw.get("base", {}).items() if key not in instead} | own
        common = {key: value for key, value in raw.get("sessions", {}).items() if key != "csv"}
        feeder["sessions"] = common | feeder.get("sessions", {})


def seed_on(own: int, seed: int) -> int:
    """Under which what is a feeder's own is drawn: the scenario's seed, mixed with the feeder's where it has one."""
    return int(draw(seed, own, Purpose.SESSION, index=_FEEDER_DRAW)) >> 1 if own else seed


def feeder_problems(scenario: Scenario) -> Iterator[tuple[str, ...]]:
    """What is wrong with the feeders: what and what to do, then the paths of the values it is about."""
    names = [feeder.name for feeder in scenario.feeder]
    known, folded = set(names), dict[str, int]()
    for index, name in enumerate(names):
        if (first := folded.setdefault(name.casefold(), index)) < index:
            paths = f"feeder.{index}.name", f"feeder.{first}.name"
            told = f"{paths[0]} is {name!r}, and "
            if name == names[first]:
                yield f"{told}so is {paths[1]}; give each feeder a name of its own", *paths
            else:
                yield f"{told}{paths[1]} is {names[first]!r}; capitals do not tell files apart on every disk", *paths
    for key in ("household", "battery", "event"):
        listed: tuple[HouseholdTable | Battery | Event, ...] = getattr(scenario, key)
        for index, table in enumerate(listed):
            if table.feeder not in known:
                yield from _unknown(f"{key}.{index}.feeder", table.feeder, names)
    yield from _shares(scenario)


def _unknown(path: str, name: str, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Whatever hangs on a feeder must say on which, where there are several."""
    if name and name not in names:
        meant = nearest(name, names) if names else "this file has no [[feeder]], so leave the key out"
        yield f"{path} is {name!r}, and there is no such feeder; {meant}", path
    elif not name and len(names) > 1:
        yield f"{path} is missing, and there are several feeders; write one of {', '.join(names)}", path


def _shares(scenario: Scenario) -> Iterator[tuple[str, ...]]:
    paths = [f"feeder.{index}.sessions.share" for index in range(len(scenario.feeder))]
    for path, feeder in zip(paths, scenario.feeder, strict=True):
        if feeder.sessions.share and feeder.sessions.csv:
            own = path.replace("share", "csv")
            yield f"{path} is a share of the file's [sessions], and {own} names another file; leave one out", path, own
        if feeder.sessions.share and not scenario.sessions.csv:
            yield f"{path} is a share of the file's [sessions], and there are none; name sessions.csv", path
    total = sum(feeder.sessions.share for feeder in scenario.feeder)
    if total > 1 + _ROUNDING:
        yield f"the shares of the sessions add up to {total:g}; lower them to 1 in all", *paths
