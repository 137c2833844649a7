"""Some ticks' arrays laid end to end, so that hundreds of ticks are a handful of array calls.

A *car-tick* is one plugged car at one tick; a *row* is its number in the street's fleet, sessions in file order and
stationary batteries after them, feeder by feeder. All columns are int64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wattswap.agents.law import ChargingState
from wattswap.runners.recording.record import TickRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class CarTicks:
    """The car-ticks of some ticks, tick after tick, and the street's own columns beside them."""

    ticks: Ints
    """The ticks, shape (ticks,) as are ``base_w`` and ``limit_w``."""
    base_w: Ints
    limit_w: Ints
    starts: Ints
    """Car-ticks ``starts[i]`` to ``starts[i + 1]`` belong to the i-th tick, shape (ticks + 1,)."""
    row: Ints
    """Shape (car-ticks,), as are the columns below."""
    wanted_w: Ints
    baseline_w: Ints
    firm_w: Ints
    import_w: Ints
    export_w: Ints
    reduce_w: Ints
    forced_w: Ints
    owed_ws: Ints

    @classmethod
    def of(cls, ticks: Sequence[TickRow]) -> CarTicks:
        """Lay these ticks end to end; none will do."""
        # transposed once: a column of all ticks is then one tuple of arrays
        columns = dict(zip(TickRow._fields, zip(*ticks, strict=True), strict=True)) if ticks else {}
        states = zip(*(row.charging for row in ticks), strict=True)
        columns |= dict(zip(ChargingState._fields, states, strict=False))

        def whole(name: str) -> Ints:
            return np.array(columns.get(name, ()), dtype=np.int64)

        def joined(name: str) -> Ints:
            return np.concatenate(columns.get(name, (np.zeros(0, dtype=np.int64),)))

        return cls(
            ticks=whole("tick"),
            base_w=whole("base_w"),
            limit_w=whole("limit_w"),
            starts=np.cumsum([0, *(len(row.rows) for row in ticks)], dtype=np.int64),
            row=joined("rows"),
            wanted_w=joined("wanted_w"),
            baseline_w=joined("baseline_w"),
            firm_w=joined("firm_w"),
            import_w=joined("import_w"),
            export_w=joined("export_w"),
            reduce_w=joined("reduce_w"),
            forced_w=joined("forced_w"),
            owed_ws=joined("owed_ws"),
        )

    def __len__(self) -> int:
        return len(self.row)

    def per_tick(self, column: Ints) -> Ints:
        """A column summed over the cars of each tick, shape (ticks,)."""
        sums = np.concatenate(([0], np.cumsum(column, dtype=np.int64)))
        total: Ints = sums[self.starts[1:]] - sums[self.starts[:-1]]
        return total

    @cached_property
    def place(self) -> Ints:
        """The number of the tick each car-tick belongs to, counted in ``ticks``."""
        return np.repeat(np.arange(len(self.ticks)), np.diff(self.starts))

    @cached_property
    def by_row(self) -> Ints:
        """Car-ticks in the order of row, then tick."""
        # numbers this small are sorted by radix, some ten times faster than int64
        small = len(self) > 0 and int(self.row.max()) < 1 << 16
        return np.argsort(self.row.astype(np.uint16) if small else self.row, kind="stable")

    @cached_property
    def follows(self) -> Bools:
        """In the order of ``by_row``: whether a car-tick goes on where the one before it stopped."""
        row, place = self.row[self.by_row], self.place[self.by_row]
        goes_on = np.zeros(len(self), dtype=bool)
        goes_on[1:] = (row[1:] == row[:-1]) & (place[1:] == place[:-1] + 1)
        return goes_on
