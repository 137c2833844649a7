from __future__ import annotations

import numpy as np
from tests.agents.controllers.parked import parked

from wattswap.agents.controllers.capped import KEPT_MS, edf, fcfs, llf
from wattswap.agents.rules import Rules

ELEVEN = [11_000, 11_000, 11_000]
UNFLOORED = Rules(min_w=0)


def test_first_come_is_first_served(rules):
    street = parked(ELEVEN, arrival=[9, 1, 5], departure=[1, 2, 3], laxity=[1, 2, 3])
    assert fcfs(40_000, 55_140, *street, rules).import_w.tolist() == [0, 11_000, 4_140]


def test_the_earliest_stated_departure_is_first_served(rules):
    street = parked(ELEVEN, arrival=[1, 2, 3], departure=[9, 5, 1], laxity=[1, 2, 3])
    assert edf(40_000, 55_140, *street, rules).import_w.tolist() == [0, 4_140, 11_000]


def test_the_least_laxity_is_first_served_however_late_it_is(rules):
    street = parked(ELEVEN, arrival=[1, 2, 3], departure=[1, 2, 3], laxity=[60_000, 0, -60_000])
    assert llf(40_000, 55_140, *street, rules).import_w.tolist() == [0, 4_140, 11_000]


def test_a_car_that_draws_is_kept_for_an_hour_of_laxity(rules):
    street = parked(ELEVEN[:2], laxity=[KEPT_MS - 1, 0])
    draws = street.cars._replace(drew=np.array([True, False]))
    assert llf(40_000, 51_000, draws, street.plugged, rules).import_w.tolist() == [11_000, 0]
    street = parked(ELEVEN[:2], laxity=[KEPT_MS + 1, 0])
    assert llf(40_000, 51_000, draws, street.plugged, rules).import_w.tolist() == [0, 11_000]


def test_among_equals_the_order_of_sessions_decides(rules):
    for queue in (fcfs, edf, llf):
        assert queue(0, 22_000, *parked(ELEVEN), rules).import_w.tolist() == [11_000, 11_000, 0]


def test_a_car_that_six_amperes_do_not_reach_is_passed_over_for_one_that_wants_less(rules):
    street = parked([11_000, 11_000, 900], arrival=[1, 2, 3])
    assert fcfs(0, 15_139, *street, rules).import_w.tolist() == [11_000, 0, 900]


def test_without_a_floor_the_last_watt_is_given_away():
    assert fcfs(0, 11_001, *parked(ELEVEN), UNFLOORED).import_w.tolist() == [11_000, 1, 0]


def test_homes_above_the_target_leave_the_cars_nothing(rules):
    for queue in (fcfs, edf, llf):
        assert not queue(60_001, 60_000, *parked(ELEVEN), rules).import_w.any()


def test_a_street_without_cars_is_no_special_case(rules):
    assert fcfs(0, 1, *parked([]), rules).import_w.tolist() == []


# -- feeding ----------------------------------------------------------------------------------------------------------

PATIENT_MS = Rules().wary_guard_ms + KEPT_MS + 1


def test_who_has_the_most_time_feeds_what_those_ahead_lack(rules):
    street = parked(ELEVEN, laxity=[0, PATIENT_MS, 2 * PATIENT_MS], feed_w=ELEVEN)
    grants = llf(0, 2_000, *street, rules)
    assert grants.import_w.tolist() == [11_000, 0, 0]
    assert grants.export_w.tolist() == [0, 0, 9_000]
    grants = llf(0, -2_000, *street, rules)
    assert grants.export_w.tolist() == [0, 2_000, 11_000]


def test_nobody_feeds_who_would_then_be_in_a_hurry_itself(rules):
    street = parked(ELEVEN[:2], laxity=[0, PATIENT_MS - 1], departure=[0, PATIENT_MS], feed_w=ELEVEN[:2])
    for queue in (edf, llf):
        assert not queue(0, 2_000, *street, rules).export_w.any()


def test_nobody_feeds_for_one_whose_place_is_like_its_own(rules):
    street = parked(ELEVEN[:2], laxity=[PATIENT_MS, PATIENT_MS + KEPT_MS], feed_w=ELEVEN[:2])
    assert not llf(0, 2_000, *street, rules).export_w.any()


def test_nobody_feeds_where_there_is_room_or_where_the_queue_knows_no_departures(rules):
    street = parked(ELEVEN, laxity=[0, PATIENT_MS, 2 * PATIENT_MS], feed_w=ELEVEN)
    assert not llf(0, 33_000, *street, rules).export_w.any()
    assert not fcfs(0, 2_000, *street, rules).export_w.any()
