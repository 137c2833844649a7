"""Who takes part on a feeder, and as what: a transformer listens to nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class Roster:
    """The names of a feeder's agents by their role."""

    chargers: Collection[str] = ()
    vehicles: Collection[str] = ()
    """Each has an account under its own name."""
    households: Collection[str] = ()
