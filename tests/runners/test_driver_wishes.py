"""What drivers say to their cars while a run goes on: agents hear of it as events, and both engines obey alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests import smalltown

from wattswap.experiments.api import Result, run_loaded
from wattswap.experiments.planned_wishes import planned_wishes
from wattswap.experiments.replays import check_run
from wattswap.protocol.errors import InputError
from wattswap.protocol.events import DriverWish
from wattswap.runners.audit.auditor import Auditor
from wattswap.runners.engines.observer import Observer
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.recording.replay import read_recorded
from wattswap.runners.scenario import load_street
from wattswap.runners.world import World, fleet_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wattswap.protocol.events import Event
    from wattswap.runners.engines.observer import Sensed
    from wattswap.runners.scenario.street import Street

SELLER = "s7"
"""A car that gives way for an hour, from seven to eight in the evening, unless its driver says otherwise."""
SAID_TICK = 228
"""At 19:00."""
VETO, STOP = ("19:00", f"car={SELLER}", "veto"), ("19:00", f"car={SELLER}", "stop")
SELL_AGAIN = ("19:20", f"car={SELLER}", "sell")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Street:
    return load_street(str(smalltown.found(tmp_path_factory.mktemp("smalltown"))))


def told(street: Street, *sayings: tuple[str, str, str]) -> Result:
    """A run in the fleet engine, with what its drivers say."""
    return run_loaded(street, engine="fleet", drivers=planned_wishes(street, sayings))


def sold(result: Result) -> list[int]:
    """The ticks of the calls in which the seller sold something."""
    return sorted({trade.tick for trade in result.record.trades if trade.session == SELLER and trade.kind != "forced"})


@pytest.mark.parametrize("wish", ["veto", "stop", "full-by=20:00", "at-least=50kWh", "at-least=278km"])
def test_a_car_whose_driver_objects_sells_nothing_any_more(street: Street, wish: str):
    assert any(tick >= SAID_TICK for tick in sold(told(street)))
    before = sold(told(street, ("19:00", f"car={SELLER}", wish)))
    assert before
    assert max(before) < SAID_TICK


def test_a_car_with_a_veto_charges_at_once_and_one_that_stops_selling_waits_for_room(street: Street):
    def catches_up(result: Result) -> bool:
        cars = result.cars
        return "catching up" in set(cars[cars.session == SELLER].activity)

    assert catches_up(told(street, STOP))
    assert not catches_up(told(street, VETO))


def test_a_car_sells_again_once_its_battery_holds_what_its_driver_wants(street: Street):
    """Said at tick 224. Where the battery holds enough already, its strategy alone decides."""
    fleet = fleet_of(street)
    arrives_kwh = int(fleet.stored_ws[fleet.session_id.index(SELLER)]) / 3_600_000
    assert sold(told(street, ("18:40", f"car={SELLER}", f"at-least={arrives_kwh:.1f}kWh"))) == sold(told(street))
    late = sold(told(street, ("18:40", f"car={SELLER}", f"at-least={arrives_kwh + 5:.1f}kWh")))
    assert any(tick >= 224 for tick in late)
    assert min(tick for tick in late if tick >= 224) > min(tick for tick in sold(told(street)) if tick >= 224)


def test_a_car_that_feeds_keeps_what_its_driver_wants(street: Street):
    """Whatever the strategy would sell: it is handed the driver's wish as its reserve."""
    world = World(street)
    row = int(np.flatnonzero(world.fleet.feed_w)[0])
    world.plugged = np.array([row])
    world.stored_ws[row] = 40 * 3_600_000
    world.wish(row, sells=True, departure_ms=0, least_ws=40 * 3_600_000 - 30_000)
    charging = world.charging(0)
    assert world.own(world.plugged, charging, np.zeros(1, dtype=np.int64), 0).reserve_ws == 40 * 3_600_000 - 30_000
    world.move(charging, np.zeros(1, dtype=np.int64), np.array([11_000]))
    assert 0 <= world.stored_ws[row] - (40 * 3_600_000 - 30_000) < 60


def test_a_driver_may_change_their_mind(street: Street):
    assert any(tick >= 232 for tick in sold(told(street, VETO, SELL_AGAIN)))


