"""A run on the wall clock in plain lines, for a log or a pipe: how long it takes, then where it is, now and then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final

from wattswap.protocol.effects import NoteRound
from wattswap.protocol.units import MS_PER_S
from wattswap.runners.engines.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wattswap.runners.engines.observer import Moved, Note
    from wattswap.runners.engines.run import Run
    from wattswap.runners.scenario.street import Street

EVERY_S: Final = 30.0
"""Seconds of the wall clock between two lines."""


class LiveLines(Observer):
    """Says the street's time, load and rounds, the first time at its first tick."""

    def __init__(
        self,
        street: Street,
        speed: float,
        out: Path | None,
        say: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._street, self._speed, self._out, self._say, self._clock = street, speed, out, say, clock
        self._rounds, self._said_s = 0, float("-inf")

    def begun(self, run: Run) -> None:  # noqa: ARG002 - an observer's method
        """Say how long it takes and where it goes."""
        wall_s = round(self._street.ticks * self._street.tick_ms / MS_PER_S / self._speed)
        takes, where = timedelta(seconds=wall_s), f", into {self._out}" if self._out else ""
        self._say(f"{self._street.name}, {self._speed:g} times as fast as a clock: it takes {takes}{where}")

    def noted(self, transformer: str, note: Note) -> None:  # noqa: ARG002 - an observer's method
        """Count a round."""
        self._rounds += isinstance(note, NoteRound)

    def moved(self, moved: Moved) -> None:
        """Say where the street is, unless that was said a moment ago."""
        now_s = self._clock()
        if now_s < self._said_s + EVERY_S:
            return
        self._said_s = now_s
        start = self._street.scenario.start
        at_ms = self._street.start_unix_ms + moved.tick * self._street.tick_ms
        at = datetime.fromtimestamp(at_ms / MS_PER_S, UTC).astimezone(start.tzinfo)
        load_kw = (moved.base_w.sum() + moved.import_w.sum() - moved.export_w.sum()) / 1000
        limit_kw = moved.limit_w.sum() / 1000
        self._say(f"{at:%d.%m. %H:%M}  {load_kw:.0f} of {limit_kw:.0f} kW, rounds so far: {self._rounds}")
