"""What is still to happen, in the order in which it is handled: stage by stage.

A *stage* is everything of one kind at one instant. The queue gives out the earliest instant's lowest rank, all of it
at once, sorted by sender and each sender's own numbering; whatever handling that brings up is looked at afresh, so a
lower rank of the same instant may come again before a higher one does. The order depends neither on who put something
in first nor on how the parts of a stage were handled side by side: processes that share a street among them, each with
its own part of a stage, come to the same.
"""

from __future__ import annotations

from heapq import heappop, heappush
from operator import itemgetter
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

Item = TypeVar("Item")

Entry: TypeAlias = tuple[str, int, str, Item]
"""(sender, the sender's own sequence, receiver, what happens)."""

_SENDER_AND_SEQUENCE: Final = itemgetter(0, 1)


class Stage(NamedTuple, Generic[Item]):
    """All that happens at one instant and has one rank."""

    at_ms: int
    rank: int
    entries: list[Entry[Item]]


class EventQueue(Generic[Item]):
    """What is still to happen."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, int]] = []
        """A heap of the (instant, rank) of all stages that are waiting."""
        self._entries: dict[tuple[int, int], list[Entry[Item]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def push(self, at_ms: int, rank: int, sender: str, sequence: int, to: str, item: Item) -> None:
        """Let something happen to ``to`` at an instant; ``sequence`` is how many the sender has put in before."""
        key = (at_ms, rank)
        entries = self._entries.get(key)
        if entries is None:
            self._entries[key] = [(sender, sequence, to, item)]
            heappush(self._keys, key)
        else:
            entries.append((sender, sequence, to, item))

    def pop_stage(self, until_ms: int, most_rank: int) -> Stage[Item] | None:
        """Take out the next stage; None if it is not before ``until_ms``, or of a higher rank than ``most_rank``."""
        keys = self._keys
        if not keys or keys[0][0] >= until_ms or keys[0][1] > most_rank:
            return None
        key = heappop(keys)
        entries = self._entries.pop(key)
        if len(entries) > 1:
            entries.sort(key=_SENDER_AND_SEQUENCE)
        return Stage(*key, entries)
