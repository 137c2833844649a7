"""Three queues under one cap: whoever is ahead draws all it wants as long as there is room, whoever is behind waits.

The capped form of the baselines that papers on smart charging compare with; order and laxity as in ACN-Sim's sorted
algorithms: earliest deadline by the stated departure, laxity = time to the departure less time to charge at full
power, ties in session order. Each queue knows less of the cars than the next one, and none of them asks a car.
Cars of like laxity would take turns at every tick, so the last queue keeps a car that draws for an hour's laxity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.law import Grants
from wattswap.protocol.units import MS_PER_HOUR

if TYPE_CHECKING:
    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules

KEPT_MS: Final = MS_PER_HOUR
"""A car that drew in the last tick is served as if it had so much less laxity: fewer stops, and nobody is late."""


def fcfs(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """First come, first served: by arrival."""
    return _served(cars.wanted_w, target_w - base_w, plugged.arrival_ms, rules)


def edf(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """Earliest deadline first: by stated departure."""
    return _served(cars.wanted_w, target_w - base_w, plugged.departure_ms, rules)


def llf(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """Least laxity first: by the time a car can still wait and be full in time at full power; who draws is kept."""
    kept_ms = np.where(cars.drew, KEPT_MS, 0)
    return _served(cars.wanted_w, target_w - base_w, plugged.laxity_ms - kept_ms, rules)


def _served(wanted_w: Ints, room_w: int, place: Ints, rules: Rules) -> Grants:
    """Serve the lowest ``place`` first: each gets min(wanted, what is left), and none less than min(6 A, wanted).

    A car that what is left cannot serve is passed over; one behind it may want little enough.
    """
    granted_w = wanted_w.copy()
    if int(wanted_w.sum()) > room_w:
        for car in np.argsort(place, kind="stable").tolist():
            wants_w = int(wanted_w[car])
            gets_w = min(wants_w, max(room_w, 0))
            granted_w[car] = gets_w = gets_w if gets_w >= min(rules.min_w, wants_w) else 0
            room_w -= gets_w
    nothing = np.zeros_like(wanted_w)
    return Grants(granted_w, nothing, nothing)
