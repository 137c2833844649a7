"""The messages engine: the real agents on a network, in virtual time.

The loop takes stage after stage from the event queue and hands each event to its agent's node; what the agent wants
done comes back through ``Host`` and goes into the queue again. What reaches whom and when is the network's affair, what
the agents sense is the feed's, and what is kept of it all is the observers'.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.protocol import events
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.runners.engines.event_queue import EventQueue
from wattswap.runners.engines.node import Node, Running
from wattswap.runners.engines.observer import Moved, Observers
from wattswap.runners.engines.ranks import LAST_RANK, RANK_OF_KIND, WORLD, rank_of
from wattswap.runners.engines.sensor_feed import OF_A_SESSION, hearers_by_row
from wattswap.runners.engines.store import MemoryStore
from wattswap.runners.payments.opening_book import open_books

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wattswap.agents.law import ChargingState
    from wattswap.ledger.book import Book
    from wattswap.protocol.errors import LocalProtocolError
    from wattswap.protocol.events import Event
    from wattswap.protocol.messages import Message
    from wattswap.runners.engines.agent_factory import AgentFactory
    from wattswap.runners.engines.observer import Note, Observer, Sensed
    from wattswap.runners.engines.sensor_feed import Feed
    from wattswap.runners.engines.strategy_assignment import StrategyAssignment
    from wattswap.runners.network.network import Network
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.recording.recorder import Recorder
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.world import World

_ACTION_RANK: Final = -1
"""What is done to nodes comes before anything that happens to agents at the same instant."""

_RUNS: Final = Running.RUNS


class Action(NamedTuple):
    """Something that is done to the run at an instant."""

    do: Callable[[], None]


class SimulatedRun:
    """One run of a street by its agents; ``simulated.simulated_run`` puts one together."""

    def __init__(
        self,
        street: Street,
        world: World,
        factory: AgentFactory,
        feed: Feed,
        network: Network,
        recorder: Recorder,
        observers: Iterable[Observer] = (),
    ) -> None:
        self.street, self.world, self.factory, self.network = street, world, factory, network
        self.rules = world.rules
        self._feed, self._recorder, self._observers = feed, recorder, Observers((recorder, *observers))
        self._queue = EventQueue[events.Event | Action]()
        self.messages = 0
        """How many the agents have sent each other, repeats and heartbeats too."""
        self._sequence = 0
        """Numbers what is put into the queue, and so each sender's messages in their order."""
        self.tick = self.now_ms = 0
        rows = len(world.fleet)
        self._import_w, self._export_w = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
        self._hearers = hearers_by_row(factory.charger_of, factory.vehicle_of)
        opening = dict(zip(factory.transformers, open_books(street, world), strict=True))
        self.nodes = {
            name: Node(partial(factory.make, name), self, MemoryStore(), opening.get(name), factory.wallets)
            for name in factory.names
        }
        """By the agent's name."""
        for node in self.nodes.values():
            node.start()

    # -- the run ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Tell the observers, and wake the transformers; called once, before the first step."""
        self._observers.begun(self)
        for name in self.factory.transformers:
            self.tell(name, events.Woken())

    def run(self) -> RunRecord:
        """Every tick of the run, then the closing step of its last instant."""
        while self.tick < self.street.ticks:
            self.step()
        return self.finish()

    def step(self) -> None:
        """One tick: what ended is closed, everyone reads, talks and decides, and the world moves to the next."""
        tick = self.tick
        self.now_ms = tick * self.rules.tick_ms
        self._sense(self._feed.closing(tick))
        self._sense(self._feed.arrivals(tick))
        charging, plugged = self.world.charging(tick), self.world.plugged
        granted = (self._import_w[plugged] | self._export_w[plugged]) != 0
        self._sense(self._feed.opening(tick, charging, granted))
        self._drain(self.now_ms + self.rules.tick_ms)
        self._tick_handled(tick)
        self._move(tick, charging)
        self.tick = tick + 1
        for hear in self._observers.tick_passed:
            hear(tick)

    def finish(self) -> RunRecord:
        """The closing step of the last instant: meters and departures, and the rows of who stays."""
        self.now_ms = self.tick * self.rules.tick_ms
        self._sense(self._feed.closing(self.tick))
        self._drain(self.now_ms + 1, most_rank=RANK_OF_KIND[events.Unplugged])
        self._tick_handled(self.tick)
        self._observers.finished(self)
        self._recorder.records[0].messages = self.messages
        return self.record

    def _sense(self, told: Iterable[Sensed]) -> None:
        """Tell the agents what the world says."""
        sensed, now_ms = list(told), self.now_ms
        for hear in self._observers.sensed:
            hear(sensed)
        for who, event in sensed:
            names = self._hearers[who][event.session] if isinstance(event, OF_A_SESSION) else (str(who),)
            for name in names:
                self._push(now_ms, RANK_OF_KIND[type(event)], WORLD, name, event)

    def _drain(self, until_ms: int, most_rank: int = LAST_RANK) -> None:
        """Let everything happen that happens before ``until_ms``."""
        while (stage := self._queue.pop_stage(until_ms, most_rank)) is not None:
            self.now_ms = stage.at_ms
            for _, _, name, happening in stage.entries:
                if isinstance(happening, Action):
                    happening.do()
                else:
                    self._happen(name, happening)

    def _happen(self, name: str, event: Event) -> None:
        """Let an agent learn of something, if it runs; a message that breaks the protocol is refused and dropped."""
        node, now_ms = self.nodes[name], self.now_ms
        try:
            if node.state is _RUNS:
                effects = node.feed(event, now_ms)
            elif node.is_down:
                self._miss(node, event)
                return
            else:
                effects = node.feed_in_part(event, now_ms)
        except RemoteProtocolError:
            for hear_refused in self._observers.refused:
                hear_refused(now_ms, name, event)
            return
        for hear in self._observers.handled:
            hear(now_ms, name, event, effects)

    def _miss(self, node: Node, event: Event) -> None:
        """Something happens to an agent that is down."""
        if node.miss(event) and isinstance(event, events.Received):
            self.network.unheard()

    def _tick_handled(self, tick: int) -> None:
        if self._observers.tick_handled:
            events_hash = self._recorder.hash_so_far()
            for hear in self._observers.tick_handled:
                hear(tick, events_hash)

    def _move(self, tick: int, charging: ChargingState) -> None:
        """The world goes on to the next tick under the grants in force."""
        world = self.world
        rows = world.plugged
        owed_ws = np.maximum(world.remaining_ws[rows] - world.baseline_ws[rows], 0)
        granted_w = self._import_w[rows]
        drawn_w, fed_w = world.move(charging, granted_w, self._export_w[rows])
        base_w, limit_w = world.base_w[:, tick + 1], self._feed.limit_w()
        moved = Moved(tick, base_w, limit_w, rows, charging, drawn_w, fed_w, granted_w, owed_ws)
        for hear in self._observers.moved:
            hear(moved)

    # -- what a driver needs of its host ------------------------------------------------------------------------------

    def post(self, sender: str, to: str, message: Message) -> None:
        """Bring a message on its way; the network says when it arrives, and how often."""
        self.messages += 1
        rank, received, nodes = rank_of(message), events.Received(sender, message), self.nodes
        for at_ms in self.network.arrivals(nodes[sender], nodes[to], self.now_ms):
            self._sequence += 1
            self._queue.push(at_ms, rank, sender, self._sequence, to, received)

    def tell(self, agent: str, event: Event) -> None:
        """Let an agent learn of something at this instant."""
        self._push(self.now_ms, RANK_OF_KIND[type(event)], WORLD, agent, event)

    def wake_at(self, agent: str, at_ms: int) -> None:
        """Wake an agent when its clock says so."""
        true_ms = max(self.nodes[agent].true_ms(at_ms), self.now_ms)
        self._push(true_ms, RANK_OF_KIND[events.Woken], agent, agent, events.Woken(at_ms))

    def set_power(self, session: int, import_w: int, export_w: int) -> None:
        """What the charger lets its car draw and feed from now on."""
        self._import_w[session], self._export_w[session] = import_w, export_w

    def note(self, agent: str, note: Note) -> None:
        """Pass it to the observers."""
        for hear in self._observers.noted:
            hear(agent, note)

    def refused(self, agent: str, error: LocalProtocolError) -> None:  # noqa: ARG002 - the error says all
        """Stop: it is a bug of ours, which the run has found."""
        raise error

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """Pass it to the observers."""
        for hear in self._observers.billed:
            hear(session, billed_nanos, receivable_nanos)

    def _push(self, at_ms: int, rank: int, sender: str, to: str, happening: Event | Action) -> None:
        self._sequence += 1
        self._queue.push(at_ms, rank, sender, self._sequence, to, happening)

    # -- what is done to a run from outside ---------------------------------------------------------------------------

    def at(self, at_ms: int, do: Callable[[], None]) -> None:
        """Do something at an instant, or now if it is over, before anything else happens at that instant."""
        self._push(max(at_ms, self.now_ms), _ACTION_RANK, WORLD, "", Action(do))

    def thaw(self, name: str) -> None:
        """Let a frozen agent go on and read what has happened meanwhile."""
        for event in self.nodes[name].thaw():
            self._happen(name, event)

    def restart(self, name: str) -> None:
        """Let a crashed agent start again with what it made durable, and sense what holds now."""
        first, sensed = self.nodes[name].start(), list(self._feed.holds(name))
        for hear in self._observers.recovered:
            hear(name, sensed)
        for event in (*first, *sensed):
            self._happen(name, event)

    def fall_back(self, name: str) -> None:
        """Let the hardware of a charging station fall to the guaranteed minimum; nothing happens to other agents."""
        for row, charger in enumerate(self.factory.charger_of):
            if charger == name:
                self._import_w[row], self._export_w[row] = self.rules.guaranteed_w, 0

    # -- what may be looked at ----------------------------------------------------------------------------------------

    @property
    def record(self) -> RunRecord:
        """What there is so far, of all feeders."""
        return self._recorder.record

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """The record of each feeder."""
        return self._recorder.records

    @property
    def books(self) -> list[Book]:
        """The account of each feeder's site, as its transformer's node has it now."""
        books = (self.nodes[name].driver.book for name in self.factory.transformers)
        return [book for book in books if book is not None]

    @property
    def assignment(self) -> StrategyAssignment:
        """Which car follows which strategy."""
        return self.factory.assignment

    def earned_nanos(self, row: int) -> int:
        """What a session has been paid so far."""
        return self._recorder.earned_nanos(row)

    def power_w(self, row: int) -> tuple[int, int]:
        """What a session's charging station lets its car draw and feed now."""
        return int(self._import_w[row]), int(self._export_w[row])

    def local_ms(self, name: str, at_ms: int | None = None) -> int:
        """What an agent's clock says, now or at an instant."""
        return self.nodes[name].local_ms(self.now_ms if at_ms is None else at_ms)

    def is_down(self, name: str) -> bool:
        """Whether an agent is crashed or frozen now, or is just crashing in the middle of what it wanted done."""
        return self.nodes[name].is_down
