"""Files of load and sun as meters and spreadsheets write them: one meter or many, in kW, W or kWh.

A file of several meters has a row for each meter and interval and a column that names the meter; their loads are added
up by time. What looks like a register's reading in place of an interval's energy is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MOST_W, MS_PER_DAY, MS_PER_HOUR, MS_PER_S
from wattswap.runners.scenario.profiles import Profile, Ticks, Watts
from wattswap.runners.scenario.schema import TransformerTable
from wattswap.runners.scenario.stamps import Stamps, read_as
from wattswap.runners.scenario.tables import EPOCH, Cell, Table, read_table
from wattswap.runners.scenario.unchanged import read_once

METER_COLUMNS: Final = ("meter", "meter_id")
"""A column of this name says whose row it is."""
ABSURD_TIMES: Final = 20
"""Homes that take so many times the transformer's rating in the mean are none: the file means something else."""
FAINT_PART: Final = 2_000
"""Homes that take less than this part of the transformer's rating in the mean are a note: kilowatts read as watts."""
LEAST_HOME_W: Final = 150
"""A home that takes less in the mean (1,300 kWh a year) is a note: kilowatt-hours of a quarter read as kilowatts."""
_REGISTER_ROWS: Final = 96
"""From so many rows on, values that never fall are taken for a register's: homes rest at night."""
_W_PER_KW: Final = 1000


@read_once
def read_profile(path: Path, column: str, clock: tzinfo | None = None) -> Profile:
    """Read ``timestamp,<column>``; the stamps name the interval's start.

    Those without an offset are read by ``clock``, that of the street's zone: a day of spring has 92 quarters of an
    hour then, one of autumn 100. The column is in kW; where the file has ``household_w`` or ``household_kwh`` in place
    of ``household_kw``, it is in watts, or the energy of each interval. With a column of :data:`METER_COLUMNS` there is
    a row for each meter and interval, and what is returned is their sum.
    """
    units = _units_of(column)
    table = read_table(path, ("timestamp", column), instead={column: tuple(units)}, hint=_named_by_unit(units))
    name = next(name for name in units if name in table.header)
    load = _LoadColumn(name, units[name], Stamps.of(list(table.column("timestamp")), clock))
    meter = next((each for each in METER_COLUMNS if each in table.header), None)
    parts = [_series(table, load)] if meter is None else _series_of_each(table, meter, load)
    first = parts[0]
    mean_w: Watts = np.stack([part.mean_w for part in parts]).sum(axis=0)
    mean_w.flags.writeable = False
    added = (f"{len(parts)} meters added up",) if len(parts) > 1 else ()
    notes = (*read_as(table, load.stamps), *added, *_register(parts, name))
    return Profile(table.file, table.sha256, first.start_ms, first.step_ms, mean_w, notes)


def _units_of(column: str) -> dict[str, str]:
    """The columns that may stand in a file for this one, each with its unit."""
    stem = column.removesuffix("_kw")
    return {column: "kw", f"{stem}_w": "w", f"{stem}_kwh": "kwh"}


def _named_by_unit(units: dict[str, str]) -> str:
    """What to call the column of load or sun, and what to do with a column for each meter."""
    of_unit = {"kw": "power in kW", "w": "power in W", "kwh": "energy of each interval"}
    *first, last = (f"{name} ({of_unit[unit]})" for name, unit in units.items())
    several = f"of several meters, one row per meter, with a column {METER_COLUMNS[0]}"
    return f"name it {', '.join(first)} or {last}; {several}"


@dataclass(frozen=True)
class _LoadColumn:
    """The column that holds the load, and how the stamps beside it are read."""

    name: str
    unit: str
    stamps: Stamps


class _Series(NamedTuple):
    """What one meter measured."""

    start_ms: int
    step_ms: int
    mean_w: NDArray[np.int64]


