"""The proving ground: 75 minutes of a street of ten cars, in the first 50 of which anything goes wrong.

It is tight on purpose, so that rounds never cease: the homes come and go, the limit is lowered once for a while, cars
keep, give way or feed back, some leave in the midst of it, and two stations are taken over by the next car at once.
Most need little enough to draw back what they sold and to be paid before the end.
Then the limit rises and all is quiet, so that whatever was promised must be settled before the end.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.protocol.draws import agent_key
from wattswap.protocol.units import MS_PER_S, WS_PER_KWH
from wattswap.runners.scenario.read import load_scenario
from wattswap.runners.scenario.street import Feeder, Sessions, Street

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

TICKS: Final = 150
EASED: Final = 110
"""From this tick on there is room for all."""

_LOW_W, _HIGH_W = 78_000, 220_000
_CARS: Final = 10


class _Visit(NamedTuple):
    station: int
    vehicle: int
    arrives: int
    departs: int
    energy_ws: int


def fault_street(seed: int, settings: Sequence[str] = ()) -> Street:
    """The proving ground of this seed: homes, arrivals, departures, needs and characters differ from seed to seed.

    ``settings`` change its scenario, ``KEY=VALUE`` as on the command line, such as ``faults.loss_pct=40``.
    """
    random = Random(f"proving/{seed}")
    scenario = load_scenario(str(Path(__file__).with_suffix(".toml")), settings, seed=seed).scenario
    tick_ms = scenario.reading_s * MS_PER_S
    base_w = np.array([_homes(random, 20_000, 45_000), _homes(random, 2_000, 25_000)], dtype=np.int64)
    limit_w = _limits(random, scenario.transformer.limit_w)
    sessions = _sessions(list(_stays(random)), tick_ms)
    return Street(
        scenario=scenario,
        name=scenario.name,
        start_unix_ms=0,
        tick_ms=tick_ms,
        ticks=TICKS,
        feeders=(Feeder("", scenario.transformer, base_w, limit_w, slice(0, len(sessions.session_id))),),
        sessions=sessions,
        inputs={},
        folder=Path(),
    )


def _homes(random: Random, low_w: int, high_w: int) -> list[int]:
    """A few levels with slopes between them: nobody's load jumps by all it has within one tick."""
    watts: list[int] = []
    level_w = random.randint(low_w, high_w)
    while len(watts) <= TICKS:
        next_w, lasts = random.randint(low_w, high_w), random.randint(8, 40)
        watts += [level_w + (next_w - level_w) * min(at, 8) // 8 for at in range(lasts)]
        level_w = watts[-1]
    return watts[: TICKS + 1]


def _limits(random: Random, usual_w: int) -> NDArray[np.int64]:
    limit_w = np.full(TICKS, usual_w, dtype=np.int64)
    begins = random.randint(10, 60)
    limit_w[begins : begins + random.randint(10, 40)] = _LOW_W
    limit_w[EASED:] = _HIGH_W
    return limit_w


def _stays(random: Random) -> Iterable[_Visit]:
    """Ten cars; two of them take over a station at the very tick at which another leaves it."""
    for car in range(_CARS - 4):
        arrives = random.choice((0, random.randint(-30, 40)))
        departs = random.choice((TICKS + random.randint(120, 1_200), random.randint(50, 145)))
        yield _Visit(car, car, arrives, departs, random.randint(2, 12) * WS_PER_KWH)
    for at in range(2):
        leaves = random.randint(30, 95)
        station = _CARS - 4 + at
        yield _Visit(station, station, random.randint(-30, 20), leaves, random.randint(2, 6) * WS_PER_KWH)
        yield _Visit(station, station + 2, leaves, TICKS + 600, random.randint(5, 20) * WS_PER_KWH)


def _sessions(stays: list[_Visit], tick_ms: int) -> Sessions:
    stays.sort(key=lambda stay: (stay.arrives, stay.station))
    names = tuple(f"session-{number}" for number in range(len(stays)))
    vehicles = tuple(f"car-{stay.vehicle}" for stay in stays)
    departs = np.array([stay.departs for stay in stays], dtype=np.int64)
    return Sessions(
        session_id=names,
        station_id=tuple(f"station-{stay.station}" for stay in stays),
        vehicle_id=vehicles,
        user_id=vehicles,
        key=np.array([agent_key(name) for name in names], dtype=np.uint64),
        user_key=np.array([agent_key(name) for name in vehicles], dtype=np.uint64),
        arrival_tick=np.array([stay.arrives for stay in stays], dtype=np.int64),
        departure_tick=departs,
        stated_departure_ms=(departs + 120) * tick_ms,
        energy_ws=np.array([stay.energy_ws for stay in stays], dtype=np.int64),
    )
