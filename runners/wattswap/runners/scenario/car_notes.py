"""What a scenario's cars cannot do, or can only because they were given a larger battery: told in a sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from wattswap.protocol.units import PERMILLE, WS_PER_KWH, WS_PER_WH
from wattswap.runners.scenario.bundled import PREFIX
from wattswap.runners.scenario.cars import Garage, Ints
from wattswap.runners.scenario.schema import Scenario, Vehicles
from wattswap.runners.scenario.tables import few

_SHORT_WS: Final = WS_PER_KWH // 10
"""A session that leaves with more than this of its need missing is short."""
_LEAST_PERMILLE: Final = 100
"""No car arrives below so much charge."""


def capacity_ws(garage: Garage, energy_ws: Ints, vehicles: Vehicles) -> Ints:
    """Each car's battery in Ws, shape (sessions,): what the scenario says, or what its session needs if that is more.

    A session goes from 10 % at least to the target at most.
    """
    span_permille = max(round(vehicles.target_pct * 10) - _LEAST_PERMILLE, 1)
    fitting_ws: Ints = -(-energy_ws * PERMILLE // span_permille)
    return np.maximum(garage.capacity_wh * WS_PER_WH, fitting_ws)


def car_notes(
    scenario: Scenario, garage: Garage, station_id: Sequence[str], stays_s: Ints, energy_ws: Ints
) -> tuple[str, ...]:
    """Notes on sessions that no run can fill, and on those whose battery was enlarged; a row each, ``stays_s`` long."""
    return (*_too_much(garage, station_id, stays_s, energy_ws), *_enlarged(scenario, garage, energy_ws))


def _too_much(garage: Garage, station_id: Sequence[str], stays_s: Ints, energy_ws: Ints) -> tuple[str, ...]:
    """A note on sessions that took more than the scenario's chargers and cars can give while they are plugged in."""
    rows = np.flatnonzero(energy_ws - stays_s * garage.max_w > _SHORT_WS).tolist()
    what = "took more than charger and car give here while they are plugged in, and cannot be full in any run"
    named = few(station_id[row] for row in rows)
    return (f"{len(rows)} of {len(stays_s)} sessions {what}: at {named}",) if rows else ()


def _enlarged(scenario: Scenario, garage: Garage, energy_ws: Ints) -> tuple[str, ...]:
    """A note on sessions of a user's file that took more than the scenario's battery holds."""
    files = [each.sessions.csv or scenario.sessions.csv for each in scenario.feeders]
    given_ws = garage.capacity_wh * WS_PER_WH
    larger_ws = capacity_ws(garage, energy_ws, scenario.vehicles)
    enlarged = larger_ws > given_ws
    if not enlarged.any() or all(not file or file.startswith(PREFIX) for file in files):
        return ()
    what = f"took more than their battery holds between 10 and {scenario.vehicles.target_pct:g} %"
    most = f"it is taken as larger, {larger_ws.max() / WS_PER_KWH:.0f} kWh at most; set vehicles.capacity_wh"
    return (f"{enlarged.sum()} of {len(energy_ws)} sessions {what}: {most}",)


def feeds_never(scenario: Scenario) -> tuple[str, ...]:
    """A note where the reserve is so low that feeding back cannot pay for what it wears off and loses."""
    cars, market = scenario.vehicles, scenario.market
    feeders = [("vehicles", cars.feed_w, cars.wear_nanos_per_kwh, cars.round_trip_pct)]
    feeders += [
        (f"battery.{at}", battery.max_w, battery.wear_nanos_per_kwh, battery.round_trip_pct)
        for at, battery in enumerate(scenario.battery)
    ]
    most = market.reserve_nanos_per_kwh_h * market.feed_h
    notes = []
    for path, feed_w, wear, round_trip_pct in feeders:
        permille = round(round_trip_pct * 10)
        cost = wear + cars.tariff_nanos_per_kwh * (PERMILLE - permille) // permille
        if feed_w and most <= cost:
            notes.append(
                f"{path}: nobody feeds back, since a kWh fed earns at most market.reserve_nanos_per_kwh_h x feed_h ="
                f" {most:,} nanos and costs {cost:,} in wear and loss; raise the reserve"
            )
    return tuple(notes)
