"""What drivers say to their cars while a run goes on: at planned instants, or from a car's screen."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.runners.world import World


class Wish(StrEnum):
    """What a driver may want; each holds until the car leaves or its driver says otherwise."""

    VETO = "veto"
    """Charge now, sell nothing: the car charges at once all that it still needs."""
    STOP = "stop"
    """Stop selling: the car answers no call any more, and draws back what it has put off as there is room."""
    SELL = "sell"
    """Sell again: the car answers by its strategy and reckons with the departure that it stated."""
    FULL_BY = "full-by"
    """The car is to be full by an instant, and reckons with it as with a departure."""
    AT_LEAST = "at-least"
    """The battery is to hold so much before the car gives way for pay, and after it has fed."""


class Wanted(NamedTuple):
    """What a driver wants of a plugged car, all in all."""

    sells: bool
    departure_ms: int
    """When the car is to be full."""
    least_ws: int

    def after(self, said: Said, now_ms: int, stated_ms: int) -> Wanted:
        """What the driver wants once this was said too; ``stated_ms`` is the departure stated at plug-in."""
        match said.wish:
            case Wish.VETO:
                return Wanted(sells=False, departure_ms=now_ms, least_ws=self.least_ws)
            case Wish.STOP:
                return self._replace(sells=False)
            case Wish.SELL:
                return Wanted(sells=True, departure_ms=stated_ms, least_ws=0)
            case Wish.FULL_BY:
                assert said.by_ms is not None, "a wish to be full by an instant names it"
                return self._replace(departure_ms=said.by_ms)
            case Wish.AT_LEAST:
                assert said.least_ws is not None, "a wish for so much in the battery names it"
                return self._replace(sells=True, least_ws=said.least_ws)


class Said(NamedTuple):
    """A wish for the car of a row."""

    row: int
    wish: Wish
    by_ms: int | None = None
    """When it is to be full, in the run's milliseconds; with FULL_BY alone."""
    least_ws: int | None = None
    """What the battery is to hold; with AT_LEAST alone."""


class DriverWishes:
    """The wishes of a run's drivers; one thread may say some while another runs the street."""

    def __init__(self, planned: Iterable[tuple[int, Said]] = ()) -> None:
        self._planned = deque(sorted(planned, key=lambda one: one[0]))
        """Each with its tick."""
        self._said = deque[Said]()

    @property
    def planned(self) -> int:
        """The number of wishes whose instant is still to come."""
        return len(self._planned)

    def say(self, said: Said) -> None:
        """From the next tick on."""
        self._said.append(said)

    def hear(self, tick: int, world: World) -> list[int]:
        """Let the cars of a world know what was said until this tick, and give the rows of those that heard anything.

        A car that is not plugged in any more does not hear it.
        """
        due = list[Said]()
        while self._planned and self._planned[0][0] <= tick:
            due.append(self._planned.popleft()[1])
        while self._said:
            due.append(self._said.popleft())
        if not due:
            return []
        plugged = set(world.plugged.tolist())
        heard = [said for said in due if said.row in plugged]
        for said in heard:
            _obey(said, tick * world.rules.tick_ms, world)
        return sorted({said.row for said in heard})


def _obey(said: Said, now_ms: int, world: World) -> None:
    row = said.row
    before = Wanted(bool(world.sells[row]), int(world.departure_ms[row]), int(world.least_ws[row]))
    wanted = before.after(said, now_ms, int(world.fleet.departure_ms[row]))
    world.wish(row, sells=wanted.sells, departure_ms=wanted.departure_ms, least_ws=wanted.least_ws)
