"""What both engines' runs have in common, for whoever drives or watches one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.ledger.book import Book
    from wattswap.runners.engines.strategy_assignment import StrategyAssignment
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World


class Run(Protocol):
    """A street being run, in either engine, tick by tick or all at once."""

    street: Street
    world: World
    tick: int
    """The next one; the street's number of ticks when only the closing step is left."""

    @property
    def record(self) -> RunRecord:
        """What there is so far, of all feeders; put together when asked for, where there are several."""

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """What there is so far, by feeder."""

    @property
    def books(self) -> Sequence[Book]:
        """The account of each feeder's site."""

    @property
    def assignment(self) -> StrategyAssignment:
        """Which car follows which strategy."""

    def step(self) -> None:
        """Let one tick happen; there must be one left."""

    def finish(self) -> RunRecord:
        """The closing step after the last tick, once; the record is complete then."""

    def earned_nanos(self, row: int) -> int:
        """What a session has been paid so far."""

    def run(self) -> RunRecord:
        """Every tick that is left, then the closing step."""
