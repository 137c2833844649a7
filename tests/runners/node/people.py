"""Nodes for the tests: agents with fresh keys who trust each other, on free ports, closed at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

from wattswap.protocol.identity import Signer
from wattswap.runners.node.gate import Gate
from wattswap.runners.node.key_directory import PublicIdentity, TransportKey
from wattswap.runners.node.messenger import Heard, Messenger
from wattswap.runners.node.roles import Role
from wattswap.runners.node.trust import TrustStore
from wattswap.runners.node.zeromq import SocketOptions, Transport

BEAT_MS = 200
PATIENCE_S = 20.0


def clock() -> int:
    return time.monotonic_ns() // 1_000_000


@dataclass
class Person:
    """An agent's name, role and key."""

    name: str
    role: Role
    key: TransportKey = field(default_factory=TransportKey.new)

    @property
    def identity(self) -> PublicIdentity:
        signing = Signer(self.key.public).public_key
        return PublicIdentity(
            name=self.name, role=self.role, transport_key=self.key.public.hex(), signing_key=signing.hex()
        )


@dataclass
class NodeOfOne:
    """One agent behind sockets, driven by the test."""

    person: Person
    transport: Transport
    gate: Gate
    messenger: Messenger
    trust: TrustStore
    port: int = 0
    heard: list[Heard] = field(default_factory=list)

    def turn(self, timeout_ms: int = 10) -> None:
        self.messenger.tick()
        self.messenger.flush()
        self.heard += self.messenger.receive(timeout_ms)

    def events(self) -> list[str]:
        return [notice.event for notice in self.messenger.notices]


@contextmanager
def node(person: Person, trusts: list[Person], *, listens: bool = False, epoch: int = 1, port: int = 0, **options):
    """A node that trusts these agents; ``options`` are those of its sockets."""
    trust = TrustStore([other.identity for other in trusts])
    beat_ms = options.setdefault("beat_ms", BEAT_MS)
    transport = Transport(person.key, trust.allows, SocketOptions(**options))
    try:
        found = transport.listen("127.0.0.1", port) if listens else 0
        gate = Gate({person.name: person.role}, trust, epoch=epoch, beat_ms=beat_ms)
        messenger = Messenger(transport, gate, trust, beat_ms=beat_ms, clock=clock)
        yield NodeOfOne(person, transport, gate, messenger, trust, found)
    finally:
        transport.close()


def until(done: Callable[[], object], *nodes: NodeOfOne) -> None:
    """Let the nodes run until something is so; fails when it takes far longer than it may."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, [(one.person.name, one.messenger.notices, one.gate.counts) for one in nodes]
        for one in nodes:
            one.turn(5)


def link(upper: NodeOfOne, lower: NodeOfOne) -> None:
    """Connect the lower node to the upper one, and wait until both may speak."""
    lower.messenger.connect(upper.person.identity, "127.0.0.1", upper.port)
    until(lambda: is_linked(upper, lower), upper, lower)


def is_linked(upper: NodeOfOne, lower: NodeOfOne) -> bool:
    return upper.gate.is_open(lower.person.key.public) and lower.gate.is_open(upper.person.key.public)
