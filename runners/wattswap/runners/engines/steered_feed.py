"""The sensors of a street on which people have a say while it runs: who orders limits, and the drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.runners.engines.sensor_feed import VEHICLE, SensorFeed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wattswap.agents.physics import Ints
    from wattswap.runners.engines.agent_factory import AgentFactory
    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.limit_order import LimitOrder
    from wattswap.runners.engines.observer import Sensed
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World


class SteeredFeed(SensorFeed):
    """A transformer is told of an ordered limit as of any other change, a car of what its driver wants."""

    def __init__(
        self,
        street: Street,
        world: World,
        factory: AgentFactory,
        operator: LimitOrder | None,
        drivers: DriverWishes | None,
    ) -> None:
        super().__init__(street, world, factory)
        self._operator, self._drivers = operator, drivers

    def arrivals(self, tick: int) -> Iterator[Sensed]:
        """The cars that are plugged in, then what drivers say to theirs."""
        yield from super().arrivals(tick)
        if self._drivers is not None:
            for row in self._drivers.hear(tick, self._world):
                yield VEHICLE, self._wish(row)

    def _limits_w(self, tick: int) -> Ints:
        """What holds from this tick on, by feeder."""
        limits_w = super()._limits_w(tick)
        return limits_w if self._operator is None else self._operator.in_force(limits_w)


def feed_of(
    street: Street,
    world: World,
    factory: AgentFactory,
    operator: LimitOrder | None = None,
    drivers: DriverWishes | None = None,
) -> SensorFeed:
    """The sensors of a street, with those that have a say, if there are any."""
    if operator is None and drivers is None:
        return SensorFeed(street, world, factory)
    return SteeredFeed(street, world, factory, operator, drivers)
