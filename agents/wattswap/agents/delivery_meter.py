"""The running account of an award, kept by the charger and the vehicle alike, each from its own meter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents import settlement
from wattswap.agents.offers import TRANCHES
from wattswap.protocol.errors import ProtocolError, RemoteProtocolError
from wattswap.protocol.messages import Delivery
from wattswap.protocol.round import Input, State, advance

if TYPE_CHECKING:
    from wattswap.protocol.events import Metered
    from wattswap.protocol.messages import Award, Receipt, Release


class DeliveryMeter:
    """One award from its arrival to its receipt: what was promised, and what this meter saw of it."""

    def __init__(self, award: Award, tick_s: int) -> None:
        self.award, self.state = award, State.AWARDED
        self._tick_s = tick_s
        self._award_w = np.array([award.award_w], dtype=np.int64)
        self._delivered_ws = np.zeros_like(self._award_w)
        self._baseline_ws = 0

    @property
    def round(self) -> tuple[int, int]:
        """The round's name: feeder and tick."""
        return self.award.feeder, self.award.tick

    @property
    def runs(self) -> bool:
        """Whether it still counts."""
        return self.state is State.AWARDED

    def is_of(self, said: Delivery | Receipt | Release) -> bool:
        """Whether this is said of the same award, and not of another one."""
        award = self.award
        return (said.feeder, said.tick, said.session) == (award.feeder, award.tick, award.session)

    def add(self, metered: Metered) -> None:
        """Count the tick that ended, as long as the award runs."""
        if not self.runs:
            return
        powers = (metered.baseline_w, metered.import_w, metered.export_w)
        baseline_w, import_w, export_w = (np.array([watts], dtype=np.int64) for watts in powers)
        self._delivered_ws += settlement.relief_w(self._award_w, baseline_w, import_w, export_w) * self._tick_s
        self._baseline_ws += metered.baseline_w * self._tick_s

    def end(self) -> None:
        """The window ended, a release came, or the car unplugged: from here on nothing is counted."""
        self.state = advance(self.state, Input.END)

    def claim(self) -> Delivery:
        """What this meter saw; ends the award if it still runs. Asked again, it says the same."""
        if self.runs:
            self.end()
        self.state = advance(self.state, Input.DELIVERY)
        award = self.award
        delivered_ws = tuple(self._delivered_ws[0].tolist())
        return Delivery(award.feeder, award.tick, award.session, delivered_ws, self._baseline_ws)

    def settled(self) -> None:
        """The receipt arrived.

        Raises:
            RemoteProtocolError: nothing was claimed yet, so nobody can have settled it.
        """
        try:
            self.state = advance(self.state, Input.RECEIPT)
        except ProtocolError as error:
            raise RemoteProtocolError(str(error)) from error


def nothing_delivered(award: Award | Delivery) -> Delivery:
    """The claim of someone to whom an award came too late or not at all."""
    return Delivery(award.feeder, award.tick, award.session, (0,) * TRANCHES, 0)
