"""Which process hosts which agents of a street, and who needs a connection to whom."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from wattswap.runners.node.key_directory import TransportKey
from wattswap.runners.node.zeromq import SocketOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.ledger.book import Book
    from wattswap.runners.engines.agent_factory import AgentFactory
    from wattswap.runners.world import World

Processes = int | Literal["each"]
"""How many; ``each`` gives every agent its own."""

OPTIONS: Final = SocketOptions(queue=100_000, most_frame_bytes=256 << 20, beat_ms=60_000)
"""A stage waits until everything has come, so nothing may be dropped, however long a process takes."""


@dataclass(frozen=True)
class Plan:
    """What all processes of a run know from the start; they are forked with it in memory."""

    world: World
    factory: AgentFactory
    books: Mapping[str, Book]
    """The opening account of each transformer's site."""
    process_of: Mapping[str, int]
    """By the agent's name."""
    keys: tuple[TransportKey, ...]
    """Of the processes' connections, by their number; made for this run alone."""
    command: TransportKey

    @property
    def processes(self) -> int:
        """How many there are besides the command's."""
        return len(self.keys)

    def hosted(self, process: int) -> list[str]:
        """The agents of a process, in the order in which the factory names them."""
        return [name for name in self.factory.names if self.process_of[name] == process]

    def allows(self, key: bytes) -> bool:
        """Whether a key belongs to this run."""
        return key in self._public

    @cached_property
    def _public(self) -> frozenset[bytes]:
        return frozenset(key.public for key in (*self.keys, self.command))

    @cached_property
    def number_of(self) -> Mapping[bytes, int]:
        """A process's number by its public key."""
        return {key.public: number for number, key in enumerate(self.keys)}

    @cached_property
    def talks_to(self) -> tuple[frozenset[int], ...]:
        """The processes that each process exchanges messages with."""
        factory, process_of = self.factory, self.process_of
        found: list[set[int]] = [set() for _ in self.keys]

        def pair(one: str, other: str) -> None:
            here, there = process_of[one], process_of[other]
            if here != there:
                found[here].add(there)
                found[there].add(here)

        for row, (charger, vehicle) in enumerate(zip(factory.charger_of, factory.vehicle_of, strict=True)):
            pair(charger, vehicle)
            pair(charger, factory.transformer_of(row))
        for household in factory.households:
            pair(household, factory.transformer_of_household(household))
        return tuple(map(frozenset, found))


def plan_of(world: World, factory: AgentFactory, books: Mapping[str, Book], processes: Processes) -> Plan:
    """Deal the agents out to so many processes, in turn: neighbours at the cable mostly talk over a socket."""
    names = factory.names
    count = len(names) if processes == "each" else min(processes, len(names))
    process_of = {name: place % count for place, name in enumerate(names)}
    keys = tuple(TransportKey.new() for _ in range(count))
    return Plan(world, factory, books, process_of, keys, TransportKey.new())
