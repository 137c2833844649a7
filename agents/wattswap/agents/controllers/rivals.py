"""What grid operators do or try today: dimming, turns of an ampere, a cap by the clock, and droop. None asks a car.

Dimming and the cap by the clock are blunt: they hold a car back by rule, not by what the transformer can carry.
"""
# ruff: noqa: ARG001 - a controller is handed all that a transformer knows and uses what it needs

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.controllers.share import fit
from wattswap.agents.law import Grants
from wattswap.protocol.units import MS_PER_HOUR

if TYPE_CHECKING:
    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules

DIMMED_W: Final = 4_200
"""What German law guarantees a charger that is being dimmed."""
CAP_FROM_MS: Final = 18 * MS_PER_HOUR
CAP_UNTIL_MS: Final = 21 * MS_PER_HOUR
DEAR_FROM_MS: Final = 16 * MS_PER_HOUR
DEAR_UNTIL_MS: Final = 21 * MS_PER_HOUR
DROOP_BAND_PERCENT: Final = 20
"""Under ``droop`` power falls from full at the target to nothing at so much above it."""
DROOP_PART: Final = 4
"""Under ``droop`` a car goes a quarter of the way at each tick, so that the street does not swing."""


def dimming(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """All cars dimmed to 4.2 kW for as long as what they want does not fit, and never below, fit or not.

    Section 14a of the German energy act (EnWG) with ruling BK6-22-300 of the Bundesnetzagentur, 2023: a grid operator
    may dim in an emergency, and each charger keeps 4.2 kW.
    """
    if int(cars.wanted_w.sum()) <= target_w - base_w:
        return _import_of(cars.wanted_w)
    return _import_of(np.minimum(cars.wanted_w, DIMMED_W))


def round_robin(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """An ampere each, in turn, by arrival, until the room is gone; those whom 6 A do not reach wait.

    The round robin of ACN-Sim's sorted algorithms (Lee, Johansson and Low, Proceedings of ACM e-Energy 2019), begun at
    the 6 A that no charger can go below.
    """
    room_w, wanted_w = max(target_w - base_w, 0), cars.wanted_w
    if int(wanted_w.sum()) <= room_w:
        return _import_of(wanted_w)
    least_w = np.minimum(wanted_w, rules.min_w)
    takes_part = fit(least_w, room_w, plugged.arrival_ms)
    most_w, granted_w = np.where(takes_part, wanted_w, 0), np.where(takes_part, least_w, 0)
    while True:  # a whole turn, as long as there is room for one
        after_w = np.minimum(most_w, granted_w + rules.amp_w)
        if int(after_w.sum()) > room_w or np.array_equal(after_w, granted_w):
            break
        granted_w = after_w
    left_w = room_w - int(granted_w.sum())
    for car in np.argsort(plugged.arrival_ms, kind="stable").tolist():
        step_w = min(rules.amp_w, int(most_w[car] - granted_w[car]), left_w)
        granted_w[car] += step_w
        left_w -= step_w
    return _import_of(granted_w)


def static_cap(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """6 A for everyone from 18 to 21 h by the clock, and all they want at any other time, whatever the load is.

    The hours are those of Amsterdam's Flexpower 2 (432 public stations, winter 2019 to 2020); 6 A is our assumption.
    """
    capped = (plugged.local_ms >= CAP_FROM_MS) & (plugged.local_ms < CAP_UNTIL_MS)
    return _import_of(np.where(capped, np.minimum(cars.wanted_w, rules.min_w), cars.wanted_w))


def time_of_use(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """Nobody charges from 16 to 21 h by the clock, and everybody at full power at any other time.

    A tariff with dear evening hours, heeded by all: a timer starts every car when they are over. In a trial in Calgary
    such a tariff moved the off-peak share from 59 to 77 %, and raised the violations of small transformers; hours and
    full compliance are our assumptions.
    """
    dear = (plugged.local_ms >= DEAR_FROM_MS) & (plugged.local_ms < DEAR_UNTIL_MS)
    return _import_of(np.where(dear, 0, cars.wanted_w))


def bandwidth(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """4.2 kW for everyone at all times, whatever the load is: a connection's subscribed power.

    A bandwidth tariff, as Dutch grid operators have proposed it with about 4 kW, where nobody pays for more.
    """
    return _import_of(np.minimum(cars.wanted_w, DIMMED_W))


def droop(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """Each car by itself: full power up to the target, less in proportion above it, nothing from 20 % above on.

    Voltage droop charging (Geth and others, IEEE PES ISGT Europe 2012), with the load metered at the transformer in
    place of the voltage. It needs no message, and settles above the target by design.
    """
    drawn_w, full_w = plugged.drawn_w, plugged.most_w
    band_w = max(target_w, 0) * DROOP_BAND_PERCENT // 100
    above_w = base_w + int(drawn_w.sum()) - target_w
    aim_w = full_w * min(max(band_w - above_w, 0), band_w) // max(band_w, 1)
    toward_w = drawn_w + (aim_w - drawn_w) // DROOP_PART
    least_w = np.minimum(cars.wanted_w, rules.min_w)
    can_w = np.where(aim_w >= least_w, np.maximum(toward_w, least_w), 0)
    return _import_of(np.minimum(cars.wanted_w, can_w))


def _import_of(granted_w: Ints) -> Grants:
    nothing = np.zeros_like(granted_w)
    return Grants(granted_w, nothing, nothing)
