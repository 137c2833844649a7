"""What an agent on its own machine senses at each heartbeat: its meter, its cable; and what sets its power."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import BaseRead, PluggedIn, Reading
from wattswap.protocol.units import PERMILLE, WS_PER_WH
from wattswap.runners.scenario.schema import ppm

if TYPE_CHECKING:
    from wattswap.protocol.events import Event
    from wattswap.runners.node.config import CarTable
    from wattswap.runners.node.drivers.device import Device
    from wattswap.runners.node.frames import CableEvent

_TARGET_PERMILLE = 800
"""A car is taken to be charged to 80 % when it has what it needs; nobody tells how full it is."""


class Sensor(Protocol):
    """The world as one agent meets it."""

    trouble: str
    """What the log should tell besides errors; empty while all is well."""

    def beat(self, now_ms: int) -> list[Event]:
        """What the agent learns at this beat.

        Raises:
            DeviceError: the hardware does not answer; the agent learns nothing.
        """

    def told(self, sender: str, event: CableEvent) -> Event:
        """What a charger's signal means to this agent.

        Raises:
            RemoteProtocolError: it is not this charger's to say.
        """

    def allow(self, session: int, import_w: int, export_w: int) -> None:
        """Let so much flow from now on."""

    def link_opened(self, peer: str) -> None:
        """Another agent has connected anew: it may have missed what was told meanwhile."""

    def close(self) -> None:
        """Let go of the hardware, without power."""


class NoSensor:
    """An agent without hardware: a transformer."""

    trouble = ""

    def beat(self, now_ms: int) -> list[Event]:  # noqa: ARG002 - as all sensors
        """Nothing."""
        return []

    def told(self, sender: str, event: CableEvent) -> Event:  # noqa: ARG002 - as all sensors
        """What was told."""
        return event

    def allow(self, session: int, import_w: int, export_w: int) -> None:
        """There is nothing to set."""

    def link_opened(self, peer: str) -> None:
        """It is told nothing by this agent's sensor."""

    def close(self) -> None:
        """There is nothing to let go of."""


class CarSensor(NoSensor):
    """A car: its charger tells it of the cable, its own settings tell what it can feed and how much it must keep."""

    def __init__(self, car: CarTable, full_permille: int = _TARGET_PERMILLE) -> None:
        """``full_permille`` is how full it is when it needs nothing more."""
        self._feed_w, self._full_permille = car.feed_w, full_permille
        self._capacity_ws = car.capacity_wh * WS_PER_WH
        self._reserve_ws = self._capacity_ws * ppm(car.reserve_pct) // 1_000_000
        self._plug: PluggedIn | None = None

    def told(self, sender: str, event: CableEvent) -> Event:
        """Add what only the car knows of itself. Of a session only the charger tells where it began."""
        if self._plug is not None and event.session == self._plug.session and sender != self._plug.peer:
            raise RemoteProtocolError(f"{sender} speaks for session {event.session} at {self._plug.peer}")
        if isinstance(event, PluggedIn):
            if event.peer != sender:
                raise RemoteProtocolError(f"{sender} says that this car is plugged in at {event.peer}")
            self._plug = event
            feed_w = min(self._feed_w, event.max_w)
            return msgspec.structs.replace(
                event, feed_w=feed_w, capacity_ws=self._capacity_ws, reserve_ws=self._reserve_ws
            )
        if isinstance(event, Reading):
            full_ws = self._capacity_ws * self._full_permille // PERMILLE
            return msgspec.structs.replace(event, stored_ws=max(0, full_ws - event.remaining_ws))
        return event


class HouseholdSensor(NoSensor):
    """The meter of the homes."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def beat(self, now_ms: int) -> list[Event]:  # noqa: ARG002 - as all sensors
        """What the homes draw."""
        return [BaseRead(self._device.read().power_w)]

    def close(self) -> None:
        """Let go of the meter."""
        self._device.close()
