"""Load and sun profiles: from a CSV of interval means in kW to integer watts on the grid of ticks.

A profile is a row of interval means. ``step`` holds each mean through its interval; ``ramp`` draws straight lines
through knots at the interval edges and middles, placed so that each interval keeps its mean. A ramp may dip a little
below the smallest mean (a sun profile below zero at dawn): that is the price of keeping the means.
All sums are integers, so the same file gives the same watts on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta, tzinfo
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol import draws
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MOST_W, MS_PER_HOUR, MS_PER_S, PPM, Purpose
from wattswap.runners.scenario.schema import Shape
from wattswap.runners.scenario.stamps import Stamps, read_as
from wattswap.runners.scenario.tables import EPOCH, Cell, read_table
from wattswap.runners.scenario.unchanged import read_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Watts = NDArray[np.int64]
_ZT = TypeVar("_ZT", int, Watts)

NOISE_STEP_MS: Final = 30 * MS_PER_S
MOST_STEP_MS: Final = 24 * 3_600 * MS_PER_S
_KEEP: Final = 51039
"""exp(-30 s / 2 min) in 1/65536: how much of the last half minute's noise is still there."""
_FRESH: Final = 41110
"""sqrt(1 - (keep / 65536)^2) in 1/65536: as much new noise as keeps the variance at one."""
_W_PER_KW: Final = 1000


@dataclass(frozen=True)
class Profile:
    """Interval means in watts on a regular grid that starts at ``start_ms`` (UTC, since 1970)."""

    file: str
    sha256: str
    start_ms: int
    step_ms: int
    mean_w: Watts
    notes: tuple[str, ...] = ()
    """What was taken for what."""

    @property
    def end_ms(self) -> int:
        """The end of the last interval, exclusive."""
        return self.start_ms + len(self.mean_w) * self.step_ms


@dataclass(frozen=True)
class Ticks:
    """The grid to resolve onto: ``count`` ticks of ``tick_ms`` from ``start_ms`` (UTC, since 1970)."""

    start_ms: int
    tick_ms: int
    count: int

    @property
    def end_ms(self) -> int:
        """The end of the last tick, exclusive."""
        return self.start_ms + self.count * self.tick_ms


@read_once
def read_profile(path: Path, column: str, clock: tzinfo | None = None) -> Profile:
    """Read ``timestamp,<column>``; the stamps name the interval's start.

    Those without an offset are read by ``clock``, that of the street's zone: a day of spring has 92 quarters of an
    hour then, one of autumn 100. The column is in kW; where the file has ``household_w`` or ``household_kwh`` in place
    of ``household_kw``, it is in watts, or the energy of each interval.
    """
    stem = column.removesuffix("_kw")
    units = {column: "kw", f"{stem}_w": "w", f"{stem}_kwh": "kwh"}
    table = read_table(path, ("timestamp", column), instead={column: tuple(units)})
    name = next(name for name in units if name in table.header)
    unit = units[name]
    stamps = list(table.column("timestamp"))
    read = Stamps.of(stamps, clock)
    at_ms = read.instants_ms(stamps)
    for cell, each_ms in zip(stamps, at_ms, strict=True):
        if each_ms % MS_PER_S:
            raise cell.wrong(f"{cell.text!r} is not a whole second; round the time stamps")
    step_ms = _regular_step_ms(stamps, at_ms)
    watts = {"kw": _W_PER_KW, "w": 1, "kwh": _W_PER_KW * MS_PER_HOUR / step_ms}[unit]
    mean_w = np.array([_watts(cell, watts, unit) for cell in table.column(name)], dtype=np.int64)
    mean_w.flags.writeable = False
    return Profile(table.file, table.sha256, at_ms[0], step_ms, mean_w, read_as(table, read))


