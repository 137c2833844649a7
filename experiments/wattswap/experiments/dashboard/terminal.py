"""The same history as a view in a terminal, for a machine without a screen of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from wattswap.experiments.dashboard.told_so_far import ToldSoFar, clock
from wattswap.protocol.units import NANOS_PER_IOTA
from wattswap.runners.recording.activities import ACTIVITIES, FEEDING, REDUCED
from wattswap.runners.watching.columns import PRICE, PRICE_UNIT

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wattswap.experiments.dashboard.told_so_far import FeederLoad
    from wattswap.runners.watching.history import Head, History

_BAR: Final = 50
_CALLS: Final = 6
_NAMES: Final = 8
_GIVING_WAY: Final = frozenset(map(ACTIVITIES.index, (REDUCED, FEEDING)))


class TerminalView:
    """What a street does at its newest tick, or, of a run that is over, at a moment that moves on."""

    def __init__(self, history: History, speed: float | None = None) -> None:
        self._told = ToldSoFar(history, speed)

    @property
    def is_over(self) -> bool:
        """Everything was shown."""
        return self._told.is_over

    def render(self) -> RenderableType:
        """The view as it is now."""
        told = self._told
        told.take_in()
        head, tick = told.history.head, told.tick
        if head is None or tick < 0:
            return Text("The run begins ...")
        silent = ": no news since then, the street may have stopped" if told.is_silent else ""
        lost = ": connection lost, this is how it was last" if told.is_lost else silent
        doings = told.doings(tick)
        return Group(
            Text(f"{head.name}  {clock(head, tick)}{lost}", style="bold"),
            *map(_bar, told.loads(head, tick)),
            Text(f"Bar: # homes, = cars, | limit\nCars: {doings}\n{self._giving_way()}"),
            self._calls(head, tick),
        )

    def _giving_way(self) -> str:
        """Whose cars draw less, or feed, because they were asked and are paid for it."""
        rows = sorted(row for row, activity in self._told.doing.items() if activity in _GIVING_WAY)
        names = ", ".join(self._told.history.cards[row].station for row in rows[:_NAMES])
        more = f" and {len(rows) - _NAMES} more" if len(rows) > _NAMES else ""
        return f"Giving way: {names or 'nobody'}{more}"

    def _calls(self, head: Head, tick: int) -> RenderableType:
        rounds = self._told.rounds(tick)
        if not rounds:
            return Text("No call so far")
        table = Table(box=None, title=f"The newest of {len(rounds)} calls", title_justify="left")
        for name in ("call of", "needed kW", "cars asked", "bought kW", PRICE_UNIT):
            table.add_column(name, justify="right")
        for call in rounds[: -_CALLS - 1 : -1]:
            powers = (f"{int(call[name]) / 1_000:.1f}" for name in ("need_w", "awarded_w"))
            needed, bought = powers
            price = f"{int(call[PRICE]) / NANOS_PER_IOTA:.3f}"
            table.add_row(clock(head, int(call["tick"])), needed, str(call["called"]), bought, price)
        return table


def _bar(load: FeederLoad) -> Text:
    """A bar of homes and cars that ends where the limit is, or goes beyond it."""
    full_w = max(load.limit_w, load.load_w, 1)
    homes = max(0, min(load.base_w, load.load_w)) * _BAR // full_w
    cars = max(0, load.load_w) * _BAR // full_w - homes
    in_all = f"{load.load_w / 1_000:.0f}" if load.is_known else "not known"
    says = f" {in_all} of {load.limit_w / 1_000:.0f} kW"
    bar = (
        Text(f"{load.name} " if load.name else "")
        .append("#" * homes, "grey62")
        .append("=" * cars, "blue")
        .append("." * (_BAR - homes - cars), "grey37")
    )
    return bar.append("|", "red").append(says, "bold red" if load.load_w > load.limit_w else "bold")
