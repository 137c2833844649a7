"""Streets for tests: small ones written out by hand, and random ones that try everything a scenario may say."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from wattswap.protocol.draws import agent_key
from wattswap.protocol.units import MS_PER_S, PRICE_TICK_NANOS, WS_PER_KWH
from wattswap.runners.scenario import Street
from wattswap.runners.scenario.checks import check
from wattswap.runners.scenario.keys import Origin
from wattswap.runners.scenario.schema import Scenario
from wattswap.runners.scenario.street import Feeder, Sessions

NOWHERE = Path(__file__).parent
"""Where a street looks for strategy files unless a test names a folder."""


@dataclass(frozen=True)
class Stay:
    """One session; instants in ticks from the run's start, departure excluded."""

    arrives: int
    departs: int
    energy_ws: int
    station: str = ""
    """Its own station where a test does not care."""
    user: str = ""
    stated: int | None = None
    """The departure the car tells, where it is not the real one."""


def street_of(
    stays: Sequence[Stay],
    ticks: int,
    *,
    base_w: Sequence[Sequence[int]] | None = None,
    limit_w: Sequence[int] | None = None,
    folder: Path = NOWHERE,
    **tables: Any,
) -> Street:
    """A street of these sessions.

    ``base_w`` is one list of ``ticks + 1`` watts per household, 0 if left out; ``limit_w`` one of ``ticks`` watts, the
    scenario's limit if left out. ``tables`` are the scenario's keys as its file has them, and are checked as if read.
    """
    defaults: dict[str, Any] = {
        "name": "small",
        "start": "2024-01-01T00:00:00+01:00",
        "days": 1,
        "base": {"household_csv": "none.csv"},
        "sessions": {"csv": "none.csv"},
    }
    scenario = msgspec.convert(defaults | tables, Scenario)
    check(scenario, Origin("small"))
    tick_ms = scenario.reading_s * MS_PER_S
    sessions = _sessions(stays, ticks, tick_ms)
    return Street(
        scenario=scenario,
        name=scenario.name,
        start_unix_ms=0,
        tick_ms=tick_ms,
        ticks=ticks,
        feeders=(
            Feeder(
                name="",
                transformer=scenario.transformer,
                base_w=np.array(base_w or [[0] * (ticks + 1)], dtype=np.int64),
                limit_w=np.array(limit_w or [scenario.transformer.limit_w] * ticks, dtype=np.int64),
                sessions=slice(0, len(sessions.session_id)),
                batteries=scenario.battery,
            ),
        ),
        sessions=sessions,
        inputs={},
        folder=folder,
    )


def three_cars(ticks: int) -> Street:
    """Three on a cable for two: two of them sell, draw it back and are paid within a few windows of two minutes."""
    return street_of(
        [Stay(0, 400, energy_ws) for energy_ws in (6_000_000, 4_000_000, 4_000_000)],
        ticks,
        base_w=[[8_000] * (ticks + 1)],
        window_s=120,
        transformer={"rating_va": 26_000},
        vehicles={"strategy": "need"},
        market={"deadline_ms": 7_500},
    )


def _sessions(stays: Sequence[Stay], ticks: int, tick_ms: int) -> Sessions:
    """The stays that are live at some tick of the run."""
    named = [(f"s{number}", stay) for number, stay in enumerate(stays)]
    live = [(name, stay) for name, stay in named if max(stay.arrives, 0) < min(stay.departs, ticks)]
    session_id = tuple(name for name, _ in live)
    user_id = tuple(stay.user or name for name, stay in live)
    stated = [stay.departs if stay.stated is None else stay.stated for _, stay in live]
    return Sessions(
        session_id=session_id,
        station_id=tuple(stay.station or f"station-{name}" for name, stay in live),
        vehicle_id=tuple(_vehicle(name, stay, stays) for name, stay in live),
        user_id=user_id,
        key=_keys(session_id),
        user_key=_keys(user_id),
        arrival_tick=_ints(stay.arrives for _, stay in live),
        departure_tick=_ints(stay.departs for _, stay in live),
        stated_departure_ms=_ints(
            max(told, stay.arrives + 1) * tick_ms for told, (_, stay) in zip(stated, live, strict=True)
        ),
        energy_ws=_ints(stay.energy_ws for _, stay in live),
    )


def _vehicle(name: str, stay: Stay, stays: Sequence[Stay]) -> str:
    """The user's car; one that would be at two stations at once is one car a station."""
    mine = [other for other in stays if stay.user and other.user == stay.user]
    twice = any(
        one is not other and max(one.arrives, other.arrives) < min(one.departs, other.departs)
        for one in mine
        for other in mine
    )
    return f"{stay.user}@{stay.station}" if twice else stay.user or name


