"""What a transformer knows of its plugged cars beyond what the law asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from wattswap.agents.physics import Ints


class Plugged(NamedTuple):
    """Columns for controllers alone; int64, one row per plugged car in session order, as in ``law.Cars``."""

    arrival_ms: Ints
    """When the car plugged in; 0 for one that was there when the run began."""
    departure_ms: Ints
    """The departure it expects, where cars disclose it."""
    laxity_ms: Ints
    """How long it can still wait and be full in time at full power, where cars disclose their departure."""
    drawn_w: Ints
    """What it drew in the last tick."""
    most_w: Ints
    """The most it has wanted since it plugged in: its full power."""
    local_ms: Ints
    """The time of day by the clocks of its street; the same for all cars of a run."""
    feed_w: Ints
    """What its battery could feed down to its owner's reserve, where cars disclose it; else 0."""
    now_ms: Ints
    """The present instant, since the run's start; the same for all cars of a run."""
