"""What a comparison makes: a run to be made, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MeasuresJobs: TypeAlias = "Callable[[Sequence[Job]], list[JobOutcome]]"
"""Makes runs that may share a pass; each one's outcome, in their order."""


class Job(NamedTuple):
    """One run to be made."""

    scenario: str
    controller: str
    strategy: str
    engine: str
    seed: int
    day: int | None = None
    settings: tuple[str, ...] = ()
    varied: tuple[str, ...] = ()
    """Settings that this run has and others of the comparison do not."""
    feeder: int = 0
    """Of a city, whose jobs are feeders: the number of this one in the scenario."""


@dataclass(frozen=True)
class JobOutcome:
    """What a run came to."""

    job: Job
    figures: dict[str, Any] | None
    """The keys of ``wattswap run --json``; None if it failed."""
    error: str | None = None
