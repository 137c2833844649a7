"""One of the processes of a street: some agents, with real sockets to the processes that host their neighbours."""

from __future__ import annotations

import os
import traceback
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from wattswap.runners.engines.node import Node
from wattswap.runners.engines.store import MemoryStore
from wattswap.runners.node.processes.plan import OPTIONS
from wattswap.runners.node.processes.wire import (
    Account,
    Failed,
    Joined,
    Knock,
    PeerSockets,
    Ready,
    Stop,
    Wire,
    decode_wire,
    encode_wire,
)
from wattswap.runners.node.zeromq import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wattswap.runners.engines.host import Host
    from wattswap.runners.node.processes.plan import Plan

    MakeMember: TypeAlias = "Callable[[Plan, int, Transport, int], Member]"

LOCALHOST: Final = "127.0.0.1"
_LOOK_MS: Final = 1_000
_KNOCK_MS: Final = 20
_LAST_WORD_MS: Final = 500

_W = TypeVar("_W", bound=Wire)


class RunOverError(Exception):
    """The command of the run has ended, or ends the run."""


def take_part(make: MakeMember, plan: Plan, number: int, port: int, lifeline: int) -> None:
    """Be process ``number`` until the run is over; ``port`` is the command's.

    ``lifeline`` is the reading end of a pipe that the command holds open as long as it lives.
    """
    transport = Transport(plan.keys[number], plan.allows, OPTIONS)
    transport.watch(lifeline)
    try:
        member = make(plan, number, transport, lifeline)
        try:
            member.join(port)
            member.serve()
        except RunOverError:
            pass
        finally:
            member.close()
    except BaseException:
        transport.send(plan.command.public, encode_wire(Failed(traceback.format_exc())))
        transport.close(_LAST_WORD_MS)
        raise
    transport.close()


class Member:
    """What every such process does: it connects, it listens to the command, and it ends with it."""

    def __init__(self, plan: Plan, number: int, transport: Transport, lifeline: int) -> None:
        self._plan, self._number, self._transport, self._lifeline = plan, number, transport, lifeline
        self._inbox: deque[tuple[bytes, Wire]] = deque()

    def serve(self) -> None:
        """Do the work of this process until the run is over, which :class:`RunOverError` tells."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what is held; called once, however the run ends."""

    def _hosted(self, host: Host) -> Mapping[str, Node]:
        """The nodes of this process's agents, started."""
        plan, make = self._plan, self._plan.factory.make
        nodes = {
            name: Node(partial(make, name), host, MemoryStore(), plan.books.get(name), plan.factory.wallets)
            for name in plan.hosted(self._number)
        }
        for node in nodes.values():
            node.start()
        return nodes

    def join(self, port: int) -> None:
        """Connect to the command and to all processes that this one's agents talk to."""
        plan, transport = self._plan, self._transport
        mine = transport.listen(LOCALHOST, 0)
        transport.connect(plan.command.public, LOCALHOST, port)
        joined = encode_wire(Joined(mine))
        while not transport.send(plan.command.public, joined):
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
                assert isinstance(wire, Knock), f"{wire} before all processes are connected"
                other = plan.number_of[key]
                if other in callers:
                    callers.discard(other)
                    transport.send(key, knock)
                silent -= {other}
            self._inbox.clear()
        self._tell_command(Ready())

    def _receive(self, timeout_ms: int) -> None:
        """Take in what comes; the command's end, or its word, ends this process at any time."""
        arrived = self._transport.receive(timeout_ms)
        for key, data in arrived:
            wire = decode_wire(data)
            if isinstance(wire, Stop):
                raise RunOverError
            self._inbox.append((key, wire))
        if not arrived and _is_closed(self._lifeline):
            raise RunOverError

    def _wait_for(self, kind: type[_W]) -> _W:
        """The next message of this kind; others wait."""
        while True:
            for place, (_, wire) in enumerate(self._inbox):
                if isinstance(wire, kind):
                    del self._inbox[place]
                    return wire
            self._receive(_LOOK_MS)

    def _next(self) -> Wire:
        """What came first of all that has not been looked at."""
        while not self._inbox:
            self._receive(_LOOK_MS)
        return self._inbox.popleft()[1]

    def _tell_command(self, wire: Wire) -> None:
        """Say something to the command; if it takes nothing any more, the run is over."""
        if not self._transport.send(self._plan.command.public, encode_wire(wire)):
            raise RunOverError

    def _tell_accounts(self, nodes: Mapping[str, Node]) -> None:
        """The books of the transformers here."""
        for name in self._plan.factory.transformers:
            if (node := nodes.get(name)) is not None and (book := node.driver.book) is not None:
                self._tell_command(Account(name, tuple(book.entries)))


def _is_closed(lifeline: int) -> bool:
    """Whether the other end of the pipe is closed; nothing is ever written into it."""
    os.set_blocking(lifeline, False)
    try:
        return os.read(lifeline, 1) == b""
    except BlockingIOError:
        return False
