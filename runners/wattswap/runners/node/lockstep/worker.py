"""A worker of a lockstep run: some agents of the street in a process of their own, with real sockets between them."""

from __future__ import annotations

import os
import traceback
from collections import Counter, defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Event, Received, Woken
from wattswap.runners.engines.event_queue import EventQueue
from wattswap.runners.engines.node import Node
from wattswap.runners.engines.ranks import RANK_OF_KIND, WORLD, rank_of
from wattswap.runners.engines.store import MemoryStore
from wattswap.runners.node.lockstep.plan import OPTIONS
from wattswap.runners.node.lockstep.wire import (
    Account,
    CloseBooks,
    Done,
    Failed,
    Joined,
    Knock,
    Letter,
    Letters,
    Order,
    PeerSockets,
    Ready,
    Sent,
    Stop,
    Wire,
    decode_wire,
    encode_wire,
)
from wattswap.runners.node.zeromq import Transport

if TYPE_CHECKING:
    from wattswap.protocol.messages import Message
    from wattswap.runners.engines.observer import Note
    from wattswap.runners.node.lockstep.plan import Plan

LOCALHOST: Final = "127.0.0.1"
_LOOK_MS: Final = 1_000
_KNOCK_MS: Final = 20
_LAST_WORD_MS: Final = 500

_W = TypeVar("_W", bound=Wire)


class _RunOverError(Exception):
    """The process that conducts the run has ended, or ends the run."""


def work(plan: Plan, number: int, port: int, lifeline: int) -> None:
    """Be worker ``number`` until the run is over; ``port`` is the conductor's.

    ``lifeline`` is the reading end of a pipe that the conductor holds open as long as it lives.
    """
    transport = Transport(plan.keys[number], plan.allows, OPTIONS)
    transport.watch(lifeline)
    worker = _Worker(plan, number, transport, lifeline)
    try:
        worker.join(port)
        worker.serve()
    except _RunOverError:
        pass
    except BaseException:
        transport.send(plan.conductor.public, encode_wire(Failed(traceback.format_exc())))
        transport.close(_LAST_WORD_MS)
        raise
    transport.close()


class _Worker:
    """The host of the agents of one process."""

    def __init__(self, plan: Plan, number: int, transport: Transport, lifeline: int) -> None:
        self._plan, self._number, self._transport, self._lifeline = plan, number, transport, lifeline
        self._process_of = plan.process_of
        self._nodes = {
            name: Node(
                partial(plan.factory.make, name), self, MemoryStore(), plan.books.get(name), plan.factory.wallets
            )
            for name in plan.hosted(number)
        }
        for node in self._nodes.values():
            node.start()
        self._queue = EventQueue[Event]()
        self._sequence = self._now_ms = 0
        self._letters_in = 0
        """So many letters are in the queue."""
        self._early: list[Letters] = []
        """Letters of the stage that is being handled: they belong to a later one."""
        self._inbox: deque[tuple[bytes, Wire]] = deque()
        self._begin_stage()

    def _begin_stage(self) -> None:
        self._letters_out: defaultdict[int, list[Letter]] = defaultdict(list)
        self._ranks_out: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._pending: set[tuple[int, int]] = set()
        self._powers: list[tuple[int, int, int]] = []
        self._notes: list[tuple[str, Note]] = []
        self._bills: list[tuple[int, int, int]] = []
        self._refused: list[tuple[str, Event]] = []

    # -- connections --------------------------------------------------------------------------------------------------

    def join(self, port: int) -> None:
        """Connect to the conductor and to all workers that this one's agents talk to."""
        plan, transport = self._plan, self._transport
        mine = transport.listen(LOCALHOST, 0)
        transport.connect(plan.conductor.public, LOCALHOST, port)
        joined = encode_wire(Joined(mine))
        while not transport.send(plan.conductor.public, joined):
            self._receive(_KNOCK_MS)
        peers = self._wait_for(PeerSockets)
        neighbours = plan.talks_to[self._number]
        callers = {other for other in neighbours if other > self._number}
        silent = neighbours - callers
        for other in silent:
            transport.connect(plan.keys[other].public, LOCALHOST, peers.ports[other])
        knock, knocked = encode_wire(Knock()), set[int]()
        while callers or silent:
            for other in silent - knocked:
                if transport.send(plan.keys[other].public, knock):
                    knocked.add(other)
            self._receive(_KNOCK_MS)
            for key, wire in self._inbox:
                assert isinstance(wire, Knock), f"{wire} before all workers are connected"
                other = plan.number_of[key]
                if other in callers:
                    callers.discard(other)
                    transport.send(key, knock)
                silent -= {other}
            self._inbox.clear()
        self._tell_conductor(Ready())

    def _receive(self, timeout_ms: int) -> None:
        """Take in what comes; the conductor's end, or its word, ends this process at any time."""
        arrived = self._transport.receive(timeout_ms)
        for key, data in arrived:
            wire = decode_wire(data)
            if isinstance(wire, Stop):
                raise _RunOverError
            self._inbox.append((key, wire))
        if not arrived and _is_closed(self._lifeline):
            raise _RunOverError

    def _wait_for(self, kind: type[_W]) -> _W:
        """The next message of the conductor, which must be of this kind; others wait."""
        while True:
            for place, (_, wire) in enumerate(self._inbox):
                if isinstance(wire, kind):
                    del self._inbox[place]
                    return wire
            self._receive(_LOOK_MS)

    def _tell_conductor(self, wire: Wire) -> None:
        sent = self._transport.send(self._plan.conductor.public, encode_wire(wire))
        assert sent, "the conductor takes nothing any more"

    # -- stages -------------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Handle stage after stage until the run is over."""
        while True:
            match wire := self._next():
                case Letters():
                    self._early.append(wire)
                case Order():
                    self._tell_conductor(self._carry_out(wire))
                case CloseBooks():
                    self._close_books()
                case _:
                    raise AssertionError(f"a worker hears {wire}")

    def _next(self) -> Wire:
        """What came first of all that has not been looked at."""
        while not self._inbox:
            self._receive(_LOOK_MS)
        return self._inbox.popleft()[1]

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
                raise _RunOverError
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

    def _close_books(self) -> None:
        for name in self._plan.factory.transformers:
            if (node := self._nodes.get(name)) is not None and (book := node.driver.book) is not None:
                self._tell_conductor(Account(name, tuple(book.entries)))

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

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        """The conductor's recorder keeps it."""
        self._bills.append((session, billed_nanos, receivable_nanos))

    def _push(self, at_ms: int, rank: int, sender: str, to: str, event: Event) -> None:
        self._pending.add((at_ms, rank))
        self._queue.push(at_ms, rank, sender, self._sequence, to, event)


def _is_closed(lifeline: int) -> bool:
    """Whether the other end of the pipe is closed; nothing is ever written into it."""
    os.set_blocking(lifeline, False)
    try:
        return os.read(lifeline, 1) == b""
    except BlockingIOError:
        return False
