"""A controller that some drivers override: it decides about the others, in the room that is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.protocol.draws import draw, uniform
from wattswap.protocol.units import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattswap.agents.controllers.plugged import Plugged
    from wattswap.agents.law import Cars, Grants
    from wattswap.agents.rules import Rules

_OVERRIDE_DRAW: Final = 11
"""Tells this draw from others of sessions."""


@dataclass(frozen=True)
class Overridden:
    """In so many per cent of the sessions the car draws all it wants, whatever is decided; by the seed."""

    controller: Callable[[int, int, Cars, Plugged, Rules], Grants]
    seed: int
    override_pct: float

    def __call__(self, base_w: int, target_w: int, cars: Cars, plugged: Plugged, rules: Rules) -> Grants:
        """What the drivers take, and what the controller grants the others."""
        free = uniform(draw(self.seed, cars.key, Purpose.SESSION, index=_OVERRIDE_DRAW)) * 100 < self.override_pct
        taken_w = np.where(free, cars.wanted_w, 0)
        others = cars._replace(wanted_w=cars.wanted_w - taken_w)
        granted = self.controller(base_w + int(taken_w.sum()), target_w, others, plugged, rules)
        return granted._replace(import_w=granted.import_w + taken_w)
