"""A node: one agent with what keeps it going. It may crash, freeze, be cut off, and come back.

What a crash leaves is the store, and nothing else: the agent that starts again, and the site's book with it, are made
from what the store holds.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from wattswap.ledger.book import Book
from wattswap.protocol.events import PluggedIn, Restarted, Unplugged
from wattswap.runners.engines.driver import DURABLE, Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wattswap.agents.base import Agent
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.host import Host
    from wattswap.runners.engines.store import Store


class Running(Enum):
    """Whether a node's agent runs."""

    RUNS = "runs"
    FAILS_NEXT = "fails next"
    """It runs, and will crash in the middle of the next event that it handles."""
    FROZEN = "frozen"
    """It does nothing; what happens meanwhile is read when it goes on."""
    CRASHED = "crashed"
    """All that it had in memory is lost, and so is what happens until it starts again."""


class Clock(Protocol):
    """A node's own clock; it never goes backwards."""

    def local_ms(self, true_ms: int) -> int:
        """What it says at an instant."""

    def true_ms(self, local_ms: int) -> int:
        """The first instant at which it says at least this."""


class Node:
    """One agent, its clock, its store, and whether it runs; ``start`` it first.

    ``opening`` is the account of a transformer's site as it is when the node starts for the first time; ``wallets`` are
    the names of wallets in it that differ from those of their agents.
    """

    def __init__(
        self,
        make: Callable[[], Agent],
        host: Host,
        store: Store,
        opening: Book | None = None,
        wallets: Mapping[str, str] | None = None,
    ) -> None:
        self._make, self._host, self.store, self._opening, self._wallets = make, host, store, opening, wallets
        self.agent = make()
        self.driver = Driver(host, store, opening, wallets)
        self.clock: Clock | None = None
        """None for a clock that is right."""
        self.state = Running.RUNS
        self._part: Callable[[int], int] = int
        self._crashed: Callable[[], None] = self.crash
        self.held: list[Event] = []
        """What happened while the agent did not run and can still be learned of when it does."""
        self._deaf = self._mute = 0

    @property
    def is_down(self) -> bool:
        """Whether the agent is crashed or frozen."""
        return self.state in (Running.CRASHED, Running.FROZEN)

    @property
    def hears(self) -> bool:
        """Whether messages reach the node."""
        return not self._deaf

    @property
    def speaks(self) -> bool:
        """Whether its messages reach others."""
        return not self._mute

    def local_ms(self, true_ms: int) -> int:
        """What its clock says at an instant."""
        return true_ms if self.clock is None else self.clock.local_ms(true_ms)

    def true_ms(self, local_ms: int) -> int:
        """When its clock says this."""
        return local_ms if self.clock is None else self.clock.true_ms(local_ms)

    # -- events -------------------------------------------------------------------------------------------------------

    def feed(self, event: Event, true_ms: int) -> list[Effect]:
        """Let the agent learn of something; the effects, carried out.

        Raises:
            RemoteProtocolError: the event is a message that cannot be read or breaks the protocol.
        """
        agent, clock = self.agent, self.clock
        effects = agent.handle(event, true_ms if clock is None else clock.local_ms(true_ms))
        if effects:
            self.driver.carry_out(agent.name, effects)
        return effects

    def feed_in_part(self, event: Event, true_ms: int) -> list[Effect]:
        """Let the agent crash in the middle of what it wants done about an event; the effects that were carried out.

        The cut may be anywhere: before the transaction, or after it and any number of the effects that follow it.
        """
        self.state = Running.CRASHED
        if isinstance(event, Unplugged):
            self.held.append(event)  # a charger that starts again finds the cable gone and its meter's totals
        try:
            done = torn(self.agent.handle(event, self.local_ms(true_ms)), self._part)
            self.driver.carry_out(self.agent.name, done)
        finally:
            self._crashed()
        return done

    def miss(self, event: Event) -> bool:
        """Something happens while the agent is down; whether it is lost, and not to be learned of later."""
        lost = self.state is Running.CRASHED and not isinstance(event, PluggedIn | Unplugged)
        if not lost:
            self.held.append(event)
        return lost

    # -- outages ------------------------------------------------------------------------------------------------------

    def crash(self) -> None:
        """The agent stops and loses all that it had in memory."""
        self.state = Running.CRASHED

    def crash_in_next_event(self, part: Callable[[int], int], crashed: Callable[[], None]) -> None:
        """The agent will crash in the middle of the next event; ``crashed`` is called when it has.

        ``part`` says how many of so many steps of what it wants done it still takes.
        """
        self.state, self._part, self._crashed = Running.FAILS_NEXT, part, crashed

    def freeze(self) -> None:
        """The agent stops for a while."""
        self.state = Running.FROZEN

    def thaw(self) -> list[Event]:
        """The agent goes on; what it has to read first, in the order in which it happened."""
        self.state = Running.RUNS
        held, self.held = self.held, []
        return held

    def start(self) -> list[Event]:
        """The node starts, for the first time or again; what its agent learns before anything else.

        The new epoch is durable before the agent can send anything. One that starts again is told what it had kept,
        and which cables were pulled out meanwhile.
        """
        epoch = self.store.next_epoch()
        book = self._open_book()
        self.agent, self.driver = self._make(), Driver(self._host, self.store, book, self._wallets)
        gone = [event for event in self.thaw() if isinstance(event, Unplugged)]
        if epoch == 1:
            return []
        site_nanos = 0 if book is None else book.site_uncommitted_nanos
        return [Restarted(epoch, self.store.remembered(), site_nanos), *gone]

    def _open_book(self) -> Book | None:
        """The book that the store holds; the opening one, which the store then holds, if it has none."""
        if self._opening is None:
            return None
        if entries := self.store.entries():
            book = Book.restore(entries)
            book.pays, book.collects = self._opening.pays, self._opening.collects
            return book
        self.store.commit((), self._opening.entries)
        return self._opening

    def cut(self, *, one_way: bool) -> None:
        """No message passes any more; ``one_way``: those it sends still do."""
        self._deaf += 1
        self._mute += not one_way

    def heal(self, *, one_way: bool) -> None:
        """A cut is over; there may be others still."""
        self._deaf -= 1
        self._mute -= not one_way


def torn(effects: Sequence[Effect], part: Callable[[int], int]) -> list[Effect]:
    """What is carried out by an agent that crashes in the middle of it.

    There are as many steps as there are effects, but those of the first transaction are one. ``part`` says how many of
    so many steps are done.
    """
    durable = sum(type(effect) in DURABLE for effect in effects)
    steps = part(len(effects) - durable + bool(durable))
    if not steps:
        return []
    after = steps - bool(durable)
    done = []
    for effect in effects:
        if type(effect) in DURABLE:
            done.append(effect)
        elif after:
            done.append(effect)
            after -= 1
    return done
