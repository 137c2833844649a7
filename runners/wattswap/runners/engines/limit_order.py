"""A limit that somebody orders while a run goes on: a network operator, by the slider of a dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.runners.engines.sensor_feed import SensorFeed

if TYPE_CHECKING:
    from wattswap.agents.physics import Ints
    from wattswap.runners.engines.agent_factory import AgentFactory
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World


class LimitOrder:
    """What is ordered of each feeder; one thread may order while another runs the street."""

    def __init__(self) -> None:
        self._ordered_w: dict[int, int] = {}

    def order(self, feeder: int, limit_w: int | None) -> None:
        """From the next tick on this is the limit of a feeder; None gives the limit back to the scenario."""
        ordered_w = {**self._ordered_w}
        if limit_w is None:
            ordered_w.pop(feeder, None)
        else:
            ordered_w[feeder] = limit_w
        self._ordered_w = ordered_w  # in one piece, for the other thread

    def in_force(self, scenario_w: Ints) -> Ints:
        """The limits by feeder, where the scenario has these."""
        ordered_w = self._ordered_w
        if not ordered_w:
            return scenario_w
        limits_w = scenario_w.copy()
        limits_w[list(ordered_w)] = list(ordered_w.values())
        return limits_w


class SteeredFeed(SensorFeed):
    """The sensors of a street whose limit may be ordered; a transformer is told of it as of any other change."""

    def __init__(self, street: Street, world: World, factory: AgentFactory, operator: LimitOrder) -> None:
        super().__init__(street, world, factory)
        self._operator = operator

    def _limits_w(self, tick: int) -> Ints:
        """What holds from this tick on, by feeder."""
        return self._operator.in_force(super()._limits_w(tick))
