"""The open lots of one session, as one meter has counted them: a charger's or a car's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from wattswap.agents import lots, settlement
from wattswap.agents.lots import NEVER, CarMeters, Lots
from wattswap.agents.offers import FEED, TRANCHES
from wattswap.protocol.messages import Award, Delivery
from wattswap.protocol.round import Part

if TYPE_CHECKING:
    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import Rules
    from wattswap.protocol.events import Metered


class Lot(msgspec.Struct):
    """What was counted for one award."""

    award: Award
    part: Part
    price: int
    """For its energy, per kWh and hour."""
    delivered_ws: list[int]
    """By tranche."""
    baseline_ws: int = 0
    owed_ws: int = 0
    rent: int = 0

    @classmethod
    def of(cls, award: Award) -> Lot:
        """The lot of an award, of which nothing is delivered yet."""
        return cls(award, award.part, max(award.price_nanos_per_kwh_h[:FEED]), [0] * TRANCHES)

    def deliver(self, metered: Metered, rules: Rules) -> None:
        """Count a tick under the award: what each tranche delivered, and what of it is owed to the car."""
        award_w: Ints = np.array([self.award.award_w], dtype=np.int64)
        powers = np.array((metered.baseline_w, metered.import_w, metered.export_w), dtype=np.int64)
        delivered_ws = (settlement.relief_w(award_w, *powers[:, np.newaxis]) * rules.tick_s)[0].tolist()
        self.delivered_ws = [before + more for before, more in zip(self.delivered_ws, delivered_ws, strict=True)]
        self.baseline_ws += metered.baseline_w * rules.tick_s
        self.owed_ws += sum(delivered_ws[:FEED])

    def delivery(self) -> Delivery:
        """The count as it is reported."""
        returned_ws = sum(self.delivered_ws[:FEED]) - self.owed_ws
        return Delivery(*self.part, tuple(self.delivered_ws), self.baseline_ws, returned_ws, self.rent)


class SessionLots(msgspec.Struct):
    """The lots of one session that are not reported yet."""

    lots: list[Lot]
    stopped_at: int = NEVER
    """The tick from which on its energy earns nothing more."""

    @property
    def owed_ws(self) -> int:
        """What was given up and has not been drawn back yet."""
        return sum([lot.owed_ws for lot in self.lots])

    @property
    def rent_price(self) -> int:
        """The dearest price at which energy waits; 0 if none does, or once the clock has stopped."""
        return max([lot.price for lot in self.lots if lot.owed_ws], default=0) if self.stopped_at == NEVER else 0

    def lot(self, part: Part) -> Lot | None:
        """The lot of a part; None if it is not open."""
        return next((lot for lot in self.lots if lot.part == part), None)

    def add(self, metered: Metered, in_force: Lot | None, rules: Rules) -> bool:
        """Count the tick that ended for the award in force and for all lots; whether that changed anything."""
        if in_force is not None:
            in_force.deliver(metered, rules)
        if not self._comes_back_or_stalls(metered, rules, awarded=in_force is not None):
            return in_force is not None
        stopped_at, awarded = np.array([self.stopped_at]), np.array([in_force is not None])
        import_w, baseline_w, granted_w = np.array([[metered.import_w], [metered.baseline_w], [metered.granted_w]])
        meters = CarMeters(import_w, baseline_w, granted_w, awarded, stopped_at)
        given_up_ws = np.zeros(len(self.lots), dtype=np.int64)  # it is in the lots already
        after, stopped_at = lots.after_tick(self._columns(rules), given_up_ws, meters, metered.tick, rules)
        for lot, owed_ws, rent in zip(self.lots, after.owed_ws.tolist(), after.rent.tolist(), strict=True):
            lot.owed_ws, lot.rent = owed_ws, rent
        self.stopped_at = int(stopped_at[0])
        return True

    def _comes_back_or_stalls(self, metered: Metered, rules: Rules, *, awarded: bool) -> bool:
        """Whether energy may have been drawn back, or could have been; in most ticks a car gives way or waits."""
        if metered.import_w > metered.baseline_w:
            return True
        return not awarded and metered.import_w < min(rules.min_w, self.owed_ws // rules.tick_s) <= metered.granted_w

    def _columns(self, rules: Rules) -> Lots:
        """The lots as the law sees those of a single car."""
        rows = [
            (0, lot.price, lot.award.tick, lot.award.rent_cap_s // rules.tick_s, lot.owed_ws, lot.rent)
            for lot in self.lots
        ]
        return Lots(*np.array(rows, dtype=np.int64).T)
