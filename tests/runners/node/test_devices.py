"""Meters and relays: what they read, what they do when the hardware is silent, and that they never wait."""

from __future__ import annotations

import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runners.node.broker import Broker

from wattswap.protocol.errors import InputError
from wattswap.runners.node.drivers.device import Device, DeviceError, DeviceReading, MeterWithRelay
from wattswap.runners.node.drivers.document import JsonFields, read_document
from wattswap.runners.node.drivers.gpio import GpioRelay
from wattswap.runners.node.drivers.http import HttpDevice
from wattswap.runners.node.drivers.mqtt import MqttDevice
from wattswap.runners.node.drivers.newest import Newest, monotonic_ms
from wattswap.runners.node.drivers.simulated import SimulatedDevice
from wattswap.runners.node.drivers.text_lines import FileDevice, StdinDevice

EVCC = {"loadpoints": [{"chargePower": 10_950.4, "chargeTotalImport": 123.456, "connected": True}], "gridPower": -1200}
EVCC_FIELDS = JsonFields(
    power="loadpoints.0.chargePower", imported="loadpoints.0.chargeTotalImport", plugged="loadpoints.0.connected"
)


def wait_for(what: Callable[[], Any]) -> Any:
    """What a device says once it says it; devices answer from threads of their own."""
    end = time.monotonic() + 20
    while True:
        try:
            if found := what():
                return found
        except DeviceError:
            pass
        assert time.monotonic() < end
        time.sleep(0.01)


# -- documents ---------------------------------------------------------------------------------------------------------


def test_figures_are_found_by_their_path_and_turned_into_our_units():
    reading = read_document(json.dumps(EVCC), EVCC_FIELDS, 5)
    assert reading == DeviceReading(5, 10_950, 444_441_600, None, plugged=True)


@pytest.mark.parametrize(
    ("text", "power_w"), [("1500", 1_500), ("-2.4", -2), ('{"power_w": "7360"}', 7_360), ('{"power_w":1e3}', 1_000)]
)
def test_a_number_alone_is_a_power(text, power_w):
    assert read_document(text, JsonFields(), 0).power_w == power_w


@pytest.mark.parametrize(
    ("state", "plugged"),
    [("A", False), ("B", True), ("C", True), ("E", False), (0, False), (2, True), ("Available", False)],
)
def test_a_charging_points_state_tells_whether_a_cable_is_in(state, plugged):
    text = json.dumps({"power_w": 0, "state": state})
    assert read_document(text, JsonFields(plugged="state"), 0).plugged is plugged


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        (" " * 300_000, "at most 262144"),
        ("{}", "there is no power_w"),
        ('{"power_w": null}', "not a number"),
        ('{"power_w": true}', "not a number"),
        ('{"power_w": "much"}', "not a number"),
        ('{"power_w": NaN}', "no meter measures"),
        ('{"power_w": 1e300}', "no meter measures"),
        ('{"power_w": [1]}', "not a number"),
    ],
)
def test_what_is_no_reading_is_said_in_one_line(text, what):
    with pytest.raises(DeviceError, match=what) as told:
        read_document(text, JsonFields(), 0)
    assert len(str(told.value)) < 200


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda kids: st.lists(kids) | st.dictionaries(st.text(), kids),
    )
)
def test_any_document_is_a_reading_or_an_error(document):
    try:
        reading = read_document(json.dumps({"power_w": document}), JsonFields(plugged="power_w"), 0)
    except DeviceError:
        return
    assert math.isfinite(reading.power_w)


# -- simulated, file, stdin --------------------------------------------------------------------------------------------


def test_a_simulated_car_draws_what_it_is_allowed_until_it_is_full():
    now_ms = [0]
    device = SimulatedDevice(11_000, 5_000 * 60, lambda: now_ms[0])
    assert device.read().power_w == 0
    device.allow(22_000, 0)
    assert device.read().power_w == 11_000
    device.allow(5_000, 0)
    now_ms[0] = 30_000
    assert device.read() == DeviceReading(30_000, 5_000, 150_000, 0, plugged=True)
    now_ms[0] = 90_000
    assert device.read() == DeviceReading(90_000, 0, 300_000, 0, plugged=True)
    device.allow(0, 2_000)
    now_ms[0] = 100_000
    assert device.read() == DeviceReading(100_000, -2_000, 300_000, 20_000, plugged=True)
    device.close()
    assert device.read().power_w == 0


