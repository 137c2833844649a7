"""Valley filling: cars charge when the homes draw least, so that the sum of both is as flat as it can be.

Gan, Topcu and Low, Optimal decentralized protocol for electric vehicle charging, IEEE Transactions on Power Systems
28(2), 2013: the operator sends a price for each step, in proportion to the load foreseen there; each car moves its own
plan toward the cheap steps, but no further than it must; and so on until nobody moves. The load that all plans lead to
is the flattest there is. All in whole watts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.controllers.capped import KEPT_MS, served
from wattswap.agents.controllers.planning import STEP_MS, Foresight, held_w, ranked, stays_of
from wattswap.protocol.units import MS_PER_S

if TYPE_CHECKING:
    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars, Grants
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules

MOST_TURNS: Final = 15
SETTLED_W: Final = 50
"""Plans are settled when no car moves by more in any step."""


@dataclass(frozen=True)
class ValleyFilling:
    """The protocol, with the homes' load of the day ahead known, as its authors assume, and departures and needs.

    A plan gives many cars a little, and no charger gives less than 6 A. So what all plans add up to now is handed to
    the cars of least laxity; who has no more than its guard left draws all it wants, as far as there is room.
    """

    told: Foresight | None = None
    """Without it the homes' load of this instant is taken for that of the day ahead."""

    def __call__(self, base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
        """What the plans have for this instant."""
        room_w = target_w - base_w
        place = ranked(plugged, rules, plugged.laxity_ms - np.where(cars.drew, KEPT_MS, 0))
        kept = held_w(cars, plugged, rules)
        if kept is not None:
            return served(kept, room_w, place, rules)
        must_w = int(cars.wanted_w[plugged.laxity_ms <= rules.guard_ms].sum())
        planned_w = self._planned_w(base_w, cars, plugged, rules)
        return served(cars.wanted_w, min(room_w, max(planned_w, must_w)), place, rules)

    def _planned_w(self, base_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> int:
        stays = stays_of(cars, plugged)
        if not len(stays.rows):
            return 0
        steps = stays.most_w.shape[1]
        ahead_w = np.full(steps, base_w)
        if self.told is not None:
            ahead_w = self.told.base_ahead_w(int(plugged.now_ms[0]), steps, rules.tick_ms)
        return int(filled_w(ahead_w, stays.need_ws * MS_PER_S // STEP_MS, stays.most_w)[:, 0].sum())


def filled_w(base_w: Ints, need_w: Ints, most_w: Ints) -> Ints:
    """The plans of n cars over T steps, shape (n, T), which together fill the valleys of ``base_w``, shape (T,).

    ``need_w`` is what each car's plan adds up to, shape (n,), as far as ``most_w``, shape (n, T), allows.
    """
    plans_w = np.zeros_like(most_w)
    for _ in range(MOST_TURNS):
        price = (base_w + plans_w.sum(axis=0)) // max(len(plans_w), 1)
        moved_w = _nearest(plans_w - price, need_w, most_w)
        settled = np.abs(moved_w - plans_w).max(initial=0) <= SETTLED_W
        plans_w = moved_w
        if settled:
            break
    return plans_w


def _nearest(aim_w: Ints, need_w: Ints, most_w: Ints) -> Ints:
    """Of the plans that each car can follow, the one nearest to its aim: the aim lowered by one level, and cut off.

    The levels are found by halving; what a whole watt a step is too much is left.
    """
    need = np.minimum(need_w, most_w.sum(axis=1))
    enough, too_high = (aim_w - most_w).min(axis=1), aim_w.max(axis=1) + 1
    while (too_high - enough > 1).any():
        level = (enough + too_high) // 2
        meets = np.clip(aim_w - level[:, np.newaxis], 0, most_w).sum(axis=1) >= need
        enough, too_high = np.where(meets, level, enough), np.where(meets, too_high, level)
    nearest: Ints = np.clip(aim_w - enough[:, np.newaxis], 0, most_w)
    return nearest
