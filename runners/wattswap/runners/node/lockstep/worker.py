"""A worker of a lockstep run: some agents of the street in a process of their own, with real sockets between them."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Event, Received, Woken
from wattswap.runners.engines.event_queue import EventQueue
from wattswap.runners.engines.ranks import RANK_OF_KIND, WORLD, rank_of
from wattswap.runners.node.processes.member import Member, RunOverError
from wattswap.runners.node.processes.wire import (
    CloseBooks,
    Done,
    Letter,
    Letters,
    Order,
    Sent,
    Stop,
    encode_wire,
)

if TYPE_CHECKING:
    from wattswap.protocol.errors import LocalProtocolError
    from wattswap.protocol.messages import Message
    from wattswap.runners.engines.observer import Note
    from wattswap.runners.node.processes.plan import Plan
    from wattswap.runners.node.zeromq import Transport


class LockstepWorker(Member):
    """The host of the agents of one process; it handles stage after stage, as the conductor orders them."""

    def __init__(self, plan: Plan, number: int, transport: Transport, lifeline: int) -> None:
        super().__init__(plan, number, transport, lifeline)
        self._process_of = plan.process_of
        self._nodes = self._hosted(self)
        self._queue = EventQueue[Event]()
        self._sequence = self._now_ms = 0
        self._letters_in = 0
        """So many letters are in the queue."""
        self._early: list[Letters] = []
        """Letters of the stage that is being handled: they belong to a later one."""
        self._begin_stage()

    def _begin_stage(self) -> None:
        self._letters_out: defaultdict[int, list[Letter]] = defaultdict(list)
        self._ranks_out: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._pending: set[tuple[int, int]] = set()
        self._powers: list[tuple[int, int, int]] = []
        self._notes: list[tuple[str, Note]] = []
        self._bills: list[tuple[int, int, int]] = []
        self._refused: list[tuple[str, Event]] = []

    # -- stages -------------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Handle stage after stage until the run is over."""
        while True:
            match wire := self._next():
                case Letters():
                    self._early.append(wire)
                case Order():
                    self._tell_command(self._carry_out(wire))
                case CloseBooks():
                    self._tell_accounts(self._nodes)
                case _:
                    raise AssertionError(f"a worker hears {wire}")

    def _carry_out(self, order: Order) -> Done:
        """This process's part of a stage: what is there for it, sorted by sender and the sender's own sequence."""
        self._now_ms = order.at_ms
        self._take_in(order.stage)
        while self._letters_in < order.letters:
            wire = self._next()
            assert isinstance(wire, Letters), f"{wire} while letters are missing"
            self._early.append(wire)
            self._take_in(order.stage)
        assert self._letters_in == order.letters, "more letters than the conductor knows of"
        for sensed in order.sensed:
            self._queue.push(order.at_ms, order.rank, WORLD, sensed.sequence, sensed.to, sensed.event)
        stage = self._queue.pop_stage(order.at_ms + 1, order.rank)
        assert stage is not None, f"nothing to do in {order}"
        assert (stage.at_ms, stage.rank) == (order.at_ms, order.rank), f"{order} leaves out an earlier stage"
        for _, _, name, event in stage.entries:
            self._happen(name, event)
        return self._finish_stage(order)

    def _take_in(self, stage: int) -> None:
        """Put letters of earlier stages into the queue; those of this very stage have come early and wait."""
        for letters in self._early:
            if letters.stage < stage:
                self._letters_in += len(letters.letters)
                for letter in letters.letters:
                    received = Received(letter.sender, letter.message)
                    rank = rank_of(letter.message)
                    self._queue.push(letters.at_ms, rank, letter.sender, letter.sequence, letter.to, received)
        self._early = [letters for letters in self._early if letters.stage >= stage]

    def _happen(self, name: str, event: Event) -> None:
        try:
            self._nodes[name].feed(event, self._now_ms)
        except RemoteProtocolError:
            self._refused.append((name, event))

    def _finish_stage(self, order: Order) -> Done:
        """Send what the agents said, one frame a worker, and tell the conductor what came of it all."""
        for other, letters in self._letters_out.items():
            frame = encode_wire(Letters(order.stage, order.at_ms, tuple(letters)))
            if not self._transport.send(self._plan.keys[other].public, frame):
                self._wait_for(Stop)  # that process is gone; the conductor will see it, and end this one too
                raise RunOverError
        done = Done(
            order.stage,
            tuple(
                Sent(other, rank, count) for other, ranks in self._ranks_out.items() for rank, count in ranks.items()
            ),
            tuple(self._pending),
            tuple(self._powers),
            tuple(self._notes),
            tuple(self._bills),
            tuple(self._refused),
        )
        self._begin_stage()
        return done

    # -- what a driver needs of its host ------------------------------------------------------------------------------

    def post(self, sender: str, to: str, message: Message) -> None:
        """Bring a message on its way: to an agent here by the queue, to any other by a socket."""
        self._sequence += 1
        rank, other = rank_of(message), self._process_of[to]
        if other == self._number:
            self._push(self._now_ms, rank, sender, to, Received(sender, message))
        else:
            self._letters_out[other].append(Letter(sender, self._sequence, to, message))
            self._ranks_out[other][rank] += 1

    def tell(self, agent: str, event: Event) -> None:
        """Let an agent learn of something at this instant."""
        self._sequence += 1
        self._push(self._now_ms, RANK_OF_KIND[type(event)], WORLD, agent, event)

    def wake_at(self, agent: str, at_ms: int) -> None:
        """Wake an agent at an instant."""
        self._sequence += 1
        self._push(max(at_ms, self._now_ms), RANK_OF_KIND[Woken], agent, agent, Woken(at_ms))

    def set_power(self, session: int, import_w: int, export_w: int) -> None:
        """The conductor's world does it."""
        self._powers.append((session, import_w, export_w))

    def note(self, agent: str, note: Note) -> None:
        """The conductor's recorder keeps it."""
        self._notes.append((agent, note))

    def refused(self, agent: str, error: LocalProtocolError) -> None:  # noqa: ARG002 - the error says all
        """Stop: it is a bug of ours, which the run has found."""
        raise error

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """The conductor's recorder keeps it."""
        self._bills.append((session, billed_nanos, receivable_nanos))

    def _push(self, at_ms: int, rank: int, sender: str, to: str, event: Event) -> None:
        self._pending.add((at_ms, rank))
        self._queue.push(at_ms, rank, sender, self._sequence, to, event)
