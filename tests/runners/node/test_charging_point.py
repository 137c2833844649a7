"""What a charging point makes of its cable, its meter and its driver's wish; hardware and car are the test's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from wattswap.agents.rules import Rules
from wattswap.protocol.errors import InputError, RemoteProtocolError
from wattswap.protocol.events import CarStatus, DriverWish, Metered, PluggedIn, Reading, Unplugged
from wattswap.runners.engines.driver_wishes import Said, Wish
from wattswap.runners.engines.store import MemoryStore
from wattswap.runners.node.charging_point import ChargingPoint, read_wish
from wattswap.runners.node.config import CarTable, PointTable
from wattswap.runners.node.drivers.device import DeviceError, DeviceReading
from wattswap.runners.node.frames import CableEvent
from wattswap.runners.node.sensors import CarSensor

RULES = Rules(tick_ms=1_000, window_ms=60_000, lease_ms=5_000)


class ShownMeter:
    """A meter that shows what the test says."""

    def __init__(self) -> None:
        self.reading = DeviceReading(0, 0, 0, 0, plugged=False)
        self.allowed: list[tuple[int, int]] = []
        self.silent = False

    def read(self) -> DeviceReading:
        if self.silent:
            raise DeviceError("the meter is silent")
        return self.reading

    def allow(self, import_w: int, export_w: int) -> None:
        self.allowed.append((import_w, export_w))

    def close(self) -> None:
        self.allow(0, 0)

    def show(self, at_s: int, power_w: int, imported_ws: int | None, *, plugged: bool = True) -> None:
        self.reading = DeviceReading(
            at_s * 1_000, power_w, imported_ws, 0 if imported_ws is not None else None, plugged
        )


class PluggedPoint:
    """A charging point of 11 kW whose driver needs 2 kWh, with a car that is connected."""

    def __init__(self, folder: Path, store: MemoryStore | None = None) -> None:
        self.hardware, self.store = ShownMeter(), store or MemoryStore()
        self.cars, self.told = ["vehicle/1"], list[Any]()
        self.point = ChargingPoint(
            PointTable(need_wh=2_000),
            RULES,
            self.hardware,
            self.store,
            charger="charger/7",
            key_hash=0xDEADBEEF,
            driver_file=folder / "driver.json",
            linked=lambda: self.cars,
            signal=lambda vehicle, events: self.told.extend(events),
        )

    def beat(self, at_s: int, power_w: int, imported_ws: int | None, *, plugged: bool = True) -> list[Any]:
        self.hardware.show(at_s, power_w, imported_ws, plugged=plugged)
        self.told.clear()
        return self.point.beat(at_s * 1_000)


@pytest.fixture
def place(tmp_path) -> PluggedPoint:
    return PluggedPoint(tmp_path)


def test_a_cable_opens_a_session_whose_number_is_minted_here_and_counted_durably(place):
    assert place.beat(1, 0, 0, plugged=False) == []
    plugged, status = place.beat(2, 0, 0)
    assert isinstance(plugged, PluggedIn)
    assert (plugged.session >> 20, plugged.session & 0xFFFFF) == (0xDEADBEEF, 2)
    assert plugged.session < 1 << 52
    assert (plugged.session_id, plugged.peer, plugged.need_ws) == ("charger/7#2", "vehicle/1", 7_200_000)
    assert status == CarStatus(plugged.session, 11_000, 11_000, drew=False)
    assert place.told[1].remaining_ws == 7_200_000
    assert [type(event) for event in place.told] == [PluggedIn, Reading]
    place.beat(3, 0, 0, plugged=False)
    assert place.beat(4, 0, 0)[0].session & 0xFFFFF == 3


def test_a_charger_that_lost_its_store_opens_a_session_that_was_never_there(place, tmp_path):
    """What has the number or the id of an earlier stay is taken for that stay, and billed once."""
    before = place.beat(1, 0, 0)[0]
    after = PluggedPoint(tmp_path).beat(60, 0, 0)[0]
    assert after.session != before.session
    assert after.session_id != before.session_id


def test_the_meters_difference_is_what_was_drawn_beside_the_baseline_of_the_same_beat(place):
    place.beat(1, 0, 500)
    place.point.allow(0, 9_000, 0)
    metered, status = place.beat(2, 11_000, 500 + 11_000)
    assert metered == Metered(place.told[0].session, 11_000, 0, 11_000, granted_w=9_000, tick=1)
    assert place.told[-1].remaining_ws == 7_200_000 - 11_000
    assert status.drew
    metered, _ = place.beat(3, 4_000, 500 + 15_000)
    reading = place.told[-1]
    assert (metered.import_w, reading.remaining_ws - reading.baseline_remaining_ws) == (4_000, 7_000)


def test_a_meter_without_totals_is_counted_by_its_power(place):
    place.beat(1, 0, None)
    place.beat(2, 6_000, None)
    metered, _ = place.beat(3, 6_000, None)
    assert (metered.import_w, place.told[-1].remaining_ws) == (6_000, 7_200_000 - 6_000)


def test_beats_that_were_missed_are_told_one_by_one(place):
    place.beat(1, 0, 0)
    events = place.beat(5, 8_000, 32_000)
    metered = [event for event in events if isinstance(event, Metered)]
    assert [(event.tick, event.import_w) for event in metered] == [(tick, 8_000) for tick in range(1, 5)]


def test_when_the_cable_is_out_both_learn_the_totals(place):
    place.beat(1, 0, 0)
    place.beat(2, 11_000, 11_000)
    events = place.beat(3, 0, 15_000, plugged=False)
    assert [type(event) for event in events] == [Metered, Unplugged]
    assert (events[1].imported_ws, events[1].exported_ws) == (15_000, 0)
    assert place.told == events
    assert place.beat(4, 0, 15_000, plugged=False) == []


def test_without_a_car_that_is_connected_the_cable_waits(place):
    place.cars = []
    assert place.beat(1, 0, 0) == []
    place.cars = ["vehicle/1"]
    assert isinstance(place.beat(2, 0, 0)[0], PluggedIn)


@pytest.mark.parametrize("who", ["vehicle/1", "transformer"])
def test_when_car_or_transformer_connects_anew_the_car_is_told_of_its_cable_again(place, who):
    """It gives its mandate then, which a transformer that has lost its state no longer knows."""
    place.beat(1, 0, 0)
    place.beat(2, 0, 0)
    assert [type(event) for event in place.told] == [Metered, Reading]
    place.point.link_opened(who)
    place.beat(3, 0, 0)
    assert [type(event) for event in place.told] == [PluggedIn, Metered, Reading]


def test_after_a_crash_the_session_goes_on(place, tmp_path):
    place.beat(1, 0, 0)
    place.beat(2, 11_000, 11_000)
    again = PluggedPoint(tmp_path, place.store)
    plugged, _ = again.beat(10, 0, 11_000)
    reading = again.told[-1]
    assert (plugged.session, reading.remaining_ws) == (place.told[-1].session, 7_200_000 - 11_000)
    assert reading.baseline_remaining_ws == 7_200_000 - 9 * 11_000


def test_a_silent_meter_tells_nothing_and_power_is_safe_at_the_start_and_the_end(place):
    place.hardware.silent = True
    with pytest.raises(DeviceError, match="the meter is silent"):
        place.point.beat(1_000)
    place.point.close()
    assert place.hardware.allowed == [(0, 0), (0, 0)]


def test_the_driver_says_need_and_departure(place, tmp_path):
    (tmp_path / "driver.json").write_text('{"need_wh": 5000, "departure": "2020-01-01T09:00:00+01:00"}')
    plugged = place.beat(1, 0, 0)[0]
    assert (plugged.need_ws, plugged.departure_ms) == (5_000 * 3_600, 8 * 3_600_000)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "write {"),
        ('{"need_wh": 0, "departure": "2026-01-01T00:00:00Z"}', "need_wh"),
        ('{"need_wh": 1, "departure": "tomorrow"}', "departure"),
        ('{"need_wh": 1, "departure": "2026-01-01T00:00:00"}', "has no offset from UTC"),
        ('{"need_wh": 1, "departure": "2026-01-01T00:00:00Z", "soc": 5}', "soc"),
    ],
)
def test_a_wish_that_cannot_be_read_is_said_and_the_settings_count(place, tmp_path, text, what):
    path = tmp_path / "driver.json"
    path.write_text(text)
    with pytest.raises(InputError, match=what):
        read_wish(path)
    assert place.beat(1, 0, 0)[0].need_ws == 7_200_000
    assert what in place.point.trouble


def car_at(place: PluggedPoint, store: MemoryStore | None = None, settings: CarTable | None = None) -> CarSensor:
    """A car whose charger hears at once what it signals."""

    def signal(_charger: str, events: Sequence[CableEvent]) -> None:
        for event in events:
            place.point.told("vehicle/1", event)

    return CarSensor(settings or CarTable(), store or MemoryStore(), signal)


def plugged_in(place: PluggedPoint, car: CarSensor, at_s: int) -> PluggedIn:
    """The car is told of its cable, as its charger's name in these tests has it."""
    plugged = place.beat(at_s, 0, 0)[0]
    assert isinstance(plugged, PluggedIn)
    told = car.told("charger/7", msgspec.structs.replace(plugged, peer="charger/7"))
    assert isinstance(told, PluggedIn)
    return told


