"""The register: what a transformer knows of its plugged cars, kept in session order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wattswap.agents.physics import Ints
from wattswap.agents.register import Register
from wattswap.protocol.messages import Report


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def register_of(*sessions: int) -> Register:
    register = Register()
    for session in sessions:
        register.enter(session, arrival_ms=0, departure_ms=1)
    return register


def test_cars_stand_in_session_order_however_they_came() -> None:
    register = register_of(5, 1, 9)
    for session in (9, 5, 1):
        register.report(Report(session, 100 * session, 200 * session, 1_000 * session, drew=session == 5))
    cars = register.cars(now_ms=500)
    assert register.sessions == [1, 5, 9]
    assert cars.firm_w.tolist() == [100, 500, 900]
    assert cars.wanted_w.tolist() == [200, 1_000, 1_800]
    assert cars.laxity_ms.tolist() == [500, 4_500, 8_500]
    assert cars.drew.tolist() == [False, True, False]


def test_a_car_wants_nothing_until_its_first_report() -> None:
    cars = register_of(3).cars(0)
    assert [cars.firm_w.tolist(), cars.wanted_w.tolist(), cars.drew.tolist()] == [[0], [0], [False]]


def test_a_report_replaces_the_one_before_and_leaves_the_award() -> None:
    register = register_of(1, 2)
    register.award(2, 6_210, 500)
    for firm_w in (11_000, 3_000):
        register.report(Report(2, firm_w, firm_w, 0, drew=True))
    cars = register.cars(0)
    assert cars.firm_w.tolist() == [0, 3_000]
    assert (cars.reduce_w.tolist(), cars.feed_w.tolist()) == ([0, 6_210], [0, 500])
    register.award(2, 0, 0)
    assert not register.cars(0).reduce_w.any()
    assert not register.cars(0).feed_w.any()


def test_who_leaves_is_gone_with_all_that_was_known_of_it() -> None:
    register = register_of(1, 2, 3)
    register.report(Report(2, 11_000, 11_000, 0, drew=True))
    register.leave(2)
    assert register.sessions == [1, 3]
    assert 2 not in register
    assert register.cars(0).firm_w.tolist() == [0, 0]
    register.enter(2, 0, 1)
    assert register.cars(0).firm_w.tolist() == [0, 0, 0]


def test_only_changed_grants_are_told() -> None:
    register = register_of(1, 2)
    assert register.regrant(ints(11_000, 0), ints(0, 0)) == [(1, 11_000, 0), (2, 0, 0)]
    assert register.regrant(ints(11_000, 0), ints(0, 0)) == []
    assert register.regrant(ints(11_000, 4_140), ints(0, 0)) == [(2, 4_140, 0)]
    assert register.regrant(ints(11_000, 4_140), ints(500, 0)) == [(1, 11_000, 500)]


def test_a_car_that_has_just_come_is_told_its_grant_even_if_it_is_nothing() -> None:
    register = register_of(1)
    register.regrant(ints(0), ints(0))
    register.enter(2, 0, 1)
    assert register.regrant(ints(0, 0), ints(0, 0)) == [(2, 0, 0)]


def test_firm_power_of_some_sessions_comes_in_their_order() -> None:
    register = register_of(1, 2, 3)
    for session in (1, 2, 3):
        register.report(Report(session, session, 0, 0, drew=False))
    assert register.firm_w([3, 1]).tolist() == [3, 1]
    assert register.firm_w([]).tolist() == []


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 22_000)), max_size=40))
def test_it_is_what_a_dictionary_would_be(steps: list[tuple[bool, int, int]]) -> None:
    register, expected = Register(), dict[int, int]()
    for enters, session, firm_w in steps:
        if enters and session not in expected:
            register.enter(session, 0, 1)
        elif not enters and session in expected:
            register.leave(session)
            del expected[session]
            continue
        elif not enters:
            continue
        register.report(Report(session, firm_w, 0, 0, drew=False))
        expected[session] = firm_w
    assert register.sessions == sorted(expected)
    assert all((session in register) == (session in expected) for session in range(13))
    assert register.cars(0).firm_w.tolist() == [firm_w for _, firm_w in sorted(expected.items())]