def test_the_last_whole_line_of_a_file_is_the_reading(tmp_path):
    path, allowed = tmp_path / "meter", tmp_path / "allowed"
    device = FileDevice(path, allowed)
    with pytest.raises(DeviceError, match=r"cannot read .*meter: No such file"):
        device.read()
    path.write_text("100\n200\n3")
    assert device.read().power_w == 200
    path.write_text("")
    with pytest.raises(DeviceError, match="is empty"):
        device.read()
    device.allow(4_140, 0)
    assert allowed.read_text() == "4140 0\n"
    device.close()
    assert allowed.read_text() == "0 0\n"


def test_a_long_file_is_read_at_its_end(tmp_path):
    path = tmp_path / "meter"
    path.write_text("1\n" * 100_000 + "42\n")
    assert FileDevice(path).read().power_w == 42


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(DeviceError, match="cannot write"):
        FileDevice(tmp_path / "meter", tmp_path / "none" / "allowed").allow(1, 1)


def test_each_line_of_a_stream_is_a_reading():
    reading_end, writing_end = os.pipe()
    with os.fdopen(reading_end, "rb") as stream, os.fdopen(writing_end, "wb", buffering=0) as feed:
        device = StdinDevice(60_000, stream=stream)
        with pytest.raises(DeviceError, match="no reading from standard input: it has said nothing yet"):
            device.read()
        feed.write(b"\xff\xfe\n1500\nrubbish\n")
        assert wait_for(lambda: device.read().power_w) == 1_500
        feed.write(b"-7\n")
        wait_for(lambda: device.read().power_w == -7)


def trouble(device: Device) -> str:
    """Why there is no reading; nothing while there is one."""
    try:
        device.read()
    except DeviceError as error:
        return str(error)
    return ""


def test_a_stream_that_ended_is_stale_after_a_while():
    device = StdinDevice(30, stream=io.BytesIO(b"1500\n"))
    assert "standard input has ended; the last reading" in wait_for(lambda: trouble(device))


def test_a_reading_that_is_too_old_is_none():
    newest = Newest("the meter", 1_000)
    newest.keep(DeviceReading(monotonic_ms() - 5_000, 1))
    newest.fail("no route to host")
    with pytest.raises(DeviceError, match=r"no route to host; the last reading from the meter is 5\d{3} ms old"):
        newest.read()


# -- HTTP --------------------------------------------------------------------------------------------------------------


class Meter(ThreadingHTTPServer):
    """A meter that answers with what the test lays into it, and keeps what is posted."""

    answer: tuple[int, bytes] = (200, json.dumps(EVCC).encode())

    def __init__(self) -> None:
        self.posted, self.got = list[str](), list[str]()
        self.takes_post = True
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api/state"


class _Handler(BaseHTTPRequestHandler):
    server: Meter

    def do_GET(self) -> None:
        self.server.got.append(self.path)
        code, body = self.server.answer
        self.send_response(code)
        if code == 302:
            self.send_header("Location", body.decode())
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        if not self.server.takes_post:
            self.send_error(501)
            return
        self.server.posted.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def meter() -> Iterator[Meter]:
    with Meter() as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_a_meter_is_read_over_http_and_told_what_is_allowed(meter):
    device = HttpDevice(meter.url, allow_url=f"{meter.url}/{{amps}}/{{watts}}", every_ms=20, fields=EVCC_FIELDS)
    assert wait_for(device.read).power_w == 10_950
    device.allow(11_000, 0)
    wait_for(lambda: "/api/state/15/11000" in meter.posted)
    device.close()
    assert meter.posted == ["/api/state/15/11000", "/api/state/0/0"]


