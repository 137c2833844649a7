"""A history as far as a terminal has been told of it, and the moment that it shows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from wattswap.runners.recording.activities import ACTIVITIES
from wattswap.runners.recording.record import ROUND_COLUMNS
from wattswap.runners.watching.history import FEEDER_COLUMNS, Cursor, Head

if TYPE_CHECKING:
    from wattswap.runners.watching.history import History, Row

_TICK: Final = ROUND_COLUMNS.index("tick")


class FeederLoad(NamedTuple):
    """What a feeder carries at a moment, in watts."""

    name: str
    base_w: int
    cars_w: int
    """What its cars draw, less what they feed."""
    limit_w: int

    @property
    def load_w(self) -> int:
        """In all."""
        return self.base_w + self.cars_w


class ToldSoFar:
    """The newest tick of a street, or, of a run that is over, a moment that moves on with ``speed``."""

    def __init__(self, history: History, speed: float | None = None) -> None:
        self.history, self._speed = history, speed
        self._began_s = monotonic()
        self._cursor = Cursor()
        self._begin()

    def _begin(self) -> None:
        """Nothing is known of it yet."""
        self._ticks: list[Row] = []
        self._cars: list[Row] = []
        self._rounds: list[Row] = []
        self.doing: dict[int, int] = {}
        """By the row of a car, its activity at the moment that was asked for last; negative once it has left."""
        self._happened = 0
        """So many of the cars' changes have happened by then."""

    def take_in(self) -> bool:
        """What is new; whether a history began, and all that was known is forgotten."""
        began = False
        while news := self.history.since(self._cursor):
            part, self._cursor = news
            if isinstance(part, Head):
                self._begin()
                began = True
                continue
            self._ticks += part.ticks
            self._cars += part.cars
            self._rounds += part.rounds
        return began

    @property
    def is_lost(self) -> bool:
        """Whether the street goes on elsewhere and is not heard of any more just now."""
        return self._cursor.state == "lost"

    @property
    def is_over(self) -> bool:
        """Whether nothing comes after the moment that is shown."""
        return self._cursor.state not in (None, "running", "lost") and self.tick >= len(self._ticks) - 1

    @property
    def tick(self) -> int:
        """The moment that is shown; -1 before the first."""
        newest = len(self._ticks) - 1
        head = self.history.head
        if self._speed is None or head is None:
            return newest
        return min(newest, int((monotonic() - self._began_s) * self._speed * 1_000 / head.tick_ms))

    def loads(self, head: Head, tick: int) -> list[FeederLoad]:
        """Of each feeder."""
        found: list[FeederLoad] = []
        for number, feeder in enumerate(head.feeders):
            first = number * len(FEEDER_COLUMNS)
            base_w, limit_w, import_w, export_w = (int(figure) for figure in self._ticks[tick][first : first + 4])
            found.append(FeederLoad(feeder.name, base_w, import_w - export_w, limit_w))
        return found

    def doings(self, tick: int) -> str:
        """How many cars do what; moments are asked for in their order."""
        while self._happened < len(self._cars) and int(self._cars[self._happened][0]) <= tick:
            _, row, activity, *_ = (int(figure) for figure in self._cars[self._happened])
            self._happened += 1
            self.doing[row] = activity
        counts = Counter(ACTIVITIES[activity] for activity in self.doing.values() if activity >= 0)
        return ", ".join(f"{counts[name]} {name}" for name in ACTIVITIES if counts[name]) or "none"

    def calls(self, tick: int) -> int:
        """How many went out until a moment."""
        return sum(int(row[_TICK]) <= tick for row in self._rounds)

    def rounds(self, tick: int) -> list[dict[str, int | str]]:
        """Those until a moment, by the names of their columns."""
        return [dict(zip(ROUND_COLUMNS, row, strict=True)) for row in self._rounds if int(row[_TICK]) <= tick]


def clock(head: Head, tick: int) -> str:
    """A tick on the street's own clock."""
    zone = timezone(timedelta(milliseconds=head.utc_offset_ms))
    return f"{datetime.fromtimestamp((head.start_ms + tick * head.tick_ms) / 1_000, UTC).astimezone(zone):%a %H:%M:%S}"
