"""Puts a simulated run of the messages engine together: its world, agents, network, sensors and observers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.runners.engines.agent_factory import AgentFactory
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.steered_feed import feed_of
from wattswap.runners.network.fault_schedule import FaultSchedule
from wattswap.runners.network.faulty import FaultyNetwork
from wattswap.runners.network.perfect import PerfectNetwork
from wattswap.runners.recording.recorder import Recorder
from wattswap.runners.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.agents.controllers import Controller
    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.limit_order import LimitOrder
    from wattswap.runners.engines.observer import Observer
    from wattswap.runners.engines.sensor_feed import Feed
    from wattswap.runners.network.fault_schedule import FaultOptions
    from wattswap.runners.scenario.street import Street


def simulated_run(
    street: Street,
    controller: Controller | None = None,
    *,
    sign: bool = False,
    faults: FaultOptions | None = None,
    observers: Iterable[Observer] = (),
    operator: LimitOrder | None = None,
    drivers: DriverWishes | None = None,
) -> SimulatedRun:
    """A run before its first tick; its observers have been told of it.

    With ``faults``, in which something can go wrong, its network is a ``FaultyNetwork``. With an ``operator`` the
    limit is the scenario's until one is ordered, with ``drivers`` cars do what they were told.
    """
    world = World(street)
    factory = AgentFactory(street, world, controller, sign=sign)
    feed = feed_of(street, world, factory, operator, drivers)
    return assembled(street, world, factory, feed, faults, (feed, *observers))


def assembled(
    street: Street,
    world: World,
    factory: AgentFactory,
    feed: Feed,
    faults: FaultOptions | None,
    observers: Iterable[Observer],
) -> SimulatedRun:
    """A run of these parts, before its first tick."""
    recorder = Recorder(street, world, factory)
    if faults is None or not faults.any:
        run = SimulatedRun(street, world, factory, feed, PerfectNetwork(), recorder, observers)
    else:
        ends_ms = street.ticks * street.tick_ms
        network = FaultyNetwork(FaultSchedule(faults, street.scenario.seed, factory.names, ends_ms))
        run = SimulatedRun(street, world, factory, feed, network, recorder, observers)
        network.attach(run)
    run.begin()
    return run
