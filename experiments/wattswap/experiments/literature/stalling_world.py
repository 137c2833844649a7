"""The physical street with cars that cannot pause: once they were stopped, they do not charge again by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.runners.world import World

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.law import ChargingState
    from wattswap.agents.physics import Ints
    from wattswap.runners.scenario import Street


class StallingWorld(World):
    """A world in which a car that cannot pause and is stopped wants nothing more in its session.

    It is stopped when it drew power, still wants some, and gets less than its least, 6 A or what it wants. It stays
    plugged in, falls behind its baseline, and leaves short.
    """

    def __init__(self, street: Street, cannot_pause: NDArray[np.bool_]) -> None:
        super().__init__(street)
        self._cannot_pause = cannot_pause
        self.stalled = np.zeros(len(self.fleet), dtype=bool)
        """By row: whether it was stopped, and charges no more."""

    def charging(self, tick: int) -> ChargingState:
        """Where the plugged cars stand; who has stalled asks for nothing."""
        state, stalled = super().charging(tick), self.stalled[self.plugged]
        wanted_w, firm_w = (np.where(stalled, 0, column) for column in (state.wanted_w, state.firm_w))
        return state._replace(wanted_w=wanted_w, firm_w=firm_w)

    def move(self, charging: ChargingState, import_w: Ints, export_w: Ints) -> tuple[Ints, Ints]:
        """Let a tick pass, and note who stalls in it."""
        rows = self.plugged
        drew, least_w = self.drew[rows].copy(), np.minimum(charging.wanted_w, self.rules.min_w)
        drawn_w, fed_w = super().move(charging, import_w, export_w)
        self.stalled[rows[self._cannot_pause[rows] & drew & (drawn_w < least_w)]] = True
        return drawn_w, fed_w
