"""A car is awarded what it offered, or better; anything else it refuses, whoever signed it."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.vehicle.one_car import ACKED, AWARD, NOTHING, PLUG, READING, at_work, car, does, tell
from tests.agents.words import CALL, CHEAP, DAY_S, DEAR, IOTA, said_by, survived

from wattswap.agents.delivery_meter import MOST_UNSETTLED
from wattswap.agents.strategies import BUNDLED
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.messages import Award
from wattswap.protocol.round import State

WORSE = {
    "less pay": structs.replace(AWARD, price_nanos_per_kwh_h=(CHEAP - 1, 0, 0)),
    "more watts": structs.replace(AWARD, award_w=(6_861, 0, 0)),
    "feeding": structs.replace(AWARD, award_w=(6_210, 0, 1), price_nanos_per_kwh_h=(CHEAP, 0, IOTA)),
    "a longer time": structs.replace(AWARD, until_ms=AWARD.until_ms + 1),
    "less rent": structs.replace(AWARD, rent_cap_s=DAY_S - 1),
}
BETTER = {
    "as offered": AWARD,
    "more pay": structs.replace(AWARD, price_nanos_per_kwh_h=(DEAR, 0, 0)),
    "fewer watts": structs.replace(AWARD, award_w=(690, 0, 0)),
    "all of it": structs.replace(AWARD, award_w=(6_860, 4_140, 0), price_nanos_per_kwh_h=(CHEAP, CHEAP, 0)),
}


@pytest.mark.parametrize("worse", WORSE.values(), ids=WORSE)
def test_an_award_that_is_worse_than_its_offer_it_refuses_however_often_it_comes(worse: Award) -> None:
    vehicle = at_work(CALL)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="an award of session 7 at tick 0 that it did not offer"):
            does(vehicle, worse)
        assert vehicle.state(worse.part) is State.OFFERED
    assert tell(vehicle, AWARD) == [ACKED], "the right one still counts"
    assert vehicle.state(AWARD.part) is State.AWARDED


@pytest.mark.parametrize("better", BETTER.values(), ids=BETTER)
def test_any_other_it_takes_and_acknowledges_once_more_when_it_is_repeated(better: Award) -> None:
    vehicle = at_work(CALL)
    for _ in range(2):
        assert tell(vehicle, better) == [ACKED]
    assert vehicle.state(better.part) is State.AWARDED


def test_who_goes_on_charging_gives_nothing_whatever_is_awarded() -> None:
    vehicle = at_work(CALL, strategy=BUNDLED["keep"])
    assert tell(vehicle, AWARD) == [ACKED, NOTHING]
    assert vehicle.state(AWARD.part) is State.DELIVERED


def test_a_car_that_answers_once_more_after_a_crash_believes_the_award_of_its_first_answer() -> None:
    """Its answer before may have been another: what it has learned is lost, or its battery is fuller."""
    before, again = at_work(), car(BUNDLED["need"])
    for event in (survived(does(before, CALL)), PLUG, READING, CALL):
        does(again, event, 1_000)
    assert tell(again, AWARD, 1_500) == [ACKED]
    later = structs.replace(CALL, tick=1, from_ms=30_000, offers_due_ms=32_000)
    does(again, later, 30_000)
    with pytest.raises(RemoteProtocolError, match="at tick 1 that it did not offer"):
        does(again, structs.replace(AWARD, tick=1), 31_000)


def test_a_car_takes_no_more_awards_than_can_be() -> None:
    """Each of a call that it never heard, and none has a receipt: they filled its memory, and stopped it."""
    vehicle = at_work()
    for tick in range(MOST_UNSETTLED):
        vehicle.handle(said_by("charger", structs.replace(AWARD, tick=tick)), 30_000)
    with pytest.raises(RemoteProtocolError, match=f"{MOST_UNSETTLED} are not settled"):
        does(vehicle, structs.replace(AWARD, tick=MOST_UNSETTLED))
    assert vehicle.owes == MOST_UNSETTLED
    assert tell(vehicle, structs.replace(AWARD, tick=5)), "one that it has it acknowledges once more"
