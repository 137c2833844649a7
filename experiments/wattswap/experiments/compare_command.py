"""What ``compare`` was asked for, as the command that asks for it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESAMPLED: Final = "sessions.resample=yes"


class Asked(NamedTuple):
    """The arguments of :func:`.comparison.compare` that its figures depend on, and the folder."""

    scenario: str
    controllers: Sequence[str]
    strategies: Sequence[str]
    seeds: int
    engine: str
    day: int | None
    settings: Sequence[str]
    vary: Sequence[str]
    out: str
    against: str = ""

    @property
    def command(self) -> str:
        """What to type, in the folder where it was asked, to make the same runs."""
        words = ["wattswap", "compare", self.scenario, "--controllers", ",".join(dict.fromkeys(self.controllers))]
        if self.strategies:
            words += ["--strategies", ",".join(dict.fromkeys(self.strategies))]
        words += ["--resample" if _RESAMPLED in self.settings else "--seeds", str(self.seeds)]
        if self.engine != "fleet":
            words += ["--engine", self.engine]
        if self.day is not None:
            words += ["--day", str(self.day)]
        for flag, texts in (("--set", self.own_settings), ("--vary", self.vary)):
            words += [word for text in texts for word in (flag, text)]
        words += ["--against", self.against] if self.against else []
        return shlex.join([*words, "--out", self.out])

    @property
    def own_settings(self) -> list[str]:
        """Those that ``--set`` names."""
        return [text for text in self.settings if text != _RESAMPLED]
