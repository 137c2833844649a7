"""A planner that knows of the cars all they know themselves, and of the future nothing.

At each window it solves a linear program over the stays of the plugged cars, carries out the beginning, and plans
again: model predictive control, in the form of the Adaptive Charging Network's quick charging (Lee, Sharma and Low,
Research tools for smart electric vehicle charging, IEEE Electrification Magazine 9(3), 2021), weighted by what waiting
costs each car. Beside the negotiation it shows what it costs that each car decides alone; beside ``wattswap optimum``,
what it costs not to know the future.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.controllers.capped import served
from wattswap.agents.controllers.planning import STEP_MS, Foresight, Stays, held_w, ranked, stays_of
from wattswap.agents.law import Grants
from wattswap.agents.strategies.waiting import waiting_cost
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars
    from wattswap.agents.rules import Rules

_SHORT: Final = 1_000.0
"""So many times the dearest hour of waiting counts what a car would leave without."""


@dataclass(frozen=True)
class RecedingHorizon:
    """The planner; it takes the homes' load and the limit of this instant for those of the hours ahead."""

    told: Foresight | None = None
    """Without it all owners' waiting counts alike."""

    def __call__(self, base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
        """What the program has for this instant: who gets most of it is served first, in full."""
        room_w, nothing = target_w - base_w, np.zeros_like(cars.wanted_w)
        if int(cars.wanted_w.sum()) <= room_w:
            return Grants(cars.wanted_w, nothing, nothing)
        price = np.ones_like(cars.wanted_w)
        if self.told is not None:
            price = waiting_cost(self.told.seed, cars.key)
        kept = held_w(cars, plugged, rules, rules.window_ms)
        if kept is not None:
            return served(kept, room_w, ranked(plugged, rules, -price), rules)
        stays, first_w = stays_of(cars, plugged), np.zeros_like(cars.wanted_w)
        if room_w > 0:
            plans_w = planned_w(stays, price[stays.rows].astype(np.float64), room_w)
            first_w[stays.rows] = np.rint(plans_w[:, 0]).astype(np.int64)
        return served(cars.wanted_w, room_w, ranked(plugged, rules, -first_w, -price), rules)


def planned_w(stays: Stays, price: NDArray[np.float64], room_w: int) -> NDArray[np.float64]:
    """The plans of n cars over T steps under one room for all, shape (n, T): nobody short, then the least waiting cost.

    What a car draws in a step spares its owner the waiting of all further steps of its stay.

    Raises:
        InputError: scipy, which has the solver (HiGHS), is not installed.
    """
    try:
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array
    except ImportError:
        raise InputError(
            'controller receding-horizon needs scipy; install it with pip install "wattswap[sim]"'
        ) from None
    cars, steps = len(stays.rows), _busy_steps(stays, room_w)
    stays = stays._replace(most_w=stays.most_w[:, :steps])
    car, step = np.nonzero(stays.most_w)
    if not len(car):
        return np.zeros((cars, steps))
    last = steps - 1 - np.argmax(stays.most_w[:, ::-1] > 0, axis=1)
    weight = price / max(price.max(initial=0.0), 1e-9)
    spared = weight[car] * (last[car] - step + 1) + _SHORT * steps
    rows = np.concatenate((car, cars + step))
    columns = np.tile(np.arange(len(car)), 2)
    sums = csr_array((np.ones(len(rows)), (rows, columns)), shape=(cars + steps, len(car)))
    need_kw = stays.need_ws * MS_PER_S / STEP_MS / 1_000
    most = np.concatenate((need_kw, np.full(steps, room_w / 1_000)))
    limits = Bounds(0, stays.most_w[car, step] / 1_000)
    found = milp(-spared, bounds=limits, constraints=LinearConstraint(sums, -np.inf, most))
    assert found.success, found.message
    plans = np.zeros((cars, steps))
    plans[car, step] = found.x * 1_000
    return plans


def _busy_steps(stays: Stays, room_w: int) -> int:
    """After so many steps every car is full or gone under a plan that lets no room idle.

    What all need in turn, and the longest charging at full power: Graham, SIAM Journal on Applied Mathematics 17(2),
    1969.
    """
    need_w = stays.need_ws * MS_PER_S // STEP_MS + 1
    in_turn = int(need_w.sum()) // max(room_w, 1)
    longest = int((need_w // np.maximum(stays.most_w.max(axis=1, initial=0), 1)).max(initial=0))
    return max(min(in_turn + longest + 2, int(stays.most_w.shape[1])), 1)
