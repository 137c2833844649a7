"""What the server tells whom, and whom it refuses; what a history keeps."""

from __future__ import annotations

import gc
import http.client
import json
import socket
import tracemalloc
from contextlib import closing, contextmanager, suppress
from threading import active_count
from typing import TYPE_CHECKING, Any

import pytest
from tests.dashboard.histories import RATING_VA, history_of, parts_of

from wattswap.experiments.dashboard import serving as serving_module
from wattswap.experiments.dashboard.rights import Rights
from wattswap.experiments.dashboard.serving import served
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.driver_wishes import DriverWishes, Said, Wish
from wattswap.runners.engines.limit_order import LimitOrder
from wattswap.runners.watching.history import FEEDER_COLUMNS, MOST_ROWS, Head, History
from wattswap.runners.watching.page import page_files

if TYPE_CHECKING:
    from collections.abc import Iterator


class KeptLimits(LimitOrder):
    """Keeps what was ordered."""

    def __init__(self) -> None:
        super().__init__()
        self.ordered: list[tuple[int, int | None]] = []

    def order(self, feeder: int, limit_w: int | None) -> None:
        self.ordered.append((feeder, limit_w))


class KeptWishes(DriverWishes):
    """Keeps what was said."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Said] = []

    def say(self, said: Said) -> None:
        self.heard.append(said)


LIMITS, WISHES = KeptLimits(), KeptWishes()
RIGHTS = Rights(b"known to this test alone", LIMITS, WISHES)
TOKEN = RIGHTS.operator_token


class Server:
    """A dashboard being served."""

    def __init__(self, port: int, history: History) -> None:
        self.port, self.history = port, history

    @property
    def ordered(self) -> list[tuple[int, int | None]]:
        """What its operator ordered."""
        return LIMITS.ordered

    def ask(self, method: str = "GET", path: str = "/", body: Any = None, **headers: str) -> tuple[int, str]:
        """The status and the text of an answer."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def order(self, body: object, token: str = TOKEN, **headers: str) -> tuple[int, str]:
        """Order a limit."""
        return self.post("/limit", body, token, **headers)

    def post(self, path: str, body: object, token: str, **headers: str) -> tuple[int, str]:
        """Order something."""
        sent = {"content_type": "application/json", "authorization": f"Bearer {token}"} | headers
        return self.ask("POST", path, json.dumps(body), **sent)

    @contextmanager
    def watching(self, last_event_id: str = "") -> Iterator[Iterator[tuple[str, str, Any]]]:
        """A stream's events but for its heartbeats: kind, id, content."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", "/stream", headers={"last-event-id": last_event_id} if last_event_id else {})
            yield (event for event in _events(connection.getresponse()) if event[0] != "beat")


def _events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str, Any]]:
    fields: dict[str, str] = {}
    while line := answer.readline().decode():
        if line == "\n":
            yield fields.get("event", ""), fields.get("id", ""), json.loads(fields.get("data", "null"))
            fields = {}
        else:
            name, _, text = line.rstrip("\n").partition(": ")
            fields[name] = text


@contextmanager
def serving() -> Iterator[Server]:
    history = history_of(100)
    with served(history, "127.0.0.1", 0, RIGHTS) as address:
        yield Server(int(address.rstrip("/").rpartition(":")[2]), history)


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def server(shared: Server) -> Server:
    """One for all tests that add nothing to its history."""
    LIMITS.ordered.clear()
    WISHES.heard.clear()
    return shared


@pytest.fixture
def fresh() -> Iterator[Server]:
    with serving() as one:
        yield one


def test_a_watcher_is_told_the_past_then_the_news(fresh):
    with fresh.watching() as events:
        assert next(events)[0::2] == ("head", json.loads(json.dumps(_plain(fresh.history.head))))
        kind, _, part = next(events)
        assert (kind, len(part["ticks"]), part["state"]) == ("part", 100, "running")
        fresh.history.add(ticks=[[7] * len(FEEDER_COLUMNS)])
        assert next(events)[2]["ticks"] == [[7] * len(FEEDER_COLUMNS)]
        fresh.history.end("complete")
        assert next(events)[2] == {"state": "complete"}


def _plain(head: Head | None) -> Any:
    import msgspec

    return msgspec.to_builtins(head)


def test_a_browser_that_comes_back_goes_on_where_it_was(fresh):
    with fresh.watching() as events:
        next(events)
        _, event_id, _ = next(events)
    fresh.history.add(ticks=[[7] * len(FEEDER_COLUMNS)])
    with fresh.watching(event_id) as events:
        assert next(events)[2]["ticks"] == [[7] * len(FEEDER_COLUMNS)]


@pytest.mark.parametrize("event_id", ["of-another-run:1-0-0-0-0-0", "nonsense", "", ":::", "x:1-2"])
def test_a_browser_of_another_run_begins_anew(server, event_id):
    with server.watching(event_id) as events:
        assert next(events)[0] == "head"


def test_who_is_slow_gets_fewer_and_larger_parts():
    history = history_of(3 * MOST_ROWS)
    assert [len(part.ticks) for part in parts_of(history)] == [MOST_ROWS] * 3


def come_and_go(server: Server, times: int) -> None:
    """Watchers one after the other, each until it has seen everything."""
    for _ in range(times):
        with server.watching() as events:
            assert [next(events)[0], next(events)[0]] == ["head", "part"]


def test_watchers_that_come_and_go_leave_nothing_behind(server):
    come_and_go(server, 10)
    before = active_count()
    tracemalloc.start()
    try:
        come_and_go(server, 20)
        gc.collect()
        after_twenty, _ = tracemalloc.get_traced_memory()
        come_and_go(server, 100)  # more than may watch at once
        gc.collect()
        after_all, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert server.ask()[0] == 200
    assert active_count() == before
    assert after_all - after_twenty < 100 * 1_000, "each watcher leaves more than a kilobyte behind"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_a_name_that_somebody_pointed_at_this_machine_is_refused(server, host):
    status, text = server.ask(host=host)
    assert (status, "not a name of this machine" in text) == (403, True)


@pytest.mark.parametrize("path", ["/", "/stream", "/limit"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_a_foreign_page_is_refused(server, path, origin):
    assert server.ask("POST" if path == "/limit" else "GET", path, origin=origin)[0] == 403


def test_another_site_is_refused_whatever_it_calls_itself(server):
    assert server.ask(sec_fetch_site="cross-site")[0] == 403


def test_every_answer_has_the_strict_policy(server):
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        for path in ("/", "/app.js", "/nothing"):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert "default-src 'none'" in (answer.getheader("content-security-policy") or "")
            assert answer.getheader("x-content-type-options") == "nosniff"


def test_the_operator_orders_a_limit_and_gives_it_back(server):
    assert server.order({"feeder": 0, "limit_w": 250_000})[0] == 204
    assert server.order({"feeder": 0, "limit_w": None})[0] == 204
    assert server.ordered == [(0, 250_000), (0, None)]


@pytest.mark.parametrize("token", ["", "forged", TOKEN + "x", TOKEN[:-1], "\xe9"])
def test_a_forged_token_orders_nothing(server, token):
    status, text = server.order({"feeder": 0, "limit_w": 1}, token)
    assert (status, "token" in text, server.ordered) == (401, True, [])


@pytest.mark.parametrize(
    "body",
    [
        {"feeder": 0, "limit_w": RATING_VA + 1},
        {"feeder": 0, "limit_w": -1},
        {"feeder": 1, "limit_w": 1},
        {"feeder": 0, "limit_w": 1.5},
        {"feeder": 0},
        {"feeder": 0, "limit_w": 1, "more": 1},
        [],
    ],
)
def test_an_order_that_cannot_be_is_refused(server, body):
    assert (server.order(body)[0], server.ordered) == (400, [])


def test_an_order_too_long_or_in_another_form_is_refused(server):
    assert server.order("x" * 2_000)[0] == 413
    assert server.order({"feeder": 0, "limit_w": 1}, content_type="text/plain")[0] == 415
    assert server.ordered == []


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-a: ",
        b"POST /limit HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 99\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_who_never_ends_a_request_is_hung_up_on_and_who_watches_is_not(monkeypatch, fresh, half):
    monkeypatch.setattr(serving_module, "_REQUEST_S", 0.1)
    with fresh.watching() as events, socket.create_connection(("127.0.0.1", fresh.port), 20) as slow:
        assert next(events)[0] == "head"
        slow.sendall(half)
        with suppress(ConnectionError):
            while slow.recv(1_000):
                pass
        next(events)
        fresh.history.add(ticks=[[7] * len(FEEDER_COLUMNS)])
        assert next(events)[2]["ticks"] == [[7] * len(FEEDER_COLUMNS)]


def test_nothing_is_done_by_looking(server):
    assert server.ask("GET", "/limit", authorization=f"Bearer {TOKEN}")[0] == 405


def test_the_operator_hands_out_a_token_with_which_a_driver_has_a_say(server):
    status, text = server.post("/driver", {"session": "S1"}, TOKEN)
    given = json.loads(text)
    assert (status, given["vehicle"]) == (200, "car-1")
    assert server.post("/wish", {"session": "S1", "wish": "veto"}, given["token"])[0] == 204
    by_ms = 100 * 30_000 + 3_600_000
    assert server.post("/wish", {"session": "S1", "wish": "full-by", "by_ms": by_ms}, given["token"])[0] == 204
    assert server.post("/wish", {"session": "S1", "wish": "at-least", "least_wh": 10_800}, given["token"])[0] == 204
    least = Said(1, Wish.AT_LEAST, least_ws=10_800 * 3_600)
    assert WISHES.heard == [Said(1, Wish.VETO), Said(1, Wish.FULL_BY, by_ms), least]


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/wish", RIGHTS.driver_token("car-0")),
        ("/wish", TOKEN),
        ("/wish", "forged"),
        ("/driver", RIGHTS.driver_token("car-1")),
        ("/driver", "forged"),
    ],
)
def test_nobody_has_a_say_in_a_car_of_somebody_else(server, path, token):
    body = {"session": "S1"} | ({"wish": "veto"} if path == "/wish" else {})
    assert (server.post(path, body, token)[0], WISHES.heard) == (401, [])


@pytest.mark.parametrize(
    "body",
    [
        {"session": "S2", "wish": "veto"},
        {"session": "S1", "wish": "fly"},
        {"session": "S1", "wish": "full-by"},
        {"session": "S1", "wish": "veto", "by_ms": 3_600_000},
        {"session": "S1", "wish": "full-by", "by_ms": 1},
        {"session": "S1", "wish": "full-by", "by_ms": 1 << 40},
        {"session": "S1", "wish": "stop", "more": 1},
        {"session": "S1", "wish": "at-least"},
        {"session": "S1", "wish": "at-least", "least_wh": -1},
        {"session": "S1", "wish": "at-least", "least_wh": 60_001},
        {"session": "S1", "wish": "sell", "least_wh": 1_000},
    ],
)
def test_a_wish_that_cannot_be_is_refused(server, body):
    assert (server.post("/wish", body, RIGHTS.driver_token("car-1"))[0], WISHES.heard) == (400, [])


def test_a_car_that_has_left_hears_nothing_and_neither_does_a_run_that_is_over(fresh):
    WISHES.heard.clear()
    LIMITS.ordered.clear()
    fresh.history.add(cars=[[0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0], [50, 1, -1, 0, 0, 0, 0]])
    wishes = [({"session": f"S{row}", "wish": "veto"}, RIGHTS.driver_token(f"car-{row}")) for row in range(2)]
    assert fresh.post("/wish", *wishes[1]) == (409, "this car has left\n")
    assert fresh.post("/wish", *wishes[0])[0] == 204
    fresh.history.end("complete")
    assert fresh.post("/wish", *wishes[0]) == (409, "the run is over\n")
    assert fresh.order({"feeder": 0, "limit_w": 1}) == (409, "the run is over\n")
    assert (WISHES.heard, fresh.ordered) == ([Said(0, Wish.VETO)], [])


def test_a_run_without_an_operator_has_nowhere_to_order():
    with served(history_of(1), "127.0.0.1", 0) as address:
        assert Server(int(address.rstrip("/").rpartition(":")[2]), history_of(1)).order({})[0] == 404


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(InputError, match=f"port {port} is taken; .*--port"),
            served(history_of(1), "127.0.0.1", port),
        ):
            pass


def test_an_address_of_nobodys_is_named():
    with pytest.raises(InputError, match="--host"), served(history_of(1), "no.such.host.invalid", 0):
        pass


def test_the_page_is_small_and_asks_nobody_else():
    page = [content for path, (_, content) in page_files().items() if path != "/"]
    assert 50_000 < sum(map(len, page)) < 200_000
    assert not [content for content in page if b"https://" in content]
