"""The messages engine: the real agents on a simulated network, in virtual time.

A heap orders what happens by (time, kind, sender, sequence). Within an instant meters come before closings, closings
before calls, calls before awards, awards before grants, so that every party acts on the same picture. Without faults a
message takes no time and arrives once; with faults it is ``Trouble`` that decides what reaches whom, and when.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from wattswap.agents.charger import Charger
from wattswap.protocol import effects, events, messages
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.runners.engines.agent_factory import TRANSFORMER, AgentFactory
from wattswap.runners.engines.driver import Driver
from wattswap.runners.engines.sensor_feed import NOBODY, SensorFeed
from wattswap.runners.network.fault_injector import FaultInjector
from wattswap.runners.payments.opening_book import open_books
from wattswap.runners.recording.record import RunRecord, TickRow, forced_row, session_row, trade_rows
from wattswap.runners.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wattswap.agents.controllers import Controller
    from wattswap.agents.law import ChargingState
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.protocol.messages import Message
    from wattswap.runners.engines.strategy_assignment import StrategyAssignment
    from wattswap.runners.network.fault_schedule import FaultOptions
    from wattswap.runners.scenario.street import Street

_ORDER: Final = (
    (events.Metered,),
    (messages.Delivery, messages.WitnessedDelivery),
    (messages.Receipt, messages.Ack, events.Paid, events.Billed),
    (events.Unplugged, messages.Departed),
    (events.PluggedIn, messages.Mandate),
    (events.Reading,),
    (messages.Report,),
    (events.BaseRead, events.LimitChanged, messages.BaseReport),
    (events.Woken,),
    (messages.ReliefCall,),
    (messages.Offer, messages.CappedOffer),
    (messages.Release,),
    (messages.Award,),
    (messages.Grant,),
)
"""The order in which an instant's events and messages are handled."""

_RANK: Final[Mapping[type, int]] = {kind: rank for rank, kinds in enumerate(_ORDER) for kind in kinds}
_SEALED_RANK: Final = {kind.__struct_config__.tag: _RANK[kind] for kind in messages.SEALED}

WORLD: Final = ""
"""The sender of what no agent said."""


class EventAuditor(Protocol):
    """Someone who watches everything that happens and knows the rules."""

    def audit(self, now_ms: int, agent: str, event: Event, done: list[Effect]) -> None:
        """An agent learned of something, and this was done about it."""


class JournalListener(Protocol):
    """Someone who hears what comes into a run from outside, and how the run goes on from it: its journal."""

    handled: Callable[[bytes], None] | None
    """Shown every event and its effects in MessagePack, unless None."""

    def told(self, told: list[tuple[str, Event]]) -> None:
        """The world told these agents of these events, in this order."""

    def felt(self, agent: str, event: Event) -> None:
        """An agent that has started again felt the cable that is in."""

    def passed(self, tick: int, base_w: int, events_hash: bytes) -> None:
        """All of this tick has happened; ``base_w`` is the base load's mean over the tick before."""


def rank_of(message: Message) -> int:
    """Where in an instant a message is handled."""
    return _SEALED_RANK[message.kind] if isinstance(message, messages.Sealed) else _RANK[type(message)]