def _regular_step_ms(stamps: list[Cell], at_ms: list[int]) -> int:
    """The one distance between all stamps, in ms."""
    if len(at_ms) == 1:
        raise stamps[0].wrong("one row does not tell how long its interval is; give at least two")
    step_ms = at_ms[1] - at_ms[0]
    if step_ms > MOST_STEP_MS:
        raise stamps[1].wrong(f"{_seconds(step_ms)} after the stamp above it; a step may be a day at most")
    for cell, before, now in zip(stamps[1:], at_ms, at_ms[1:], strict=False):
        if now <= before:
            raise cell.wrong(f"{cell.text!r} is not after the stamp above it; sort the rows and drop repeated ones")
        if now - before != step_ms:
            raise cell.wrong(
                f"{cell.text!r} is {_seconds(now - before)} after the stamp above it, the first step is"
                f" {_seconds(step_ms)}; fill the gap so that all steps are equal"
            )
    return step_ms


def _seconds(span_ms: int) -> str:
    return f"{span_ms // MS_PER_S} s"


def _watts(cell: Cell, watts: float, unit: str) -> int:
    power_w = cell.number() * watts
    if abs(power_w) > MOST_W:
        shown = {"kw": "kW", "w": "W", "kwh": "kWh"}[unit]
        raise cell.wrong(f"{cell.text} {shown} is over {MOST_W // 1_000_000} MW; is the column in {shown}?")
    return round(power_w)


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

    Raises:
        InputError: it is shorter than a week, so there is no week before.
    """
    lacking = -(-(end_ms - profile.end_ms) // profile.step_ms)
    if lacking <= 0:
        return profile
    week, odd_ms = divmod(7 * MOST_STEP_MS, profile.step_ms)
    if odd_ms or week > len(profile.mean_w):
        raise InputError(
            f"{profile.file}: it has no whole week to go on from; leave base.beyond out, or give seven days in steps"
            " that divide them"
        )
    mean_w = np.concatenate([profile.mean_w, np.resize(profile.mean_w[-week:], lacking)])
    return replace(profile, mean_w=mean_w)


def _span(from_ms: int, to_ms: int, zone: tzinfo | None) -> str:
    start, end = (EPOCH + timedelta(milliseconds=at_ms) for at_ms in (from_ms, to_ms))
    return f"{start.astimezone(zone).isoformat()} to {end.astimezone(zone).isoformat()}"


def resolve(profile: Profile, ticks: Ticks, shape: Shape) -> Watts:
    """Mean watts over each tick, shape (ticks.count,). The profile must cover the ticks.

    The grid of slots in between divides ticks and half intervals alike; each tick's mean is its slots' sum of values
    at slot centres, kept as numerators, divided once and rounded down.
    """
    half_ms = profile.step_ms // 2
    offset_ms = ticks.start_ms - profile.start_ms
    slot_ms = gcd(ticks.tick_ms, half_ms, offset_ms)
    slot = np.arange(offset_ms // slot_ms, offset_ms // slot_ms + ticks.count * ticks.tick_ms // slot_ms)
    per_half = half_ms // slot_ms
    numerators = _ramp(profile.mean_w, slot, per_half) if shape == "ramp" else _step(profile.mean_w, slot, per_half)
    per_tick = ticks.tick_ms // slot_ms
    return _sums(numerators, per_tick) // (2 * per_half * per_tick)


def _sums(slots: Watts, per_tick: int) -> Watts:
    """The sum over each tick's slots, shape (slots / per_tick,)."""
    sums: Watts = slots.reshape(-1, per_tick).sum(axis=1)
    return sums


