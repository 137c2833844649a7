"""The page of an agent on its own machine: of a transformer's street, of a charger for programs, of a car's driver."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from wattswap.runners.node.config import ChargerConfig, TransformerConfig, VehicleConfig
from wattswap.runners.node.driver_page.server import DriverPage, driver_token, write_address
from wattswap.runners.node.grant_page import GrantPage
from wattswap.runners.node.sensors import CarSensor
from wattswap.runners.node.street_page import StreetPage
from wattswap.runners.node.street_recorder import StreetRecorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from structlog.typing import FilteringBoundLogger

    from wattswap.agents.base import Agent
    from wattswap.runners.node.config import LoadedConfig
    from wattswap.runners.node.sensors import Sensor


class AgentPage(Protocol):
    """A page beside an agent; a thread of its own answers."""

    def look(self, agent: Agent, powers_w: tuple[int, int]) -> None:
        """Show how the agent stands, and which powers it has set."""

    def close(self) -> None:
        """Answer no more."""


def page_of(
    loaded: LoadedConfig, name: str, sensor: Sensor, clock: Callable[[], int], log: FilteringBoundLogger
) -> AgentPage | None:
    """The page that a configuration asks for; None if it has no port for one.

    Raises:
        InputError: the port is taken, or the address is not this machine's.
    """
    config = loaded.config
    if not isinstance(config, ChargerConfig | VehicleConfig) or not config.page.port:
        return None
    host, port = config.page.host, config.page.port
    if isinstance(config, ChargerConfig):
        return GrantPage(host, port, charger=name, guaranteed_w=loaded.rules.guaranteed_w, clock=clock)
    assert isinstance(sensor, CarSensor)
    folder = loaded.there(config.state)
    token = driver_token(folder)
    page = DriverPage(host, port, sensor, token, log, name=name, lease_ms=loaded.rules.lease_ms)
    log.info("driver page", port=page.port, address_in=str(write_address(folder, host, page.port, token)))
    return page


def street_recorder_of(
    loaded: LoadedConfig, name: str, log: FilteringBoundLogger, stack: ExitStack
) -> StreetRecorder | None:
    """What records a transformer's street for its page, which is served until the stack ends; None if there is no page.

    Raises:
        InputError: the port is taken, or the address is not this machine's.
    """
    config = loaded.config
    if not isinstance(config, TransformerConfig) or not config.page.port:
        return None
    recorder = StreetRecorder(name, loaded.rules)
    page = stack.enter_context(closing(StreetPage(config.page.host, config.page.port, recorder.history)))
    log.info("dashboard", host=config.page.host, port=page.port)
    return recorder
