"""Settlement: what an award delivered, whose meter counts, and what it is worth to the nano."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.agents.settlement import agreed_ws, bill_nanos, payment_id, relief_w, value_nanos

IOTA = 1_000_000_000
KWH = 3_600_000
MOST_INT64 = (1 << 63) - 1


def relief(award_w: list[int], baseline_w: int, import_w: int, export_w: int) -> list[int]:
    powers = (np.array([watts], dtype=np.int64) for watts in (baseline_w, import_w, export_w))
    return [int(watts) for watts in relief_w(np.array([award_w], dtype=np.int64), *powers)[0]]


@pytest.mark.parametrize(
    ("import_w", "delivered_w"),
    [
        (11_000, [0, 0, 0]),
        (10_000, [1_000, 0, 0]),
        (4_140, [6_860, 0, 0]),
        (3_140, [6_860, 1_000, 0]),
        (0, [6_860, 4_140, 0]),
    ],
)
def test_a_reduction_fills_the_first_tranche_first(import_w: int, delivered_w: list[int]) -> None:
    assert relief([6_860, 4_140, 8_800], 11_000, import_w, 0) == delivered_w


def test_relief_is_measured_against_the_baseline_and_nothing_else() -> None:
    """A car whose baseline is over reduces nothing by standing still."""
    assert relief([6_860, 4_140, 0], 0, 0, 0) == [0, 0, 0]
    assert relief([6_860, 4_140, 0], 5_000, 0, 0) == [5_000, 0, 0]


def test_drawing_more_than_the_baseline_is_not_negative_relief() -> None:
    assert relief([6_860, 4_140, 0], 5_000, 11_000, 0) == [0, 0, 0]


def test_no_more_is_delivered_than_was_awarded() -> None:
    assert relief([2_070, 0, 3_000], 11_000, 0, 8_800) == [2_070, 0, 3_000]


def test_feeding_is_metered_apart_from_drawing() -> None:
    assert relief([0, 0, 8_800], 0, 0, 5_000) == [0, 0, 5_000]
    assert relief([6_860, 4_140, 0], 11_000, 0, 5_000) == [6_860, 4_140, 0]


@given(
    st.lists(st.integers(0, 22_000), min_size=3, max_size=3),
    st.integers(0, 22_000),
    st.integers(0, 22_000),
    st.integers(0, 22_000),
)
def test_tranches_together_deliver_what_was_awarded_and_really_reduced(
    award_w: list[int], baseline_w: int, import_w: int, export_w: int
) -> None:
    first, second, fed = relief(award_w, baseline_w, import_w, export_w)
    assert first + second == min(award_w[0] + award_w[1], max(baseline_w - import_w, 0))
    assert second == 0 or first == award_w[0]
    assert fed == min(award_w[2], export_w)


# -- money ------------------------------------------------------------------------------------------------------------


def test_one_kilowatt_hour_at_a_price_is_worth_the_price() -> None:
    assert value_nanos(3 * IOTA, KWH) == 3 * IOTA


def test_a_fraction_of_a_nano_is_dropped() -> None:
    """1,000,000 nanos per kWh are 0.2777 nanos per Ws."""
    assert [value_nanos(1_000_000, energy_ws) for energy_ws in (1, 3, 4, 36)] == [0, 0, 1, 10]


prices = st.integers(0, 10**6).map(lambda ticks: ticks * 1_000_000)


@given(prices, st.integers(0, 1 << 52))
def test_a_value_is_price_times_energy_rounded_down(price: int, energy_ws: int) -> None:
    assert value_nanos(price, energy_ws) == price * energy_ws // KWH


@given(st.integers(0, 10**6), st.data())
def test_on_arrays_it_is_the_same_up_to_where_int64_ends(ticks: int, data: st.DataObject) -> None:
    """``ticks * energy * 10`` must fit; price times energy would leave int64 100,000 times earlier."""
    most_ws = MOST_INT64 // 10 // max(ticks, 1)
    energies = data.draw(st.lists(st.integers(0, most_ws) | st.just(most_ws), max_size=5))
    price = ticks * 1_000_000
    valued = value_nanos(np.full(len(energies), price), np.array(energies, dtype=np.int64))
    assert valued.tolist() == [price * energy_ws // KWH for energy_ws in energies]


def test_a_year_of_five_megawatts_at_the_dearest_price_still_fits() -> None:
    year_ws = 5_000_000 * 365 * 86_400
    assert 5 * IOTA * year_ws > MOST_INT64
    assert value_nanos(np.array([5 * IOTA]), np.array([year_ws])).tolist() == [219_000_000 * IOTA]


@given(prices, st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_cutting_a_delivery_in_two_never_pays_more(price: int, one_ws: int, other_ws: int) -> None:
    whole = value_nanos(price, one_ws + other_ws)
    parts = value_nanos(price, one_ws) + value_nanos(price, other_ws)
    assert 0 <= whole - parts <= 1


# -- two meters -------------------------------------------------------------------------------------------------------


def test_the_lower_claim_counts() -> None:
    assert agreed_ws(1_000, 900)[0] == agreed_ws(900, 1_000)[0] == 900


def test_small_differences_are_no_dispute() -> None:
    """50 Wh, or one per cent of the larger claim where that is more."""
    assert agreed_ws(1_000_000, 1_000_000 - 180_000) == (820_000, False)
    assert agreed_ws(1_000_000, 1_000_000 - 180_001) == (819_999, True)
    assert agreed_ws(40_000_000, 39_600_000) == (39_600_000, False)
    assert agreed_ws(40_000_000, 39_599_999) == (39_599_999, True)
    assert agreed_ws(39_599_999, 40_000_000) == (39_599_999, True)


def test_a_claim_against_nothing_pays_nothing_and_is_disputed() -> None:
    assert agreed_ws(0, 1_863_000) == (0, True)


# -- bills and names --------------------------------------------------------------------------------------------------


def test_a_bill_is_the_energy_drawn_less_the_energy_fed_at_the_tariff() -> None:
    assert bill_nanos(3 * IOTA, 10 * KWH, 0) == 30 * IOTA
    assert bill_nanos(3 * IOTA, 10 * KWH, 2 * KWH) == 24 * IOTA


def test_a_battery_that_fed_more_than_it_drew_is_paid() -> None:
    assert bill_nanos(3 * IOTA, 1 * KWH, 2 * KWH) == -3 * IOTA


def test_a_bill_is_rounded_down_to_the_nano() -> None:
    assert bill_nanos(1_000_000, 3, 0) == 0
    assert bill_nanos(1_000_000, 0, 3) == -1


def test_a_payment_is_named_by_its_round_and_session_and_nothing_else() -> None:
    assert payment_id(0, 2_880, "a400/17") == "0.2880/a400/17"
    names = {payment_id(*of) for of in ((0, 1, "a"), (0, 2, "a"), (1, 1, "a"), (0, 1, "b"), (0, 11, "a"), (1, 2, "a"))}
    assert len(names) == 6
