"""Physics of charging, on integers or int64 arrays alike: powers in watts, energies in watt-seconds, times in ms.

Charging is counted one to one at the meter; all loss is taken when a battery feeds back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wattswap.protocol.units import PERMILLE

Ints = NDArray[np.int64]

TAPER_SOC_PERMILLE = np.array([0, 800, 1000], dtype=np.int64)
TAPER_POWER_PERMILLE = np.array([1000, 1000, 200], dtype=np.int64)
"""Full power up to 80 % state of charge, then falling in a straight line to a fifth at 100 %."""


CURVE_KNOTS = 101
"""A car's own curve is given at each whole per cent of charge, both ends included."""


def ceil_div(dividend: Ints, divisor: Ints | int) -> Ints:
    """Integer division rounded up, for positive divisors."""
    return -(-dividend // divisor)


def wanted_w(remaining_ws: Ints, max_w: Ints, tick_s: int) -> Ints:
    """The power a car would draw over the next tick if it could: full power, or just what is missing."""
    return np.minimum(max_w, remaining_ws // tick_s)


def taper_w(stored_ws: Ints, capacity_ws: Ints, max_w: Ints) -> Ints:
    """The most a battery takes at its state of charge, from the integer piecewise-linear table above."""
    soc = np.clip(stored_ws * PERMILLE // capacity_ws, 0, PERMILLE)
    left = np.clip(np.searchsorted(TAPER_SOC_PERMILLE, soc, side="right") - 1, 0, len(TAPER_SOC_PERMILLE) - 2)
    soc_0, soc_1 = TAPER_SOC_PERMILLE[left], TAPER_SOC_PERMILLE[left + 1]
    power_0, power_1 = TAPER_POWER_PERMILLE[left], TAPER_POWER_PERMILLE[left + 1]
    share: Ints = power_0 + (power_1 - power_0) * (soc - soc_0) // (soc_1 - soc_0)
    return max_w * share // PERMILLE


def curve_w(stored_ws: Ints, capacity_ws: Ints, max_w: Ints, curves_w: Ints, model: Ints) -> Ints:
    """The most a battery takes at its state of charge, from its car's own curve and never more than ``max_w``.

    ``curves_w`` holds a car in each row, watts at each whole per cent; ``model`` says which row is whose.
    """
    soc = np.clip(stored_ws * PERMILLE // capacity_ws, 0, PERMILLE)
    left = np.minimum(soc // 10, CURVE_KNOTS - 2)
    at_left_w, at_right_w = curves_w[model, left], curves_w[model, left + 1]
    battery_w: Ints = at_left_w + (at_right_w - at_left_w) * (soc - 10 * left) // 10
    return np.minimum(max_w, battery_w)


def charging_ms(remaining_ws: Ints, max_w: Ints) -> Ints:
    """How long the remaining energy takes at full power, rounded up."""
    return ceil_div(remaining_ws * 1000, max_w)


def drained_ws(fed_ws: Ints, round_trip_permille: Ints | int) -> Ints:
    """What leaves the battery when ``fed_ws`` reach the street: feeding carries the whole round trip's loss."""
    return ceil_div(fed_ws * PERMILLE, round_trip_permille)


def feedable_w(stored_ws: Ints, round_trip_permille: Ints | int, tick_s: int) -> Ints:
    """The power an emptying battery can hold for one tick."""
    return stored_ws * round_trip_permille // (PERMILLE * tick_s)
