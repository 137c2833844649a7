"""Who takes part on a feeder, and as what: a transformer listens to nobody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True)
class Roster:
    """The names of a feeder's agents by their role."""

    charger_max_w: Mapping[str, int] = field(default_factory=dict)
    """The rated power of each charger; no car draws more there, whatever it states."""
    vehicles: Collection[str] = ()
    """Each has an account under its own name."""
    households: Collection[str] = ()
