"""What a mutant is: one protective rule of the agents switched off, and the rule of the audit that must break."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from wattswap.runners.audit.rules import Rule

SEEDS = 60
Patch = pytest.MonkeyPatch


class Mutant(NamedTuple):
    """One change to the agents, the seeds in which it is looked for, and the rule that must find it."""

    switch_off: Callable[[Patch], None]
    rule: Rule
    """The rule that must be broken within ``SEEDS`` seeds."""
    before: tuple[Rule, ...] = ()
    """Rules that may break in seeds before that: the same fault shows in more than one way. No others may."""
    settings: tuple[str, ...] = ()
    """Changes to the fault scenario, for faults that need more of them than usual, or another kind."""
    seeds: tuple[int, ...] = ()
    """Seeds to try first, which show it soonest. They change whenever agents send more or fewer messages."""

    @property
    def name(self) -> str:
        """The name of its change."""
        return self.switch_off.__name__
