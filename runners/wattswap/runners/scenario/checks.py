"""What one key of a scenario cannot say alone: ranges, and keys that must fit together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MOST_NANOS, MOST_W, MS_PER_S, NANOS_PER_IOTA, PRICE_TICK_NANOS
from wattswap.runners.scenario.cars import parse_models
from wattswap.runners.scenario.keys import Origin
from wattswap.runners.scenario.schema import Scenario
from wattswap.runners.scenario.sessions import departure_error_ms
from wattswap.runners.scenario.tables import YEARS
from wattswap.runners.scenario.zones import zone_named

DAY_S: Final = 86_400
_MOST_DAYS: Final = 3_660
_MOST_WH: Final = 10_000_000_000
_MOST_IOTA: Final = MOST_NANOS // NANOS_PER_IOTA
_MOST_PRICE: Final = 1_000_000 * NANOS_PER_IOTA
_MOST_RENT: Final = 1_000 * NANOS_PER_IOTA
"""A price per kWh and hour under which the rent of a day fits into 64 bits."""
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
    "sessions.shift_days": Range(-36_500, 36_500),
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
    "market.lease_s": Range(0, DAY_S),
    "market.drift_pct": Range(0, 20),
    "market.release_pct": _SHARE,
    "market.reserve_nanos_per_kwh_h": Range(0, _MOST_RENT),
    "market.feed_h": Range(1, 24),
    "faults.loss_pct": _SHARE,
    "faults.repeat_pct": _SHARE,
    "faults.delay_ms": Range(0, DAY_S * MS_PER_S),
    "faults.crashes_per_day": Range(0, 10_000),
    "faults.freezes_per_day": Range(0, 10_000),
    "faults.cuts_per_day": Range(0, 10_000),
    "faults.outage_s": Range(1, DAY_S),
    "faults.drift_pct": Range(0, 20),
    "faults.hours": Range(0, 1_000_000),
    "ledger.anchor_s": Range(1, DAY_S),
    "ledger.drain_s": Range(0, DAY_S),
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
    for what, *paths in _problems(scenario):
        raise origin.wrong(what, *paths)


Problem = tuple[str, ...]
"""What is wrong and what to do, then the paths of the values it is about."""


def _problems(scenario: Scenario) -> Iterator[Problem]:
    """All that is wrong, the first one first. Later checks may rely on earlier ones."""
    yield from _out_of_range(scenario)
    yield from _time(scenario)
    yield from _power(scenario)
    yield from _prices(scenario)
    yield from _texts(scenario)
    yield from _files(scenario)
    yield from _events(scenario)


def _out_of_range(scenario: Scenario) -> Iterator[Problem]:
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


def _beyond(path: str, value: float, allowed: Range) -> Iterator[Problem]:
    if allowed.holds(value):
        return
    if path.endswith(".feeder"):
        yield f"{path} is {value}; there is one feeder, so it must be 0", path
    elif path == "schema":
        yield f"schema is {value}, this version reads schema 1; write schema = 1 or use a newer wattswap", path
    else:
        yield f"{path} is {value}; choose {allowed.least:_} to {allowed.most:_}", path


def _time(scenario: Scenario) -> Iterator[Problem]:
    start, window_s, reading_s = scenario.start, scenario.window_s, scenario.reading_s
    if start.utcoffset() is None:
        yield _zone_missing("start", start), "start"
    if start.year not in YEARS:
        yield f"start ({start.isoformat()}) is not between {YEARS[0]} and {YEARS[-1]}; correct the year", "start"
    if start.microsecond:
        yield f"start is {start.isoformat()}; it must be a whole second", "start"
    if window_s % reading_s:
        what = f"window_s ({window_s}) must be a multiple of reading_s ({reading_s}), like 300 and 30"
        yield what, "window_s", "reading_s"
    if DAY_S % window_s:
        yield f"window_s ({window_s}) must divide a day of {DAY_S} s, like 300 or 900", "window_s"
    if scenario.market.deadline_ms > reading_s * MS_PER_S:
        what = f"market.deadline_ms ({scenario.market.deadline_ms}) must not be longer than reading_s ({reading_s} s)"
        yield f"{what}: a round ends before the next reading", "market.deadline_ms", "reading_s"


def _zone_missing(path: str, stamp: datetime) -> str:
    return f"{path} ({stamp.isoformat()}) has no time zone; add the offset, like {stamp.isoformat()}+01:00"


def _power(scenario: Scenario) -> Iterator[Problem]:
    chargers = scenario.chargers
    least_w = chargers.min_a * chargers.phases * chargers.voltage_v
    if least_w > chargers.max_w:
        what = f"chargers.max_w ({chargers.max_w}) is under min_a x phases x voltage_v = {least_w} W, the least a"
        paths = (f"chargers.{key}" for key in ("max_w", "min_a", "phases", "voltage_v"))
        yield f"{what} charger can do; raise it, or lower min_a or phases", *paths


def _prices(scenario: Scenario) -> Iterator[Problem]:
    for path in (path for path in RANGES if path.endswith(("_nanos_per_kwh", "_nanos_per_kwh_h"))):
        yield from _between_price_ticks(path, _at(scenario, path))
    for index, battery in enumerate(scenario.battery):
        yield from _between_price_ticks(f"battery.{index}.wear_nanos_per_kwh", battery.wear_nanos_per_kwh)


def _between_price_ticks(path: str, price: int) -> Iterator[Problem]:
    if price % PRICE_TICK_NANOS:
        near = (price + PRICE_TICK_NANOS // 2) // PRICE_TICK_NANOS * PRICE_TICK_NANOS
        yield f"{path} is {price}; prices are whole multiples of {PRICE_TICK_NANOS:_}, the nearest is {near:_}", path


def _texts(scenario: Scenario) -> Iterator[Problem]:
    if not _NAME.fullmatch(scenario.name):
        what = f"name is {scenario.name!r}; folders are named after it: use up to 64 letters, digits, dots, dashes"
        yield f"{what} and underscores", "name"
    yield from _departure(scenario)
    yield from _model(scenario)
    if not scenario.vehicles.strategy:
        yield "vehicles.strategy is empty; name one, like need:0.8+prosumer:0.2", "vehicles.strategy"
    for index, battery in enumerate(scenario.battery):
        if not battery.strategy:
            path = f"battery.{index}.strategy"
            yield f"{path} is empty; name one, like prosumer", path


def _departure(scenario: Scenario) -> Iterator[Problem]:
    departure = scenario.vehicles.departure
    if departure not in ("actual", "stated") and departure_error_ms(departure) is None:
        yield f"vehicles.departure is {departure!r}; write actual, stated, or error:2h", "vehicles.departure"
    if departure == "stated" and scenario.sessions.format == "trondheim":
        what = "vehicles.departure is 'stated' and the reports from Trondheim state none; write actual or error:2h"
        yield what, "vehicles.departure", "sessions.format"


def _model(scenario: Scenario) -> Iterator[Problem]:
    if scenario.vehicles.model:
        yield from _refused("vehicles.model", parse_models, scenario.vehicles.model)
    elif scenario.vehicles.curve == "model":
        yield "vehicles.curve is 'model' and vehicles.model names none; name one, or write flat", "vehicles.curve"


def _files(scenario: Scenario) -> Iterator[Problem]:
    if not scenario.sessions.csv:
        yield "sessions.csv is empty; name the CSV file of charging sessions", "sessions.csv"
    if scenario.sessions.zone:
        yield from _refused("sessions.zone", zone_named, scenario.sessions.zone)
    if not scenario.households:
        yield "no household is metered; set base.household_csv or add a [[household]]", "base.household_csv"
    if scenario.base.pv_csv and not scenario.base.household_csv:
        yield "base.pv_csv needs base.household_csv, from which the sun is subtracted; name both", "base.pv_csv"
    for index, household in enumerate(scenario.household):
        if not household.household_csv:
            path = f"household.{index}.household_csv"
            yield f"{path} is missing; name the CSV file of this household's load", path


def _refused(path: str, read: Callable[[str], object], text: str) -> Iterator[Problem]:
    """What ``read`` says against the text at ``path``."""
    try:
        read(text)
    except InputError as error:
        yield f"{path}: {error}", path


def _events(scenario: Scenario) -> Iterator[Problem]:
    for index, event in enumerate(scenario.event):
        path = f"event.{index}"
        for key, stamp in (("from", event.from_), ("to", event.to)):
            if stamp.utcoffset() is None:
                yield _zone_missing(f"{path}.{key}", stamp), f"{path}.{key}"
        if event.to <= event.from_:
            span = f"{path}.to ({event.to.isoformat()}) must be after {path}.from ({event.from_.isoformat()})"
            yield f"{span}; correct one of them", f"{path}.to", f"{path}.from"
