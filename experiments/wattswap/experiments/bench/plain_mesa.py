"""The plainest model of streets in Mesa: an agent for each car, which charges, and offers to pause when it is asked.

No messages, no money, no lots, no record: what somebody writes in an afternoon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mesa
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.runners.scenario.street import Street


class PlainCar(mesa.Agent):
    """One session."""

    def __init__(self, model: PlainStreets, street: int, arrival_tick: int, departure_tick: int, need_ws: int) -> None:
        super().__init__(model)
        self.street, self.arrival_tick, self.departure_tick = street, arrival_tick, departure_tick
        self.need_ws, self.paused_until, self.power_w = need_ws, 0, 0
        self.ask = model.random.random()

    def step(self) -> None:
        """Charge for a tick, unless it has left, is full or pauses."""
        model: Any = self.model
        self.power_w = 0
        if self.arrival_tick <= model.tick < self.departure_tick and self.need_ws > 0:
            if model.tick >= self.paused_until:
                self.power_w = min(model.max_w, -(-self.need_ws // model.tick_s))
            self.need_ws -= self.power_w * model.tick_s
            model.load_w[self.street] += self.power_w


class PlainStreets(mesa.Model):
    """All cars of some streets; above its limit a street lets those pause for a window that ask the least."""

    def __init__(self, streets: Sequence[Street]) -> None:
        super().__init__(rng=1)
        first = streets[0]
        self.tick, self.tick_s, self.max_w = 0, first.tick_ms // 1_000, first.scenario.chargers.max_w
        self._window = first.scenario.window_s * 1_000 // first.tick_ms
        self._base_w = np.concatenate([street.base_w for street in streets])[:, 1:].T.tolist()
        self._limit_w = np.concatenate([street.limit_w for street in streets]).T.tolist()
        self.load_w: list[int] = []
        self.rounds = 0
        for number, street in enumerate(streets):
            sessions = street.sessions
            columns = (sessions.arrival_tick, sessions.departure_tick, sessions.energy_ws)
            for row in np.stack(columns, axis=1).tolist():
                PlainCar(self, number, *row)

    def step(self) -> None:
        """Let a tick pass; who gives way does so from the next one on."""
        self.load_w = list(self._base_w[self.tick])
        self.agents.do("step")
        for street, limit_w in enumerate(self._limit_w[self.tick]):
            if self.load_w[street] > limit_w:
                self._ask(street, self.load_w[street] - limit_w)
        self.tick += 1

    def _ask(self, street: int, need_w: int) -> None:
        self.rounds += 1
        everyone: list[Any] = list(self.agents)
        cars = [car for car in everyone if car.street == street and car.power_w]
        for car in sorted(cars, key=lambda car: car.ask):
            if need_w <= 0:
                return
            car.paused_until = self.tick + self._window
            need_w -= car.power_w

    def run_for(self, ticks: int) -> None:
        """Let so many ticks pass."""
        for _ in range(ticks):
            self.step()
