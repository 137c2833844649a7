"""What a node keeps through a crash: what its agent remembers, its book's entries, and how often it has started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.ledger.book import Entry


class Store(Protocol):
    """The durable part of one node.

    Whatever a method has written is durable when it returns. One that raises has written nothing, or it is not known
    what it has: the node must then end and find out when it starts again.
    """

    def commit(self, memories: Sequence[tuple[str, bytes | None]], entries: Sequence[Entry]) -> None:
        """Write all of this, or nothing: what is remembered under each key (None forgets it), new entries of the book.

        A key that comes more than once has its last value.
        """

    def next_epoch(self, least: int = 1) -> int:
        """Count one more start of the node, as ``least`` or more; called before it sends anything."""

    def remembered(self) -> dict[str, bytes]:
        """All that is remembered, in the order in which each key first came."""

    def entries(self) -> list[Entry]:
        """The book's entries, oldest first."""


class MemoryStore:
    """A store that survives what a simulated node suffers, for as long as the process lives."""

    def __init__(self) -> None:
        self._epoch = 0
        self._remembered: dict[str, bytes] = {}
        self._entries: list[Entry] = []

    def commit(self, memories: Sequence[tuple[str, bytes | None]], entries: Sequence[Entry]) -> None:
        """Keep it."""
        for key, value in memories:
            if value is None:
                self._remembered.pop(key, None)
            else:
                self._remembered[key] = value
        self._entries.extend(entries)

    def next_epoch(self, least: int = 1) -> int:
        """Count."""
        self._epoch = max(self._epoch + 1, least)
        return self._epoch

    def remembered(self) -> dict[str, bytes]:
        """A copy."""
        return dict(self._remembered)

    def entries(self) -> list[Entry]:
        """A copy."""
        return list(self._entries)
