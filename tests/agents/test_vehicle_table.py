"""The vehicle table: what a transformer knows of its plugged cars, kept in session order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wattswap.agents.physics import Ints
from wattswap.agents.rules import Rules
from wattswap.agents.vehicle_table import VehicleTable
from wattswap.protocol.messages import Report


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def register_of(*sessions: int) -> VehicleTable:
    register = VehicleTable()
    for session in sessions:
        register.enter(session, 7 * session, arrival_ms=0, departure_ms=1)
    return register


def report(session: int, *, firm_w: int, wanted_w: int = 0, due_ms: int = 0, drew: bool = False) -> Report:
    """A charger's first word; the register does not look at whose clock it was."""
    owed_ws, price = 10 * firm_w, 1_000_000 * session
    return Report(session, firm_w, wanted_w, drew, owed_ws, price, 1, 1, 0, 0, 0, due_ms, due_ms and 7 * session)


def test_cars_stand_in_session_order_however_they_came() -> None:
    register = register_of(5, 1, 9)
    for session in (9, 5, 1):
        drew = session == 5
        register.report(
            report(session, firm_w=100 * session, wanted_w=200 * session, due_ms=1_000 * session, drew=drew)
        )
    cars = register.cars()
    assert register.sessions == [1, 5, 9]
    assert cars.firm_w.tolist() == [100, 500, 900]
    assert cars.wanted_w.tolist() == [200, 1_000, 1_800]
    assert cars.key.tolist() == [7, 35, 63]
    assert cars.owed_ws.tolist() == [1_000, 5_000, 9_000]
    assert cars.rent_price.tolist() == [1_000_000, 5_000_000, 9_000_000]
    assert register.plugged(500, Rules()).laxity_ms.tolist() == [500, 4_500, 8_500]
    assert register.plugged(500, Rules()).feed_w.tolist() == [7, 35, 63]
    assert cars.drew.tolist() == [False, True, False]


def test_a_car_wants_nothing_until_its_first_report() -> None:
    cars = register_of(3).cars()
    assert [cars.firm_w.tolist(), cars.wanted_w.tolist(), cars.drew.tolist()] == [[0], [0], [False]]


def test_a_report_replaces_the_one_before_and_leaves_the_award() -> None:
    register = register_of(1, 2)
    register.award(2, 6_210, 500)
    for firm_w in (11_000, 3_000):
        register.report(report(2, firm_w=firm_w, wanted_w=firm_w, drew=True))
    cars = register.cars()
    assert cars.firm_w.tolist() == [0, 3_000]
    assert (cars.reduce_w.tolist(), cars.feed_w.tolist()) == ([0, 6_210], [0, 500])
    register.award(2, 0, 0)
    assert not register.cars().reduce_w.any()
    assert not register.cars().feed_w.any()


def test_who_leaves_is_gone_with_all_that_was_known_of_it() -> None:
    register = register_of(1, 2, 3)
    register.report(report(2, firm_w=11_000, wanted_w=11_000, drew=True))
    register.leave(2)
    assert register.sessions == [1, 3]
    assert 2 not in register
    assert register.cars().firm_w.tolist() == [0, 0]
    register.enter(2, 14, 0, 1)
    assert register.cars().firm_w.tolist() == [0, 0, 0]


def test_who_has_power_is_told_again_and_who_had_it_once_more() -> None:
    """A grant is a lease: it ends unless it is renewed. Who has nothing and had nothing need not be told."""
    register = register_of(1, 2)
    assert register.aims(ints(11_000, 0), ints(0, 0)) == [(1, 11_000, 0)]
    assert register.aims(ints(11_000, 0), ints(0, 0)) == [(1, 11_000, 0)]
    assert register.aims(ints(0, 4_140), ints(0, 0)) == [(1, 0, 0), (2, 4_140, 0)]
    assert register.aims(ints(0, 4_140), ints(500, 0)) == [(1, 0, 500), (2, 4_140, 0)]
    assert register.aims(ints(0, 0), ints(0, 0)) == [(1, 0, 0), (2, 0, 0)]
    assert register.aims(ints(0, 0), ints(0, 0)) == []


def test_where_chargers_draw_unasked_everyone_is_told_even_if_it_is_nothing() -> None:
    register = register_of(1)
    assert register.aims(ints(0), ints(0), idle_w=1_380) == [(1, 0, 0)]
    register.enter(2, 14, 0, 1)
    assert register.aims(ints(0, 0), ints(0, 0), idle_w=1_380) == [(1, 0, 0), (2, 0, 0)]
    assert register.aims(ints(0, 0), ints(0, 0)) == []


def test_controllers_learn_what_a_car_drew_as_far_as_it_wanted_what_it_was_granted() -> None:
    register = register_of(1, 2)
    for session, wanted_w in ((1, 3_000), (2, 11_000)):
        register.report(report(session, firm_w=11_000, wanted_w=wanted_w))
    register.aims(ints(4_140, 4_140), ints(0, 0))
    assert register.plugged(0, Rules()).drawn_w.tolist() == [3_000, 4_140]


def test_firm_power_of_some_sessions_comes_in_their_order() -> None:
    register = register_of(1, 2, 3)
    for session in (1, 2, 3):
        register.report(report(session, firm_w=session))
    assert register.firm_w([3, 1]).tolist() == [3, 1]
    assert register.firm_w([]).tolist() == []


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 22_000)), max_size=40))
def test_it_is_what_a_dictionary_would_be(steps: list[tuple[bool, int, int]]) -> None:
    register, expected = VehicleTable(), dict[int, int]()
    for enters, session, firm_w in steps:
        if enters and session not in expected:
            register.enter(session, session, 0, 1)
        elif not enters and session in expected:
            register.leave(session)
            del expected[session]
            continue
        elif not enters:
            continue
        register.report(report(session, firm_w=firm_w))
        expected[session] = firm_w
    assert register.sessions == sorted(expected)
    assert all((session in register) == (session in expected) for session in range(13))
    assert register.cars().firm_w.tolist() == [firm_w for _, firm_w in sorted(expected.items())]