class SimulatedRun:
    """One run of a street by its agents."""

    def __init__(
        self,
        street: Street,
        controller: Controller | None = None,
        record: RunRecord | None = None,
        *,
        sign: bool = False,
        faults: FaultOptions | None = None,
        auditor: EventAuditor | None = None,
        journal: JournalListener | None = None,
    ) -> None:
        self.street, self.world = street, self._world_of(street)
        self.rules = self.world.rules
        self.record = RunRecord() if record is None else record
        (self.book,) = open_books(street, self.world)
        self.record.book = self.book
        self.factory = AgentFactory(street, self.world, controller, sign=sign)
        self._sensors = self._sensors_of(street)
        self._driver = Driver(self, self.book)
        self._heap: list[tuple[int, int, str, int, str, Event]] = []
        self._sequence, self._now_ms = 0, 0
        self.tick = 0
        """The next one."""
        self.agents = {name: self.factory.make(name) for name in self.factory.names}
        rows = len(self.world.fleet)
        self._import_w, self._export_w = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
        self._reduce_w, self._forced_w = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
        self._award_tick = np.full(rows, -1, dtype=np.int64)
        """When each session's newest award was made; -1 once it is settled, or if it never had one."""
        self._noted: set[str] = set()
        self._ended: set[int] = set()
        self._earned = dict.fromkeys(range(rows), 0)
        self._deferred_ws = dict.fromkeys(range(rows), 0)
        self._auditor, self._journal = auditor, journal
        if journal is not None:
            self._driver.witness = journal.handled
        self._injector: FaultInjector | None = None
        if faults is not None and faults.any:
            self._injector = FaultInjector(self, faults)
            self.record.counts = self._injector.schedule.counts
        self.tell(TRANSFORMER, events.Woken())

    def _world_of(self, street: Street) -> World:
        return World(street)

    def _sensors_of(self, street: Street) -> SensorFeed:
        return SensorFeed(street, self.world, self.factory)

    # -- the run ------------------------------------------------------------------------------------------------------

    def run(self, progress: Callable[[int], None] = lambda _tick: None) -> RunRecord:
        """Every tick of the run, then the closing step of its last instant."""
        while self.tick < self.street.ticks:
            self.step()
            progress(self.tick - 1)
        return self.finish()

    def step(self) -> None:
        """One tick: what ended is closed, everyone reads, talks and decides, and the world moves to the next."""
        tick = self.tick
        self._now_ms = tick * self.rules.tick_ms
        self._tell(self._sensors.closing(tick, self.record.ticks[-1] if tick else None, self._award_tick >= 0))
        self._tell(self._sensors.arrivals(self.world.arrive(tick).tolist()))
        charging, plugged = self.world.charging(tick), self.world.plugged
        granted = (self._import_w[plugged] | self._export_w[plugged]) != 0
        self._tell(self._sensors.opening(tick, charging, granted))
        self._drain(self._now_ms + self.rules.tick_ms)
        if self._injector is not None:
            self._injector.fall_back((tick + 1) * self.rules.tick_ms - 1)
        self._passed(tick)
        self._move(tick, charging)
        self.tick = tick + 1

    def finish(self) -> RunRecord:
        """The closing step of the last instant: meters and departures, and the rows of who stays."""
        self._now_ms = self.tick * self.rules.tick_ms
        self._tell(self._sensors.closing(self.tick, self.record.ticks[-1], self._award_tick >= 0))
        self._drain(self._now_ms + 1, most_rank=_RANK[events.Unplugged])
        self._passed(self.tick)
        for row in sorted({*range(len(self.world.fleet))} - self._ended):
            if self.world.fleet.arrival_tick[row] < self.street.ticks:
                self._end_session(row, billed_nanos=0, receivable_nanos=0)
        self.record.events_hash = self._driver.events_hash()
        return self.record

    @property
    def assignment(self) -> StrategyAssignment:
        """Which car follows which strategy."""
        return self.factory.assignment

    def earned_nanos(self, row: int) -> int:
        """What a session has been paid so far."""
        return self._earned[row]

    def _tell(self, told: Iterable[tuple[str, Event]]) -> None:
        told = list(told)
        if self._journal is not None:
            self._journal.told(told)
        for agent, event in told:
            if agent != NOBODY:
                self.tell(agent, event)

    def _passed(self, tick: int) -> None:
        if self._journal is not None:
            self._journal.passed(tick, int(self.world.base_w[0, tick]), self._driver.hash_so_far())

    def _drain(self, until_ms: int, most_rank: int = len(_ORDER)) -> None:
        """Let everything happen that happens before ``until_ms``."""
        heap = self._heap
        while heap and heap[0][0] < until_ms and heap[0][1] <= most_rank:
            self._now_ms, _, _, _, name, event = heappop(heap)
            if self._injector is not None and not self._injector.admits(name, event):
                continue
            self._feed(name, event)

    def _feed(self, name: str, event: Event, most_effects: int | None = None) -> None:
        """Let an agent learn of something and do what it wants done; weather is counted and dropped."""
        now_ms = self._now_ms if self._injector is None else self._injector.local_ms(name, self._now_ms)
        try:
            effects = self._driver.feed(self.agents[name], event, now_ms, most_effects)
        except RemoteProtocolError:
            self.record.refused += 1
            return
        if self._auditor is not None:
            self._auditor.audit(self._now_ms, name, event, effects)

    def _move(self, tick: int, charging: ChargingState) -> None:
        """The world goes on to the next tick under the grants in force."""
        world = self.world
        rows = world.plugged
        owed_ws = np.maximum(world.remaining_ws[rows] - world.baseline_ws[rows], 0)
        drawn_w, fed_w = world.move(charging, self._import_w[rows], self._export_w[rows])
        self.record.ticks.append(
            TickRow(
                tick,
                int(world.base_w[0, tick + 1]),
                self._sensors.limit_w(),
                rows,
                charging,
                drawn_w,
                fed_w,
                self._reduce_w[rows],
                self._forced_w[rows],
                owed_ws,
            )
        )
        self._forced_w[:] = 0

    def _end_session(self, row: int, billed_nanos: int, receivable_nanos: int) -> None:
        self._ended.add(row)
        assignment = self.factory.assignment
        self.record.sessions.append(
            session_row(
                self.world,
                row,
                self.street.ticks,
                assignment.names[assignment.number[row]],
                self._deferred_ws[row],
                self._earned[row],
                billed_nanos,
                receivable_nanos,
            )
        )

    # -- what the driver needs of its host ----------------------------------------------------------------------------

    def post(self, sender: str, to: str, message: Message) -> None:
        """Bring a message on its way. Without faults it arrives at once, and once."""
        received = events.Received(sender, message)
        if self._injector is None:
            self.push(self._now_ms, rank_of(message), sender, to, received)
            return
        for at_ms in self._injector.schedule.arrivals(sender, to, self._now_ms):
            self.push(at_ms, rank_of(message), sender, to, received)

    def tell(self, agent: str, event: Event) -> None:
        """Let an agent learn of something at this instant."""
        self.push(self._now_ms, _RANK[type(event)], WORLD, agent, event)

    def wake_at(self, agent: str, at_ms: int) -> None:
        """Wake an agent when its clock says so."""
        true_ms = at_ms if self._injector is None else self._injector.true_ms(agent, at_ms)
        self.push(max(true_ms, self._now_ms), _RANK[events.Woken], agent, agent, events.Woken(at_ms))

    def set_power(self, session: int, import_w: int, export_w: int) -> None:
        """What the charger lets its car draw and feed from now on."""
        self._import_w[session], self._export_w[session] = import_w, export_w

    def vehicle_of(self, session: int) -> tuple[str, str]:
        """A session's id and its wallet's name."""
        return self.world.fleet.session_id[session], self.world.fleet.vehicle_id[session]

    def note(self, note: effects.NoteRound | effects.NoteAward | effects.NoteTrade | effects.NoteForced) -> None:
        """Write the record's rows."""
        match note:
            case effects.NoteRound():
                self.record.rounds.append(note)
            case effects.NoteAward(tick, session, reduce_w):
                self._award_tick[session], self._reduce_w[session] = tick, reduce_w
            case effects.NoteForced():
                self._forced_w[note.session] = note.forced_w
                self.record.trades.append(
                    forced_row(note.tick, self.world.fleet.session_id[note.session], note.forced_w)
                )
            case effects.NoteTrade() if note.payment_id not in self._noted:
                self._noted.add(note.payment_id)
                if self._award_tick[note.session] == note.tick:
                    self._award_tick[note.session], self._reduce_w[note.session] = -1, 0
                self._earned[note.session] += sum(note.nanos)
                self._deferred_ws[note.session] += sum(note.delivered_ws[:-1])
                self.record.trades.extend(trade_rows(note, self.world.fleet.session_id[note.session]))

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """A departed session is closed, once."""
        if session not in self._ended:
            self._end_session(session, billed_nanos, receivable_nanos)

    def push(self, at_ms: int, rank: int, sender: str, to: str, event: Event) -> None:
        """Put something into the order of events."""
        self._sequence += 1
        heappush(self._heap, (at_ms, rank, sender, self._sequence, to, event))

    # -- what trouble needs -------------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """The true time."""
        return self._now_ms

    def local_ms(self, name: str, at_ms: int | None = None) -> int:
        """What an agent's clock says, now or at an instant."""
        true_ms = self._now_ms if at_ms is None else at_ms
        return true_ms if self._injector is None else self._injector.local_ms(name, true_ms)

    def is_down(self, name: str) -> bool:
        """Whether an agent is crashed or frozen now, or is just crashing in the middle of what it wanted done."""
        return self._injector is not None and self._injector.is_down(name)

    def feed_again(self, name: str, event: Event) -> None:
        """Let an agent learn of something that trouble has held back."""
        self._feed(name, event)

    def feed_in_part(self, name: str, event: Event, part: Callable[[int], int]) -> None:
        """Let an agent crash in the middle of what it wants done."""
        self._feed(name, event, part(8))

    def crash(self, name: str) -> None:
        """An agent loses all it knew; a charger's hardware falls to its minimum."""
        for row, charger in enumerate(self.factory.charger_of):
            if charger == name:
                self._import_w[row], self._export_w[row] = self.rules.guaranteed_w, 0

    def restart(self, name: str, epoch: int) -> None:
        """The agent starts again with what it made durable, and feels the cable that is in."""
        remembered = self._driver.remembered[name]
        site_nanos = 0
        if name == TRANSFORMER:
            promised = {key.removeprefix("award/") for key in remembered if key.startswith("award/")}
            self.book.release_all_but(promised)
            site_nanos = self.book.site_uncommitted_nanos - self.book.returned_nanos(promised)
        self.agents[name] = self.factory.make(name)
        self._feed(name, events.Restarted(epoch, dict(remembered), site_nanos))

    def lease_ends_ms(self, name: str) -> int | None:
        """When a charging station's own watchdog lets its power fall, should the agent that sets it have stopped."""
        agent = self.agents[name]
        ends_ms = agent.lease_ends_ms if isinstance(agent, Charger) else None
        return ends_ms if ends_ms is None or self._injector is None else self._injector.true_ms(name, ends_ms)

    def hear_limit(self) -> None:
        """Tell a restarted transformer of the limit in force."""
        self._feed(TRANSFORMER, events.LimitChanged(self._sensors.limit_w()))

    def feel_cable(self, name: str) -> None:
        """Tell a restarted charger or car of the cable that is in, and where the session stands at the next tick."""
        for row in self.world.plugged.tolist():
            for mine, peer in (
                (self.factory.charger_of[row], self.factory.vehicle_of[row]),
                (self.factory.vehicle_of[row], self.factory.charger_of[row]),
            ):
                if mine == name:
                    self._sensors.tell_again(row)
                    cable = self._sensors.plugged_in(row, peer)
                    if self._journal is not None:
                        self._journal.felt(name, cable)
                    self._feed(name, cable)
