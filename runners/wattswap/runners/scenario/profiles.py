"""Load and sun profiles: from interval means to integer watts on the grid of ticks.

A profile is a row of interval means. ``step`` holds each mean through its interval; ``ramp`` draws straight lines
through knots at the interval edges and middles, placed so that each interval keeps its mean. A ramp may dip a little
below the smallest mean (a sun profile below zero at dawn): that is the price of keeping the means.
All sums are integers, so the same file gives the same watts on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol import draws
from wattswap.protocol.units import MS_PER_S, PPM, Purpose
from wattswap.runners.scenario.schema import Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Watts = NDArray[np.int64]
_ZT = TypeVar("_ZT", int, Watts)

NOISE_STEP_MS: Final = 30 * MS_PER_S
_KEEP: Final = 51039
"""exp(-30 s / 2 min) in 1/65536: how much of the last half minute's noise is still there."""
_FRESH: Final = 41110
"""sqrt(1 - (keep / 65536)^2) in 1/65536: as much new noise as keeps the variance at one."""

_LANES: Final = np.uint64(0x0000_FFFF_0000_FFFF)
_LOW: Final = np.uint64(0x0000_0000_FFFF_FFFF)


@dataclass(frozen=True, eq=False)
class Profile:
    """Interval means in watts on a regular grid from ``start_ms`` (UTC, since 1970); one is equal to itself alone."""

    file: str
    sha256: str
    start_ms: int
    step_ms: int
    mean_w: Watts
    notes: tuple[str, ...] = ()
    """What was taken for what, without the file's name: forty files may share one."""

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

    The level is one for all seeds, or a row for each. The noise runs from ``origin_ms``, the profile's first stamp, so
    one day of a week sees that week's noise.
    """
    noise = np.zeros((len(seeds), ticks.count), dtype=np.int64)
    if noise_pct_ppm == 0:
        return noise
    offset_ms = ticks.start_ms - origin_ms
    slot_ms = gcd(ticks.tick_ms, NOISE_STEP_MS, offset_ms)
    slot = np.arange(offset_ms // slot_ms, offset_ms // slot_ms + ticks.count * ticks.tick_ms // slot_ms)
    step = slot // (NOISE_STEP_MS // slot_ms)
    per_tick, first = ticks.tick_ms // slot_ms, int(step[0])
    keys = np.array([draws.keys_under(seed, np.array(key, dtype=np.uint64)) for seed in seeds])
    wander = _wander(keys, first, -(-(ticks.end_ms - origin_ms) // NOISE_STEP_MS))
    for mine, mine_w, course in zip(noise, np.broadcast_to(level_w, noise.shape), wander.T, strict=True):
        z = _sums(course[step - first], per_tick) // per_tick
        # level * ppm * z // (PPM << 16), split so that 100 MW at 100 % does not overflow
        whole, rest = np.divmod(mine_w * noise_pct_ppm, PPM << 16)
        mine[:] = whole * z + rest * z // (PPM << 16)
    return noise


_FAR: Final = 1 << 21
"""Beyond what the noise ever reaches."""
_LEAD: Final = 256
_AT_ONCE: Final = 1 << 15
"""So many draws are made at a time."""


def _wander(keys: NDArray[np.uint64], first: int, count: int) -> Watts:
    """The noise's course under each key in 1/65536 of its standard deviation, one value per 30 s.

    Shape (count - first, keys): from step ``first`` of the noise to its ``count``-th. It begins at 0, but soon forgets
    where: a step never changes the order of two courses, so where the ones from the highest and from the lowest value
    there can be have met, the true one has met them too. How far back that has to begin is found by doubling.
    """
    lead = _LEAD
    while True:
        begins = max(first - lead, 0)
        bounds = np.array([[-1], [1]]) * (_FAR if begins else 0) + np.zeros(len(keys), dtype=np.int64)
        for fresh in _fresh(keys, begins, first):
            for x in fresh:
                bounds = (_KEEP * bounds + _FRESH * x) >> 16
        if np.array_equal(*bounds):
            return _course(bounds[0], keys, first, count)
        lead *= 2


def _fresh(keys: NDArray[np.uint64], first: int, count: int) -> Iterator[Watts]:
    """What is new in each step from ``first`` to the ``count``-th, some steps at a time so that caches hold them."""
    many = max(_AT_ONCE // len(keys), 1)
    for begins in range(first, count, many):
        steps = np.arange(begins, min(begins + many, count))
        yield normal_q16(0, keys, Purpose.NOISE, steps[:, np.newaxis])


def _course(z: Watts, keys: NDArray[np.uint64], first: int, count: int) -> Watts:
    """Where the course under each key goes from z."""
    course, done = np.empty((count - first, len(keys)), dtype=np.int64), 0
    for fresh in _fresh(keys, first, count):
        part = course[done : done + len(fresh)]
        if len(z) == 1:  # Python's own numbers are faster than arrays of one
            part[:, 0] = list(_walk(int(z[0]), fresh[:, 0].tolist()))
        else:
            for at, value in enumerate(_walk(z, fresh)):
                part[at] = value
        z, done = part[-1], done + len(fresh)
    return course


def _walk(z: _ZT, fresh: Iterable[_ZT]) -> Iterator[_ZT]:
    for x in fresh:
        z = (_KEEP * z + _FRESH * x) >> 16
        yield z


def normal_q16(seed: int, keys: NDArray[np.uint64], purpose: Purpose, windows: Watts) -> Watts:
    """Near-normal draws in 1/65536 of a standard deviation: twelve 16-bit draws summed, minus their mean."""
    pairs = np.zeros(np.broadcast_shapes(keys.shape, windows.shape), dtype=np.uint64)
    for index in range(3):
        word = draws.draw(seed, keys, purpose, windows, index)
        pairs += word & _LANES  # two sums side by side, of 32 bits each, which six draws of 16 do not fill
        pairs += (word >> np.uint64(16)) & _LANES
    total: Watts = ((pairs & _LOW) + (pairs >> np.uint64(32))).astype(np.int64)
    return total - 12 * 0xFFFF // 2
