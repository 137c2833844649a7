"""What operators do or try today, reckoned by hand."""

from __future__ import annotations

from datetime import datetime

import pytest
from tests.agents.controllers.parked import parked
from tests.streets import Stay, street_of

from wattswap.agents.controllers import controller_named
from wattswap.agents.controllers.rivals import bandwidth, dimming, droop, round_robin, static_cap, time_of_use
from wattswap.protocol.units import MS_PER_HOUR, WS_PER_KWH
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.scenario.tables import time_of_day_ms

ELEVEN = [11_000, 11_000, 11_000]


def test_all_are_dimmed_to_4_2_kw_as_soon_as_not_all_fit_and_no_further(rules):
    street = parked([11_000, 11_000, 3_000])
    assert dimming(0, 25_000, *street, rules).import_w.tolist() == [11_000, 11_000, 3_000]
    assert dimming(0, 24_999, *street, rules).import_w.tolist() == [4_200, 4_200, 3_000]
    assert dimming(60_000, 60_000, *street, rules).import_w.tolist() == [4_200, 4_200, 3_000]


def test_turns_of_an_ampere_go_round_by_arrival(rules):
    """Three at 4,140 are 12,420; one turn of 690 each is 14,490; 1,000 W are left for one more and a part."""
    street = parked(ELEVEN, arrival=[3, 1, 2])
    assert round_robin(0, 15_490, *street, rules).import_w.tolist() == [4_830, 5_520, 5_140]


def test_those_whom_six_amperes_do_not_reach_wait(rules):
    street = parked(ELEVEN, arrival=[3, 1, 2])
    assert round_robin(0, 9_000, *street, rules).import_w.tolist() == [0, 4_830, 4_170]


@pytest.mark.parametrize(("hour", "granted_w"), [(17.99, 11_000), (18, 4_140), (20.99, 4_140), (21, 11_000)])
def test_the_cap_by_the_clock_holds_from_18_to_21_h_whatever_the_load(rules, hour, granted_w):
    street = parked([11_000, 3_000], local_ms=int(hour * MS_PER_HOUR))
    assert static_cap(0, 100_000, *street, rules).import_w.tolist() == [granted_w, 3_000]


@pytest.mark.parametrize(("hour", "granted_w"), [(15.99, 11_000), (16, 0), (20.99, 0), (21, 11_000)])
def test_nobody_charges_in_the_dear_hours_and_all_do_afterwards(rules, hour, granted_w):
    street = parked([11_000], local_ms=int(hour * MS_PER_HOUR))
    assert time_of_use(0, 100_000, *street, rules).import_w.tolist() == [granted_w]


def test_a_tariff_of_dear_hours_moves_the_peak_and_raises_it():
    """Six cars come one after the other and would charge one after the other; a timer starts them together."""
    stays = [Stay(-5 + 120 * car, 2_400, 11 * WS_PER_KWH) for car in range(6)]
    street = street_of(stays, 2_000, base_w=[[0] * 2_001], start="2026-01-15T14:30:00+01:00")
    peaks_w = {
        name: max(int(tick.import_w.sum()) for tick in FleetRun(street, controller_named(name)).run().ticks)
        for name in ("uncontrolled", "time-of-use")
    }
    assert peaks_w["uncontrolled"] == 11_000
    assert peaks_w["time-of-use"] > 40_000


def test_a_subscribed_power_holds_at_all_times_whatever_the_load(rules):
    for hour in (3, 19):
        street = parked([11_000, 3_000], local_ms=hour * MS_PER_HOUR)
        assert bandwidth(0, 100_000, *street, rules).import_w.tolist() == [4_200, 3_000]


def test_the_clock_is_that_of_the_scenario_s_start():
    """From 17:58 on: two minutes of four ticks in full, then 6 A."""
    stays = [Stay(-5, 400, 10 * WS_PER_KWH)]
    street = street_of(stays, 8, base_w=[[0] * 9], start="2026-01-15T17:58:00+01:00")
    record = FleetRun(street, controller_named("static-cap")).run()
    assert [int(tick.import_w[0]) for tick in record.ticks] == [11_000] * 4 + [4_140] * 4


def test_the_time_of_day_is_by_the_stamp_s_own_offset():
    assert time_of_day_ms(datetime.fromisoformat("2026-01-15T00:30:00+05:30")) == MS_PER_HOUR // 2


def test_droop_goes_a_quarter_of_the_way_at_each_tick(rules):
    """10 % above the target is half of the band: 5,500 W is the aim, 11,000 - 5,500 / 4 the next step."""
    street = parked([11_000], drawn_w=[11_000])
    assert droop(99_000, 100_000, *street, rules).import_w.tolist() == [9_625]
    assert droop(109_000, 100_000, *street, rules).import_w.tolist() == [0], "from 20 % above on nothing"
    assert droop(80_000, 100_000, *street, rules).import_w.tolist() == [11_000]


def test_droop_settles_above_the_target_by_design():
    """P = 44 (1.2 - (40 + P) / 60) / 0.2 for four cars: 25.1 kW where 20 fit."""
    stays = [Stay(-5, 400, 10 * WS_PER_KWH) for _ in range(4)]
    transformer = {"rating_va": 63_000, "limit_w": 60_000, "margin_pct": 0}
    street = street_of(stays, 40, base_w=[[40_000] * 41], transformer=transformer)
    loads_w = [40_000 + int(tick.import_w.sum()) for tick in FleetRun(street, controller_named("droop")).run().ticks]
    assert loads_w[20:] == pytest.approx([65_143] * 20, abs=20)