def test_who_will_not_wait_is_firm_from_the_next_beat_on_and_again_after_a_crash(place):
    store = MemoryStore()
    car = car_at(place, store)
    session = plugged_in(place, car, 1).session
    place.beat(2, 0, 0)
    assert place.told[-1].due_ms > 3_600_000
    car.say(Said(0, Wish.VETO))
    assert car.beat(3_000) == [DriverWish(session, sells=False, departure_ms=3_000)]
    assert car.beat(4_000) == [], "it is said once"
    status = place.beat(4, 0, 0)[-1]
    assert status.firm_w == 11_000
    assert place.told[-1].due_ms < 4_000, "it is due already"
    again = PluggedPoint(place.point._driver_file.parent, place.store)
    again.beat(5, 0, 0)
    assert again.told[-1].due_ms < 4_000
    woken = car_at(again, store)
    assert woken.wish is None, "it does not know of its cable yet"
    plug = msgspec.structs.replace(again.told[0], peer="charger/7")
    woken.told("charger/7", plug)
    assert woken.beat(6_000) == [DriverWish(session, sells=False, departure_ms=3_000)]


def test_a_driver_may_take_back_what_was_said_and_a_new_stay_knows_nothing_of_it(place):
    car = car_at(place)
    plug = plugged_in(place, car, 1)
    for said in (Said(0, Wish.FULL_BY, by_ms=9_000_000), Said(0, Wish.AT_LEAST, least_ws=36_000_000)):
        car.say(said)
    assert car.beat(2_000) == [DriverWish(plug.session, sells=True, departure_ms=9_000_000, least_ws=36_000_000)]
    assert plug.departure_ms is not None
    car.say(Said(0, Wish.SELL))
    assert car.beat(3_000) == [DriverWish(plug.session, sells=True, departure_ms=plug.departure_ms)]
    car.told("charger/7", Unplugged(plug.session, 0, 0))
    assert (car.plug, car.wish) == (None, None)
    car.say(Said(0, Wish.VETO))
    assert car.beat(4_000) == [], "nobody is plugged in"
    place.beat(5, 0, 0, plugged=False)
    plugged_in(place, car, 6)
    assert car.beat(7_000) == []


