"""The constants of the market, as the integers the law computes with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from wattswap.protocol.units import MS_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.agents.physics import Ints

ClearingRule = Literal["next", "uniform", "pay-as-bid", "vcg", "posted", "none"]


@dataclass(frozen=True)
class Rules:
    """Every number of the law that a scenario may set; see ``[transformer]``, ``[chargers]`` and ``[market]``."""

    tick_ms: int = 30_000
    window_ms: int = 300_000
    deadline_ms: int = 2_000
    lease_ms: int = 90_000
    """How long a grant holds, counted from the charger's stamp that it answers."""
    drift_ppm: int = 20_000
    """The most by which two clocks' rates differ."""
    guard_ms: int = 1_800_000
    """The laxity below which a car that knows its departure draws all it still needs."""
    unsure_ms: int = 0
    """The standard deviation of a departure that is only expected: how cautious that makes a car is its business.

    So much laxity beyond its guard it keeps when it sells.
    """
    margin_w: int = 15_200
    """How far below the limit the target lies, whatever limit is in force."""
    release_w: int = 7_600
    """Awards end early when the demand falls this far below the target."""
    amp_w: int = 690
    """One ampere on all of a charger's phases: the step in which power divides."""
    min_w: int = 4_140
    """The least a charger can give apart from nothing: 6 A (IEC 61851)."""
    guaranteed_w: int = 0
    clearing: ClearingRule = "next"
    reserve_nanos_per_kwh_h: int = 1_000_000_000
    """No ask above it is bought; it is fixed, and not told before the round is over."""
    feed_h: int = 2
    """Fed energy is paid as if each kWh waited for so many hours."""
    starts_ms: int = 0
    """The time of day at the run's start, by the offset from UTC that the scenario's start names, all run long."""

    @cached_property
    def wary_guard_ms(self) -> int:
        """The laxity below which a car draws all it still needs: two deviations more if its departure is unsure."""
        return self.guard_ms + 2 * self.unsure_ms

    @cached_property
    def tick_s(self) -> int:
        """The tick in whole seconds."""
        return self.tick_ms // 1000

    @cached_property
    def certain_lease_ms(self) -> int:
        """How long after a report came in a grant that answers it may still hold, whatever the two clocks do."""
        return self.lease_ms + 2 * self.lease_ms * self.drift_ppm // 1_000_000

    @cached_property
    def quiet_ms(self) -> int:
        """How long a transformer that has just started says nothing: until every grant from before is over."""
        return self.certain_lease_ms + self.tick_ms

    @property
    def repeat_ms(self) -> int:
        """How often an obligation is repeated until it is acknowledged."""
        return self.tick_ms

    def local_ms(self, now_ms: int) -> int:
        """The time of day at ``now_ms``."""
        return (self.starts_ms + now_ms) % MS_PER_DAY

    @property
    def common(self) -> Rules:
        """These without what each transformer sets for itself; it must be the same on all feeders side by side."""
        return replace(self, margin_w=0, release_w=0, clearing="next")

    def window_end_ms(self, now_ms: int) -> int:
        """The end of the window that ``now_ms`` lies in."""
        return (now_ms // self.window_ms + 1) * self.window_ms


@dataclass(frozen=True, slots=True)
class Terms:
    """The rules of several feeders side by side: what their transformers set, each in a column of one row a feeder."""

    common: Rules
    """What must be the same on all feeders: the grid of ticks and windows, and what a charger can do."""
    margin_w: Ints
    release_w: Ints
    clearing: tuple[ClearingRule, ...]

    @classmethod
    def of(cls, *rules: Rules) -> Terms:
        """The terms of these feeders, in the order of their numbers."""

        def column(values: Iterable[int]) -> Ints:
            return np.fromiter(values, dtype=np.int64, count=len(rules))

        return cls(
            common=rules[0],
            margin_w=column(each.margin_w for each in rules),
            release_w=column(each.release_w for each in rules),
            clearing=tuple(each.clearing for each in rules),
        )
