"""Which steps a pass takes: compiled ones where that can be and pays."""

from __future__ import annotations

from typing import Final

from wattswap.runners.engines.steps import Steps

WORTH_COMPILING: Final = 300_000
"""So many ticks of feeders: with fewer of them numba takes longer to start than it spares."""


def steps_for(feeder_ticks: int) -> type[Steps]:
    """The steps of a pass of so many feeders times ticks: compiled where numba is installed and worth its start."""
    if feeder_ticks < WORTH_COMPILING:
        return Steps
    try:
        from wattswap.runners.engines.compiled_steps import CompiledSteps
    except (ImportError, RuntimeError):  # no numba, none for this numpy, or no folder that it may write its code to
        return Steps
    return CompiledSteps
