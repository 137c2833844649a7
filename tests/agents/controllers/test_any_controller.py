"""What holds of every rule the negotiation is compared with."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agents.controllers.parked import ROOMS_W, many_parked

from wattswap.agents.controllers import CONTROLLERS, NEED_DEPARTURES, NEGOTIATED, controller_named
from wattswap.agents.rules import Rules
from wattswap.cli.run import run
from wattswap.protocol.errors import InputError

RULES = Rules()
ALL = [name for name in CONTROLLERS if name != NEGOTIATED]
CAPPED = ["fcfs", "edf", "llf", "equal-share", "round-robin", "receding-horizon", "karma"]
QUEUES = ["fcfs", "edf", "llf"]
BASE_W = 50_000
FEW = settings(max_examples=20, deadline=None)
"""Of each controller; together they are many."""


def granted(name, room_w, street):
    controller = controller_named(name)
    assert controller is not None
    return controller(BASE_W, BASE_W + room_w, street[0], street[1], RULES)


@pytest.mark.parametrize("name", ALL)
@FEW
@given(room_w=ROOMS_W, street=many_parked())
def test_nobody_is_granted_more_than_it_wants_or_asked_to_feed(name, room_w, street):
    grants = granted(name, room_w, street)
    assert (grants.import_w >= 0).all()
    assert (grants.import_w <= street.cars.wanted_w).all()
    assert not grants.export_w.any()
    assert not grants.forced_w.any(), "forced is what the negotiation's last resort takes"
    assert grants.import_w.dtype == np.int64


@pytest.mark.parametrize("name", ALL)
@FEW
@given(room_w=ROOMS_W, street=many_parked())
def test_what_is_known_is_read_only(name, room_w, street):
    for column in (*street.cars, *street.plugged):
        column.setflags(write=False)
    granted(name, room_w, street)


# droop goes there step by step, a subscribed power holds at all times, and valleys are waited for
@pytest.mark.parametrize("name", [name for name in ALL if name not in ("droop", "bandwidth", "valley-filling")])
@FEW
@given(street=many_parked())
def test_where_there_is_room_for_all_everyone_draws_what_it_wants(name, street):
    room_w = int(np.maximum(street.cars.wanted_w, street.plugged.drawn_w).sum()) + 1
    assert granted(name, room_w, street).import_w.tolist() == street.cars.wanted_w.tolist()


@pytest.mark.parametrize("name", [*CAPPED, "valley-filling"])
@FEW
@given(room_w=ROOMS_W, street=many_parked())
def test_cars_stay_under_the_target_wherever_the_homes_leave_room(name, room_w, street):
    assert granted(name, room_w, street).import_w.sum() <= max(room_w, 0)


@pytest.mark.parametrize("name", [*CAPPED, "valley-filling"])
@FEW
@given(room_w=ROOMS_W, street=many_parked())
def test_nobody_is_granted_what_no_charger_can_give(name, room_w, street):
    """IEC 61851: nothing under 6 A, unless the car wants no more than that."""
    import_w = granted(name, room_w, street).import_w
    least_w = np.minimum(street.cars.wanted_w, RULES.min_w)
    assert ((import_w == 0) | (import_w >= least_w)).all()


@pytest.mark.parametrize("name", CAPPED)
@FEW
@given(room_w=ROOMS_W, street=many_parked())
def test_no_room_is_left_that_a_waiting_car_could_use(name, room_w, street):
    import_w = granted(name, room_w, street).import_w
    left_w = room_w - int(import_w.sum())
    wanted_w = street.cars.wanted_w
    waits = (import_w == 0) & (wanted_w > 0)
    assert (left_w < np.minimum(wanted_w, RULES.min_w)[waits]).all()
    assert left_w <= 0 or not ((import_w > 0) & (import_w < wanted_w)).any()


@pytest.mark.parametrize("name", ALL)
@FEW
@given(room_w=ROOMS_W, street=many_parked(), data=st.data())
def test_cars_are_told_apart_by_nothing_but_what_is_known_of_them(name, room_w, street, data):
    """Rows in another order: the same grants in that order."""
    rows = data.draw(st.permutations(range(len(street.cars.wanted_w))))
    there = granted(name, room_w, street.where(np.array(rows, dtype=np.int64))).import_w
    back = granted(name, room_w, street).import_w[np.array(rows, dtype=np.int64)]
    if name == "equal-share":  # watts that do not divide go to one of several equals
        assert np.abs(there - back).max(initial=0) <= 1
    else:
        assert there.tolist() == back.tolist()


@pytest.mark.parametrize("name", QUEUES)
@FEW
@given(room_w=ROOMS_W, street=many_parked(), data=st.data())
def test_who_stands_behind_takes_nothing_from_who_stands_ahead(name, room_w, street, data):
    place = {"fcfs": street.plugged.arrival_ms, "edf": street.plugged.departure_ms, "llf": street.plugged.laxity_ms}[
        name
    ]
    ahead = np.argsort(place)[: data.draw(st.integers(0, len(place)))]
    alone = granted(name, room_w, street.where(ahead)).import_w
    assert granted(name, room_w, street).import_w[ahead].tolist() == alone.tolist()


@pytest.mark.parametrize("name", [name for name in ALL if name not in NEED_DEPARTURES])
@FEW
@given(room_w=ROOMS_W, street=many_parked(), data=st.data())
def test_these_need_nobodys_plans(name, room_w, street, data):
    other = data.draw(st.permutations(range(len(street.cars.wanted_w))))
    shuffled = np.array(other, dtype=np.int64)
    departure_ms, laxity_ms = street.plugged.departure_ms[shuffled], street.plugged.laxity_ms[shuffled]
    plugged = street.plugged._replace(departure_ms=departure_ms, laxity_ms=laxity_ms)
    before, after = granted(name, room_w, street), granted(name, room_w, (street.cars, plugged))
    assert before.import_w.tolist() == after.import_w.tolist()


def test_a_wrong_name_is_answered_with_the_nearest_right_one():
    with pytest.raises(InputError, match=r"'edf'.*fcfs, equal-share, edf, llf, .*poc"):
        controller_named("efd")


def test_the_negotiation_stands_for_no_controller():
    assert controller_named("negotiated") is None


def test_the_command_line_names_them_all():
    shown = CliRunner().invoke(run, ["--help"]).output
    assert [name for name in CONTROLLERS if name not in shown] == []