def test_a_box_that_takes_no_post_is_named_as_such_and_told_by_get(meter):
    allow_url = f"{meter.url}/allow?amps={{amps}}"
    meter.takes_post = False
    device = HttpDevice(meter.url, allow_url=allow_url, every_ms=20, fields=EVCC_FIELDS)
    device.allow(11_000, 0)
    wait_for(lambda: "what is allowed cannot be said by POST: http://" in trouble(device))
    device.close()
    device = HttpDevice(meter.url, allow_url=allow_url, allow_method="GET", every_ms=20, fields=EVCC_FIELDS)
    device.allow(11_000, 0)
    wait_for(lambda: "/api/state/allow?amps=15" in meter.got)
    device.close()
    assert meter.posted == []


def test_a_meter_that_sends_us_to_no_address_is_asked_again(meter):
    meter.answer = 302, b"http://[nowhere"
    device = HttpDevice(meter.url, every_ms=20)
    wait_for(lambda: "Invalid IPv6 URL" in trouble(device))
    meter.answer = 200, b'{"power_w": 12}'
    assert wait_for(device.read).power_w == 12
    device.close()


def test_a_meter_that_fails_is_named_with_what_it_answers(meter):
    meter.answer = 503, b""
    device = HttpDevice(meter.url, every_ms=20)
    wait_for(lambda: "answers 503" in trouble(device))
    meter.answer = 200, b'{"power_w": 12}'
    assert wait_for(device.read).power_w == 12
    device.close()


def test_a_meter_that_is_not_there_holds_nobody_up():
    began = time.monotonic()
    device = HttpDevice("http://127.0.0.1:1/state", allow_url="http://127.0.0.1:1/allow", every_ms=20)
    device.allow(1, 0)
    with pytest.raises(DeviceError, match="no reading from"):
        device.read()
    device.close()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("url", ["", "meter", "file:///etc/passwd", "http://"])
def test_what_is_no_address_of_a_meter_is_refused(url):
    with pytest.raises(InputError, match="is no address of a meter: write http://HOST/PATH"):
        HttpDevice(url)


# -- MQTT, GPIO --------------------------------------------------------------------------------------------------------


def test_a_meter_is_read_over_mqtt_and_told_what_is_allowed():
    pytest.importorskip("paho.mqtt.client")
    broker = Broker()
    device = MqttDevice("127.0.0.1", "meter/power", port=broker.port, allow_topic="charger/allowed")
    try:
        wait_for(lambda: "meter/power" in broker.topics)
        broker.publish("meter/power", b"rubbish")
        broker.publish("meter/power", b'{"power_w": 3680}')
        assert wait_for(device.read).power_w == 3_680
        device.allow(4_140, 0)
        wait_for(lambda: broker.retained.get("charger/allowed") == b'{"import_w":4140,"export_w":0}')
    finally:
        device.close()
        broker.close()


def test_a_broker_that_is_not_there_holds_nobody_up():
    pytest.importorskip("paho.mqtt.client")
    device = MqttDevice("127.0.0.1", "meter/power", port=1)
    with pytest.raises(DeviceError, match=r"no reading from meter/power at 127\.0\.0\.1:1"):
        device.read()
    device.close()


def test_a_relay_is_closed_while_enough_is_allowed(monkeypatch):
    gpiozero = pytest.importorskip("gpiozero")
    mock = pytest.importorskip("gpiozero.pins.mock")
    monkeypatch.setattr(gpiozero.Device, "pin_factory", mock.MockFactory())
    relay = GpioRelay(17, least_w=4_140)
    pin = gpiozero.Device.pin_factory.pin(17)
    device = MeterWithRelay(SimulatedDevice(11_000, 10**9), relay)
    states = []
    for import_w in (11_000, 4_139, 4_140, 0):
        device.allow(import_w, 0)
        states.append(pin.state)
    assert states == [1, 0, 1, 0]
    assert device.read().power_w == 0
    device.allow(11_000, 0)
    device.close()
    assert pin.state == 0
    with pytest.raises(DeviceError, match="a relay measures nothing"):
        relay.read()


def test_where_there_are_no_pins_it_is_one_clear_line(monkeypatch):
    gpiozero = pytest.importorskip("gpiozero")
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "native")
    if Path("/dev/gpiomem").exists():
        pytest.skip("this machine has pins")
    with pytest.raises(InputError, match="cannot use pin 17"):
        GpioRelay(17, least_w=1)