def _series_of_each(table: Table, meter: str, load: _LoadColumn) -> list[_Series]:
    """The series of every meter of a file, in the order in which they first stand there; all of the same intervals."""
    rows: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for cell, row in zip(table.column(meter), table.rows, strict=True):
        rows.setdefault(cell.filled(), []).append(row)
    series = {name: _series(replace(table, rows=tuple(own)), load) for name, own in rows.items()}
    longest = max(series, key=lambda name: len(series[name].mean_w))
    for name, each in series.items():
        if each[:2] != series[longest][:2] or len(each.mean_w) != len(series[longest].mean_w):
            raise InputError(
                f"{table.file}: meter {name!r} has {_extent(each)}, meter {longest!r} has {_extent(series[longest])};"
                " give every meter the same intervals, or leave it out"
            )
    return list(series.values())


def _extent(series: _Series) -> str:
    start = (EPOCH + timedelta(milliseconds=series.start_ms)).isoformat()
    return f"{len(series.mean_w)} intervals of {_seconds(series.step_ms)} from {start}"


def _series(table: Table, load: _LoadColumn) -> _Series:
    """The rows of one meter."""
    stamps = list(table.column("timestamp"))
    at_ms = load.stamps.instants_ms(stamps)
    for cell, each_ms in zip(stamps, at_ms, strict=True):
        if each_ms % MS_PER_S:
            raise cell.wrong(f"{cell.text!r} is not a whole second; round the time stamps")
    step_ms = _regular_step_ms(stamps, at_ms)
    watts = {"kw": _W_PER_KW, "w": 1, "kwh": _W_PER_KW * MS_PER_HOUR / step_ms}[load.unit]
    means = [_watts(cell, watts, load.unit) for cell in table.column(load.name)]
    return _Series(at_ms[0], step_ms, np.array(means, dtype=np.int64))


def _regular_step_ms(stamps: list[Cell], at_ms: list[int]) -> int:
    """The one distance between all stamps, in ms."""
    if len(at_ms) == 1:
        raise stamps[0].wrong("one row does not tell how long its interval is; give at least two")
    step_ms = at_ms[1] - at_ms[0]
    if step_ms > MS_PER_DAY:
        raise stamps[1].wrong(f"{_seconds(step_ms)} after the stamp above it; a step may be a day at most")
    for cell, before, now in zip(stamps[1:], at_ms, at_ms[1:], strict=False):
        if now <= before:
            raise cell.wrong(f"{cell.text!r} is not after the stamp above it; {_cure(at_ms)}")
        if now - before != step_ms:
            raise cell.wrong(
                f"{cell.text!r} is {_seconds(now - before)} after the stamp above it, the first step is"
                f" {_seconds(step_ms)}; fill the gap so that all steps are equal"
            )
    return step_ms


def _cure(at_ms: Sequence[int]) -> str:
    """What to do about stamps that do not rise: they are those of several meters, or a few are repeated."""
    stamps = len(set(at_ms))
    if stamps > 1 and stamps < len(at_ms) and len(at_ms) % stamps == 0:
        told = f"every stamp is there {len(at_ms) // stamps} times: for a row of each meter, call the column that names"
        return f"{told} the meter {METER_COLUMNS[0]!r}, and the meters are added up"
    return "sort the rows and drop repeated ones"


def _seconds(span_ms: int) -> str:
    return f"{span_ms // MS_PER_S} s"


def _watts(cell: Cell, watts: float, unit: str) -> int:
    power_w = cell.number() * watts
    if abs(power_w) > MOST_W:
        shown, register = {"kw": ("kW", ""), "w": ("W", ""), "kwh": ("kWh", ", and of each interval, not a register")}[
            unit
        ]
        raise cell.wrong(f"{cell.text} {shown} is over {MOST_W // 1_000_000} MW; is the column in {shown}{register}?")
    return round(power_w)


def _register(parts: Sequence[_Series], column: str) -> tuple[str, ...]:
    """A note on meters whose values only ever rise, as those of a register do."""
    rising = sum(len(part.mean_w) >= _REGISTER_ROWS and _only_rises(part.mean_w) for part in parts)
    if not rising:
        return ()
    whose = f"of {rising} of {len(parts)} meters " if len(parts) > 1 else ""
    return (f"{column} {whose}never falls, as a meter's register does; each row is to hold what its own interval took",)