def _step(mean_w: Watts, slot: Watts, per_half: int) -> Watts:
    """Each slot's value times 2 * per_half: its interval's mean."""
    return mean_w[slot // (2 * per_half)] * (2 * per_half)


def _ramp(mean_w: Watts, slot: Watts, per_half: int) -> Watts:
    """Each slot's value at its centre times 2 * per_half, on the line between two neighbouring knots."""
    knots_w = ramp_knots(mean_w)
    half, within = np.divmod(slot, per_half)
    before_w, after_w = knots_w[half], knots_w[half + 1]
    numerators: Watts = before_w * (2 * per_half) + (after_w - before_w) * (2 * within + 1)
    return numerators


def ramp_knots(mean_w: Watts) -> Watts:
    """Knots in watts at edge, middle, edge, ..., shape (2 * intervals + 1,): n intervals share n + 1 edges."""
    padded = np.concatenate([mean_w[:1], mean_w, mean_w[-1:]])
    edges_w = (padded[:-1] + padded[1:]) // 2
    knots_w = np.empty(2 * len(mean_w) + 1, dtype=np.int64)
    knots_w[0::2] = edges_w
    knots_w[1::2] = 2 * mean_w - (edges_w[:-1] + edges_w[1:]) // 2
    return knots_w


def noise_w(level_w: Watts, noise_pct_ppm: int, seeds: Sequence[int], key: int, origin_ms: int, ticks: Ticks) -> Watts:
    """Noise in watts under each seed, shape (seeds, ticks): a share of the level, correlated over two minutes.

    It runs from ``origin_ms``, the profile's first stamp, so one day of a week sees that week's noise.
    """
    if noise_pct_ppm == 0:
        return np.zeros((len(seeds), len(level_w)), dtype=np.int64)
    offset_ms = ticks.start_ms - origin_ms
    slot_ms = gcd(ticks.tick_ms, NOISE_STEP_MS, offset_ms)
    slot = np.arange(offset_ms // slot_ms, offset_ms // slot_ms + ticks.count * ticks.tick_ms // slot_ms)
    step = slot // (NOISE_STEP_MS // slot_ms)
    per_tick, first = ticks.tick_ms // slot_ms, int(step[0])
    keys = np.array([draws.keys_under(seed, np.array(key, dtype=np.uint64)) for seed in seeds])
    wander = _wander(keys, first, -(-(ticks.end_ms - origin_ms) // NOISE_STEP_MS))
    # level * ppm * z // (PPM << 16), split so that 100 MW at 100 % does not overflow
    whole, rest = np.divmod(level_w * noise_pct_ppm, PPM << 16)
    noise = np.empty((len(seeds), len(level_w)), dtype=np.int64)
    for mine, course in zip(noise, wander.T, strict=True):
        z = _sums(course[step - first], per_tick) // per_tick
        mine[:] = whole * z + rest * z // (PPM << 16)
    return noise


_FAR: Final = 1 << 21
"""Beyond what the noise ever reaches."""
_LEAD: Final = 256


def _wander(keys: NDArray[np.uint64], first: int, count: int) -> Watts:
    """The noise's course under each key in 1/65536 of its standard deviation, one value per 30 s.

    Shape (count - first, keys): from step ``first`` of the noise to its ``count``-th. It begins at 0, but soon forgets
    where: a step never changes the order of two courses, so where the ones from the highest and from the lowest value
    there can be have met, the true one has met them too. How far back that has to begin is found by doubling.
    """
    lead = _LEAD
    while True:
        begins = max(first - lead, 0)
        steps = np.arange(begins, count)
        fresh = normal_q16(0, keys, Purpose.NOISE, steps[:, np.newaxis])
        bounds = np.array([[-1], [1]]) * (_FAR if begins else 0) + np.zeros(len(keys), dtype=np.int64)
        for x in fresh[: first - begins]:
            bounds = (_KEEP * bounds + _FRESH * x) >> 16
        if np.array_equal(*bounds):
            return _course(bounds[0], fresh[first - begins :])
        lead *= 2


def _course(z: Watts, fresh: Watts) -> Watts:
    """Where each course goes from z."""
    if len(z) == 1:  # Python's own numbers are faster than arrays of one
        return np.array([[value] for value in _walk(int(z[0]), fresh[:, 0].tolist())], dtype=np.int64)
    return np.array(list(_walk(z, fresh)))


def _walk(z: _ZT, fresh: Iterable[_ZT]) -> Iterator[_ZT]:
    for x in fresh:
        z = (_KEEP * z + _FRESH * x) >> 16
        yield z


def normal_q16(seed: int, keys: NDArray[np.uint64], purpose: Purpose, windows: Watts) -> Watts:
    """Near-normal draws in 1/65536 of a standard deviation: twelve 16-bit draws summed, minus their mean."""
    total = np.zeros(np.broadcast_shapes(keys.shape, windows.shape), dtype=np.int64)
    for index in range(3):
        word = draws.draw(seed, keys, purpose, windows, index)
        for shift in (0, 16, 32, 48):
            total += ((word >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
    return total - 12 * 0xFFFF // 2
