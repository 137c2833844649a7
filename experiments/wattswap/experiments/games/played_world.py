"""The physical street under manipulation: cars draw what they really need, when it suits them, not what they said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents import physics
from wattswap.runners.world import World

if TYPE_CHECKING:
    from wattswap.agents.law import ChargingState
    from wattswap.agents.physics import Ints
    from wattswap.experiments.games.played_street import PlayedStreet


class PlayedWorld(World):
    """A world that knows both what cars say and what is true, and counts the waiting that is true."""

    def __init__(self, played: PlayedStreet) -> None:
        super().__init__(played.street)
        batteries = len(self.fleet) - len(played.plays)
        self._continues = np.append(played.continues, np.full(batteries, -1, dtype=np.int64))
        self._stalls = np.append(played.stalls, np.zeros(batteries, dtype=bool))
        self._crawls = np.append(played.crawls, np.zeros(batteries, dtype=bool))
        self._invented_ws = self.fleet.need_ws - np.append(played.real_ws, np.zeros(batteries, dtype=np.int64))
        self._unhindered_ws = self.really_missing_ws
        """What would be missing now, had the car been honest and never given way."""
        self.waited_ws = np.zeros(len(self.fleet), dtype=np.int64)
        """By row: the sum over ticks of the energy that was really behind."""

    @property
    def really_missing_ws(self) -> Ints:
        """What each row still lacks of its real need."""
        missing: Ints = np.maximum(self.remaining_ws - self._invented_ws, 0)
        return missing

    def arrive(self, tick: int) -> Ints:
        """Plug in who arrives; who only plugs in again brings its battery along, and a baseline made anew."""
        rows = super().arrive(tick)
        again = rows[self._continues[rows] >= 0]
        before = self._continues[again]
        self.remaining_ws[again] = self.baseline_ws[again] = self.remaining_ws[before]
        self.stored_ws[again] = self.stored_ws[before]
        self._unhindered_ws[again] = self._unhindered_ws[before]
        return rows

    def move(self, charging: ChargingState, import_w: Ints, export_w: Ints) -> tuple[Ints, Ints]:
        """Let a tick pass: nobody draws beyond its real need.

        A staller draws no more than what is firm; a crawler just so much more that its clock goes on.
        """
        rows, tick_s = self.plugged, self.rules.tick_s
        missing_ws, unhindered_ws = self.really_missing_ws[rows], self._unhindered_ws[rows]
        self.waited_ws[rows] += np.maximum(missing_ws - unhindered_ws, 0)
        takes_w = self._takes_w(rows, missing_ws - unhindered_ws)
        self._unhindered_ws[rows] -= physics.wanted_w(unhindered_ws, takes_w, tick_s) * tick_s
        owed_w = np.maximum(self.remaining_ws[rows] - self.baseline_ws[rows], 0) // tick_s
        crawling_w = np.maximum(charging.firm_w, np.minimum(owed_w, self.rules.min_w))
        willing_w = np.where(self._stalls[rows], charging.firm_w, charging.wanted_w)
        willing_w = np.where(self._crawls[rows], np.minimum(crawling_w, willing_w), willing_w)
        willing_w = np.minimum(willing_w, physics.wanted_w(missing_ws, self.fleet.max_w[rows], tick_s))
        return super().move(charging, np.minimum(import_w, willing_w), export_w)
