"""The same history as a view in a terminal, for a machine without a screen of its own."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from time import monotonic
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.recording.activities import ACTIVITIES, FEEDING, REDUCED
from wattswap.runners.recording.record import ROUND_COLUMNS
from wattswap.runners.watching.columns import PRICE, PRICE_UNIT
from wattswap.runners.watching.history import FEEDER_COLUMNS, Cursor, Head

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wattswap.runners.watching.history import History, Row

_BAR: Final = 50
_CALLS: Final = 6
_NAMES: Final = 8
_GIVING_WAY: Final = frozenset(map(ACTIVITIES.index, (REDUCED, FEEDING)))


class TerminalView:
    """What a street does at its newest tick, or, of a run that is over, at a moment that moves on."""

    def __init__(self, history: History, speed: float | None = None) -> None:
        self._history, self._speed = history, speed
        self._began_s = monotonic()
        self._cursor = Cursor()
        self._begin()

    def _begin(self) -> None:
        """Nothing is known of it yet."""
        self._ticks: list[Row] = []
        self._cars: list[Row] = []
        self._rounds: list[Row] = []
        self._doing: dict[int, int] = {}
        self._told = 0
        """So many of the cars' changes have happened by the tick that is shown."""

    @property
    def is_over(self) -> bool:
        """Everything was shown."""
        return self._cursor.state not in (None, "running", "lost") and self._tick() >= len(self._ticks) - 1

    def render(self) -> RenderableType:
        """The view as it is now."""
        while news := self._history.since(self._cursor):
            part, self._cursor = news
            if isinstance(part, Head):
                self._begin()
                continue
            self._ticks += part.ticks
            self._cars += part.cars
            self._rounds += part.rounds
        head = self._history.head
        if head is None or not self._ticks:
            return Text("The run begins ...")
        tick = self._tick()
        parts = [self._load(head, feeder, tick) for feeder in range(len(head.feeders))]
        lost = ": connection lost, this is how it was last" if self._cursor.state == "lost" else ""
        return Group(
            Text(f"{head.name}  {_clock(head, tick)}{lost}", style="bold"),
            *parts,
            self._doings(tick),
            self._calls(head, tick),
        )

    def _tick(self) -> int:
        newest = len(self._ticks) - 1
        head = self._history.head
        if self._speed is None or head is None:
            return newest
        return min(newest, int((monotonic() - self._began_s) * self._speed * 1_000 / head.tick_ms))

    def _load(self, head: Head, feeder: int, tick: int) -> Text:
        """A bar of homes and cars that ends where the limit is, or goes beyond it."""
        first = feeder * len(FEEDER_COLUMNS)
        base_w, limit_w, import_w, export_w = (int(figure) for figure in self._ticks[tick][first : first + 4])
        load_w = base_w + import_w - export_w
        full_w = max(limit_w, load_w, 1)
        homes = max(0, min(base_w, load_w)) * _BAR // full_w
        cars = max(0, load_w) * _BAR // full_w - homes
        says = f" {load_w / 1_000:.0f} of {limit_w / 1_000:.0f} kW"
        name = f"{head.feeders[feeder].name} " if head.feeders[feeder].name else ""
        bar = (
            Text(name)
            .append("#" * homes, "grey62")
            .append("=" * cars, "blue")
            .append("." * (_BAR - homes - cars), "grey37")
        )
        return bar.append("|", "red").append(says, "bold red" if load_w > limit_w else "bold")

    def _doings(self, tick: int) -> Text:
        while self._told < len(self._cars) and int(self._cars[self._told][0]) <= tick:
            _, row, activity, *_ = (int(figure) for figure in self._cars[self._told])
            self._told += 1
            self._doing[row] = activity
        counts = Counter(ACTIVITIES[activity] for activity in self._doing.values() if activity >= 0)
        doings = ", ".join(f"{counts[name]} {name}" for name in ACTIVITIES if counts[name])
        return Text(f"Bar: # homes, = cars, | limit\nCars: {doings or 'none'}\n{self._giving_way()}")

    def _giving_way(self) -> str:
        """Whose cars draw less, or feed, because they were asked and are paid for it."""
        rows = sorted(row for row, activity in self._doing.items() if activity in _GIVING_WAY)
        names = ", ".join(self._history.cards[row].station for row in rows[:_NAMES])
        more = f" and {len(rows) - _NAMES} more" if len(rows) > _NAMES else ""
        return f"Giving way: {names or 'nobody'}{more}"

    def _calls(self, head: Head, tick: int) -> RenderableType:
        rounds = [dict(zip(ROUND_COLUMNS, row, strict=True)) for row in self._rounds if int(row[0]) <= tick]
        if not rounds:
            return Text("No call so far")
        table = Table(box=None, title=f"The newest of {len(rounds)} calls", title_justify="left")
        for name in ("call of", "needed kW", "cars asked", "bought kW", PRICE_UNIT):
            table.add_column(name, justify="right")
        for call in rounds[: -_CALLS - 1 : -1]:
            powers = (f"{int(call[name]) / 1_000:.1f}" for name in ("need_w", "awarded_w"))
            needed, bought = powers
            price = f"{int(call[PRICE]) / NANOS_PER_IOTA:.3f}"
            table.add_row(_clock(head, int(call["tick"])), needed, str(call["called"]), bought, price)
        return table


def _clock(head: Head, tick: int) -> str:
    zone = timezone(timedelta(milliseconds=head.utc_offset_ms))
    return f"{datetime.fromtimestamp((head.start_ms + tick * head.tick_ms) / 1_000, UTC).astimezone(zone):%a %H:%M:%S}"
