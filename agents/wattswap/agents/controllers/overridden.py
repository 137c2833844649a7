"""A controller that some drivers override: it decides about the others, in the room that is left.

To it an overriding car is a part of the homes' load: it wants nothing, and what it draws is not among the cars'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.protocol.draws import draw, uniform
from wattswap.protocol.units import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars, Grants
    from wattswap.agents.rules import Rules

_OVERRIDE_DRAW: Final = 11
"""Tells this draw from others of sessions."""


def overrides(seed: int, keys: NDArray[np.uint64], pct: float) -> NDArray[np.bool_]:
    """Which of these sessions override whatever is decided: so many per cent, by the seed."""
    drawn: NDArray[np.bool_] = uniform(draw(seed, keys, Purpose.SESSION, index=_OVERRIDE_DRAW)) * 100 < pct
    return drawn


@dataclass(frozen=True)
class Overridden:
    """In so many per cent of the sessions the car draws all it wants, whatever is decided; by the seed."""

    controller: Callable[[int, int, Cars, Plugged, Rules], Grants]
    seed: int
    override_pct: float

    def __call__(self, base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
        """What the drivers take, and what the controller grants the others."""
        free = overrides(self.seed, cars.key, self.override_pct)
        taken_w = np.where(free, cars.wanted_w, 0)
        others = cars._replace(wanted_w=cars.wanted_w - taken_w, drew=cars.drew & ~free)
        known = plugged._replace(drawn_w=np.where(free, 0, plugged.drawn_w))
        granted = self.controller(base_w + int(taken_w.sum()), target_w, others, known, rules)
        return granted._replace(import_w=granted.import_w + taken_w)
