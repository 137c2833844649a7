"""Running counts are gathered in front of the disk, and never said before they are on it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from wattswap.ledger.book import Book, Entry
from wattswap.runners.engines.gathering_store import MOST_GATHERED, GatheringStore
from wattswap.runners.engines.store import MemoryStore


class Disk(MemoryStore):
    """Counts how often something is written."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0

    def commit(self, memories: Sequence[tuple[str, bytes | None]], entries: Sequence[Entry]) -> None:
        self.commits += 1
        super().commit(memories, entries)


@pytest.fixture
def disk() -> Disk:
    return Disk()


def test_counts_alone_wait_for_the_next_thing_that_must_be_durable(disk):
    store = GatheringStore(disk)
    for count in range(5):
        store.commit([("lots/1", bytes([count]))], [])
    assert (disk.commits, disk.remembered()) == (0, {})
    assert store.remembered() == {"lots/1": b"\x04"}
    store.commit([("claim/1", b"said")], [])
    assert (disk.commits, disk.remembered()) == (1, {"lots/1": b"\x04", "claim/1": b"said"})


def test_a_claim_is_written_with_the_newest_count_not_with_one_that_was_gathered(disk):
    store = GatheringStore(disk)
    store.commit([("lots/1", b"old"), ("lots/2", b"two")], [])
    store.commit([("lots/1", b"new"), ("claim/1", b"said")], [])
    assert disk.remembered() == {"lots/1": b"new", "lots/2": b"two", "claim/1": b"said"}


def test_what_is_forgotten_stays_forgotten(disk):
    store = GatheringStore(disk)
    store.commit([("lots/1", b"count")], [])
    store.commit([("lots/1", None)], [])
    assert (disk.remembered(), store.remembered()) == ({}, {})


def test_nothing_of_a_book_waits(disk):
    book = Book(1_000)
    GatheringStore(disk).commit([], book.entries)
    assert disk.entries() == list(book.entries)


def test_a_minute_of_counts_is_written_once(disk):
    store = GatheringStore(disk)
    for count in range(3 * MOST_GATHERED):
        store.commit([("lots/1", b"%d" % count)], [])
    assert disk.commits == 3


def test_a_node_that_ends_loses_no_count(disk):
    store = GatheringStore(disk)
    store.commit([("lots/1", b"count")], [])
    store.flush()
    store.flush()
    assert (disk.commits, disk.remembered()) == (1, {"lots/1": b"count"})
