"""Cars for controllers to decide about: by hand, or drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from wattswap.agents.controllers.plugged import Plugged
from wattswap.agents.law import Cars
from wattswap.agents.physics import Ints


class Parked(NamedTuple):
    """The two sets of columns a controller is handed."""

    cars: Cars
    plugged: Plugged

    def where(self, rows: Ints) -> Parked:
        """These cars in this order."""
        cars = Cars(*(column[rows] for column in self.cars))  # type: ignore[arg-type]
        return Parked(cars, Plugged(*(column[rows] for column in self.plugged)))


def parked(
    wanted_w: Sequence[int],
    *,
    arrival: Sequence[int] | None = None,
    departure: Sequence[int] | None = None,
    laxity: Sequence[int] | None = None,
    drawn_w: Sequence[int] | None = None,
    most_w: Sequence[int] | None = None,
    feed_w: Sequence[int] | None = None,
    local_ms: int = 0,
    now_ms: int = 0,
) -> Parked:
    """Cars that want so much; instants in ms, 0 where left out; full power is what they want where left out."""
    wanted = np.array(wanted_w, dtype=np.int64)
    nothing = np.zeros_like(wanted)

    def column(given: Sequence[int] | None, else_: Ints = nothing) -> Ints:
        return else_ if given is None else np.array(given, dtype=np.int64)

    return Parked(
        Cars(np.arange(len(wanted), dtype=np.uint64), wanted, wanted, nothing > 0, *[nothing] * 4),
        Plugged(
            column(arrival),
            column(departure),
            column(laxity),
            column(drawn_w),
            column(most_w, wanted),
            np.full_like(wanted, local_ms),
            column(feed_w),
            np.full_like(wanted, now_ms),
        ),
    )


@st.composite
def many_parked(draw: st.DrawFn) -> Parked:
    """Up to eight cars; each queue has no ties, so that who is ahead is beyond doubt."""
    wanted_w = draw(st.lists(st.one_of(st.sampled_from([0, 4_140, 11_000]), st.integers(0, 22_000)), max_size=8))
    n = len(wanted_w)
    arrival, departure, laxity = (draw(st.permutations(range(n))) for _ in range(3))
    drawn_w = draw(st.lists(st.integers(0, 22_000), min_size=n, max_size=n))
    most_w = [max(wanted, 11_000) for wanted in wanted_w]
    return parked(wanted_w, arrival=arrival, departure=departure, laxity=laxity, drawn_w=drawn_w, most_w=most_w)


ROOMS_W = st.one_of(st.integers(-20_000, 100_000), st.sampled_from([0, 4_139, 4_140, 22_000]))
"""Watts between the homes and the target."""
