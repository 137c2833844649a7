"""A relay at a pin of the Raspberry Pi, through the library ``gpiozero`` where it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.protocol.errors import InputError
from wattswap.runners.node.drivers.device import DeviceError, DeviceReading

if TYPE_CHECKING:
    from gpiozero import OutputDevice


class GpioRelay:
    """Closed while at least so much is allowed, else open; open when the process ends."""

    def __init__(self, pin: int, *, least_w: int, active_high: bool = True) -> None:
        """``pin`` is numbered as Broadcom does (GPIO17 is 17).

        Raises:
            InputError: the library is not installed, or there is no such pin here.
        """
        try:
            from gpiozero import GPIOZeroError, OutputDevice
        except ModuleNotFoundError as error:
            raise InputError(f"a relay at a pin needs {error.name}: pip install gpiozero lgpio") from None
        self._least_w = least_w
        try:
            self._relay: OutputDevice = OutputDevice(pin, active_high=active_high, initial_value=False)
        except (GPIOZeroError, OSError, ValueError) as error:
            raise InputError(f"cannot use pin {pin}: {error}") from None

    def read(self) -> DeviceReading:
        """A relay measures nothing.

        Raises:
            DeviceError: always.
        """
        raise DeviceError("a relay measures nothing: name a meter beside it")

    def allow(self, import_w: int, export_w: int) -> None:
        """Close or open."""
        if max(import_w, export_w) >= self._least_w:
            self._relay.on()
        else:
            self._relay.off()

    def close(self) -> None:
        """Open, and let go of the pin."""
        self._relay.off()
        self._relay.close()
