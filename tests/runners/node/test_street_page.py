"""The dashboard of a transformer's node: what it tells is what the street does, and it is told to whoever may look."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.dashboard.histories import history_of, lists_of
from tests.dashboard.waiting import wait_until
from tests.runners.node.street_of_nodes import StreetOfNodes, free_port, running, until

from wattswap.agents.transformer import Transformer
from wattswap.experiments.api import run_loaded
from wattswap.experiments.dashboard.remote import remote_run
from wattswap.experiments.dashboard.watcher import Watcher
from wattswap.protocol.errors import InputError
from wattswap.protocol.events import Received
from wattswap.protocol.messages import Report
from wattswap.runners.engines.loop import SimulatedRun
from wattswap.runners.engines.observer import Observer
from wattswap.runners.node.bounded_server import MOST_AT_ONCE
from wattswap.runners.node.street_page import MOST_WATCHERS, StreetPage
from wattswap.runners.node.street_recorder import StreetRecorder
from wattswap.runners.recording.activities import ACTIVITIES, FULL
from wattswap.runners.recording.record import ROUND_COLUMNS, SessionRow, TradeRow
from wattswap.runners.scenario import load_street
from wattswap.runners.watching.history import ACCOUNT_COLUMNS, CAR_COLUMNS, FEEDER_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event
    from wattswap.runners.engines.run import Run


class _AsANode(Observer):
    """Lets a recorder see of a simulated street what it would see in its transformer's node.

    A charger's node reports at every heartbeat; the simulator leaves out the reports in which nothing is new.
    """

    def begun(self, run: Run) -> None:
        assert isinstance(run, SimulatedRun)
        self._run, (self._name,) = run, run.factory.transformers
        self.recorder = StreetRecorder(self._name, run.rules)
        self._bills: list[tuple[int, int, int]] = []
        self._reports: dict[int, Report] = {}
        self._look(0)

    def handled(self, now_ms: int, agent: str, event: Event, effects: Sequence[Effect]) -> None:
        if agent == self._name:
            if isinstance(event, Received) and isinstance(event.message, Report):
                self._reports[event.message.session] = event.message
            self.recorder.handled([(event, effects)], now_ms)
            for bill in self._bills:
                self.recorder.billed(*bill)
            self._bills.clear()

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        self._bills.append((session, billed_nanos, receivable_nanos))  # a node carries out what it has learned of first

    def tick_passed(self, tick: int) -> None:
        if tick + 1 < self._run.street.ticks:  # the last one ends at midnight
            self._look(tick + 1)

    def _look(self, tick: int) -> None:
        agent, now_ms = self._run.nodes[self._name].agent, tick * self._run.street.tick_ms
        assert isinstance(agent, Transformer)
        for number, session in agent.view(now_ms).sessions.items():
            again = self._reports.setdefault(number, Report(number, 0, 0, False, 0, 0, 1, 1, now_ms, 0, 0))
            self.recorder.handled([(Received(session.party.charger, again), ())], now_ms)
        self.recorder.look(agent, self._run.books[0], now_ms)


@contextmanager
def zone(name: str) -> Iterator[None]:
    """The clock of this machine is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


def watched_as_a_node(*settings: str, observers: Sequence[Observer] = ()) -> StreetRecorder:
    """A Sunday of a small street."""
    node = _AsANode()
    run_loaded(load_street("b250", day=7, settings=settings), observers=[*observers, node])
    return node.recorder


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """What a run tells of itself, and what its transformer's node would tell of it."""
    run = Watcher(load_street("b250", day=7), "negotiated")
    with zone("UTC"):  # a day of the simulation is a day of the clock
        node = watched_as_a_node(observers=[run])
    return lists_of(run.history), lists_of(node.history)


def columns(rows: list[Any], names: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.array([row[at] for row in rows]) for at, name in enumerate(names)}


def test_rounds_and_trades_are_those_of_the_street(both):
    run, node = both
    assert node["rounds"] == run["rounds"] != []
    left_out = TradeRow._fields.index("settled_tick")  # a tick that ends tells what its messages brought, or the next

    def trades(rows):
        return sorted(row[:left_out] for row in rows)

    assert trades(node["trades"]) == trades(run["trades"]) != []
    settled = [row[left_out] for row in sorted(node["trades"])]
    assert max(abs(np.subtract(settled, [row[left_out] for row in sorted(run["trades"])]))) <= 1


