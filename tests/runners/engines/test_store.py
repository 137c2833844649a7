"""What a node has said survives it: the store's one transaction, its epochs, and a process that is killed."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.ledger.book import Book, Entry
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.sqlite_store import SqliteStore
from wattswap.runners.engines.store import MemoryStore, Store

Memory = tuple[str, bytes | None]


def entries_of(book: Book) -> list[Entry]:
    return list(book.entries)


def a_book() -> Book:
    book = Book(10_000)
    book.fund("opening/car", "wallet/car", 50)
    book.reserve("0.1/s", 700)
    book.settle("0.1/s", "car", 300)
    book.bill("s", "car", 120)
    return book


# -- both stores ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "node.sqlite")


def test_a_new_store_holds_nothing_and_has_never_started(store: Store):
    assert (store.remembered(), store.entries()) == ({}, [])
    assert [store.next_epoch() for _ in range(3)] == [1, 2, 3]
    assert [store.next_epoch(least) for least in (9, 9, 1)] == [9, 10, 11]


def test_what_is_committed_is_remembered_in_the_order_in_which_it_first_came(store: Store):
    store.commit([("b", b"1"), ("a", b"2"), ("c", b"3")], [])
    store.commit([("b", b"4"), ("a", None), ("d", b"")], [])
    assert list(store.remembered().items()) == [("b", b"4"), ("c", b"3"), ("d", b"")]


def test_a_key_that_comes_more_than_once_has_its_last_value(store: Store):
    store.commit([("a", b"1"), ("a", None), ("b", b"2"), ("b", b"3"), ("c", None)], [])
    assert store.remembered() == {"b": b"3"}


def test_a_book_comes_back_from_a_store_as_it_was(store: Store):
    book = a_book()
    store.commit([], entries_of(book)[:2])
    store.commit([], entries_of(book)[2:])
    again = Book.restore(store.entries())
    assert again.entries == book.entries
    assert again.balances() == book.balances()


keys = st.sampled_from(["award/1", "award/2", "session/1", "gone/7"])
memories = st.lists(st.tuples(keys, st.none() | st.binary(max_size=4)), max_size=6)


@given(st.lists(memories, max_size=6))
def test_sqlite_remembers_what_memory_does(commits: list[list[Memory]]):
    memory = MemoryStore()
    with SqliteStore(None) as file:
        for each in commits:
            memory.commit(each, [])
            file.commit(each, [])
        assert list(file.remembered().items()) == list(memory.remembered().items())


# -- the file ---------------------------------------------------------------------------------------------------------


def test_a_file_is_opened_again_with_all_that_was_in_it(tmp_path: Path):
    path, book = tmp_path / "node.sqlite", a_book()
    with SqliteStore(path) as first:
        assert first.next_epoch() == 1
        first.commit([("award/1", b"x")], book.entries)
    with SqliteStore(path) as again:
        assert again.next_epoch() == 2
        assert again.remembered() == {"award/1": b"x"}
        assert again.entries() == entries_of(book)


def test_only_the_owner_may_read_the_file(tmp_path: Path):
    with SqliteStore(tmp_path / "node.sqlite") as store:
        store.commit([("award/1", b"x")], [])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("node.sqlite*")}
    assert modes["node.sqlite"] == modes["node.sqlite-wal"] == 0o600
    assert all(not mode & 0o077 for mode in modes.values())


def test_the_file_is_written_ahead_and_flushed_at_each_commit(tmp_path: Path):
    with SqliteStore(tmp_path / "node.sqlite") as store:
        (journal,) = store._database.rows("PRAGMA journal_mode")
        (synchronous,) = store._database.rows("PRAGMA synchronous")
    assert (journal, synchronous) == (("wal",), (2,))


def test_a_second_node_cannot_open_the_file(tmp_path: Path):
    with SqliteStore(tmp_path / "node.sqlite"), pytest.raises(InputError, match="node's store"):
        SqliteStore(tmp_path / "node.sqlite")


def test_a_commit_that_fails_in_the_middle_has_written_nothing(tmp_path: Path):
    store = SqliteStore(tmp_path / "node.sqlite")
    store.commit([("a", b"1")], [])
    with pytest.raises(OverflowError):
        store.commit([("a", b"2"), ("b", b"3")], [("reserve", "k", "", 5, ()), ("reserve", "l", "", 1 << 70, ())])
    assert store.remembered() == {"a": b"1"}
    assert store.entries() == []
    store.close()


# -- a process that is killed -----------------------------------------------------------------------------------------


def killed_while(path: Path, commits: Sequence[Sequence[Memory]], after: int) -> list[int]:
    """Commit these in a process of its own that says the number of each and is killed when it has said ``after``.

    The numbers that it said.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store = SqliteStore(path)
            store.next_epoch()
            for number, memories in enumerate(commits):
                store.commit(memories, [])
                os.write(writer, bytes([number]))
                if number + 1 == after:
                    os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = list(pipe.read())
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    return said


def test_what_a_killed_process_has_committed_is_there_when_it_starts_again(tmp_path: Path):
    path = tmp_path / "node.sqlite"
    for life in range(1, 4):
        assert len(killed_while(path, [[(f"{life}/{number}", b"x")] for number in range(9)], after=life)) == life
        with SqliteStore(path) as store:
            expected = [f"{past}/{number}" for past in range(1, life + 1) for number in range(past)]
            assert list(store.remembered()) == expected
            assert store.next_epoch() == 2 * life, "each life counted itself, before it said anything"