def test_a_charger_that_was_away_is_told_again(place):
    car = car_at(place)
    plugged_in(place, car, 1)
    car.say(Said(0, Wish.STOP))
    assert len(car.beat(2_000)) == 1
    car.link_opened("charger/8")
    assert car.beat(3_000) == []
    car.link_opened("charger/7")
    assert len(car.beat(4_000)) == 1


def test_nobody_but_the_car_at_the_cable_has_a_say(place):
    session = place.beat(1, 0, 0)[0].session
    for sender, event in (
        ("vehicle/2", DriverWish(session, sells=False, departure_ms=1)),
        ("vehicle/1", DriverWish(session + 1, sells=False, departure_ms=1)),
        ("vehicle/1", CarStatus(session, 0, 0, drew=False)),
    ):
        with pytest.raises(RemoteProtocolError, match="which is not at this cable"):
            place.point.told(sender, event)


def test_a_charger_speaks_for_its_own_cable_alone(place):
    car = car_at(place)
    plugged = place.beat(1, 0, 0)[0]
    with pytest.raises(RemoteProtocolError, match="charger/9 says that this car is plugged in at vehicle/1"):
        car.told("charger/9", plugged)
    car.told("vehicle/1", plugged)
    with pytest.raises(RemoteProtocolError, match="charger/9 speaks for session"):
        car.told("charger/9", Unplugged(plugged.session, 0, 0))


def test_a_car_adds_what_only_it_knows(place):
    car = car_at(place, settings=CarTable(capacity_wh=40_000, reserve_pct=25, feed_w=20_000))
    plugged = car.told("vehicle/1", place.beat(1, 0, 0)[0])
    assert isinstance(plugged, PluggedIn)
    assert (plugged.feed_w, plugged.capacity_ws, plugged.reserve_ws) == (11_000, 144_000_000, 36_000_000)
    reading = car.told("vehicle/1", place.told[-1])
    assert isinstance(reading, Reading)
    assert reading.stored_ws == 144_000_000 * 8 // 10 - 7_200_000