def test_what_is_reckoned_is_what_was_drawn_but_for_cars_that_fill_up(both):
    """A car's last tick before it is full takes less than it wanted at its beginning."""
    run, node = both
    drew, reckoned = columns(run["ticks"], FEEDER_COLUMNS), columns(node["ticks"], FEEDER_COLUMNS)
    assert len(node["ticks"]) == len(run["ticks"]) - 1
    for name in ("import_w", "export_w"):
        energy, total = np.abs(drew[name][:-1] - reckoned[name]).sum(), drew[name].sum()
        assert energy <= 0.03 * total > 0, name
    assert np.array_equal(drew["limit_w"][:-1], reckoned["limit_w"])


def test_cars_come_and_go_and_their_chargers_meters_are_told(both):
    run, node = both
    sessions = {row[0]: SessionRow(*row) for row in run["sessions"]}
    told = {row[0]: SessionRow(*row) for row in node["sessions"]}
    assert told.keys() == {name for name, row in sessions.items() if row.departure_tick < len(run["ticks"])}
    for name, row in told.items():
        true = sessions[name]
        assert (row.station, row.vehicle) == (f"charger/{true.station}", f"vehicle/{true.vehicle}")
        assert row.arrival_tick == max(true.arrival_tick, 0)
        assert (row.imported_ws, row.exported_ws) == (true.imported_ws, true.exported_ws)
        assert (row.earned_nanos, row.billed_nanos) == (true.earned_nanos, true.billed_nanos)
        assert abs(row.departure_tick - true.departure_tick) <= 1
    last = {row[1]: row[CAR_COLUMNS.index("activity")] for row in node["cars"]}
    here = {node["cards"][number].session for number, activity in last.items() if activity >= 0}
    last_tick = len(run["ticks"]) - 1
    assert here == {name for name, row in sessions.items() if row.arrival_tick < last_tick < row.departure_tick}


def test_every_car_is_told_what_it_does(both):
    run, node = both
    doing = {ACTIVITIES[row[2]] for row in node["cars"] if row[2] >= 0}
    assert doing == {ACTIVITIES[row[2]] for row in run["cars"] if row[2] >= 0} > {FULL}


def test_the_accounts_are_the_books(both):
    _, node = both
    _, _, free, reserved, earned = columns(node["accounts"], ACCOUNT_COLUMNS).values()
    assert reserved.max() > 0
    assert earned.max() > 0
    assert free.min() >= 0


@pytest.fixture(scope="module")
def evening() -> dict[str, list[Any]]:
    """The same from seven in the evening on: it is midnight then where the node's clock is."""
    with zone("Etc/GMT-5"):
        return lists_of(watched_as_a_node().history)


def test_a_history_begins_anew_at_midnight_with_the_cars_that_are_here(both, evening):
    run, whole = both
    begins = len(run["ticks"]) * 19 // 24
    assert evening["ticks"] == whole["ticks"][begins:]
    later = [row for row in whole["rounds"] if row[0] >= begins]
    assert [[row[0] + begins, *row[1:]] for row in evening["rounds"]] == later != []
    left = {row[0] for row in whole["sessions"] if row[SessionRow._fields.index("departure_tick")] < begins}
    assert left
    assert {card.session for card in evening["cards"]} == {card.session for card in whole["cards"]} - left


def test_what_the_cars_that_are_here_have_sold_is_known_beyond_midnight(both, evening):
    """Or their wallets would be empty, and nobody could see why they give way."""
    run, whole = both
    here, begins = {card.session for card in evening["cards"]}, len(run["ticks"]) * 19 // 24

    def earned(told):
        trades = [TradeRow(*row) for row in told["trades"]]
        return {(row.payment_id, row.tranche): row.nanos for row in trades if row.nanos and row.session in here}

    assert earned(evening) == earned(whole)
    before = [row for row in map(TradeRow._make, evening["trades"]) if row.tick < 0]
    assert any(row.nanos and row.settled_tick == 0 for row in before), "it is settled from the beginning on"
    assert all(row.settled_tick >= 0 for row in before)
    awards = {(row[0] + begins, evening["cards"][row[2]].session, *row[3:]) for row in evening["awards"]}
    assert awards == {
        (row[0], session, *row[3:]) for row in whole["awards"] if (session := whole["cards"][row[2]].session) in here
    }


@pytest.mark.parametrize("bound", ["MOST_TICKS", "MOST_ROWS"])
def test_a_history_is_never_longer_than_it_may_be(monkeypatch, bound):
    monkeypatch.setattr(f"wattswap.runners.node.street_recorder.{bound}", 120)
    assert 0 < len(lists_of(watched_as_a_node("reading_s=300").history)["ticks"]) <= 121


# -- the page ---------------------------------------------------------------------------------------------------------


