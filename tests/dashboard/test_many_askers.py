"""Whoever may look cannot slow the run down, nor keep others from looking."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from tests.dashboard.histories import history_of
from tests.dashboard.waiting import PATIENCE_S, wait_until

from wattswap.experiments.dashboard import looked_up, server, serving
from wattswap.experiments.dashboard.question_line import QuestionLine
from wattswap.experiments.dashboard.serving import served
from wattswap.runners.watching.history import MOST_ROWS
from wattswap.runners.watching.places import SLOW_S, WatchingPlaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wattswap.experiments.dashboard.transcript import Step

READ_S = 0.02


class SlowJournal:
    """A journal that takes a while to read."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.takes_s = READ_S
        self.at_once = self.most_at_once = 0

    def __call__(self, run_dir: Path, feeder: int, tick: int) -> list[Step]:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        time.sleep(self.takes_s)
        self.read.append(tick)
        self.at_once -= 1
        return []


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> SlowJournal:
    slow = SlowJournal()
    monkeypatch.setattr(looked_up, "transcript", slow)
    monkeypatch.setattr(looked_up, "_PATIENCE_S", 0.3)
    return slow


@contextmanager
def street(run_dir: Path, state: str = "running") -> Iterator[int]:
    """The port of a street's server."""
    history = history_of(3)
    if state == "complete":
        history.end("complete")
    with served(history, "127.0.0.1", 0, run_dir=run_dir) as address:
        yield int(address.rstrip("/").rpartition(":")[2])


def status(port: int, path: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def test_thirty_askers_read_one_at_a_time_and_leave_the_run_most_of_the_time(journal, tmp_path):
    with street(tmp_path) as port, ThreadPoolExecutor(30) as askers:
        began_s = time.monotonic()
        found = list(askers.map(lambda tick: status(port, f"/transcript/0/{tick}"), range(30)))
        took_s = time.monotonic() - began_s
    assert set(found) == {200, 503}
    assert journal.most_at_once == 1
    assert len(journal.read) * READ_S < took_s / 2


def test_who_comes_again_is_answered_though_thirty_others_never_stop_asking_for_other_rounds(journal, tmp_path):
    """They are at the same address and never ask for the same round twice; only the honest one comes again."""
    journal.takes_s, is_over = 0.1, Event()

    def ask_for_ever(asker: int) -> None:
        for times in count():
            if is_over.is_set():
                return
            status(port, f"/transcript/0/{1_000 * (asker + 1) + times}")

    with street(tmp_path) as port, ThreadPoolExecutor(30) as askers:
        others = [askers.submit(ask_for_ever, asker) for asker in range(30)]
        wait_until(lambda: len(journal.read) >= 2)
        try:
            while status(port, "/transcript/0/7") != 200:
                is_over.wait(looked_up._PATIENCE_S)  # as the page does
        finally:
            is_over.set()
        for other in others:
            other.result()
    assert journal.read.index(7) < 30 / 3


def test_an_address_that_asks_much_waits_behind_one_that_asks_little():
    line = QuestionLine[str](most_each=3, kept_s=10)
    for text in "abcd":
        assert line.join("busy", text, f"busy {text}", 0) == f"busy {text}"
    line.join("quiet", "a", "quiet a", 0)
    assert [line.next(1) for _ in range(5)] == ["busy b", "quiet a", "busy c", "busy d", None], "a made room for d"


def test_who_does_not_come_again_loses_the_place_and_who_does_keeps_it():
    line = QuestionLine[str](most_each=3, kept_s=10)
    line.join("one", "a", "gone", 0)
    line.join("one", "b", "there", 0)
    assert line.join("one", "b", "again", 8) == "there"
    assert (line.next(11), line.next(11)) == ("there", None)


def test_what_is_over_is_read_once(journal, tmp_path):
    with street(tmp_path, "complete") as port, ThreadPoolExecutor(8) as askers:
        assert set(askers.map(lambda _: status(port, "/transcript/0/7"), range(30))) == {200}
    assert journal.read == [7]


@pytest.mark.parametrize(
    "path", ["transcript/0/%s", "transcript/%s/0", "readings/%s", "readings/until/%s"], ids=lambda path: path[:12]
)
@pytest.mark.parametrize("digits", [13, 5_000])
def test_a_number_that_nothing_has_is_not_there(tmp_path, path, digits):
    with street(tmp_path) as port:
        assert status(port, "/" + path % ("9" * digits)) == 404


@pytest.mark.parametrize("bytes_at_once", [0, 1], ids=["never", "a byte now and then"])
def test_a_watcher_that_does_not_read_is_hung_up_on(monkeypatch, bytes_at_once):
    monkeypatch.setattr(serving, "_TAKEN_S", 0.3)
    with watching(20 * MOST_ROWS) as port, asking(port) as slow:
        assert slow.recv(1)
        both = open_files()

        def is_hung_up_on() -> bool:
            slow.recv(bytes_at_once)
            return open_files() < both

        wait_until(is_hung_up_on)


def open_files() -> int:
    """Of this process, in which the server runs, too."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_new_visitor_is_told_though_forty_others_take_places_again_and_again(monkeypatch):
    monkeypatch.setattr(server, "_MOST_WATCHERS", 8)
    is_over = Event()

    def loop(_: int) -> None:
        while not is_over.is_set():
            with asking(port) as looper:
                looper.recv(1_000)
                is_over.wait(0.2)

    with watching(3) as port, ThreadPoolExecutor(40) as loopers:
        for number in range(40):
            loopers.submit(loop, number)
        try:
            for _ in range(10):
                with asking(port) as visitor:
                    assert visitor.recv(100).startswith(b"HTTP/1.1 200 OK")
        finally:
            is_over.set()


@contextmanager
def watching(ticks: int) -> Iterator[int]:
    """The port of a street that goes on."""
    with served(history_of(ticks), "127.0.0.1", 0) as address:
        yield int(address.rstrip("/").rpartition(":")[2])


@contextmanager
def asking(port: int) -> Iterator[socket.socket]:
    """A connection that has asked for the stream."""
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE_S)) as connection:
        connection.sendall(b"GET /stream HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        yield connection


class HandSetClock:
    """Seconds that pass when a test says so."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_who_is_slow_makes_room_first_then_the_oldest_where_most_places_are():
    clock = HandSetClock()
    places = WatchingPlaces(4, clock)
    one, two, three = (places.take("crowd") for _ in range(3))
    alone = places.take("alone")
    assert places.take("new") not in (one, two, three, alone)
    assert [place.is_lost for place in (one, two, three, alone)] == [True, False, False, False]
    places.sending(alone)
    clock.now_s = SLOW_S / 2
    places.take("newer")
    assert [place.is_lost for place in (two, three, alone)] == [True, False, False], "it still has time"
    clock.now_s = 2 * SLOW_S
    places.take("newest")
    assert [place.is_lost for place in (three, alone)] == [False, True]


def test_who_has_left_has_no_place_to_lose():
    places = WatchingPlaces(2, HandSetClock())
    gone, here = places.take("one"), places.take("one")
    places.leave(gone)
    places.take("two")
    assert not here.is_lost
    places.take("three")
    assert here.is_lost
    places.leave(here)
