"""A strategy that learns: beside its offers it has a memory, which it makes anew after each round it was called to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import numpy as np

from wattswap.agents.offers import StrategyError, frozen, refuse
from wattswap.agents.strategies.raised import raised

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattswap.agents.offers import Call, Memory, OfferBook, Outcome, Own, Strategy
    from wattswap.protocol.draws import Draws

    Learn: TypeAlias = Callable[[Memory, Own, Outcome, Draws], Memory]

MOST_COLUMNS: Final = 1_000
"""So many numbers a car may remember."""


@dataclass(frozen=True, slots=True)
class LearningStrategy:
    """Offers and what is learned from their outcome; both elementwise, so that each car learns from its own rounds.

    The memory has ``columns`` float64 a car, all 0 when the car plugs in.
    """

    name: str
    offers: Strategy
    learn: Learn
    columns: int

    def __post_init__(self) -> None:
        """Refuse a memory that no car can have.

        Raises:
            StrategyError: ``columns`` is no whole number of 1 to ``MOST_COLUMNS``.
        """
        if type(self.columns) is not int or not 1 <= self.columns <= MOST_COLUMNS:
            raise StrategyError(0, f"learns in {self.columns!r} columns; choose a whole number of 1 to {MOST_COLUMNS}")

    def __call__(self, call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        """What the cars answer, with what they remember."""
        return self.offers(call, own, memory, draws)


def memory_columns(strategy: Strategy) -> int:
    """How much a strategy remembers; 0 where it learns nothing."""
    return strategy.columns if isinstance(strategy, LearningStrategy) else 0


def learned(strategy: LearningStrategy, memory: Memory, own: Own, outcome: Outcome, draws: Draws) -> Memory:
    """What the cars remember after a round.

    Raises:
        StrategyError: it is no memory of this strategy's shape, or not of finite numbers.
    """
    try:
        after = cast("object", strategy.learn(frozen(memory), own.read_only(), outcome.read_only(), draws))
    except (Exception, SystemExit, GeneratorExit) as error:
        raise StrategyError(0, raised(error)) from error
    if not isinstance(after, np.ndarray) or after.shape != memory.shape:
        shape = after.shape if isinstance(after, np.ndarray) else type(after).__name__
        raise StrategyError(0, f"learns a memory of shape {shape} where {memory.shape} is its own")
    if after.dtype.kind not in "iuf":
        raise StrategyError(0, f"learns a memory of type {after.dtype}, not numbers")
    numbers = after.astype(np.float64)
    refuse(~np.isfinite(numbers), "learns what is not a finite number")
    return numbers