def test_real_nodes_are_shown_as_they_are(tmp_path):
    """Eight kilowatts of homes and two cars of 11 kW under a limit of 26 kW; each car wants little, and leaves full."""
    street = StreetOfNodes(tmp_path, limit_w=26_000, base_w=8_000, points=2, need_wh=30)
    with running(street):
        until(lambda: street.transformer.events("dashboard"), street)
        with remote_run(f"127.0.0.1:{street.dashboard_port}") as history:
            until(lambda: street.transformer.events("NoteTrade"), street)
            until(lambda: lists_of(history)["trades"], street)
            told, notes = lists_of(history), street.transformer.events("NoteRound")
    assert history.head is not None
    assert history.head.is_reckoned
    rounds = [[note[name] for name in ROUND_COLUMNS[2:]] for note in notes]
    assert [row[2:] for row in told["rounds"]] == rounds[: len(told["rounds"])] != []
    assert {card.vehicle for card in told["cards"]} == {car.name for car in street.cars}
    base, limit, imported, *_ = columns(told["ticks"], FEEDER_COLUMNS).values()
    assert {8_000} >= set(base[2:].tolist())
    assert set(limit.tolist()) == {26_000}
    assert 0 < imported.max() <= 22_000
    assert told["grants"] != []
    assert told["offers"] != []
    assert told["awards"] != []


def ask(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(1_000)


@pytest.fixture
def page():
    with closing(StreetPage("127.0.0.1", free_port(), history_of(3))) as page:
        yield page


@pytest.mark.parametrize(
    ("path", "headers", "status", "says"),
    [
        ("/", {}, 200, b"<!doctype html>"),
        ("/app.js", {}, 200, b"// "),
        ("/transcript/0/3", {}, 404, b"no such page"),
        ("/../config.py", {}, 404, b"no such page"),
        ("/stream", {"host": "evil.example"}, 403, b"not a name of this machine"),
        ("/stream", {"origin": "http://evil.example"}, 403, b"may not ask here"),
        ("/", {"sec-fetch-site": "cross-site"}, 403, b"may not ask here"),
    ],
)
def test_only_who_asks_for_this_page_gets_it(page, path, headers, status, says):
    got, body = ask(page.port, path, **headers)
    assert (got, says in body) == (status, True), body


def test_a_page_needs_a_host_of_this_machine():
    with pytest.raises(InputError, match="host is empty"):
        StreetPage("", free_port(), history_of(3))
    with pytest.raises(InputError, match="choose another host or port"):
        StreetPage("203.0.113.1", free_port(), history_of(3))


@pytest.mark.parametrize(
    ("method", "says"),
    [*((each, b"this method is not answered here\n") for each in ("POST", "PUT", "DELETE")), ("HEAD", b"")],
)
def test_nothing_can_be_ordered(page, method, says):
    with closing(http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)) as connection:
        connection.request(method, "/limit", body=b"{}")
        answer = connection.getresponse()
        assert (answer.status, answer.read(), answer.headers["server"]) == (405, says, "wattswap ")
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_so_many_may_watch_and_the_next_takes_the_place_of_the_oldest_and_the_page_still_opens(page):
    with ExitStack() as stack:
        told = []
        for _ in range(MOST_WATCHERS):
            watcher = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)))
            watcher.request("GET", "/stream")
            told.append(stack.enter_context(watcher.getresponse()))
            assert told[-1].readline() == b"event: head\n"
        assert ask_head(page.port)
        oldest, *others = told
        while oldest.readline():
            pass  # until its stream ends
        assert ask(page.port, "/")[0] == 200
        assert not [one for one in others if one.isclosed()]


def test_whoever_comes_again_at_once_keeps_nobody_out(page):
    """More watchers of one address than there are connections; each comes back as soon as it is hung up on."""
    over = threading.Event()

    def come_again() -> None:
        while not over.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", page.port), timeout=2) as connection:
                connection.sendall(f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
                while not over.is_set() and connection.recv(65_536):
                    pass

    crowd = [threading.Thread(target=come_again) for _ in range(2 * MOST_AT_ONCE)]
    for one in crowd:
        one.start()
    try:
        assert [ask(page.port, "/")[0] for _ in range(5)] == [200] * 5
    finally:
        over.set()
        for one in crowd:
            one.join()


def ask_head(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", "/stream")
        return connection.getresponse().status == 200


def test_a_watcher_that_does_not_read_is_hung_up_on_and_may_come_back():
    """What is written to it stays in the system's buffers until those are full."""
    history = history_of(3)
    with closing(StreetPage("127.0.0.1", free_port(), history)) as page, socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        lazy.connect(("127.0.0.1", page.port))
        lazy.sendall(b"GET /stream HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        history.add(ticks=[[10**12] * len(FEEDER_COLUMNS)] * 200_000)

        def is_being_told() -> bool:
            return any("process_request" in thread.name for thread in threading.enumerate())

        wait_until(is_being_told)
        wait_until(lambda: not is_being_told())
        assert ask_head(page.port)
