"""The least waiting: what a linear program finds is what one works out by hand, and below what any market reaches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from tests.streets import Stay, street_of, streets

from wattswap.experiments.api import run_loaded
from wattswap.experiments.optimum import optimum
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_HOUR, MS_PER_S, NANOS_PER_IOTA, WS_PER_KWH
from wattswap.runners.scenario import Street
from wattswap.runners.world import fleet_of

HOUR = 120  # ticks
FULL_W = 11_000


def waiting_street(cars: int, ticks: int = 4 * HOUR, **tables: Any) -> Street:
    """So many cars that come together, each wanting 11 kWh, on a street that has room for one of them at a time."""
    return street_of(
        [Stay(0, ticks, FULL_W * 3_600, user=f"U{number}") for number in range(cars)],
        ticks,
        transformer={"rating_va": 100_000, "limit_w": FULL_W, "margin_pct": 0},
        chargers={"max_w": FULL_W},
        **tables,
    )


def test_the_cheaper_of_two_cars_waits_an_hour_for_what_the_other_draws():
    street = waiting_street(2)
    cheapest = fleet_of(street).waiting_nanos_per_kwh_h.min() / NANOS_PER_IOTA
    found = optimum(street)
    # behind by 0 to 11 kWh in the first hour, by 11 to 0 in the second
    assert found.waiting_cost_iota == pytest.approx(11 * cheapest, rel=1e-4)
    assert (found.short_wh, found.overload_wh, found.feeding_cost_iota) == pytest.approx((0, 0, 0), abs=1e-6)
    assert found.load_w.max() == pytest.approx(FULL_W, rel=1e-5)


def test_who_must_leave_is_served_however_cheap_its_waiting():
    """Both leave after an hour: of 22 kWh wanted 11 can be had, with an overload of none."""
    found = optimum(waiting_street(2, HOUR))
    assert (found.short_wh, found.overload_wh) == pytest.approx((0, 11_000), abs=1e-2), "short comes before overload"


def test_a_margin_makes_the_cars_wait_longer():
    street = street_of(
        [Stay(0, 8 * HOUR, FULL_W * 3_600)],
        8 * HOUR,
        transformer={"rating_va": 100_000, "limit_w": FULL_W, "margin_pct": 50},
        chargers={"max_w": FULL_W},
    )
    assert optimum(street, margin=False).waiting_cost_iota == pytest.approx(0, abs=1e-4)
    price = fleet_of(street).waiting_nanos_per_kwh_h[0] / NANOS_PER_IOTA
    # at half the power it is behind by 5.5 kWh after an hour, and draws that in another hour
    assert optimum(street).waiting_cost_iota == pytest.approx(5.5 * price, rel=1e-4)


BATTERY = {"capacity_wh": 100_000, "max_w": 50_000, "initial_pct": 100}


def test_a_battery_spares_all_waiting_and_pays_its_wear():
    battery = BATTERY | {"wear_nanos_per_kwh": 1_000_000, "round_trip_pct": 100}
    found = optimum(waiting_street(2, battery=[battery]))
    assert found.fed_back_wh == pytest.approx(11_000, rel=1e-3)
    assert found.waiting_cost_iota == pytest.approx(0, abs=1e-3)
    assert found.feeding_cost_iota == pytest.approx(11 * 0.001, rel=1e-3)


@pytest.mark.parametrize(("wear_iota", "round_trip_pct"), [(0.15, 100), (0.0, 95), (0.1, 97), (0.5, 88)])
def test_a_battery_feeds_as_long_as_wear_and_loss_cost_less_than_waiting(wear_iota: float, round_trip_pct: int):
    """Of 11 kWh in the first hour f are fed, and the rest is waited for: at a price p of waiting and c of feeding that
    costs p (11 - f)^2 / 11 + c f, which is least at f = 11 (1 - c / 2p)."""
    battery = BATTERY | {"wear_nanos_per_kwh": round(wear_iota * NANOS_PER_IOTA), "round_trip_pct": round_trip_pct}
    street = waiting_street(2, battery=[battery])
    fleet = fleet_of(street)
    p = fleet.waiting_nanos_per_kwh_h[fleet.is_session].min() / NANOS_PER_IOTA
    c = wear_iota + fleet.tariff_nanos_per_kwh[0] / NANOS_PER_IOTA * (100 / round_trip_pct - 1)
    f = max(11 * (1 - c / (2 * p)), 0)
    found = optimum(street)
    assert found.cost_iota == pytest.approx(p * (11 - f) ** 2 / 11 + c * f, rel=0.01)
    assert found.feeding_cost_iota == pytest.approx(c * found.fed_back_wh / 1_000, rel=1e-6, abs=1e-6)


def test_a_battery_feeds_no_further_than_to_its_reserve():
    battery = {"capacity_wh": 10_000, "max_w": 50_000, "initial_pct": 60, "reserve_pct": 20, "round_trip_pct": 80}
    found = optimum(waiting_street(2, HOUR, battery=[battery]))
    # both cars leave after an hour, so 11 kWh lie above the limit but for what is fed: of the 4 kWh that the battery
    # holds above its reserve a fifth is lost
    assert found.fed_back_wh == pytest.approx(3_200, abs=1)
    assert found.overload_wh == pytest.approx(11_000 - 3_200, abs=1)


@pytest.mark.parametrize("full", range(3))
def test_a_full_car_feeds_where_cars_may_if_its_own_waiting_is_the_cheapest(full: int):
    """It is full and stays, the two others come for 11 kWh each, and there is room for one."""
    stays = [Stay(-2 * HOUR * (car == full), 4 * HOUR, FULL_W * 3_600, user=f"U{car}") for car in range(3)]
    cars = {"wear_nanos_per_kwh": 0, "reserve_pct": 10, "target_pct": 80, "feed_w": FULL_W, "round_trip_pct": 100}
    transformer = {"rating_va": 100_000, "limit_w": FULL_W, "margin_pct": 0}
    street = street_of(stays, 4 * HOUR, transformer=transformer, chargers={"max_w": FULL_W}, vehicles=cars)
    assert optimum(street).fed_back_wh == pytest.approx(0, abs=1e-3)
    cheapest = fleet_of(street).waiting_nanos_per_kwh_h.argmin()
    assert (optimum(street, feed=True).fed_back_wh > 1_000) == (full == cheapest)


@given(streets())
def test_under_no_market_waiting_and_feeding_cost_less(street: Street):
    """At the tick's own resolution; the run's figure counts what is owed when a tick begins, hence half a tick."""
    reached = run_loaded(street, engine="fleet").summary
    assume(reached["overload_wh"] == 0 and reached["unserved_wh"] == 0)
    fleet = fleet_of(street)
    half_ticks = fleet.waiting_nanos_per_kwh_h * (fleet.need_ws / WS_PER_KWH) * street.tick_ms / MS_PER_HOUR / 2
    costs = reached["waiting_cost_nanos"] + reached["feeding_cost_nanos"]
    found = optimum(street, feed=True, margin=False, step_s=street.tick_ms // MS_PER_S)
    assert found.cost_iota <= (costs + half_ticks.sum()) / NANOS_PER_IOTA + 1e-3
    assert (found.short_wh, found.overload_wh) == pytest.approx((0, 0), abs=1)


def test_a_tick_that_does_not_fit_in_a_step_is_refused():
    with pytest.raises(InputError, match="reading_s is 900; the optimum's steps of 300 s are no multiple"):
        optimum(street_of([], 4, reading_s=900, window_s=900))
