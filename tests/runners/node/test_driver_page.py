"""The driver's page of a car on its own machine: who has its token is obeyed, and nobody else learns anything."""

from __future__ import annotations

import http.client
import json
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from wattswap.agents.rules import Rules
from wattswap.agents.strategies import truthful
from wattswap.agents.vehicle import Vehicle, VehicleProfile
from wattswap.protocol.events import DriverWish, PluggedIn, Reading, Unplugged
from wattswap.runners.engines.store import MemoryStore
from wattswap.runners.node import bounded_server
from wattswap.runners.node.bounded_server import MOST_AT_ONCE
from wattswap.runners.node.clock import EPOCH_S
from wattswap.runners.node.config import CarTable
from wattswap.runners.node.driver_page.server import DriverPage, driver_token, write_address
from wattswap.runners.node.json_log import json_log
from wattswap.runners.node.sensors import CarSensor

TOKEN = "5" * 32
LEASE_MS = 60_000
PLUG = PluggedIn(7, "charger/1#1", "charger/1", 36_000_000, 50_000_000, 11_000, 0, 0, 0)


class ServedCar:
    """A car that is plugged in, and its page."""

    def __init__(self) -> None:
        self.sensor = CarSensor(CarTable(), MemoryStore(), lambda _charger, _events: None)
        self.sensor.told("charger/1", PLUG)
        self.sensor.told("charger/1", Reading(7, 36_000_000, 36_000_000, 0, 11_000, 11_000, 0, 49_000_000, drew=True))
        self.log = StringIO()
        self.page = DriverPage(
            "127.0.0.1", 0, self.sensor, TOKEN, json_log(self.log), name="vehicle/1", lease_ms=LEASE_MS
        )
        profile = VehicleProfile(truthful, "truthful", 1, 880, 0, 0)
        self.agent = Vehicle("vehicle/1", profile, Rules(tick_ms=1_000))
        self.page.look(self.agent, (0, 0))

    def ask(self, method: str, path: str, body: Any = None, token: str = TOKEN, **headers: str) -> tuple[int, str]:
        named = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        named |= {name.replace("_", "-"): text for name, text in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.page.port, timeout=20)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), named)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def said(self) -> list[dict[str, Any]]:
        """What its log has of its driver."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [{name: line[name] for name in line if name not in {"event", "level", "timestamp"}} for line in lines]

    def wished(self, body: dict[str, Any]) -> DriverWish:
        """What comes of a wish at the next beat."""
        assert self.ask("POST", "/wish", body)[0] == 200
        (wish,) = self.sensor.beat(1_000)
        assert isinstance(wish, DriverWish)
        return wish


@pytest.fixture
def car() -> Iterator[ServedCar]:
    served = ServedCar()
    yield served
    served.page.close()


def test_the_page_shows_what_the_car_does_to_its_driver_alone(car):
    status, text = car.ask("GET", "/car")
    found = json.loads(text)
    assert (status, found["charger"], found["missing_wh"], found["sells"]) == (200, "charger/1", 10_000, True)
    assert found["full_by_unix_ms"] == 50_000_000 + EPOCH_S * 1_000
    assert car.ask("GET", "/car", token="forged")[0] == 401
    assert "script" in car.ask("GET", "/", token="")[1]


@pytest.mark.parametrize("told", [False, True])
def test_what_the_charger_has_not_told_or_tells_no_more_is_not_known_and_no_car_is_full_for_that(car, told):
    if told:
        car.page._lease_s = 0.0
    else:
        car.sensor.told("charger/1", Unplugged(7, 0, 0))
        car.sensor.told("charger/1", PLUG)
        car.page.look(car.agent, (0, 0))
    found = json.loads(car.ask("GET", "/car")[1])
    assert found["charger"] == "charger/1"
    assert [found[name] for name in ("power_w", "missing_wh", "stored_wh")] == [None] * 3
    assert found["is_silent"] == told


def test_a_driver_is_obeyed_from_the_next_beat_on(car):
    assert car.wished({"wish": "veto"}) == DriverWish(7, sells=False, departure_ms=1_000)
    by_ms = time.time_ns() // 1_000_000 + 3_600_000
    assert car.wished({"wish": "full-by", "by_unix_ms": by_ms}).departure_ms == by_ms - EPOCH_S * 1_000
    assert car.wished({"wish": "at-least", "least_wh": 20_000}).least_ws == 72_000_000
    assert car.wished({"wish": "sell"}) == DriverWish(7, sells=True, departure_ms=50_000_000)
    assert car.said() == [
        {"wish": "veto"},
        {"wish": "full-by", "by_unix_ms": by_ms},
        {"wish": "at-least", "least_wh": 20_000},
        {"wish": "sell"},
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"wish": "fly"},
        {"wish": "full-by"},
        {"wish": "full-by", "by_unix_ms": 1},
        {"wish": "veto", "by_unix_ms": 1},
        {"wish": "at-least", "least_wh": 60_001},
        {"wish": "at-least", "least_wh": -1},
        {"wish": "stop", "more": 1},
        [],
    ],
)
def test_a_wish_that_cannot_be_is_refused(car, body):
    assert (car.ask("POST", "/wish", body)[0], car.sensor.beat(1_000)) == (400, [])
    assert car.said() == []


def test_nobody_else_has_a_say(car):
    veto = {"wish": "veto"}
    assert car.ask("POST", "/wish", veto, token="forged")[0] == 401
    assert car.ask("POST", "/wish", veto, host="evil.example")[0] == 403
    assert car.ask("POST", "/wish", veto, origin="http://evil.example")[0] == 403
    assert car.ask("POST", "/wish", veto, content_type="text/plain")[0] == 415
    assert car.ask("POST", "/wish", {"wish": "x" * 2_000})[0] == 413
    assert car.ask("GET", "/wish")[0] == 404
    assert car.sensor.beat(1_000) == []


def test_a_car_that_is_not_plugged_in_has_nothing_to_hear(car):
    car.page._now = car.page._now.__class__(car="vehicle/1")
    assert car.ask("POST", "/wish", {"wish": "veto"})[0] == 409


def test_who_asks_slowly_takes_no_more_than_the_room_there_is(car):
    slow = [socket.create_connection(("127.0.0.1", car.page.port), 20) for _ in range(3 * MOST_AT_ONCE)]
    for one in slow:
        one.settimeout(20)
    hung_up = [one for one in slow[MOST_AT_ONCE:] if _is_over(one)]
    assert len(hung_up) == 2 * MOST_AT_ONCE
    for one in slow:
        one.close()


def test_a_byte_now_and_then_keeps_no_place(car, monkeypatch):
    """Sixteen clients that never ended their requests once took the page away from its driver."""
    monkeypatch.setattr(bounded_server, "REQUEST_S", 0.5)
    slow = [socket.create_connection(("127.0.0.1", car.page.port), 20) for _ in range(MOST_AT_ONCE)]
    end = time.monotonic() + 10
    status = 0
    while status != 200 and time.monotonic() < end:
        for one in slow:
            with suppress(OSError):
                one.send(b"G")
        with suppress(OSError, http.client.HTTPException):
            status, _ = car.ask("GET", "/car")
        time.sleep(0.1)
    assert status == 200
    for one in slow:
        one.close()


def _is_over(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_the_token_stays_in_a_file_that_nobody_else_reads(tmp_path: Path):
    token = driver_token(tmp_path)
    path = write_address(tmp_path, "0.0.0.0", 8080, token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert driver_token(tmp_path) == token, "the address holds through a restart"
