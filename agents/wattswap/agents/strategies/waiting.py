"""What waiting costs a car: a trait of its owner, drawn once, that nobody else knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.protocol.draws import draw, uniform
from wattswap.protocol.units import Purpose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints

_LEAST: Final = 50_000_000
MOST_NANOS_PER_KWH_H: Final = 500_000_000
"""Nobody's waiting costs more."""


def waiting_cost(seed: int, keys: NDArray[np.uint64]) -> Ints:
    """Nanos per kWh and hour for each of these cars: 0.05 to 0.5 IOTA, evenly (an assumption)."""
    place = uniform(draw(seed, keys, Purpose.WAITING_COST))
    return (_LEAST + (MOST_NANOS_PER_KWH_H - _LEAST) * place).astype(np.int64)
