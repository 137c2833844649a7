"""The processes of a street, as the command sees them that started them: forked, connected, watched, and ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from wattswap.runners.node.processes.member import LOCALHOST, take_part
from wattswap.runners.node.processes.plan import OPTIONS
from wattswap.runners.node.processes.wire import (
    Account,
    CloseBooks,
    Failed,
    Joined,
    PeerSockets,
    Ready,
    Stop,
    Wire,
    decode_wire,
    encode_wire,
)
from wattswap.runners.node.zeromq import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.process import BaseProcess

    from wattswap.ledger.book import Entry
    from wattswap.runners.node.processes.member import MakeMember
    from wattswap.runners.node.processes.plan import Plan

PATIENCE_S: Final = 60.0
"""A process that says nothing for so long has hung."""
_LOOK_MS: Final = 500
_GOODBYE_S: Final = 2.0
_NAMES_SHOWN: Final = 3
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_Answer = TypeVar("_Answer", bound=Wire)


class WorkerLostError(Exception):
    """A process of the run died, hung or failed; the text names it, and when."""


class ProcessPool:
    """Starts the processes of a plan, talks to them, and stops them."""

    def __init__(self, plan: Plan, make: MakeMember, when: Callable[[], str]) -> None:
        """Fork the processes and wait until all are connected; ``when`` says in errors how far the run is.

        Raises:
            WorkerLostError: one did not get that far.
        """
        self._plan, self._when = plan, when
        self._workers: list[BaseProcess] = []
        self._transport: Transport | None = None
        self._is_connected = False
        self._start(make)

    @property
    def pids(self) -> list[int | None]:
        """The numbers by which the system knows the processes."""
        return [worker.pid for worker in self._workers]

    def _start(self, make: MakeMember) -> None:
        """Fork first, then make sockets: a ZeroMQ context does not survive a fork."""
        context = multiprocessing.get_context("fork")
        reading, self._lifeline = os.pipe()
        port_reading, port_writing = os.pipe()
        try:
            with _signals_held():
                for number in range(self._plan.processes):
                    arguments = (make, self._plan, number, reading, self._lifeline, port_reading, port_writing)
                    worker: BaseProcess = context.Process(
                        target=_forked, args=arguments, name=f"wattswap-{number}", daemon=True
                    )
                    worker.start()
                    self._workers.append(worker)
            os.close(reading)
            os.close(port_reading)
            self._transport = Transport(self._plan.command, self._plan.allows, OPTIONS)
            for worker in self._workers:
                self._transport.watch(worker.sentinel)
            port = self._transport.listen(LOCALHOST, 0)
            os.write(port_writing, f"{port:05}".encode() * self._plan.processes)
            os.close(port_writing)
            joined = {number: wire.port for number, wire in self.answers(Joined, set(range(self._plan.processes)))}
            ports = PeerSockets(tuple(joined[number] for number in range(self._plan.processes)))
            for number in joined:
                self.tell(number, ports)
            self.answers(Ready, set(joined))
            self._is_connected = True
        except BaseException:
            self.stop()
            raise

    def tell(self, process: int, wire: Wire) -> None:
        """Say something to a process.

        Raises:
            WorkerLostError: it cannot be reached.
        """
        assert self._transport is not None
        if not self._transport.send(self._plan.keys[process].public, encode_wire(wire)):
            self._workers[process].join(_GOODBYE_S)
            code = self._workers[process].exitcode
            raise self._lost(process, "cannot be reached" if code is None else _ended(code))

    def look(self, timeout_ms: int) -> list[tuple[int, Wire]]:
        """What has come from any process, waited for so long at most.

        Raises:
            WorkerLostError: one has died or failed.
        """
        assert self._transport is not None
        arrived = self._transport.receive(timeout_ms)
        found = [(self._plan.number_of[key], decode_wire(data)) for key, data in arrived]
        for process, wire in found:
            if isinstance(wire, Failed):
                raise self._lost(process, "failed: " + wire.text.strip().rpartition("\n")[2])
        if not found:
            for process, worker in enumerate(self._workers):
                if worker.exitcode is not None:
                    raise self._lost(process, _ended(worker.exitcode))
        return found

    def receive(self, awaited: set[int]) -> list[tuple[int, Wire]]:
        """What comes next, from any process.

        Raises:
            WorkerLostError: one has died or failed, or those that are awaited say nothing.
        """
        until = time.monotonic() + PATIENCE_S
        while not (found := self.look(_LOOK_MS)):
            if time.monotonic() > until:
                raise self._lost(min(awaited), f"has said nothing for {PATIENCE_S:.0f} s")
        return found

    def answers(self, kind: type[_Answer], missing: set[int]) -> list[tuple[int, _Answer]]:
        """One message of this kind from each of these processes."""
        answers: list[tuple[int, _Answer]] = []
        while missing:
            for process, wire in self.receive(missing):
                assert isinstance(wire, kind), f"process {process} says {wire} instead of {kind.__name__}"
                answers.append((process, wire))
                missing.discard(process)
        return answers

    def close_books(self) -> dict[str, tuple[Entry, ...]]:
        """The entries of each transformer's book; anything else that is said meanwhile comes too late."""
        transformers = self._plan.factory.transformers
        hosts = {self._plan.process_of[name] for name in transformers}
        for process in hosts:
            self.tell(process, CloseBooks())
        books: dict[str, tuple[Entry, ...]] = {}
        while len(books) < len(transformers):
            for _, wire in self.receive(hosts):
                if isinstance(wire, Account):
                    books[wire.transformer] = wire.entries
        return books

    def _lost(self, process: int, how: str) -> WorkerLostError:
        names = self._plan.hosted(process)
        shown, more = ", ".join(names[:_NAMES_SHOWN]), len(names) - _NAMES_SHOWN
        if more > 0:
            shown += f" and {more} more"
        return WorkerLostError(
            f"process {process} ({shown}) {how}, at {self._when() if self._is_connected else 'start'}"
        )

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
    """Let no signal in while processes are forked: a child that is not yet one would take it for the command's."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _forked(
    make: MakeMember, plan: Plan, number: int, reading: int, lifeline: int, port_reading: int, port_writing: int
) -> None:
    """The first steps of a forked process: signals, then the command's ends of the pipes, then its port."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal's processes; the command decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.close(lifeline)
    os.close(port_writing)
    port = os.read(port_reading, 5)
    os.close(port_reading)
    if port:
        take_part(make, plan, number, int(port), reading)


def _ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
