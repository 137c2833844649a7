"""A history as far as a terminal has been told of it, and the moment that it shows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from wattswap.runners.recording.activities import ACTIVITIES
from wattswap.runners.recording.record import ROUND_COLUMNS
from wattswap.runners.watching.history import FEEDER_COLUMNS, HOMES, Cursor, Head

if TYPE_CHECKING:
    from wattswap.runners.watching.history import History, Row

_MOST_BEATS: Final = 5
"""So many beats without news, and a street may have stopped."""
_TICK: Final = ROUND_COLUMNS.index("tick")


class FeederLoad(NamedTuple):
    """What a feeder carries at a moment, in watts."""

    name: str
    base_w: int
    cars_w: int
    """What its cars draw, less what they feed."""
    limit_w: int
    homes_known: bool
    cars_known: bool
    """Of every car; what is not known counts for nothing in the figures."""

    @property
    def is_known(self) -> bool:
        """Whether the load is."""
        return self.homes_known and self.cars_known

    @property
    def load_w(self) -> int:
        """In all."""
        return self.base_w + self.cars_w


class ToldSoFar:
    """The newest tick of a street, or, of a run that is over, a moment that moves on with ``speed``."""

    def __init__(self, history: History, speed: float | None = None) -> None:
        self.history, self._speed = history, speed
        self._began_s = self._news_s = monotonic()
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
        self._unknown: list[Row] = []
        self._not_known: dict[int, str] = {}
        """By the row of a car, or ``HOMES``: why it is not known at that moment; empty once it is."""
        self._doubted = 0
        """So many of ``_unknown`` hold by then."""

    def take_in(self) -> bool:
        """What is new; whether a history began, and all that was known is forgotten."""
        began = False
        while news := self.history.since(self._cursor):
            part, self._cursor = news
            self._news_s = monotonic()
            if isinstance(part, Head):
                self._begin()
                began = True
                continue
            self._ticks += part.ticks
            self._cars += part.cars
            self._rounds += part.rounds
            self._unknown += part.unknown
        return began

    @property
    def is_lost(self) -> bool:
        """Whether the street goes on elsewhere and is not heard of any more just now."""
        return self._cursor.state == "lost"

    @property
    def is_silent(self) -> bool:
        """Whether a street that goes on has told nothing for so long that it may have stopped."""
        head, goes_on = self.history.head, self._cursor.state in (None, "running")
        if head is None or not head.beat_ms or not goes_on:
            return False
        return monotonic() - self._news_s > _MOST_BEATS * max(head.beat_ms / 1_000, 1.0)

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
        """Of each feeder; moments are asked for in their order."""
        found: list[FeederLoad] = []
        not_known = self._not_known_at(tick)
        known = HOMES not in not_known, not not_known - {HOMES}
        for number, feeder in enumerate(head.feeders):
            first = number * len(FEEDER_COLUMNS)
            base_w, limit_w, import_w, export_w = (int(figure) for figure in self._ticks[tick][first : first + 4])
            found.append(FeederLoad(feeder.name, base_w, import_w - export_w, limit_w, *known))
        return found

    def doings(self, tick: int) -> str:
        """How many cars do what; moments are asked for in their order."""
        while self._happened < len(self._cars) and int(self._cars[self._happened][0]) <= tick:
            _, row, activity, *_ = (int(figure) for figure in self._cars[self._happened])
            self._happened += 1
            self.doing[row] = activity
        not_known = self._not_known_at(tick) - {HOMES}
        doing = {row: activity for row, activity in self.doing.items() if row not in not_known and activity >= 0}
        counts = Counter(map(ACTIVITIES.__getitem__, doing.values())) + Counter(
            dict.fromkeys(["not known"], len(not_known))
        )
        return ", ".join(f"{counts[name]} {name}" for name in (*ACTIVITIES, "not known") if counts[name]) or "none"

    def _not_known_at(self, tick: int) -> set[int]:
        """The rows of cars of which nothing is known then, and ``HOMES`` likewise."""
        while self._doubted < len(self._unknown) and int(self._unknown[self._doubted][0]) <= tick:
            _, row, why = self._unknown[self._doubted]
            self._doubted += 1
            self._not_known[int(row)] = str(why)
        return {row for row, why in self._not_known.items() if why}

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
