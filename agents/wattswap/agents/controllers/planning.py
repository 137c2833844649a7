"""What the two rivals that plan ahead share: what they are told, how far they look, and when they plan anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.protocol.units import MS_PER_DAY, MS_PER_HOUR, MS_PER_S

if TYPE_CHECKING:
    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules

STEP_MS: Final = MS_PER_HOUR // 4
"""A plan is made in quarter hours, at each full one and whenever it no longer holds."""
HORIZON_MS: Final = MS_PER_DAY
"""No plan looks further; a car that stays longer is planned to be full by then."""


class Foresight(NamedTuple):
    """What a planner is told of one feeder before the run; nobody in a real street could know all of it."""

    base_w: Ints
    """The homes' load at each tick of the run, the first one that of the tick before its start."""
    seed: int
    """From which, with a car's key, its owner's price of waiting follows."""

    def base_ahead_w(self, now_ms: int, steps: int, tick_ms: int) -> Ints:
        """The homes' mean load in each of the next steps; beyond the run's end, that of a day before."""
        a_step, a_day, known = max(STEP_MS // tick_ms, 1), MS_PER_DAY // tick_ms, len(self.base_w)
        at = now_ms // tick_ms + 1 + np.arange(steps * a_step)
        at -= np.maximum(at - known + a_day, 0) // a_day * a_day
        ahead_w: Ints = self.base_w[np.where(at < 0, known - 1, at)].reshape(steps, a_step).sum(axis=1) // a_step
        return ahead_w


class Stays(NamedTuple):
    """The cars that still need energy, as far as the horizon goes; n cars, T steps from now on."""

    rows: Ints
    """Their rows among the plugged ones, by laxity."""
    need_ws: Ints
    most_w: Ints
    """Shape (n, T): full power, in proportion where the car leaves within the step."""


def stays_of(cars: Cars, plugged: Plugged) -> Stays:
    """Who still needs how much, and when it can be given; a car that should be gone has the present step."""
    rows = np.flatnonzero(cars.wanted_w > 0)
    rows = rows[np.lexsort((cars.key[rows], plugged.laxity_ms[rows]))]
    left_ms = plugged.departure_ms[rows] - plugged.now_ms[rows]
    full_w = plugged.most_w[rows]
    need_ws = np.maximum(left_ms - plugged.laxity_ms[rows], 0) * full_w // MS_PER_S
    left_ms = np.where(left_ms > 0, np.minimum(left_ms, HORIZON_MS), STEP_MS)
    steps = -(-int(left_ms.max(initial=1)) // STEP_MS)
    stays_ms = np.clip(left_ms[:, np.newaxis] - np.arange(steps) * STEP_MS, 0, STEP_MS)
    return Stays(rows, need_ws, full_w[:, np.newaxis] * stays_ms // STEP_MS)


def held_w(cars: Cars, plugged: Plugged, rules: Rules, every_ms: int = STEP_MS) -> Ints | None:
    """What each car drew in the last tick, as far as it still wants it; None when it is time to plan anew.

    That is every ``every_ms``, when a car has come or is full, and when one that must draw waits for one that need not.
    """
    if not len(cars.wanted_w):
        return cars.wanted_w
    now_ms = int(plugged.now_ms[0])
    held: Ints = np.minimum(cars.wanted_w, plugged.drawn_w)
    came = (plugged.arrival_ms > now_ms - rules.tick_ms) & (cars.wanted_w > 0)
    is_full = (plugged.drawn_w > 0) & (cars.wanted_w == 0)
    must = plugged.laxity_ms <= rules.guard_ms
    waits = (must & (held < cars.wanted_w)).any() and held[~must].any()
    return None if now_ms % every_ms < rules.tick_ms or came.any() or is_full.any() or waits else held


def ranked(plugged: Plugged, rules: Rules, *keys: Ints) -> Ints:
    """The place of each car: who has no more than its guard left first, by laxity, then by these keys, the first first.

    The guard is that of the negotiation, under which such cars draw all they want too.
    """
    must = plugged.laxity_ms <= rules.guard_ms
    order = np.lexsort((plugged.laxity_ms, *(np.where(must, 0, key) for key in reversed(keys)), ~must))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place
