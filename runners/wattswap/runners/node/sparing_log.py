"""The log of what others cause: a few lines of each kind a minute, and how many more there were.

A node that runs for years on an SD card must not be filled by whoever sends it something. What the node does of itself
is logged whole, elsewhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

LINES_A_WHILE: Final = 5
"""So many lines of one kind about one agent are written at most within a while."""
WHILE_S: Final = 60.0


@dataclass
class _LineCount:
    began_s: float
    lines: int = 0
    left_out: int = 0


class SparingLog:
    """In front of a log. ``clock_s`` gives monotonic seconds."""

    def __init__(self, log: FilteringBoundLogger, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock_s = log, clock_s
        self._kinds: dict[tuple[str, str], _LineCount] = {}

    def write(self, level: Literal["info", "warning", "error"], event: str, kind: str, **fields: object) -> None:
        """Write a line, or count it. Lines of one ``kind`` are counted together; it must not be a stranger's word."""
        self.settle()
        counted = self._kinds.setdefault((event, kind), _LineCount(self._clock_s()))
        if counted.lines < LINES_A_WHILE:
            counted.lines += 1
            getattr(self._log, level)(event, **fields)
        else:
            counted.left_out += 1

    def settle(self) -> None:
        """Say how many lines were left out, of those kinds whose while is over; call it now and then."""
        now_s = self._clock_s()
        over = [key for key, counted in self._kinds.items() if now_s - counted.began_s >= WHILE_S]
        for event, kind in over:
            if left_out := self._kinds.pop((event, kind)).left_out:
                self._log.warning("left out", of=event, about=kind, lines=left_out)
