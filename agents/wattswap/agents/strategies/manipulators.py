"""Asks of cars that try to get more out of the market than waiting costs them; see ``wattswap compare --games``."""
# ruff: noqa: ARG002 - every strategy is called alike

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattswap.agents.offers import OfferBook

if TYPE_CHECKING:
    from wattswap.agents.offers import Call, Memory, Own
    from wattswap.protocol.draws import Draws


@dataclass(frozen=True, slots=True)
class AsksAlways:
    """The strategy of a ring: whoever is in it asks the same, whatever waiting costs it."""

    ask_nanos_per_kwh_h: int

    def __call__(self, call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        """Gives way for this price only."""
        return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=self.ask_nanos_per_kwh_h)


@dataclass(frozen=True, slots=True)
class AsksTimes:
    """The strategy of a car that says waiting costs it ``permille`` thousandths of what it does."""

    permille: int

    def __call__(self, call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        """Asks its own cost, times a factor."""
        return OfferBook.keep(own).reduce(
            to_w=0, ask_nanos_per_kwh_h=own.waiting_nanos_per_kwh_h * self.permille // 1000
        )
