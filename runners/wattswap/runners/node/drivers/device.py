"""What every driver of a meter or a relay can do: three methods, none of which ever waits for the hardware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class DeviceError(Exception):
    """The hardware does not answer, or what it answers cannot be read. The node goes on and says so."""


@dataclass(frozen=True)
class DeviceReading:
    """What a meter shows."""

    at_ms: int
    """When, on the node's monotonic clock."""
    power_w: int
    """Drawn from the grid; negative when power is fed in."""
    imported_ws: int | None = None
    """The meter's total, where it has one."""
    exported_ws: int | None = None
    plugged: bool | None = None
    """Whether a cable is in; None where the device cannot tell."""


class Device(Protocol):
    """A meter, a relay, or both."""

    def read(self) -> DeviceReading:
        """The newest reading.

        Raises:
            DeviceError: there is none that is fresh.
        """

    def allow(self, import_w: int, export_w: int) -> None:
        """Let so much be drawn and fed from now on. A device that only measures does nothing.

        Raises:
            DeviceError: it could not be set; whoever calls tries again at the next beat.
        """

    def close(self) -> None:
        """Let go of the hardware, which is left at its own safe state: no power."""


class MeterWithRelay:
    """A device that measures beside one that switches, taken as one."""

    def __init__(self, meter: Device, relay: Device) -> None:
        self._meter, self._relay = meter, relay

    def read(self) -> DeviceReading:
        """What the meter shows."""
        return self._meter.read()

    def allow(self, import_w: int, export_w: int) -> None:
        """Set the relay."""
        self._relay.allow(import_w, export_w)

    def close(self) -> None:
        """Close both, the relay first."""
        try:
            self._relay.close()
        finally:
            self._meter.close()
