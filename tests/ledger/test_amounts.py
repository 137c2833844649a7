"""Amounts in and out: every nano, and nothing that only looks like an amount."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.ledger.amounts import iota_of, nanos_of
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MOST_NANOS


@given(st.integers(1, MOST_NANOS))
def test_what_is_written_is_read_again_to_the_nano(nanos: int):
    assert nanos_of(iota_of(nanos)) == nanos
    assert iota_of(-nanos) == f"-{iota_of(nanos)}"


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("1", 10**9),
        ("+1.50", 1_500_000_000),
        ("0.000000001", 1),
        ("007", 7 * 10**9),
        ("1_000", 10**12),
        (" 2 ", 2 * 10**9),
        ("4611686018.427387904", MOST_NANOS),
    ],
)
def test_decimal_numbers_are_amounts(text: str, nanos: int):
    assert nanos_of(text) == nanos


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "0.0", "1.", ".5", "1e3", "1,5", "0x1", "nan", "inf", "٣", "1 2", "4611686018.427387905", "9" * 99],
)
def test_nothing_else_is(text: str):
    with pytest.raises(InputError) as error:
        nanos_of(text)
    assert "\n" not in str(error.value)


@given(st.text(max_size=12))
def test_no_text_does_more_than_be_refused(text: str):
    with contextlib.suppress(InputError):
        assert 0 < nanos_of(text) <= MOST_NANOS
