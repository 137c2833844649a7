"""What each car does when: stretches of constant activity, put together from ticks as they pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wattswap.runners.recording.car_ticks import CarTicks

    Ints = NDArray[np.int64]

CHARGING: Final = "charging"
CATCHING_UP: Final = "catching up"
REDUCED: Final = "reduced"
PAUSED: Final = "paused"
FEEDING: Final = "feeding"
FORCED: Final = "forced"
WAITING: Final = "waiting"
FULL: Final = "full"
ACTIVITIES: Final = (CHARGING, CATCHING_UP, REDUCED, PAUSED, FEEDING, FORCED, WAITING, FULL)
"""What a plugged car does, in this order of code: draws what it may unasked; draws more, energy it was owed; holds an
award to draw less, and does; draws nothing under one; feeds back; was cut by the last resort; wants energy and gets
none, unpaid; wants none."""


def activity(cars: CarTicks) -> Ints:
    """What each car does at each tick, as its place in ``ACTIVITIES``; of several that hold, the first below."""
    cases = (
        (FEEDING, cars.export_w > 0),
        (FORCED, cars.forced_w > 0),
        (PAUSED, (cars.reduce_w > 0) & (cars.import_w == 0)),
        (REDUCED, cars.reduce_w > 0),
        (FULL, cars.wanted_w == 0),
        (CATCHING_UP, cars.import_w > cars.firm_w),
        (CHARGING, cars.import_w > 0),
    )
    code = np.full(len(cars), ACTIVITIES.index(WAITING), dtype=np.int64)
    for name, holds in reversed(cases):
        code[holds] = ACTIVITIES.index(name)
    return code


class Stretches(NamedTuple):
    """Stretches of constant activity, a row each, in the order of the fleet's row, then time."""

    row: Ints
    from_tick: Ints
    ticks: Ints
    """How many ticks it lasts."""
    activity: Ints
    """Its place in ``ACTIVITIES``."""
    import_w: Ints
    """Summed over its ticks, as is ``export_w``."""
    export_w: Ints

    @classmethod
    def of(cls, cars: CarTicks) -> Stretches:
        """The stretches of these ticks, which follow on each other."""
        order = cars.by_row
        code = activity(cars)[order]
        begins = ~cars.follows
        begins[1:] |= code[1:] != code[:-1]
        first = np.flatnonzero(begins)
        return cls(
            cars.row[order][first],
            cars.ticks[cars.place[order][first]],
            np.diff(np.append(first, len(order))),
            code[first],
            _sums(cars.import_w[order], first),
            _sums(cars.export_w[order], first),
        )

    @classmethod
    def joined(cls, parts: Sequence[Stretches]) -> Stretches:
        """The stretches of parts that follow on each other; what goes on from one into the next is one stretch."""
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.lexsort((columns[1], columns[0]))
        row, from_tick, ticks, code, import_w, export_w = (column[order] for column in columns)
        begins = np.ones(len(row), dtype=bool)
        begins[1:] = (row[1:] != row[:-1]) | (code[1:] != code[:-1]) | (from_tick[1:] != (from_tick + ticks)[:-1])
        first = np.flatnonzero(begins)
        sums = (_sums(column, first) for column in (ticks, import_w, export_w))
        ticks, import_w, export_w = sums
        return cls(row[first], from_tick[first], ticks, code[first], import_w, export_w)


def _sums(column: Ints, first: NDArray[np.intp]) -> Ints:
    """A column summed from each of these places to the next."""
    if not len(first):
        return np.zeros(0, dtype=np.int64)
    sums: Ints = np.add.reduceat(column, first)
    return sums