def test_a_car_that_crashes_is_told_again_what_its_driver_wants(tmp_path: Path):
    settings = (*smalltown.FAULTS, "faults.crashes_per_day=40", "faults.outage_s=300")
    street, heard = load_street(str(smalltown.found(tmp_path)), settings=settings), Told()
    drivers = planned_wishes(street, [STOP])
    result = run_loaded(street, drivers=drivers, observers=[heard], out=tmp_path / "run")
    assert heard.again
    assert all(tick < SAID_TICK for tick in sold(result))
    assert check_run(read_recorded(tmp_path / "run")).differences == ()


class Told(Observer):
    """Keeps what cars are told of their drivers."""

    def __init__(self) -> None:
        self.wishes: list[DriverWish] = []
        self.again: list[DriverWish] = []

    def sensed(self, sensed: Sequence[Sensed]) -> None:
        self.wishes += [event for _, event in sensed if isinstance(event, DriverWish)]

    def recovered(self, agent: str, events: Sequence[Event]) -> None:
        self.again += [event for event in events if isinstance(event, DriverWish)]


def test_no_rule_is_broken_by_a_driver_who_objects(street: Street):
    simulated_run(street, observers=[Auditor()], drivers=planned_wishes(street, [VETO, SELL_AGAIN])).run()


def test_both_engines_obey_alike_and_a_replay_tells_the_same(street: Street, tmp_path: Path):
    heard, sayings = Told(), [STOP, ("19:10", "car=s8", "full-by=22:00"), SELL_AGAIN, ("19:25", "car=s8", "veto")]
    sayings.append(("19:30", f"car={SELLER}", "at-least=170km"))
    real = run_loaded(street, drivers=planned_wishes(street, sayings), observers=[heard], out=tmp_path / "run")
    assert real.summary["trace_hash"] == told(street, *sayings).summary["trace_hash"]
    assert real.summary["trace_hash"] != told(street).summary["trace_hash"]
    assert [wish.sells for wish in heard.wishes] == [False, True, True, False, True]
    assert heard.wishes[-1].least_ws == 170 * 180 * 3_600
    assert check_run(read_recorded(tmp_path / "run")).differences == ()


@pytest.mark.parametrize(
    ("saying", "says"),
    [
        (("19:20", "car=C99", "veto"), "there is no car 'C99'; the nearest is"),
        (("19:20", "car=s7", "later"), "a driver cannot say 'later'; there are veto, stop, sell, full-by=07:00"),
        (("19:20", "car=s7", "full-by"), "a driver cannot say 'full-by'"),
        (("19:20", "car=s7", "at-least"), "a driver cannot say 'at-least'"),
        (
            ("19:20", "car=s7", "at-least=60"),
            "'60' is neither a range nor an energy; write at-least=60km or at-least=12",
        ),
        (("19:20", "car=s7", "at-least=334km"), "the battery holds 60.0 kWh at most, and 334km are 60.1"),
        (("19:20", "car=s7", "veto=07:00"), "a driver cannot say 'veto=07:00'"),
        (("7 pm", "car=s7", "veto"), "'7 pm' is no instant; write 19:10"),
        (("25:10", "car=s7", "veto"), "'25:10' is no instant"),
        (("2023-12-31T10:00", "car=s7", "veto"), "is before the run"),
        (("2024-01-02T10:00", "car=s7", "veto"), "the run is over at"),
        (("18:20", "car=s7", "veto"), "s7 is not plugged in then; it is from Mon 18:30"),
        (("19:20", "s7", "veto"), "names no car; write car=NAME"),
    ],
)
def test_a_saying_that_cannot_be_is_refused_in_one_line(street: Street, saying: tuple[str, str, str], says: str):
    with pytest.raises(InputError, match=r"^--at ") as refused:
        planned_wishes(street, [saying])
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_driver_has_a_say_where_nobody_asks(street: Street):
    with pytest.raises(InputError, match="--at: controller 'fcfs' asks no car"):
        run_loaded(street, controller="fcfs", engine="fleet", drivers=planned_wishes(street, [VETO]))
