"""The temperature around a transformer, from a CSV of hours or any other instants; for the ageing figure alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.protocol.units import MS_PER_HOUR
from wattswap.runners.scenario.stamps import Stamps
from wattswap.runners.scenario.tables import read_table
from wattswap.runners.scenario.unchanged import read_once

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

    from numpy.typing import NDArray

    from wattswap.runners.scenario.profiles import Ticks

    Floats = NDArray[np.float64]

COLUMN: Final = "temp_c"
MOST_C: Final = 90.0
_END_MS: Final = MS_PER_HOUR
"""So far beyond the file's ends its last temperature holds."""


class Temperatures:
    """Temperatures in degrees Celsius at instants (ms, UTC, since 1970), one after the other."""

    def __init__(self, file: str, sha256: str, at_ms: NDArray[np.int64], temp_c: Floats) -> None:
        self.file, self.sha256 = file, sha256
        self._at_ms, self._temp_c = at_ms, temp_c

    def over(self, ticks: Ticks) -> Floats:
        """In the middle of each tick, on the straight line between the two instants around it, shape (ticks.count,).

        Where the file says nothing, its mean.
        """
        middle_ms = ticks.start_ms + np.arange(ticks.count) * ticks.tick_ms + ticks.tick_ms // 2
        known = (middle_ms >= self._at_ms[0] - _END_MS) & (middle_ms <= self._at_ms[-1] + _END_MS)
        return np.where(known, np.interp(middle_ms, self._at_ms, self._temp_c), self._temp_c.mean())

    def notes(self, ticks: Ticks) -> list[str]:
        """What is to be said where the run reaches beyond the file."""
        if ticks.start_ms >= self._at_ms[0] - _END_MS and ticks.end_ms <= self._at_ms[-1] + _END_MS:
            return []
        mean = f"{self._temp_c.mean():.1f} degrees"
        return [f"the run reaches beyond its temperatures; the ageing figure takes their mean there, {mean}."]


@read_once
def read_temperatures(path: Path, clock: tzinfo | None = None) -> Temperatures:
    """Read ``timestamp,temp_c``; stamps without an offset go by ``clock``.

    Raises:
        InputError: a stamp does not come after the one above it, or a temperature is none of this earth.
    """
    table = read_table(path, ("timestamp", COLUMN))
    stamps = list(table.column("timestamp"))
    at_ms = np.array(Stamps.of(stamps, clock).instants_ms(stamps), dtype=np.int64)
    for cell, before, now in zip(stamps[1:], at_ms.tolist(), at_ms[1:].tolist(), strict=False):
        if now <= before:
            raise cell.wrong(f"{cell.text!r} is not after the stamp above it; sort the rows and drop repeated ones")
    cells = list(table.column(COLUMN))
    temp_c = np.array([cell.number() for cell in cells])
    if beyond := [cell for cell, degrees in zip(cells, temp_c.tolist(), strict=True) if abs(degrees) > MOST_C]:
        raise beyond[0].wrong(f"{beyond[0].text} is no temperature in degrees Celsius")
    return Temperatures(table.file, table.sha256, at_ms, temp_c)
