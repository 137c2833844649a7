"""Whoever watches a run: the recorder, the journal's writer, the auditor, a progress bar, the payments.

An observer changes nothing about the run. It overrides the methods whose news it wants, and the others cost nothing.
Both engines call ``begun``, ``tick_passed`` and ``finished``; the messages engine alone calls the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from wattswap.protocol.effects import NoteAward, NoteEnd, NoteForced, NoteRound, NoteTrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wattswap.agents.law import ChargingState
    from wattswap.agents.physics import Ints
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.messages import CappedOffer
    from wattswap.runners.engines.run import Run

Note: TypeAlias = NoteRound | NoteAward | NoteEnd | NoteTrade | NoteForced

Sensed: TypeAlias = "tuple[int | str, Event]"
"""What the world tells agents, and whom: an agent's name, nobody's, or which agents of the event's session."""


class Moved(NamedTuple):
    """How the world moved on from one tick to the next; the columns have a row for each plugged car."""

    tick: int
    base_w: Ints
    """By feeder: the homes' mean power over the tick."""
    limit_w: Ints
    """By feeder."""
    rows: Ints
    charging: ChargingState
    import_w: Ints
    """What each car drew."""
    export_w: Ints
    """What each car fed."""
    granted_w: Ints
    """What each charger let its car draw."""
    owed_ws: Ints
    """By how much each car was behind its baseline when the tick began."""


class Observer:
    """Watches a run; each method does nothing until it is overridden."""

    def begun(self, run: Run) -> None:
        """The run is ready and makes its first step next."""

    def sensed(self, sensed: Sequence[Sensed]) -> None:
        """The world told agents of these events, in this order."""

    def recovered(self, agent: str, events: Sequence[Event]) -> None:
        """An agent that has started again sensed what holds now: the cable that is plugged in, the limit in force."""

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:
        """An agent learned of an event and these effects were carried out; ``now_ms`` is the true time."""

    def refused(self, now_ms: int, agent: str, event: Event) -> None:
        """An agent refused a message that could not be read or broke the protocol; it was dropped."""

    def offered(self, capped: CappedOffer) -> None:
        """An offer reached its transformer, in time or not; told only where processes keep the wall's time."""

    def noted(self, transformer: str, note: Note) -> None:
        """A transformer noted something for the record of its feeder."""

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """The bill of a departed session was netted; so much of it is still owed."""

    def tick_handled(self, tick: int, events_hash: bytes) -> None:
        """All events of a tick have been handled; the first 8 bytes of the hash over all events so far."""

    def moved(self, moved: Moved) -> None:
        """The world moved on to the next tick."""

    def tick_passed(self, tick: int) -> None:
        """A tick is over, and everything of it is in the record."""

    def finished(self, run: Run) -> None:
        """The run made its closing step."""


class TickProgress(Observer):
    """Calls a function with each tick that has passed."""

    def __init__(self, passed: Callable[[int], None]) -> None:
        self._passed = passed

    def tick_passed(self, tick: int) -> None:
        """Call it."""
        self._passed(tick)


class Observers:
    """Several observers, each told of what it wants to know, in the order in which they were given."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._all = all_ = tuple(observers)
        self.sensed = [one.sensed for one in all_ if type(one).sensed is not Observer.sensed]
        self.recovered = [one.recovered for one in all_ if type(one).recovered is not Observer.recovered]
        self.handled = [one.handled for one in all_ if type(one).handled is not Observer.handled]
        self.refused = [one.refused for one in all_ if type(one).refused is not Observer.refused]
        self.offered = [one.offered for one in all_ if type(one).offered is not Observer.offered]
        self.noted = [one.noted for one in all_ if type(one).noted is not Observer.noted]
        self.billed = [one.billed for one in all_ if type(one).billed is not Observer.billed]
        self.tick_handled = [one.tick_handled for one in all_ if type(one).tick_handled is not Observer.tick_handled]
        self.moved = [one.moved for one in all_ if type(one).moved is not Observer.moved]
        self.tick_passed = [one.tick_passed for one in all_ if type(one).tick_passed is not Observer.tick_passed]

    def begun(self, run: Run) -> None:
        """Tell all."""
        for one in self._all:
            one.begun(run)

    def finished(self, run: Run) -> None:
        """Tell all."""
        for one in self._all:
            one.finished(run)