def _keys(names: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([agent_key(name) for name in names], dtype=np.uint64)


def _ints(values: Iterable[int]) -> NDArray[np.int64]:
    return np.array(list(values), dtype=np.int64)


# -- random streets ---------------------------------------------------------------------------------------------------


@st.composite
def streets(draw: st.DrawFn) -> Street:
    """Any small street: hypothesis chooses, and shrinks, its size; the rest follows from a seed."""
    return random_street(draw(st.integers(0, 1 << 32)), draw(st.integers(1, 8)), draw(st.integers(1, 100)))


def random_street(seed: int, chargers: int, ticks: int) -> Street:
    """The street of this seed: up to two sessions a charger, under limits that may be low or negative.

    It ends with a window, as every scenario does. A charger's sessions depend on the seed and its number alone, so
    fewer chargers are a part of the same street.
    """
    dice = Dice(f"{seed}")
    reading_s, window_s = dice.choice(_TIMES)
    ticks = -(-ticks * reading_s // window_s) * (window_s // reading_s)
    max_w, phases, min_a = dice.choice(_CHARGERS)
    usual_w = dice.randint(10_000, 60_000)
    limit_w = dice.choice((usual_w, usual_w, usual_w, dice.randint(-20_000, 90_000)))
    return street_of(
        [stay for number in range(chargers) for stay in _stays(Dice(f"{seed}/{number}"), ticks, number)],
        ticks,
        base_w=[
            dice.steps(ticks + 1, usual_w - 45_000, usual_w - 10_000),
            *(dice.steps(ticks + 1, -10_000, 5_000) for _ in range(dice.randint(0, 2))),
        ],
        limit_w=dice.choice(
            (
                [limit_w] * ticks,
                dice.steps(ticks, usual_w - 10_000, usual_w + 5_000),
                dice.steps(ticks, usual_w - 15_000, usual_w),
                dice.steps(ticks, -20_000, 20_000),
            )
        ),
        seed=dice.randint(0, 1 << 40),
        reading_s=reading_s,
        window_s=window_s,
        transformer={
            "rating_va": 100_000,
            "limit_w": limit_w,
            "margin_pct": dice.choice((4, 4, 0, 12.5)),
            "clearing": dice.choice(("next", "next", "uniform", "pay-as-bid")),
            "funds_iota": dice.choice((100_000, 100_000, 100_000, 0, 1, 2)),
        },
        chargers={
            "max_w": max_w,
            "phases": phases,
            "min_a": min_a,
            "guaranteed_w": dice.choice((0, 0, 1_500, 5_000)),
        },
        vehicles=_cars(dice),
        market={
            "deadline_ms": dice.choice((2_000, 1, 10_000)),
            "release_pct": dice.choice((2, 0, 20)),
            "reserve_nanos_per_kwh_h": dice.choice(_RESERVES) * PRICE_TICK_NANOS,
            "feed_h": dice.choice((2, 1, 5)),
        },
        battery=[_battery(dice) for _ in range(dice.choice((0, 0, 1, 2)))],
    )


class Dice(random.Random):
    """Draws that a name stands for."""

    def steps(self, length: int, low: int, high: int) -> list[int]:
        """A few levels, each held for a while, ``length`` values in all."""
        levels = [self.randint(low, high) for _ in range(self.randint(1, 6))]
        return [levels[at * len(levels) // length] for at in range(length)]


_TIMES = ((30, 300), (30, 300), (60, 600), (60, 60), (30, 120), (20, 300), (10, 60), (30, 600))
"""Reading and window in seconds."""
_RESERVES = (1_000, 1_000, 6_000, 300, 0)
"""The highest price, in ticks of the price."""
_CHARGERS = ((11_000, 3, 6), (11_000, 3, 6), (3_680, 1, 6), (7_001, 3, 0), (22_000, 3, 10))
"""Full power, phases and the least amperes."""
_MIXES = (
    "need:0.8+prosumer:0.2",
    "need",
    "prosumer",
    "truthful",
    "need+keep+altruist+truthful+prosumer+experienced",
    "experienced",
    "prosumer:0.5+altruist:0.5",
    "keep",
)


def _stays(dice: Dice, ticks: int, number: int) -> list[Stay]:
    """One session or two at a charger, the second sometimes at the instant the first ends; some people come twice."""
    stays = []
    departs = dice.choice((0, dice.randint(-60, ticks // 2)))
    for _ in range(dice.choice((1, 1, 2))):
        arrives = departs + dice.choice((0, 1, 7))
        departs = arrives + dice.choice((dice.randint(1, 120), dice.randint(200, 900), dice.randint(200, 900)))
        energy_ws = dice.choice((dice.randint(1, 12) * WS_PER_KWH, dice.randint(0, 72_000_000), dice.randint(0, 9)))
        stated = dice.choice((None, None, dice.randint(arrives, departs + 300)))
        stays.append(Stay(arrives, departs, energy_ws, f"station-{number}", f"user-{dice.randint(0, 9)}", stated))
    return stays if dice.randint(0, 1) else stays[::-1]


def _cars(dice: Dice) -> dict[str, object]:
    return {
        "strategy": dice.choice(_MIXES),
        "disclose": dice.choice(("nothing", "departure")),
        "curve": dice.choice(("flat", "taper")),
        "capacity_wh": dice.choice((60_000, 60_000, 20_000, 1)),
        "target_pct": dice.choice((80, 100, 11)),
        "reserve_pct": dice.choice((30, 0, 79.9)),
        "feed_w": dice.choice((11_000, 3_001, 0, 50_000)),
        "round_trip_pct": dice.choice((88, 93.3, 100, 1)),
        "wear_nanos_per_kwh": dice.choice((500, 0, 50)) * PRICE_TICK_NANOS,
        "tariff_nanos_per_kwh": dice.choice((3_000, 0, 777)) * PRICE_TICK_NANOS,
        "funds_iota": dice.choice((1_000, 0, 1)),
        "guard_s": dice.choice((1_800, 0, 120)),
    }


def _battery(dice: Dice) -> dict[str, object]:
    return {
        "capacity_wh": dice.choice((50_000, 1_000, 10)),
        "max_w": dice.choice((25_000, 5_000, 1)),
        "reserve_pct": dice.choice((20, 0)),
        "strategy": dice.choice(("prosumer", *_MIXES)),
        "initial_pct": dice.choice((80, 100, 50, 0)),
        "round_trip_pct": dice.choice((88, 95.5)),
        "wear_nanos_per_kwh": dice.choice((50, 0, 500)) * PRICE_TICK_NANOS,
    }
