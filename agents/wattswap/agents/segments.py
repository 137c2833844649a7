"""The rows of many feeders in one array: sorted by feeder, so that each feeder's cars are one slice of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints


class Segments(NamedTuple):
    """Which rows belong to which feeder; rows are sorted by (feeder, session)."""

    feeder: Ints
    """Each row's feeder, never falling."""
    bounds: Ints
    """Feeder f owns the rows from ``bounds[f]`` up to ``bounds[f + 1]``; shape (feeders + 1,)."""

    @classmethod
    def of(cls, feeder: Ints, feeders: int) -> Segments:
        """The segments of rows whose feeders are these."""
        if feeders == 1:
            return cls(feeder, np.array([0, len(feeder)]))
        return cls(feeder, np.searchsorted(feeder, np.arange(feeders + 1)))

    @classmethod
    def one_feeder(cls, rows: int) -> Segments:
        """So many rows, all of a single feeder."""
        return cls(np.zeros(rows, dtype=np.int64), np.array([0, rows]))

    @property
    def feeders(self) -> int:
        """How many feeders there are, those without rows included."""
        return len(self.bounds) - 1

    def rows(self, feeder: int) -> slice:
        """The rows of a feeder."""
        return slice(int(self.bounds[feeder]), int(self.bounds[feeder + 1]))

    def sum(self, values: Ints | NDArray[np.bool_]) -> Ints:
        """The exact sum over each feeder's rows, or how many of them these are; shape (..., feeders)."""
        if len(self.bounds) == 2:  # one feeder
            in_all: Ints = values.sum(axis=-1, keepdims=True)
            return in_all
        upto = np.zeros((*values.shape[:-1], values.shape[-1] + 1), dtype=np.result_type(values, np.int64))
        np.cumsum(values, axis=-1, out=upto[..., 1:])
        at_bounds = upto[..., self.bounds]
        return at_bounds[..., 1:] - at_bounds[..., :-1]

    def highest(self, values: Ints) -> Ints:
        """The highest over each feeder's rows, 0 where there is none above it; shape (feeders,)."""
        first, highest = self.bounds[:-1], np.zeros(len(self.bounds) - 1, dtype=np.int64)
        filled = first < self.bounds[1:]
        highest[filled] = np.maximum.reduceat(values, first[filled])
        return np.maximum(highest, 0)

    def where(self, chosen: NDArray[np.bool_]) -> Segments:
        """The segments of these rows alone."""
        return Segments.of(self.feeder[chosen], self.feeders)
