"""The conductor of a lockstep run: it keeps the order, and the processes that host the agents.

It knows which process has something to handle at which (instant, rank), orders the lowest one everywhere at once, and
goes on when all have told what came of it. No wall clock orders anything.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import defaultdict
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from wattswap.runners.node.lockstep.plan import OPTIONS
from wattswap.runners.node.lockstep.wire import (
    Account,
    CloseBooks,
    Done,
    Failed,
    Joined,
    Order,
    PeerSockets,
    Ready,
    SensedEvent,
    Stop,
    Wire,
    decode_wire,
    encode_wire,
)
from wattswap.runners.node.lockstep.worker import LOCALHOST, work
from wattswap.runners.node.zeromq import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from multiprocessing.process import BaseProcess

    from wattswap.ledger.book import Entry
    from wattswap.protocol.events import Event
    from wattswap.runners.node.lockstep.plan import Plan

PATIENCE_S: Final = 60.0
"""A process that says nothing for so long has hung."""
_LOOK_MS: Final = 500
_GOODBYE_S: Final = 2.0
_NAMES_SHOWN: Final = 3
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_Answer = TypeVar("_Answer", bound=Wire)


class WorkerLostError(Exception):
    """A process of the run died, hung or failed; the text names it and the stage."""


class StageKey(NamedTuple):
    """What a stage is known by."""

    at_ms: int
    rank: int


class Conductor:
    """Starts the processes of a plan, orders their stages, and stops them."""

    def __init__(self, plan: Plan) -> None:
        """Fork the processes and wait until all are connected.

        Raises:
            WorkerLostError: one did not get that far.
        """
        self._plan = plan
        self._stage, self._sequence = 0, 0
        self._key = StageKey(0, -1)
        self._heap: list[StageKey] = []
        self._due: dict[StageKey, set[int]] = {}
        """Who has something to handle at which stage."""
        self._sensed: dict[StageKey, defaultdict[int, list[SensedEvent]]] = {}
        self._letters = [0] * plan.processes
        """So many letters were sent to each process up to the stage before."""
        self._workers: list[BaseProcess] = []
        self._transport: Transport | None = None
        self._start()

    def _start(self) -> None:
        """Fork first, then make sockets: a ZeroMQ context does not survive a fork."""
        context = multiprocessing.get_context("fork")
        reading, self._lifeline = os.pipe()
        port_reading, port_writing = os.pipe()
        try:
            with _signals_held():
                for number in range(self._plan.processes):
                    arguments = (self._plan, number, reading, self._lifeline, port_reading, port_writing)
                    worker: BaseProcess = context.Process(
                        target=_forked, args=arguments, name=f"wattswap-{number}", daemon=True
                    )
                    worker.start()
                    self._workers.append(worker)
            os.close(reading)
            os.close(port_reading)
            self._transport = Transport(self._plan.conductor, self._plan.allows, OPTIONS)
            for worker in self._workers:
                self._transport.watch(worker.sentinel)
            port = self._transport.listen(LOCALHOST, 0)
            os.write(port_writing, f"{port:05}".encode() * self._plan.processes)
            os.close(port_writing)
            joined = {number: wire.port for number, wire in self._answers(Joined, set(range(self._plan.processes)))}
            ports = PeerSockets(tuple(joined[number] for number in range(self._plan.processes)))
            for number in joined:
                self._tell(number, ports)
            self._answers(Ready, set(joined))
        except BaseException:
            self.stop()
            raise

    # -- stages -------------------------------------------------------------------------------------------------------

    def sense(self, at_ms: int, rank: int, to: str, event: Event) -> None:
        """The world tells an agent something."""
        key, process = StageKey(at_ms, rank), self._plan.process_of[to]
        self._sequence += 1
        self._sensed.setdefault(key, defaultdict(list))[process].append(SensedEvent(self._sequence, to, event))
        self._is_due(key, process)

    def next_stage(self, until_ms: int, most_rank: int) -> StageKey | None:
        """The lowest stage, or None if it is not before ``until_ms`` or of a higher rank than ``most_rank``."""
        if not self._heap or self._heap[0].at_ms >= until_ms or self._heap[0].rank > most_rank:
            return None
        return self._heap[0]

    def carry_out(self, key: StageKey) -> list[Done]:
        """Let all that have a part in a stage handle it, side by side; what came of it, by the process's number.

        Raises:
            WorkerLostError: a process died, hung or failed.
        """
        assert heappop(self._heap) == key
        processes = sorted(self._due.pop(key))
        sensed: Mapping[int, list[SensedEvent]] = self._sensed.pop(key, {})
        self._stage, self._key = self._stage + 1, key
        for process in processes:
            told = tuple(sensed.get(process, ()))
            self._tell(process, Order(self._stage, key.at_ms, key.rank, self._letters[process], told))
        done = [one for _, one in sorted(self._answers(Done, set(processes)), key=lambda answer: answer[0])]
        for process, one in zip(processes, done, strict=True):
            assert one.stage == self._stage, f"process {process} tells of stage {one.stage} in stage {self._stage}"
            for at_ms, rank in one.pending:
                self._is_due(StageKey(at_ms, rank), process)
            for sent in one.sent:
                self._letters[sent.worker] += sent.count
                self._is_due(StageKey(key.at_ms, sent.rank), sent.worker)
        return done

    def _is_due(self, key: StageKey, process: int) -> None:
        if (due := self._due.get(key)) is None:
            self._due[key] = {process}
            heappush(self._heap, key)
        else:
            due.add(process)

    def close_books(self) -> dict[str, tuple[Entry, ...]]:
        """The entries of each transformer's book."""
        transformers = self._plan.factory.transformers
        for process in {self._plan.process_of[name] for name in transformers}:
            self._tell(process, CloseBooks())
        books: dict[str, tuple[Entry, ...]] = {}
        while len(books) < len(transformers):
            for process, wire in self._receive({self._plan.process_of[name] for name in transformers}):
                assert isinstance(wire, Account), f"process {process} says {wire} instead of its account"
                books[wire.transformer] = wire.entries
        return books

    # -- processes ----------------------------------------------------------------------------------------------------

    def _tell(self, process: int, wire: Wire) -> None:
        assert self._transport is not None
        if not self._transport.send(self._plan.keys[process].public, encode_wire(wire)):
            self._workers[process].join(_GOODBYE_S)
            code = self._workers[process].exitcode
            raise self._lost(process, "cannot be reached" if code is None else _ended(code))

    def _answers(self, kind: type[_Answer], missing: set[int]) -> list[tuple[int, _Answer]]:
        """One message of this kind from each of these processes."""
        answers: list[tuple[int, _Answer]] = []
        while missing:
            for process, wire in self._receive(missing):
                assert isinstance(wire, kind), f"process {process} says {wire} instead of {kind.__name__}"
                answers.append((process, wire))
                missing.discard(process)
        return answers

    def _receive(self, awaited: set[int]) -> list[tuple[int, Wire]]:
        """What comes next, from any process.

        Raises:
            WorkerLostError: one of those that are awaited has died, hung or failed.
        """
        assert self._transport is not None
        until = time.monotonic() + PATIENCE_S
        while True:
            arrived = self._transport.receive(_LOOK_MS)
            found = [(self._plan.number_of[key], decode_wire(data)) for key, data in arrived]
            for process, wire in found:
                if isinstance(wire, Failed):
                    raise self._lost(process, "failed: " + wire.text.strip().rpartition("\n")[2])
            if found:
                return found
            for process, worker in enumerate(self._workers):
                if worker.exitcode is not None:
                    raise self._lost(process, _ended(worker.exitcode))
            if time.monotonic() > until:
                raise self._lost(min(awaited), f"has said nothing for {PATIENCE_S:.0f} s")

    def _lost(self, process: int, how: str) -> WorkerLostError:
        names = self._plan.hosted(process)
        shown, more = ", ".join(names[:_NAMES_SHOWN]), len(names) - _NAMES_SHOWN
        if more > 0:
            shown += f" and {more} more"
        where = f"stage {self._stage} (instant {self._key.at_ms} ms, rank {self._key.rank})" if self._stage else "start"
        return WorkerLostError(f"process {process} ({shown}) {how}, at {where}")

    def stop(self) -> None:
        """End all processes, however they are. Calling it twice is harmless."""
        transport, self._transport = self._transport, None
        if transport is not None:
            for key in self._plan.keys:
                transport.send(key.public, encode_wire(Stop()))
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        until = time.monotonic() + _GOODBYE_S
        for worker in self._workers:
            worker.join(max(0.0, until - time.monotonic()))
        for worker in self._workers:
            if worker.is_alive():
                worker.kill()
                worker.join()
            worker.close()
        self._workers.clear()
        if transport is not None:
            transport.close()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let no signal in while processes are forked: a child that is not yet one would take it for the conductor's."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _forked(plan: Plan, number: int, reading: int, lifeline: int, port_reading: int, port_writing: int) -> None:
    """The first steps of a forked process: signals, then the conductor's ends of the pipes, then its port."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal's processes; the conductor decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.close(lifeline)
    os.close(port_writing)
    port = os.read(port_reading, 5)
    os.close(port_reading)
    if port:
        work(plan, number, int(port), reading)


def _ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
