"""The bundled car models, and what a scenario's cars can do: battery, power at the charger, and how it falls.

At a wall box a car draws the lowest of what the charger gives on the phases the car uses, what the charger on board
takes and what the battery takes at its state of charge. The source knows the last one from fast chargers only, and at
11 kW it seldom binds. The market knows one step for the whole street (``chargers.min_a`` on all phases): a car that
charges on one phase gives way whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wattswap.agents.physics import CURVE_KNOTS
from wattswap.protocol.draws import draw, uniform
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MOST_W, Purpose
from wattswap.runners.scenario.bundled import DATA
from wattswap.runners.scenario.schema import Chargers, ChargerTable, Scenario
from wattswap.runners.scenario.stations import Stations
from wattswap.runners.scenario.tables import read_table

Ints = NDArray[np.int64]

CARS_CSV: Final = DATA / "cars" / "cars.csv"
_COLUMNS: Final = ("name", "usable_wh", "ac_max_w", "ac_phases", "dc_w_at_soc_pct")
_MODEL_DRAW: Final = 1
"""Which of a person's traits under ``Purpose.STRATEGY`` the car is; the strategy itself is number 0."""


@dataclass(frozen=True)
class Car:
    """One model."""

    name: str
    usable_wh: int
    ac_max_w: int
    ac_phases: int
    knots_w: tuple[tuple[int, int], ...]
    """(state of charge in per cent, watts the battery takes there), from 0 to 100 %."""

    def ac_w(self, charger: Chargers | ChargerTable) -> int:
        """The most it draws from this charger, on the phases that both have."""
        phases = min(self.ac_phases, charger.phases)
        return min(phases * charger.max_w // charger.phases, phases * self.ac_max_w // self.ac_phases)

    def most_w(self, charger: Chargers | ChargerTable) -> int:
        """The most it draws from this charger: over its own rectifier, or past it from one of direct current."""
        if isinstance(charger, ChargerTable) and charger.dc:
            return min(charger.max_w, max(watts for _, watts in self.knots_w))
        return self.ac_w(charger)

    def curve_w(self) -> Ints:
        """What the battery takes at each whole per cent, rounded down, shape (101,)."""
        soc_pct = np.arange(CURVE_KNOTS)
        at, watts = np.array(self.knots_w, dtype=np.int64).T
        left = np.minimum(np.searchsorted(at, soc_pct, side="right") - 1, len(at) - 2)
        span, rise = at[left + 1] - at[left], watts[left + 1] - watts[left]
        curve: Ints = watts[left] + rise * (soc_pct - at[left]) // span
        return curve


@dataclass(frozen=True)
class Garage:
    """What each car of a street can do, row i = i-th session; int64 columns."""

    capacity_wh: Ints
    max_w: Ints
    """The most it draws from its charger."""
    charger_max_w: Ints
    """What its charger can give."""
    model: Ints
    """Its row in ``curves_w``."""
    curves_w: Ints
    """Watts at each whole per cent of charge, shape (models + 1, 101); the last row never limits."""


@lru_cache(maxsize=1)
def bundled_cars() -> tuple[dict[str, Car], str]:
    """Every bundled model by name, and the sha256 of their file."""
    table = read_table(CARS_CSV, _COLUMNS)
    columns = [[cell.text for cell in table.column(name)] for name in _COLUMNS]
    cars = (
        Car(name, int(usable_wh), int(ac_max_w), int(phases), _knots(curve))
        for name, usable_wh, ac_max_w, phases, curve in zip(*columns, strict=True)
    )
    return {car.name: car for car in cars}, table.sha256


def _knots(text: str) -> tuple[tuple[int, int], ...]:
    knots = (knot.split(":") for knot in text.split())
    return tuple((int(soc_pct), int(power_w)) for soc_pct, power_w in knots)


def garage_of(scenario: Scenario, user_key: NDArray[np.uint64], station_id: Sequence[str]) -> Garage:
    """The cars of these people at these stations, one row each.

    All cars are alike, or drawn by seed and person from ``vehicles.model``.
    """
    vehicles, rows = scenario.vehicles, len(user_key)
    chargers = _chargers_at(scenario, station_id)
    charger_max_w = np.array([charger.max_w for charger in chargers], dtype=np.int64)
    if not vehicles.model:
        capacity_wh = np.full(rows, vehicles.capacity_wh, dtype=np.int64)
        return Garage(capacity_wh, charger_max_w, charger_max_w, np.zeros(rows, dtype=np.int64), _curves([]))
    mix = parse_models(vehicles.model)
    cumulated = np.cumsum([share for _, share in mix])
    place = uniform(draw(scenario.seed, user_key, Purpose.STRATEGY, index=_MODEL_DRAW))
    model = np.searchsorted(cumulated[:-1] / cumulated[-1], place, side="right").astype(np.int64)
    cars = [car for car, _ in mix]
    return Garage(
        capacity_wh=np.array([car.usable_wh for car in cars], dtype=np.int64)[model],
        max_w=np.array(
            [cars[number].most_w(charger) for number, charger in zip(model.tolist(), chargers, strict=True)],
            dtype=np.int64,
        ),
        charger_max_w=charger_max_w,
        model=model,
        curves_w=_curves(cars),
    )


def _chargers_at(scenario: Scenario, station_id: Sequence[str]) -> Sequence[Chargers | ChargerTable]:
    """The charger at each of these stations."""
    if not scenario.charger:
        return [scenario.chargers] * len(station_id)
    stations = Stations(scenario.charger)
    return [stations.of(station) or scenario.chargers for station in station_id]


def _curves(cars: Sequence[Car]) -> Ints:
    return np.stack([*(car.curve_w() for car in cars), np.full(CURVE_KNOTS, MOST_W, dtype=np.int64)])


def parse_models(text: str) -> list[tuple[Car, float]]:
    """The cars and shares of ``Nissan Leaf 40 kWh:0.3+Tesla Model 3 LR:0.7``.

    Raises:
        InputError: a model that is not bundled (the nearest is named) or a share that is not positive.
    """
    return [_share(part.strip()) for part in text.split("+")]


def _share(part: str) -> tuple[Car, float]:
    name, colon, number = (piece.strip() for piece in part.rpartition(":"))
    try:
        share = float(number) if colon else 1.0
    except ValueError:
        share = float("nan")
    if not (isfinite(share) and share > 0):
        raise InputError(f"the share of {name!r} must be a positive number, not {number!r}")
    return _car(name if colon else part), share


def _car(name: str) -> Car:
    cars, _ = bundled_cars()
    if name not in cars:
        near = get_close_matches(name, cars, n=1, cutoff=0.3)
        what = f"did you mean {near[0]}?" if near else f"there are {', '.join(cars)}"
        raise InputError(f"there is no car {name!r}; {what}")
    return cars[name]
