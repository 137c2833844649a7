"""Whoever may look cannot slow the run down, nor keep others from looking."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.dashboard.histories import history_of
from tests.dashboard.waiting import wait_until

from wattswap.experiments.dashboard import looked_up, server, serving
from wattswap.experiments.dashboard.serving import served
from wattswap.runners.watching.history import MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wattswap.experiments.dashboard.transcript import Step

READ_S = 0.02


class SlowJournal:
    """A journal that takes a while to read."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.at_once = self.most_at_once = 0

    def __call__(self, run_dir: Path, feeder: int, tick: int) -> list[Step]:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        time.sleep(READ_S)
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


def test_a_watcher_that_never_reads_makes_room_for_another(monkeypatch):
    monkeypatch.setattr(server, "_MOST_WATCHERS", 1)
    monkeypatch.setattr(serving, "_REQUEST_S", 0.1)
    history = history_of(20 * MOST_ROWS)
    with served(history, "127.0.0.1", 0) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        with closing(socket.create_connection(("127.0.0.1", port))) as deaf:
            deaf.sendall(b"GET /stream HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            wait_until(lambda: _stream_status(port) == 503)
            wait_until(lambda: _stream_status(port) == 200)


def _stream_status(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/stream")
        return connection.getresponse().status
