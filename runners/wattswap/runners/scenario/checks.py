"""What one key of a scenario cannot say alone: ranges, and keys that must fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from wattswap.protocol.units import MOST_NANOS, MOST_W, MS_PER_S, NANOS_PER_IOTA, PRICE_TICK_NANOS
from wattswap.runners.scenario.keys import Origin
from wattswap.runners.scenario.schema import Scenario
from wattswap.runners.scenario.sessions import departure_error_ms

DAY_S: Final = 86_400
_MOST_DAYS: Final = 3_660
_MOST_WH: Final = 10_000_000_000
_MOST_IOTA: Final = MOST_NANOS // NANOS_PER_IOTA
_MOST_PRICE: Final = 1_000_000 * NANOS_PER_IOTA
_MOST_PCT: Final = 1_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Range:
    """From ``least`` to ``most``, both included."""

    least: float
    most: float

    def holds(self, value: float) -> bool:
        """Whether the value lies in the range; not-a-number lies in none."""
        return self.least <= value <= self.most


_POWER = Range(1, MOST_W)
_LIMIT = Range(-MOST_W, MOST_W)
_SHARE = Range(0, 100)
_SOME_SHARE = Range(1, 100)
_PRICE = Range(0, _MOST_PRICE)
_FUNDS = Range(0, _MOST_IOTA)
_BATTERY: Final = {
    "capacity_wh": Range(1, _MOST_WH),
    "max_w": _POWER,
    "reserve_pct": _SHARE,
    "initial_pct": _SHARE,
    "feeder": Range(0, 0),
    "round_trip_pct": _SOME_SHARE,
    "wear_nanos_per_kwh": _PRICE,
    "target_pct": _SHARE,
}
RANGES: Final[dict[str, Range]] = {
    "schema": Range(1, 1),
    "days": Range(1, _MOST_DAYS),
    "seed": Range(0, (1 << 63) - 1),
    "reading_s": Range(1, DAY_S),
    "window_s": Range(1, DAY_S),
    "transformer.rating_va": _POWER,
    "transformer.limit_w": _LIMIT,
    "transformer.margin_pct": _SHARE,
    "transformer.funds_iota": _FUNDS,
    "transformer.ambient_c": Range(-90, 90),
    "base.noise_pct": _SHARE,
    "chargers.max_w": _POWER,
    "chargers.phases": Range(1, 3),
    "chargers.voltage_v": Range(1, 1_000),
    "chargers.min_a": Range(0, 1_000),
    "chargers.guaranteed_w": Range(0, MOST_W),
    "vehicles.capacity_wh": Range(1, _MOST_WH),
    "vehicles.target_pct": Range(11, 100),
    "vehicles.reserve_pct": _SHARE,
    "vehicles.feed_w": Range(0, MOST_W),
    "vehicles.round_trip_pct": _SOME_SHARE,
    "vehicles.wear_nanos_per_kwh": _PRICE,
    "vehicles.tariff_nanos_per_kwh": _PRICE,
    "vehicles.funds_iota": _FUNDS,
    "vehicles.guard_s": Range(0, 7 * DAY_S),
    "market.deadline_ms": Range(1, DAY_S * MS_PER_S),
    "market.release_pct": _SHARE,
    "market.owed_bonus_s": Range(0, 7 * DAY_S),
    "market.ceiling_from_nanos_per_kwh": _PRICE,
    "market.ceiling_to_nanos_per_kwh": _PRICE,
    "market.ceiling_at_pct": Range(101, _MOST_PCT),
}
"""Dotted path -> what stands there may be."""
LIST_RANGES: Final[dict[str, dict[str, Range]]] = {
    "household": {"noise_pct": _SHARE},
    "battery": _BATTERY,
    "event": {"limit_w": _LIMIT},
}
"""List of tables -> key -> what it may be in each of them."""


def check(scenario: Scenario, origin: Origin) -> None:
    """Refuse a scenario whose figures are out of range or do not fit together."""
    for path, what in _problems(scenario):
        raise origin.wrong(path, what)


def _problems(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """(path, what is wrong and what to do), the first one first. Later checks may rely on earlier ones."""
    yield from _out_of_range(scenario)
    yield from _time(scenario)
    yield from _power(scenario)
    yield from _prices(scenario)
    yield from _texts(scenario)
    yield from _events(scenario)


def _out_of_range(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for path, allowed in RANGES.items():
        yield from _beyond(path, _at(scenario, path), allowed)
    for path, keys in LIST_RANGES.items():
        for index, entry in enumerate(_at(scenario, path)):
            for key, allowed in keys.items():
                yield from _beyond(f"{path}.{index}.{key}", getattr(entry, key), allowed)


def _at(scenario: Scenario, path: str) -> Any:
    value: Any = scenario
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _beyond(path: str, value: float, allowed: Range) -> Iterator[tuple[str, str]]:
    if allowed.holds(value):
        return
    if path.endswith("feeder"):
        yield path, f"{path} is {value}; there is one feeder, so it must be 0"
    elif path == "schema":
        yield path, f"schema is {value}, this version reads schema 1; write schema = 1 or use a newer wattswap"
    else:
        yield path, f"{path} is {value}; choose {allowed.least:_} to {allowed.most:_}"


def _time(scenario: Scenario) -> Iterator[tuple[str, str]]:
    if scenario.start.utcoffset() is None:
        yield "start", _zone_missing("start", scenario.start)
    if scenario.start.microsecond:
        yield "start", f"start is {scenario.start.isoformat()}; it must be a whole second"
    if scenario.window_s % scenario.reading_s:
        yield (
            "window_s",
            f"window_s ({scenario.window_s}) must be a multiple of reading_s ({scenario.reading_s}), like 300 and 30",
        )
    if DAY_S % scenario.window_s:
        yield "window_s", f"window_s ({scenario.window_s}) must divide a day of {DAY_S} s, like 300 or 900"
    if scenario.market.deadline_ms > scenario.reading_s * MS_PER_S:
        yield (
            "market.deadline_ms",
            (
                f"market.deadline_ms ({scenario.market.deadline_ms}) must not be longer than a tick"
                f" (reading_s = {scenario.reading_s}): a round ends before the next reading"
            ),
        )


def _zone_missing(path: str, stamp: datetime) -> str:
    return f"{path} ({stamp.isoformat()}) has no time zone; add the offset, like {stamp.isoformat()}+01:00"


def _power(scenario: Scenario) -> Iterator[tuple[str, str]]:
    chargers, vehicles = scenario.chargers, scenario.vehicles
    least_w = chargers.min_a * chargers.phases * chargers.voltage_v
    if least_w > chargers.max_w:
        yield (
            "chargers.max_w",
            (
                f"chargers.max_w ({chargers.max_w}) is under the least a charger can do, min_a x phases x voltage_v ="
                f" {least_w} W; raise it, or lower min_a or phases"
            ),
        )
    if chargers.guaranteed_w > chargers.max_w * 1_000_000:
        yield "chargers.guaranteed_w", "chargers.guaranteed_w is beyond what chargers can draw; lower it"
    if vehicles.feed_w > chargers.max_w:
        yield (
            "vehicles.feed_w",
            f"vehicles.feed_w ({vehicles.feed_w}) is over chargers.max_w ({chargers.max_w}); lower it, 0 = cannot feed",
        )


def _prices(scenario: Scenario) -> Iterator[tuple[str, str]]:
    market = scenario.market
    if market.ceiling_from_nanos_per_kwh > market.ceiling_to_nanos_per_kwh:
        yield (
            "market.ceiling_from_nanos_per_kwh",
            (
                f"market.ceiling_from_nanos_per_kwh ({market.ceiling_from_nanos_per_kwh}) must not be over"
                f" market.ceiling_to_nanos_per_kwh ({market.ceiling_to_nanos_per_kwh}): the ceiling rises"
            ),
        )
    for path in (path for path in RANGES if path.endswith("_nanos_per_kwh")):
        yield from _between_price_ticks(path, _at(scenario, path))
    for index, battery in enumerate(scenario.battery):
        yield from _between_price_ticks(f"battery.{index}.wear_nanos_per_kwh", battery.wear_nanos_per_kwh)


def _between_price_ticks(path: str, price: int) -> Iterator[tuple[str, str]]:
    if price % PRICE_TICK_NANOS:
        near = round(price / PRICE_TICK_NANOS) * PRICE_TICK_NANOS
        yield path, f"{path} is {price}; prices are whole multiples of {PRICE_TICK_NANOS:_}, the nearest is {near:_}"


def _texts(scenario: Scenario) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(scenario.name):
        yield (
            "name",
            (
                f"name is {scenario.name!r}; folders are named after it: use up to 64 letters, digits, dots,"
                " dashes and underscores"
            ),
        )
    departure = scenario.vehicles.departure
    if departure not in ("actual", "stated") and departure_error_ms(departure) is None:
        yield "vehicles.departure", f"vehicles.departure is {departure!r}; write actual, stated, or error:2h"
    if not scenario.vehicles.strategy:
        yield "vehicles.strategy", "vehicles.strategy is empty; name one, like need:0.8+prosumer:0.2"
    for index, battery in enumerate(scenario.battery):
        if not battery.strategy:
            yield f"battery.{index}.strategy", f"battery.{index}.strategy is empty; name one, like prosumer"
    yield from _files(scenario)


def _files(scenario: Scenario) -> Iterator[tuple[str, str]]:
    if not scenario.sessions.csv:
        yield "sessions.csv", "sessions.csv is empty; name the CSV file of charging sessions"
    if not scenario.households:
        yield "base.household_csv", "no household is metered; set base.household_csv or add a [[household]]"
    if scenario.base.pv_csv and not scenario.base.household_csv:
        yield "base.household_csv", "base.pv_csv needs base.household_csv beside it; the sun is subtracted from it"
    for index, household in enumerate(scenario.household):
        if not household.household_csv:
            path = f"household.{index}.household_csv"
            yield path, f"{path} is missing; name the CSV file of this household's load"


def _events(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for index, event in enumerate(scenario.event):
        for key, stamp in (("from", event.from_), ("to", event.to)):
            if stamp.utcoffset() is None:
                path = f"event.{index}.{key}"
                yield path, _zone_missing(path, stamp)
        if event.to <= event.from_:
            yield (
                f"event.{index}.to",
                f"event.{index}.to ({event.to.isoformat()}) must be after its from ({event.from_.isoformat()})",
            )
