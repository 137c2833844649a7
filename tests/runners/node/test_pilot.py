"""IEC 61851: duty cycle to amperes and back. The figures stand in the standard's table as manuals print it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.runners.node.drivers.pilot import LEAST_MA, MOST_MA, NO_CURRENT, allowed_ma, duty_for, duty_of_power

CURRENTS = st.integers(0, 120_000)
DUTIES = st.integers(0, NO_CURRENT)


@pytest.mark.parametrize(
    ("percent", "amperes"),
    [
        (0, 0),
        (2.9, 0),
        (5, 0),
        (7.5, 0),
        (8, 6),
        (9.99, 6),
        (10, 6),
        (16.67, 10.002),
        (20, 12),
        (26.67, 16.002),
        (50, 30),
        (53.33, 31.998),
        (85, 51),
        (86, 55),
        (90, 65),
        (96, 80),
        (96.5, 80),
        (97.5, 0),
        (100, 0),
    ],
)
def test_the_table(percent: float, amperes: float):
    assert allowed_ma(round(percent * 100)) == round(amperes * 1_000)


@pytest.mark.parametrize(("amperes", "percent"), [(6, 10), (10, 16.66), (16, 26.66), (32, 53.33), (63, 89.2), (80, 96)])
def test_the_usual_currents(amperes: int, percent: float):
    assert duty_for(amperes * 1_000) == round(percent * 100)


@given(CURRENTS)
def test_a_car_never_draws_more_than_was_granted(current_ma: int):
    assert allowed_ma(duty_for(current_ma)) <= current_ma


@given(CURRENTS)
def test_what_is_lost_by_rounding_is_a_hundredth_of_a_percent_except_where_no_duty_is(current_ma: int):
    allowed = allowed_ma(duty_for(current_ma))
    if LEAST_MA <= current_ma <= 51_000:
        assert current_ma - allowed < 6
    elif 51_000 < current_ma < 52_525:
        assert allowed == 51_000
    elif 52_525 <= current_ma <= MOST_MA:
        assert current_ma - allowed < 25
    else:
        assert allowed == (0 if current_ma < LEAST_MA else MOST_MA)


@given(DUTIES)
def test_there_and_back_again(duty: int):
    """Each duty that allows a current is found again, or one that allows just as much."""
    if current_ma := allowed_ma(duty):
        assert allowed_ma(duty_for(current_ma)) == current_ma


@given(CURRENTS, CURRENTS)
def test_more_granted_never_allows_less(one: int, other: int):
    low, high = sorted((one, other))
    assert allowed_ma(duty_for(low)) <= allowed_ma(duty_for(high))


@given(st.integers(-5_000, 100_000), st.sampled_from([1, 3]))
def test_a_power_is_never_exceeded_at_all_phases(import_w: int, phases: int):
    assert allowed_ma(duty_of_power(import_w, voltage_v=230, phases=phases)) * 230 * phases <= max(0, import_w) * 1_000


@pytest.mark.parametrize("duty", [-1, NO_CURRENT + 1])
def test_what_is_no_duty_is_refused(duty: int):
    with pytest.raises(ValueError, match="hundredths of a percent"):
        allowed_ma(duty)
    with pytest.raises(ValueError, match="a current of -1 mA"):
        duty_for(-1)
