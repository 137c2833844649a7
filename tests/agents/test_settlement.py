"""Settlement: what an award delivered, whose meter counts, and what it is worth to the nano."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.agents.rules import Rules
from wattswap.agents.settlement import (
    agreed_ws,
    bill_nanos,
    feed_nanos,
    payment_id,
    relief_w,
    rent_nanos,
    worth_nanos,
)

IOTA = 1_000_000_000
KWH = 3_600_000


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

prices = st.integers(0, 10**6).map(lambda ticks: ticks * 1_000_000)


def test_a_kilowatt_hour_that_waits_an_hour_is_worth_the_price() -> None:
    assert rent_nanos(3 * IOTA, KWH * 120, 30) == 3 * IOTA
    assert rent_nanos(3 * IOTA, KWH * 60, 60) == 3 * IOTA


def test_a_fraction_of_a_nano_is_dropped() -> None:
    """A watt-second that waits for a tick of 30 s at one price tick is worth 1/432 nano."""
    assert [rent_nanos(1_000_000, rent, 30) for rent in (1, 431, 432, 864)] == [0, 0, 1, 2]


@given(prices, st.integers(0, 1 << 40))
def test_rent_is_price_times_energy_times_hours_rounded_down(price: int, rent: int) -> None:
    assert rent_nanos(price, rent, 30) == price * rent * 30 // (KWH * 3_600)


@given(prices, st.integers(0, 1 << 40), st.integers(1, 24))
def test_feeding_is_price_times_energy_times_hours_rounded_down(price: int, fed_ws: int, feed_h: int) -> None:
    assert feed_nanos(price, fed_ws, feed_h) == price * fed_ws * feed_h // KWH


def test_a_day_of_a_whole_battery_at_the_dearest_price_is_beyond_no_number() -> None:
    """1,000 IOTA per kWh and hour, 100 kWh for 24 h."""
    assert rent_nanos(1_000 * IOTA, 100 * KWH * 2_880, 30) == 2_400_000 * IOTA


@given(prices, st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_cutting_a_rent_in_two_never_pays_more(price: int, one: int, other: int) -> None:
    whole = rent_nanos(price, one + other, 30)
    assert 0 <= whole - rent_nanos(price, one, 30) - rent_nanos(price, other, 30) <= 1


def test_a_lots_rent_stands_at_its_first_tranche_and_feeding_at_its_own() -> None:
    prices = (300_000_000,) * 3
    assert worth_nanos((690, 4_140, 0), prices, KWH * 120, 0, Rules()).tolist() == [300_000_000, 0, 0]
    assert worth_nanos((0, 4_140, 690), prices, KWH * 120, KWH, Rules()).tolist() == [0, 300_000_000, 600_000_000]
    assert worth_nanos((0, 0, 690), prices, 0, KWH, Rules()).tolist() == [0, 0, 600_000_000]


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
