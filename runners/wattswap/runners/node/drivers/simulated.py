"""Hardware that is not there: a charging point that draws what it is allowed and what its car still wants, a meter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.protocol.units import PERMILLE
from wattswap.runners.node.drivers.device import DeviceReading
from wattswap.runners.node.drivers.newest import monotonic_ms

if TYPE_CHECKING:
    from collections.abc import Callable


class SimulatedDevice:
    """A meter and a relay in one, with a car behind it."""

    def __init__(
        self,
        max_w: int,
        wanted_ws: int,
        clock: Callable[[], int] = monotonic_ms,
        *,
        round_trip_permille: int = PERMILLE,
    ) -> None:
        """The car draws at most ``max_w`` until it has ``wanted_ws``, and draws back what feeding took out of it."""
        self._max_w, self._wanted_ws, self._clock = max_w, wanted_ws, clock
        self._round_trip_permille = round_trip_permille
        self._at_ms = clock()
        self._import_w = self._export_w = 0
        self._imported_w_ms = self._exported_w_ms = 0

    def read(self) -> DeviceReading:
        """What it draws now, and its totals."""
        at_ms = self._go_on()
        power_w = self._drawn_w() - self._export_w
        return DeviceReading(at_ms, power_w, self._imported_w_ms // 1_000, self._exported_w_ms // 1_000, plugged=True)

    def allow(self, import_w: int, export_w: int) -> None:
        """Draw and feed at most so much from now on."""
        self._go_on()
        self._import_w, self._export_w = min(import_w, self._max_w), min(export_w, self._max_w)

    def close(self) -> None:
        """Draw nothing."""
        self.allow(0, 0)

    def _drawn_w(self) -> int:
        return self._import_w if self._missing_w_ms() > 0 and not self._export_w else 0

    def _missing_w_ms(self) -> int:
        fed_w_ms = self._exported_w_ms * PERMILLE // self._round_trip_permille
        return self._wanted_ws * 1_000 - self._imported_w_ms + fed_w_ms

    def _go_on(self) -> int:
        """Count what went through since the last look."""
        at_ms = self._clock()
        passed_ms = at_ms - self._at_ms
        self._imported_w_ms += min(self._drawn_w() * passed_ms, max(self._missing_w_ms(), 0))
        self._exported_w_ms += self._export_w * passed_ms
        self._at_ms = at_ms
        return at_ms


class SteadyMeter:
    """A meter that always shows the same."""

    def __init__(self, power_w: int, clock: Callable[[], int] = monotonic_ms) -> None:
        self._power_w, self._clock = power_w, clock

    def read(self) -> DeviceReading:
        """The power."""
        return DeviceReading(self._clock(), self._power_w)

    def allow(self, import_w: int, export_w: int) -> None:
        """A meter sets nothing."""

    def close(self) -> None:
        """There is nothing to let go of."""