def _only_rises(mean_w: Watts) -> bool:
    return bool((np.diff(mean_w) >= 0).all() and mean_w[-1] > mean_w[0])


def refuse_absurd(homes: Sequence[Profile], transformer: TransformerTable, path: str) -> None:
    """Refuse the homes of a transformer that take many times its rating in the mean; ``path`` is its scenario key."""
    mean_w = sum(int(home.mean_w.mean()) for home in homes)
    if mean_w <= ABSURD_TIMES * transformer.rating_va:
        return
    largest = max(homes, key=lambda home: int(home.mean_w.mean()))
    cause = "a register in place of what each interval took" if _only_rises(largest.mean_w) else "another unit"
    raise InputError(
        f"{largest.file}: these homes take {mean_w // 1000:,} kW in the mean, {mean_w // transformer.rating_va:,} times"
        f" {path}rating_va ({transformer.rating_va:_}): {cause}? Correct the file, its column's unit, or the rating"
    )


def faint(profiles: Sequence[Profile], homes: int, transformer: TransformerTable, path: str) -> tuple[str, ...]:
    """A note on profiles that hardly load a transformer, or of which hardly anything is left for each of ``homes``.

    ``homes`` is 0 where nobody said how many these are, and ``path`` the transformer's scenario key. Sun that is
    subtracted already counts as much as load: a street may feed as much as it takes.
    """
    mean_w = sum(float(np.abs(profile.mean_w).mean()) for profile in profiles)
    if not profiles:
        return ()
    if mean_w * FAINT_PART < transformer.rating_va:
        what = f"take {mean_w:.0f} W in the mean, next to nothing for {path}rating_va ({transformer.rating_va:_})"
    elif mean_w < LEAST_HOME_W * homes:
        what = f"take {mean_w / homes:.0f} W each in the mean, by sessions.homes, where 250 to 600 W are usual"
    else:
        return ()
    return (f"these homes {what}: another unit? Name the column household_kw, household_w or household_kwh",)


def require_cover(profile: Profile, ticks: Ticks, zone: tzinfo | None) -> None:
    """Refuse a profile that does not reach from the run's start to its end, telling both spans in ``zone``."""
    if profile.start_ms > ticks.start_ms or profile.end_ms < ticks.end_ms:
        covered = _span(profile.start_ms, profile.end_ms, zone)
        run = _span(ticks.start_ms, ticks.end_ms, zone)
        raise InputError(
            f"{profile.file}: the profile covers {covered}, the run needs {run}; extend it, or change start or days"
        )


def continued(profile: Profile, end_ms: int) -> Profile:
    """The profile, its last week repeated until ``end_ms``: what it lacks it has from seven days earlier.

    More than a day of that is noted: a month of a week's file is one week five times.

    Raises:
        InputError: it is shorter than a week, so there is no week before.
    """
    lacking_ms = end_ms - profile.end_ms
    if lacking_ms <= 0:
        return profile
    lacking = -(-lacking_ms // profile.step_ms)
    week, odd_ms = divmod(7 * MS_PER_DAY, profile.step_ms)
    if odd_ms or week > len(profile.mean_w):
        raise InputError(
            f"{profile.file}: it has no whole week to go on from; leave base.beyond out, or give seven days in steps"
            " that divide them"
        )
    mean_w = np.concatenate([profile.mean_w, np.resize(profile.mean_w[-week:], lacking)])
    days = lacking_ms / MS_PER_DAY
    made_up = (f"the run goes {days:.1f} days beyond the last row, and its last week is repeated",) if days > 1 else ()
    return replace(profile, mean_w=mean_w, notes=(*profile.notes, *made_up))


def _span(from_ms: int, to_ms: int, zone: tzinfo | None) -> str:
    start, end = (EPOCH + timedelta(milliseconds=at_ms) for at_ms in (from_ms, to_ms))
    return f"{start.astimezone(zone).isoformat()} to {end.astimezone(zone).isoformat()}"
