"""What the homes of a feeder draw: read or drawn from recorded ones, less their sun, each with its flicker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.draws import agent_key
from wattswap.runners.scenario.drawn_homes import FLICKERS_FROM_MS, RECORDED_HOMES, drawn_homes
from wattswap.runners.scenario.feeders import seed_on
from wattswap.runners.scenario.profile_files import continued, faint, read_profile, refuse_absurd, require_cover
from wattswap.runners.scenario.profiles import Profile, Ticks, noise_w, resolve
from wattswap.runners.scenario.schema import BaseTable, FeederTable, Scenario, ppm
from wattswap.runners.scenario.zones import scenario_clock

if TYPE_CHECKING:
    from wattswap.runners.scenario.input_files import InputFiles
    from wattswap.runners.scenario.read import Source

Ints = NDArray[np.int64]


def homes_w(source: Source, scenario: Scenario, ticks: Ticks, inputs: InputFiles, seeds: Sequence[int]) -> list[Ints]:
    """For each feeder the mean watts of each household under each seed, shape (households, seeds, ticks + 1).

    Raises:
        InputError: a file cannot be used, does not cover the run, or cannot be meant as it stands.
    """
    calm = [_calm_homes(source, scenario, feeder, ticks, inputs, seeds) for feeder in scenario.feeders]
    flickering = _flickering([home for homes in calm for home in homes], ticks)
    no_homes = np.zeros((len(seeds), ticks.count + 1), dtype=np.int64)
    return [np.stack([flickering[id(home)] for home in homes] or [no_homes]) for homes in calm]


@dataclass(frozen=True)
class _CalmHome:
    """A household without its flicker."""

    net_w: Ints
    """Sun subtracted, a row for each seed, shape (seeds, ticks of its grid)."""
    seeds: Sequence[int]
    """Under which it flickers."""
    number: int
    """Of the household on its feeder."""
    noise_ppm: int
    flickers_from_ms: int
    grid: Ticks
    """The run's ticks, with the one before the start where the profiles reach back to it."""


def _flickering(homes: Sequence[_CalmHome], ticks: Ticks) -> dict[int, Ints]:
    """By id, the watts of each home from the tick before the start on, noise added; those alike all at once."""
    alike = defaultdict[tuple[int, int, int, Ticks], list[_CalmHome]](list)
    for home in homes:
        alike[home.number, home.noise_ppm, home.flickers_from_ms, home.grid].append(home)
    found = dict[int, Ints]()
    for (number, noise_ppm, from_ms, grid), group in alike.items():
        base_w = np.concatenate([home.net_w for home in group])
        seeds = [seed for home in group for seed in home.seeds]
        base_w += noise_w(base_w, noise_ppm, seeds, agent_key(f"household-{number}"), from_ms, grid)
        if grid.count == ticks.count:  # nothing is known of the tick before the start
            base_w = np.concatenate([base_w[:, :1], base_w], axis=1)
        found |= zip(map(id, group), np.split(base_w, len(group)), strict=True)
    return found


def _calm_homes(
    source: Source, scenario: Scenario, feeder: FeederTable, ticks: Ticks, inputs: InputFiles, seeds: Sequence[int]
) -> list[_CalmHome]:
    """The households of a feeder."""
    households, own_seeds = scenario.households_of(feeder), [seed_on(feeder.seed, seed) for seed in seeds]
    loads, suns = list[list[Profile]](), list[Profile | None]()
    for number, household in enumerate(households):
        if household.homes:
            drawn = [drawn_homes(household.homes, seed, number, scenario.start, ticks) for seed in own_seeds]
            inputs.add(RECORDED_HOMES, drawn[0].sha256)
            loads.append(drawn)
        else:
            loads.append([_read(source, household, "household_kw", ticks, inputs)])
        suns.append(_read(source, household, "pv_kw", ticks, inputs) if household.pv_csv else None)
    _look_over([of_seeds[0] for of_seeds in loads], scenario, feeder, inputs)
    return [
        _calm(household, number, loads[number], suns[number], ticks, own_seeds)
        for number, household in enumerate(households)
    ]


def _look_over(loads: Sequence[Profile], scenario: Scenario, feeder: FeederTable, inputs: InputFiles) -> None:
    """Refuse loads that cannot be meant, and note those that hardly can."""
    path = f"{feeder.name}.transformer." if feeder.name else "transformer."
    refuse_absurd(loads, feeder.transformer, path)
    for load in loads:
        inputs.note(load.file, faint(loads, scenario.sessions.homes, feeder.transformer, path))


def _calm(
    household: BaseTable, number: int, loads: Sequence[Profile], sun: Profile | None, ticks: Ticks, seeds: Sequence[int]
) -> _CalmHome:
    """A household of these loads, which are one for all seeds or one for each."""
    load = loads[0]
    first_ms = max(load.start_ms, sun.start_ms if sun else load.start_ms)
    reaches_back = first_ms <= ticks.start_ms - ticks.tick_ms
    grid = Ticks(ticks.start_ms - ticks.tick_ms, ticks.tick_ms, ticks.count + 1) if reaches_back else ticks
    net_w = np.stack([resolve(each, grid, household.shape) for each in loads])
    if sun is not None:
        net_w -= _sun_w(sun, grid, household.shape)
    return _CalmHome(
        net_w=np.broadcast_to(net_w, (len(seeds), grid.count)),
        seeds=seeds,
        number=number,
        noise_ppm=ppm(household.noise_pct),
        flickers_from_ms=FLICKERS_FROM_MS if household.homes else load.start_ms,
        grid=grid,
    )


_sun_w = lru_cache(maxsize=16)(resolve)
"""Feeders share a file of the sun, which is read once."""


def _read(source: Source, household: BaseTable, column: str, ticks: Ticks, inputs: InputFiles) -> Profile:
    path = source.path(household.pv_csv if column == "pv_kw" else household.household_csv)
    profile = read_profile(path, column, scenario_clock(source.scenario))
    if household.beyond == "week-before":
        profile = continued(profile, ticks.end_ms)
    inputs.add_profile(path, profile)
    require_cover(profile, ticks, source.scenario.start.tzinfo)
    return profile
