"""What an agent on its own machine senses at each heartbeat: its meter, its cable; and what sets its power."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

import msgspec

from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import BaseRead, DriverWish, Metered, PluggedIn, Reading, Unplugged
from wattswap.protocol.units import PERMILLE, WS_PER_WH
from wattswap.runners.engines.driver_wishes import Said, Wanted
from wattswap.runners.scenario.schema import ppm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wattswap.protocol.events import Event
    from wattswap.runners.engines.store import Store
    from wattswap.runners.node.config import CarTable
    from wattswap.runners.node.drivers.device import Device
    from wattswap.runners.node.frames import CableEvent

_WISH = "wish"
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
    """A car: its charger tells it of the cable, its own settings tell what it can feed and how much it must keep.

    What its driver says meanwhile is told to its agent and to its charger, who reckons when it must be full. It is kept
    through a crash, and told again whenever one of the two may not know it.
    """

    def __init__(
        self,
        car: CarTable,
        store: Store,
        signal: Callable[[str, Sequence[CableEvent]], None],
        full_permille: int = _TARGET_PERMILLE,
    ) -> None:
        """``signal`` tells a charger something; ``full_permille`` is how full it is when it needs nothing more."""
        self._feed_w, self._full_permille = car.feed_w, full_permille
        self.capacity_ws = car.capacity_wh * WS_PER_WH
        self._reserve_ws = self.capacity_ws * ppm(car.reserve_pct) // 1_000_000
        self._store, self._signal = store, signal
        self._said = deque[Said]()
        remembered = store.remembered().get(_WISH)
        self._wish = None if remembered is None else msgspec.msgpack.decode(remembered, type=DriverWish)
        self._is_told = False
        self.reading: Reading | None = None
        self.metered: Metered | None = None
        """The newest of each that the charger told."""
        self._plug: PluggedIn | None = None
        self._elsewhere: PluggedIn | None = None
        """What another charger says of its cable while this one's is in; it counts once this one's is out."""

    @property
    def plug(self) -> PluggedIn | None:
        """The session at the cable, as far as its charger has told of it."""
        return self._plug

    @property
    def wish(self) -> DriverWish | None:
        """What the driver wants of this session; None if nothing was said."""
        return self._wish if self._plug is not None and self._is_of(self._plug, self._wish) else None

    def say(self, said: Said) -> None:
        """The driver says something, from any thread; it counts from the next beat on."""
        self._said.append(said)

    def beat(self, now_ms: int) -> list[Event]:
        """What the driver wants, if that is news; before that, what another charger's cable told too early."""
        events: list[Event] = []
        if self._plug is None and self._elsewhere is not None:
            events.append(self._plug_in(self._elsewhere))
        plug = self._plug
        while self._said:
            said = self._said.popleft()
            if plug is not None:
                self._hear(said, plug, now_ms)
        if plug is None or self._is_told or (wish := self.wish) is None:
            return events
        self._is_told = True
        self._signal(plug.peer, [wish])
        return [*events, wish]

    def link_opened(self, peer: str) -> None:
        """A charger that was away may not know what the driver wants."""
        if self._plug is not None and self._plug.peer == peer:
            self._is_told = False

    def _hear(self, said: Said, plug: PluggedIn, now_ms: int) -> None:
        stated_ms = now_ms if plug.departure_ms is None else plug.departure_ms  # none told: it may leave at once
        wish = self.wish
        before = Wanted(True, stated_ms, 0) if wish is None else Wanted(wish.sells, wish.departure_ms, wish.least_ws)
        self._wish = DriverWish(plug.session, *before.after(said, now_ms, stated_ms))
        self._is_told = False
        self._store.commit(((_WISH, msgspec.msgpack.encode(self._wish)),), ())

    @staticmethod
    def _is_of(plug: PluggedIn, wish: DriverWish | None) -> bool:
        return wish is not None and wish.session == plug.session

    def told(self, sender: str, event: CableEvent) -> Event:
        """Add what only the car knows of itself. While it is plugged in, only the charger at its cable is believed."""
        if isinstance(event, PluggedIn) and event.peer != sender:
            raise RemoteProtocolError(f"{sender} says that this car is plugged in at {event.peer}")
        if self._plug is not None and sender != self._plug.peer:
            self._note_elsewhere(sender, event)
            raise RemoteProtocolError(f"{sender} speaks for session {event.session}, the car is at {self._plug.peer}")
        if isinstance(event, PluggedIn):
            return self._plug_in(event)
        is_here = self._plug is not None and event.session == self._plug.session
        if isinstance(event, Reading):
            full_ws = self.capacity_ws * self._full_permille // PERMILLE
            event = msgspec.structs.replace(event, stored_ws=max(0, full_ws - event.remaining_ws))
            self.reading = event if is_here else self.reading
        if isinstance(event, Metered) and is_here:
            self.metered = event
        if isinstance(event, Unplugged) and is_here:
            self._plug = self.reading = self.metered = None
        return event

    def _plug_in(self, event: PluggedIn) -> PluggedIn:
        if self._plug is None or self._plug.session != event.session:
            self.reading = self.metered = None
        self._plug, self._elsewhere, self._is_told = event, None, False
        feed_w = min(self._feed_w, event.max_w)
        return msgspec.structs.replace(event, feed_w=feed_w, capacity_ws=self.capacity_ws, reserve_ws=self._reserve_ws)

    def _note_elsewhere(self, sender: str, event: CableEvent) -> None:
        """A car leaves one cable before it comes to another, but the news of the first may come late."""
        if isinstance(event, PluggedIn):
            self._elsewhere = event
        elif isinstance(event, Unplugged) and self._elsewhere is not None and self._elsewhere.peer == sender:
            self._elsewhere = None


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
