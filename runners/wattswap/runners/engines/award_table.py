"""The fleet engine's awards, from the award until their lot is closed and paid: columns of one row an award."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from wattswap.agents.lots import Lots
from wattswap.agents.offers import FEED, TRANCHES
from wattswap.agents.settlement import RENT_CAP_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules


@dataclass(slots=True)
class AwardTable:
    """Awards that are not settled; tranches as columns of shape (awards, 3)."""

    row: Ints
    """The session's row in the world."""
    tick: Ints
    runs: NDArray[np.bool_]
    """In force; a row of which this is false waits for its energy to be drawn back."""
    award_w: Ints
    price: Ints
    offered_w: Ints
    ask: Ints
    delivered_ws: Ints
    baseline_ws: Ints
    owed_ws: Ints
    rent: Ints

    @classmethod
    def none(cls) -> Self:
        """No award was made."""
        one, wide = np.zeros(0, dtype=np.int64), np.zeros((0, TRANCHES), dtype=np.int64)
        return cls(one, one, one > 0, wide, wide, wide, wide, wide, one, one, one)

    @classmethod
    def made(cls, row: Ints, tick: int, award_w: Ints, price: Ints, offered_w: Ints, ask: Ints) -> Self:
        """Awards of this tick, nothing of which is delivered yet."""
        nothing = np.zeros(len(row), dtype=np.int64)
        ticks, runs = np.full(len(row), tick), np.ones(len(row), dtype=bool)
        return cls(row, ticks, runs, award_w, price, offered_w, ask, np.zeros_like(award_w), nothing, nothing, nothing)

    def __len__(self) -> int:
        return len(self.row)

    def where(self, chosen: NDArray[np.bool_]) -> AwardTable:
        """These awards alone."""
        return AwardTable(*(getattr(self, column.name)[chosen] for column in fields(self)))

    def and_also(self, other: AwardTable) -> AwardTable:
        """These awards and the others."""
        return AwardTable(
            *(np.concatenate((getattr(self, column.name), getattr(other, column.name))) for column in fields(self))
        )

    @property
    def lot_price(self) -> Ints:
        """What the energy that each gave up waits for; both reductions have the same price."""
        price: Ints = self.price[:, :FEED].max(axis=1)
        return price

    def lots(self, car: Ints, rules: Rules) -> Lots:
        """The lots, of cars that stand in these rows of other columns."""
        cap = np.full(len(self), RENT_CAP_S // rules.tick_s)
        return Lots(car, self.lot_price, self.tick, cap, self.owed_ws, self.rent)
