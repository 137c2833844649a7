"""Streets drawn from a recording: its users with replacement, each with all that they recorded.

A bootstrap over users (Efron, Annals of Statistics 7, 1979). In the bundled recordings a user is one person's week, so
this is a bootstrap over users and weeks: runs of several seeds are then a sample of streets, and not only of noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, overload

import numpy as np

from wattswap.protocol.draws import draw
from wattswap.protocol.units import Purpose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.runners.scenario.visits import SessionTable

    Ints = NDArray[np.int64]

_RESAMPLE_DRAW = 7
"""Tells these draws from others of sessions."""


class DrawnNames(Sequence[str]):
    """The names of drawn rows, each made when it is asked for: a day asks for few of a week's.

    ``copy`` says the how-manieth of its user each row's is, counted from 0.
    """

    def __init__(self, recorded: Sequence[str], rows: Ints, copy: Ints, before: str) -> None:
        self._recorded, self._rows, self._copy, self._before = recorded, rows, copy, before
        self._after = ["", *(f"~{number}" for number in range(2, int(copy.max(initial=0)) + 2))]

    @property
    def most_characters(self) -> int:
        """No name is longer."""
        return len(self._before) + _longest(self._recorded) + len(self._after[-1])

    def take(self, at: Ints | slice) -> tuple[str, ...]:
        """The names at these places."""
        recorded, before, after = self._recorded, self._before, self._after
        pairs = zip(self._rows[at].tolist(), self._copy[at].tolist(), strict=True)
        return tuple([f"{before}{recorded[row]}{after[copy]}" for row, copy in pairs])

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[str, ...]: ...
    def __getitem__(self, at: int | slice) -> str | tuple[str, ...]:
        if isinstance(at, slice):
            return self.take(at)
        return f"{self._before}{self._recorded[self._rows[at]]}{self._after[self._copy[at]]}"

    def __iter__(self) -> Iterator[str]:
        return iter(self.take(slice(None)))

    def __len__(self) -> int:
        return len(self._rows)


@lru_cache(maxsize=32)
def _longest(names: Sequence[str]) -> int:
    """How many characters the longest name of a file's column has."""
    return max(map(len, names), default=0)


def resampled(table: SessionTable, seed: int, on: str = "") -> SessionTable:
    """As many users as there are, drawn by seed; whoever is drawn again gets names of its own (``C021~2``).

    ``on`` is the feeder they are drawn for, where it draws apart: all names begin with it then (``north.C021``), so
    that what cars draw by their names they draw apart from those of other feeders.
    """
    recorded, users = table.of_users, len(table.of_users.counts)
    if not users:
        return table
    places = draw(seed, np.arange(users, dtype=np.uint64), Purpose.SESSION, index=_RESAMPLE_DRAW)
    drawn = (places % np.uint64(users)).astype(np.int64)
    counts = recorded.counts[drawn]
    begins = np.cumsum(counts) - counts
    rows = recorded.rows[np.repeat(recorded.first[drawn] - begins, counts) + np.arange(counts.sum())]
    copy = np.repeat(_times_before(drawn), counts)

    def named(names: Sequence[str]) -> DrawnNames:
        return DrawnNames(names, rows, copy, f"{on}." if on else "")

    estimated_ms = None if table.estimated_ms is None else table.estimated_ms[rows]
    return replace(
        table,
        session_id=named(table.session_id),
        station_id=named(table.station_id),
        user_id=named(table.user_id),
        vehicle_id=named(table.vehicle_id),
        arrival_ms=table.arrival_ms[rows],
        departure_ms=table.departure_ms[rows],
        estimated_ms=estimated_ms,
        energy_ws=table.energy_ws[rows],
        feeder=tuple(table.feeder[row] for row in rows.tolist()) if table.feeder else (),
    )


def _times_before(drawn: Ints) -> Ints:
    """How often each user was drawn before it was this time."""
    order = np.argsort(drawn, kind="stable")
    times = np.empty_like(drawn)
    times[order] = np.arange(len(drawn)) - np.searchsorted(drawn[order], drawn[order])
    return times
