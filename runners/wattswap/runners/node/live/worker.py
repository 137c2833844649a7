"""A process of a street on the wall clock: it handles what comes when it comes, and keeps a journal of it."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Received, Woken
from wattswap.runners.node.live.clock import LiveClock
from wattswap.runners.node.live.insight import Insight
from wattswap.runners.node.processes.member import Member
from wattswap.runners.node.processes.wire import Beat, Begin, CloseBooks, Letter, Letters, News, Wire, encode_wire

if TYPE_CHECKING:
    from pathlib import Path

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.errors import LocalProtocolError
    from wattswap.protocol.events import Event
    from wattswap.protocol.messages import Message
    from wattswap.runners.engines.observer import Note
    from wattswap.runners.node.processes.plan import Plan
    from wattswap.runners.node.zeromq import Transport
    from wattswap.runners.recording.journal import Header

from wattswap.runners.recording.process_journal import ProcessJournal, journal_name

_IDLE_MS: Final = 1_000
"""So long a process waits at most before it looks whether the command still lives."""
_MOST_TURN_EVENTS: Final = 100_000


@dataclass(frozen=True)
class LiveOptions:
    """What the processes of a run on the wall clock know from the start."""

    speed: float
    phase_ms: int
    """A transformer ticks so long after the beat: by then the reports of the beat are in."""
    is_watched: bool
    """Whether somebody wants to be told what agents keep to themselves."""
    folder: Path | None
    """Where the journals go."""
    header: Header | None


class LiveWorker(Member):
    """The host of the agents of one process."""

    def __init__(self, options: LiveOptions, plan: Plan, number: int, transport: Transport, lifeline: int) -> None:
        super().__init__(plan, number, transport, lifeline)
        self._options = options
        self._nodes = self._hosted(self)
        self._insight = Insight(self._nodes) if options.is_watched else None
        self._transformers = frozenset(plan.factory.transformers) & self._nodes.keys()
        self._pending: deque[tuple[str, Event]] = deque()
        self._wakes: list[tuple[int, int, str, int]] = []
        """(when, sequence, agent, the instant that it asked for)."""
        self._sequence = 0
        self._letters_out: defaultdict[int, list[Letter]] = defaultdict(list)
        self._told_to_cars: defaultdict[int, list[tuple[str, Event]]] = defaultdict(list)
        """What the chargers here tell cars elsewhere, once they have looked at it themselves."""
        self._journal: ProcessJournal | None = None
        if options.folder is not None and options.header is not None:
            self._journal = ProcessJournal(options.folder / journal_name(number), options.header)
        self._begin_news()

    def _begin_news(self) -> None:
        self._powers: list[tuple[int, int, int]] = []
        self._notes: list[tuple[str, Note]] = []
        self._bills: list[tuple[int, int, int]] = []
        self._refused: list[tuple[int, str, Event]] = []

    def close(self) -> None:
        """Write what is still to be written of the journal."""
        if self._journal is not None:
            self._journal.close()

    def serve(self) -> None:
        """Handle whatever comes until the run is over."""
        self._clock = clock = LiveClock(self._wait_for(Begin).began_ns, self._options.speed)
        self._pending.extend((name, Woken()) for name in sorted(self._transformers))
        while True:
            due_ms = clock.wall_ms_until(self._wakes[0][0]) if self._wakes else _IDLE_MS
            self._receive(0 if self._pending or self._inbox else min(due_ms, _IDLE_MS))
            while self._inbox:
                self._hear(self._inbox.popleft()[1])
            self._wake(clock.now_ms())
            self._handle()
            self._send()

    def _hear(self, wire: Wire) -> None:
        match wire:
            case Letters():
                self._pending.extend((one.to, Received(one.sender, one.message)) for one in wire.letters)
            case Beat():
                for name, event in wire.told:
                    if name in self._nodes:
                        self._pending.append((name, event))
                    else:
                        self._told_to_cars[self._plan.process_of[name]].append((name, event))
                if self._journal is not None:
                    self._journal.flush()
            case CloseBooks():
                self._handle()
                self._send()
                self._tell_accounts(self._nodes)
            case _:
                raise AssertionError(f"a process hears {wire}")

    def _wake(self, now_ms: int) -> None:
        while self._wakes and self._wakes[0][0] <= now_ms:
            _, _, name, at_ms = heappop(self._wakes)
            self._pending.append((name, Woken(at_ms)))

    def _handle(self) -> None:
        """Let the agents learn of all that is pending, and of what that brings up here."""
        for _ in range(_MOST_TURN_EVENTS):
            if not self._pending:
                return
            name, event = self._pending.popleft()
            now_ms = self._clock.now_ms()
            effects: list[Effect] | None = None
            try:
                effects = self._nodes[name].feed(event, now_ms)
                if self._insight is not None:
                    self._insight.handled(name, event)
            except RemoteProtocolError:
                self._refused.append((now_ms, name, event))
            if self._journal is not None:
                self._journal.handled(now_ms, name, event, effects)

    def _send(self) -> None:
        """What the agents said, one frame a process; what came of it, to the command."""
        for other, told in self._told_to_cars.items():
            self._transport.send(self._plan.keys[other].public, encode_wire(Beat(tuple(told))))
        self._told_to_cars.clear()
        for other, letters in self._letters_out.items():
            frame = encode_wire(Letters(0, self._clock.now_ms(), tuple(letters)))
            self._transport.send(self._plan.keys[other].public, frame)  # who is gone is missed by the command
        self._letters_out.clear()
        inside = None if self._insight is None else self._insight.news()
        if self._powers or self._notes or self._bills or self._refused or inside:
            news = News(tuple(self._powers), tuple(self._notes), tuple(self._bills), tuple(self._refused), inside)
            self._begin_news()
            self._tell_command(news)

    # -- what a driver needs of its host ------------------------------------------------------------------------------

    def post(self, sender: str, to: str, message: Message) -> None:
        """Bring a message on its way: to an agent here at once, to any other by a socket."""
        other = self._plan.process_of[to]
        if other == self._number:
            self._pending.append((to, Received(sender, message)))
        else:
            self._sequence += 1
            self._letters_out[other].append(Letter(sender, self._sequence, to, message))

    def tell(self, agent: str, event: Event) -> None:
        """Let an agent learn of something at once."""
        self._pending.append((agent, event))

    def wake_at(self, agent: str, at_ms: int) -> None:
        """Wake an agent at an instant; a transformer's beat comes a phase later, when the reports are in."""
        is_beat = agent in self._transformers and at_ms % self._plan.world.rules.tick_ms == 0
        self._sequence += 1
        heappush(self._wakes, (at_ms + is_beat * self._options.phase_ms, self._sequence, agent, at_ms))

    def set_power(self, session: int, import_w: int, export_w: int) -> None:
        """The command's world does it."""
        self._powers.append((session, import_w, export_w))

    def note(self, agent: str, note: Note) -> None:
        """The command's recorder keeps it."""
        self._notes.append((agent, note))

    def refused(self, agent: str, error: LocalProtocolError) -> None:  # noqa: ARG002 - the error says all
        """Stop: it is a bug of ours, which the run has found."""
        raise error

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """The command's recorder keeps it."""
        self._bills.append((session, billed_nanos, receivable_nanos))
