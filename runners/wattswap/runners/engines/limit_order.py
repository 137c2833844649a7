"""A limit that somebody orders while a run goes on: a network operator, by the slider of a dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattswap.agents.physics import Ints


class LimitOrder:
    """What is ordered of each feeder; one thread may order while another runs the street."""

    def __init__(self) -> None:
        self._ordered_w: dict[int, int] = {}

    def order(self, feeder: int, limit_w: int | None) -> None:
        """From the next tick on this is the limit of a feeder; None gives the limit back to the scenario."""
        ordered_w = {**self._ordered_w}
        if limit_w is None:
            ordered_w.pop(feeder, None)
        else:
            ordered_w[feeder] = limit_w
        self._ordered_w = ordered_w  # in one piece, for the other thread

    def in_force(self, scenario_w: Ints) -> Ints:
        """The limits by feeder, where the scenario has these."""
        ordered_w = self._ordered_w
        if not ordered_w:
            return scenario_w
        limits_w = scenario_w.copy()
        limits_w[list(ordered_w)] = list(ordered_w.values())
        return limits_w
