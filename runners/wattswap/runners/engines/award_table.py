"""The awards of a run, from the award until their lot is closed and paid: columns of one row an award.

The fleet engine pays by them. The recorder of the messages engine keeps them beside the agents, from the meters of the
world, to show what the run's end leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from wattswap.agents import settlement
from wattswap.agents.lots import CarMeters, Lots, accrued, after_tick
from wattswap.agents.offers import FEED, TRANCHES
from wattswap.agents.settlement import RENT_CAP_S
from wattswap.protocol.effects import NoteTrade

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules
    from wattswap.runners.engines.observer import Moved


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

    def meter(self, tick: int, moved: Moved, stopped_at: Ints, rules: Rules) -> None:
        """Count a tick that has passed for awards and lots, as charger and car do; ``stopped_at`` is by row."""
        if not len(self):
            return
        at, plugged = np.searchsorted(moved.rows, self.row), moved.rows
        baseline_w, runs = moved.charging.baseline_w, self.runs
        relief_w = settlement.relief_w(
            self.award_w * runs[:, np.newaxis], baseline_w[at], moved.import_w[at], moved.export_w[at]
        )
        delivered_ws = relief_w * rules.tick_s
        self.delivered_ws = self.delivered_ws + delivered_ws
        self.baseline_ws = self.baseline_ws + baseline_w[at] * runs * rules.tick_s
        awarded = np.zeros(len(plugged), dtype=bool)
        awarded[at[runs]] = True
        meters = CarMeters(moved.import_w, baseline_w, moved.granted_w, awarded, stopped_at[plugged])
        given_up_ws: Ints = delivered_ws[:, :FEED].sum(axis=1)
        after, stopped_at[plugged] = after_tick(self.lots(at, rules), given_up_ws, meters, tick, rules)
        self.owed_ws, self.rent = after.owed_ws, after.rent

    def accrued(self, stopped_at: Ints, tick: int, rules: Rules) -> Ints:
        """The rent of each lot as if all that is owed came back now."""
        return accrued(self.lots(self.row, rules), stopped_at, tick)

    def settled(self, at: int, feeder: int, session_id: str, rules: Rules) -> NoteTrade:
        """What became of one of these awards, and what it is worth."""
        award_w, price, rent = self.award_w[at].tolist(), self.price[at].tolist(), int(self.rent[at])
        nanos = settlement.worth_nanos(award_w, price, rent, int(self.delivered_ws[at, FEED]), rules)
        return self.trade(at, feeder, session_id, rent, nanos)

    def trade(self, at: int, feeder: int, session_id: str, rent: int, nanos: tuple[int, ...]) -> NoteTrade:
        """What became of one of these awards."""
        tick = int(self.tick[at])
        return NoteTrade(
            tick=tick,
            session=int(self.row[at]),
            payment_id=settlement.payment_id(feeder, tick, session_id),
            award_w=tuple(self.award_w[at].tolist()),
            price_nanos_per_kwh_h=tuple(self.price[at].tolist()),
            delivered_ws=tuple(self.delivered_ws[at].tolist()),
            returned_ws=int(self.delivered_ws[at, :FEED].sum() - self.owed_ws[at]),
            rent=rent,
            nanos=nanos,
            offered_w=tuple(self.offered_w[at].tolist()),
            ask_nanos_per_kwh_h=tuple(self.ask[at].tolist()),
            baseline_ws=int(self.baseline_ws[at]),
            disputed=False,
        )
