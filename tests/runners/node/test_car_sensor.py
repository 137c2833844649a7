"""What a car believes of its cable: the charger that holds the plug, and nobody else it trusts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import CarStatus, Metered, PluggedIn, Reading, Unplugged
from wattswap.runners.engines.store import MemoryStore
from wattswap.runners.node.config import CarTable
from wattswap.runners.node.sensors import CarSensor

AT_HOME = PluggedIn(7, "charger/0#1", "charger/0", 36_000_000, 50_000_000, 11_000, 0, 0, 0)
AT_WORK = replace(AT_HOME, session=9, session_id="charger/1#1", peer="charger/1")
READING = Reading(7, 36_000_000, 36_000_000, 0, 11_000, 11_000, 0, 49_000_000, drew=True)
METERED = Metered(7, 11_000, 0, 0, 0, 1)


@pytest.fixture
def car() -> CarSensor:
    sensor = CarSensor(CarTable(), MemoryStore(), lambda _charger, _events: None)
    sensor.told("charger/0", AT_HOME)
    return sensor


@pytest.mark.parametrize(
    "event",
    [replace(READING, session=5), replace(METERED, session=5), Unplugged(5, 0, 0), CarStatus(5, 0, 0, False), AT_WORK],
    ids=lambda event: type(event).__name__,
)
def test_no_other_charger_speaks_to_a_car_that_is_plugged_in(car, event):
    with pytest.raises(RemoteProtocolError, match=r"charger/1 speaks for session \d, the car is at charger/0"):
        car.told("charger/1", event)
    assert (car.plug, car.reading, car.metered) == (AT_HOME, None, None)


def test_what_is_shown_is_of_the_session_at_the_cable(car):
    car.told("charger/0", replace(METERED, session=6))
    assert car.metered is None
    car.told("charger/0", METERED)
    assert car.metered == METERED
    car.told("charger/0", replace(AT_HOME, session=8))
    assert car.metered is None, "a new session has no meter's word yet"


def test_a_car_that_has_left_unheard_is_at_the_next_charger_once_the_first_says_so(car):
    with pytest.raises(RemoteProtocolError):
        car.told("charger/1", AT_WORK)
    assert car.beat(1_000) == []
    car.told("charger/0", Unplugged(7, 0, 0))
    [event] = car.beat(2_000)
    assert isinstance(event, PluggedIn)
    assert (event.session, event.capacity_ws, car.plug) == (9, car.capacity_ws, AT_WORK)


def test_a_cable_that_was_out_again_by_then_is_none(car):
    for event in (AT_WORK, Unplugged(9, 0, 0)):
        with pytest.raises(RemoteProtocolError):
            car.told("charger/1", event)
    car.told("charger/0", Unplugged(7, 0, 0))
    assert car.beat(1_000) == []
    assert car.plug is None
