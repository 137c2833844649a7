"""A store that spares an SD card: running counts are gathered, and written with whatever else must be durable.

An agent counts every beat while energy waits, and says nothing of the count until it claims. So a count need not be on
the disk at once. A crash loses the counts of the last beats: whoever crashed then claims less, and never more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.ledger.book import Entry
    from wattswap.runners.engines.store import Store

RUNNING_COUNT: Final = "lots/"
"""How the keys of running counts begin."""
MOST_GATHERED: Final = 60
"""So many commits of running counts alone are gathered at most: a minute at beats of a second."""


class GatheringStore:
    """In front of another store."""

    def __init__(self, behind: Store) -> None:
        self._behind = behind
        self._counts: dict[str, bytes] = {}
        self._gathered = 0

    def commit(self, memories: Sequence[tuple[str, bytes | None]], entries: Sequence[Entry]) -> None:
        """Write it with all that was gathered, or gather it if it holds nothing but running counts."""
        counts = {key: value for key, value in memories if value is not None and key.startswith(RUNNING_COUNT)}
        if entries or len(counts) < len(memories) or self._gathered + 1 >= MOST_GATHERED:
            before, self._counts, self._gathered = self._counts, {}, 0
            self._behind.commit([*before.items(), *memories], entries)
        else:
            self._counts |= counts
            self._gathered += 1

    def flush(self) -> None:
        """Write what was gathered: the node ends."""
        if self._counts:
            counts, self._counts, self._gathered = self._counts, {}, 0
            self._behind.commit(list(counts.items()), ())

    def next_epoch(self, least: int = 1) -> int:
        """Count one more start of the node."""
        return self._behind.next_epoch(least)

    def remembered(self) -> dict[str, bytes]:
        """All that is remembered, gathered counts included."""
        return self._behind.remembered() | self._counts

    def entries(self) -> list[Entry]:
        """The book's entries."""
        return self._behind.entries()
