"""What drivers say to their cars while a run goes on: agents hear of it as events, and both engines obey alike."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

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

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wattswap.runners.engines.observer import Sensed

SELLER = "TRD-3472"
"""A car of the demo that gives way all evening long unless its driver says otherwise."""
SAID_TICK = 2_320
"""At 19:20."""
VETO, STOP = ("19:20", f"car={SELLER}", "veto"), ("19:20", f"car={SELLER}", "stop")
SELL_AGAIN = ("19:50", f"car={SELLER}", "sell")


@cache
def demo(*sayings: tuple[str, str, str]) -> Result:
    """The demo in the fleet engine, with what its drivers say."""
    street = load_street("demo")
    return run_loaded(street, engine="fleet", drivers=planned_wishes(street, sayings))


def sold(result: Result) -> list[int]:
    """The ticks of the calls in which the seller sold something."""
    return sorted({trade.tick for trade in result.record.trades if trade.session == SELLER and trade.kind != "forced"})


@pytest.mark.parametrize("wish", ["veto", "stop", "full-by=19:45"])
def test_a_car_whose_driver_objects_sells_nothing_any_more(wish: str):
    assert any(tick >= SAID_TICK for tick in sold(demo()))
    told = sold(demo(("19:20", f"car={SELLER}", wish)))
    assert told
    assert max(told) < SAID_TICK


def test_a_car_with_a_veto_charges_at_once_and_one_that_stops_selling_waits_for_room():
    def catches_up(result: Result) -> bool:
        cars = result.cars
        return "catching up" in set(cars[cars.session == SELLER].activity)

    assert catches_up(demo(STOP))
    assert not catches_up(demo(VETO))


def test_a_driver_may_change_their_mind():
    assert any(tick >= SAID_TICK + 60 for tick in sold(demo(VETO, SELL_AGAIN)))


class Told(Observer):
    """Keeps what cars are told of their drivers."""

    def __init__(self) -> None:
        self.wishes: list[DriverWish] = []

    def sensed(self, sensed: Sequence[Sensed]) -> None:
        self.wishes += [event for _, event in sensed if isinstance(event, DriverWish)]


@pytest.mark.long
def test_no_rule_is_broken_by_a_driver_who_objects():
    street = load_street("a400", day=7)
    simulated_run(street, observers=[Auditor()], drivers=planned_wishes(street, [VETO, SELL_AGAIN])).run()


def test_both_engines_obey_alike_and_a_replay_tells_the_same(tmp_path: Path):
    street, told = load_street("a400", day=7), Told()
    sayings = [VETO, ("19:30", "car=TRD-4270", "full-by=20:30"), SELL_AGAIN]
    real = run_loaded(street, drivers=planned_wishes(street, sayings), observers=[told], out=tmp_path / "run")
    fast = run_loaded(street, engine="fleet", drivers=planned_wishes(street, sayings))
    unasked = run_loaded(street, engine="fleet")
    assert real.summary["trace_hash"] == fast.summary["trace_hash"] != unasked.summary["trace_hash"]
    assert [wish.sells for wish in told.wishes] == [False, True, True]
    assert check_run(read_recorded(tmp_path / "run")).differences == ()


@pytest.mark.parametrize(
    ("saying", "says"),
    [
        (("19:20", "car=C999", "veto"), "there is no car 'C999'; the nearest is"),
        (("19:20", f"car={SELLER}", "later"), "a driver cannot say 'later'; there are veto, stop, sell, full-by=07:00"),
        (("19:20", f"car={SELLER}", "full-by"), "a driver cannot say 'full-by'"),
        (("19:20", f"car={SELLER}", "veto=07:00"), "a driver cannot say 'veto=07:00'"),
        (("7 pm", f"car={SELLER}", "veto"), "'7 pm' is no instant; write 19:10"),
        (("25:10", f"car={SELLER}", "veto"), "'25:10' is no instant"),
        (("2018-11-20T10:00", f"car={SELLER}", "veto"), "is before the run"),
        (("2018-11-27T10:00", f"car={SELLER}", "veto"), "the run is over at"),
        (("19:20", "car=TRD-3965", "veto"), "TRD-3965 is not plugged in then; it is from"),
        (("19:20", SELLER, "veto"), "names no car; write car=NAME"),
    ],
)
def test_a_saying_that_cannot_be_is_refused_in_one_line(saying: tuple[str, str, str], says: str):
    with pytest.raises(InputError, match=r"^--at ") as refused:
        planned_wishes(load_street("demo"), [saying])
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_driver_has_a_say_where_nobody_asks():
    street = load_street("demo")
    with pytest.raises(InputError, match="--at: controller 'fcfs' asks no car"):
        run_loaded(street, controller="fcfs", engine="fleet", drivers=planned_wishes(street, [VETO]))
