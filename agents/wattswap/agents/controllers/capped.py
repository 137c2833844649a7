"""Three queues under one cap: whoever is ahead draws all it wants as long as there is room, whoever is behind waits.

The capped form of the baselines that papers on smart charging compare with; order and laxity as in ACN-Sim's sorted
algorithms: earliest deadline by the stated departure, laxity = time to the departure less time to charge at full
power, ties in session order. Each queue knows less of the cars than the next one, and none of them asks a car.
Cars of like laxity would take turns at every tick, so the last queue keeps a car that draws for an hour's laxity.
Where cars disclose what they could feed, the two queues that know departures let those furthest behind feed for those
ahead.
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
    return served(cars.wanted_w, target_w - base_w, plugged.arrival_ms, rules)


def edf(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """Earliest deadline first: by stated departure."""
    return served(cars.wanted_w, target_w - base_w, plugged.departure_ms, rules, _can_feed_w(plugged, rules))


def llf(base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
    """Least laxity first: by the time a car can still wait and be full in time at full power; who draws is kept."""
    kept_ms = np.where(cars.drew, KEPT_MS, 0)
    place = plugged.laxity_ms - kept_ms
    return served(cars.wanted_w, target_w - base_w, place, rules, _can_feed_w(plugged, rules))


def _can_feed_w(plugged: Plugged, rules: Rules) -> Ints:
    """What cars can feed that have time to refill: an hour more than the guard that they keep for themselves."""
    can_wait = plugged.laxity_ms > rules.wary_guard_ms + KEPT_MS
    return np.where(can_wait, plugged.feed_w, 0)


def served(wanted_w: Ints, room_w: int, place: Ints, rules: Rules, can_feed_w: Ints | None = None) -> Grants:
    """Serve the lowest ``place`` first: each gets min(wanted, what is left), and none less than min(6 A, wanted).

    A car that what is left cannot serve is passed over; one behind it may want little enough. ``can_feed_w`` is what
    cars may feed: the last ones do so for one that is ahead of them by ``KEPT_MS`` and is served with it.
    """
    granted_w, fed_w = wanted_w.copy(), np.zeros_like(wanted_w)
    if int(wanted_w.sum()) > room_w:
        order = np.argsort(place, kind="stable").tolist()
        for car in order:
            wants_w = int(wanted_w[car])
            least_w = min(rules.min_w, wants_w)
            if can_feed_w is not None and room_w < wants_w:
                behind = [last for last in reversed(order) if place[last] > place[car] + KEPT_MS and can_feed_w[last]]
                more_w = int((can_feed_w - fed_w)[behind].sum())
                asked_w = wants_w if room_w + more_w >= least_w else 0
                room_w += _feed(behind, max(asked_w - room_w, 0), can_feed_w, fed_w)
            gets_w = min(wants_w, max(room_w, 0))
            granted_w[car] = gets_w = gets_w if gets_w >= least_w and not fed_w[car] else 0
            room_w -= gets_w
    return Grants(granted_w, fed_w, np.zeros_like(wanted_w))


def _feed(behind: list[int], lacking_w: int, can_feed_w: Ints, fed_w: Ints) -> int:
    """Let these cars feed what lacks, one after the other, noted in ``fed_w``; how much that is together."""
    left_w = lacking_w
    for car in behind:
        more_w = min(int(can_feed_w[car] - fed_w[car]), left_w)
        fed_w[car] += more_w
        left_w -= more_w
    return lacking_w - left_w
