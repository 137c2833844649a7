"""A run's ticks summed up as they pass: the same however they are cut into portions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streets import random_street

from wattswap.runners.engines.launch import run_street
from wattswap.runners.recording.activities import ACTIVITIES, activity
from wattswap.runners.recording.car_ticks import CarTicks
from wattswap.runners.recording.record import RunRecord
from wattswap.runners.recording.time_series import TimeSeries

STREET = random_street(301, chargers=8, ticks=80)
"""A street in which everything happens once."""
RECORD = run_street(STREET, engine="fleet")


def in_portions(cuts: list[int]) -> TimeSeries:
    series = TimeSeries(STREET)
    for first, end in zip([0, *cuts], [*cuts, len(RECORD.ticks)], strict=True):
        series.add(RECORD.ticks[first:end])
    return series


@given(st.lists(st.integers(0, 80), max_size=8).map(sorted))
def test_any_portions_come_to_the_same(cuts):
    whole, parts = TimeSeries.of(STREET, RECORD), in_portions(cuts)
    for one, other in ((whole.street, parts.street), (whole.stretches, parts.stretches), (whole.owed, parts.owed)):
        for name, column in one._asdict().items():
            np.testing.assert_array_equal(column, getattr(other, name), err_msg=name)
    assert whole.owed_ws.tolist() == parts.owed_ws.tolist()
    assert whole.plugged.tolist() == parts.plugged.tolist()
    assert (whole.stops, whole.car_ticks, len(whole)) == (parts.stops, parts.car_ticks, len(parts))


def test_every_activity_is_in_the_street_that_was_cut():
    assert set(activity(CarTicks.of(RECORD.ticks)).tolist()) == set(range(len(ACTIVITIES)))


def test_the_sums_are_those_of_the_cars():
    street = TimeSeries.of(STREET, RECORD).street
    for at, row in enumerate(RECORD.ticks):
        assert street.load_w[at] == row.base_w + row.import_w.sum() - row.export_w.sum()
        assert street.reduce_w[at] == row.reduce_w.sum()
        assert street.owed_ws[at] == row.owed_ws[row.rows < len(STREET.sessions.session_id)].sum()


def test_a_stop_is_seen_where_one_portion_ends_and_the_next_begins():
    whole = TimeSeries.of(STREET, RECORD).stops
    assert whole > 0
    assert in_portions(list(range(1, len(RECORD.ticks)))).stops == whole


def test_a_long_record_is_summed_up_portion_by_portion(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wattswap.runners.recording.time_series.PORTION", 20)
    assert len(TimeSeries.of(STREET, RECORD)) == len(RECORD.ticks)


def test_a_run_that_never_began_has_no_ticks():
    series = TimeSeries.of(STREET, RunRecord())
    assert len(series) == series.car_ticks == series.stops == 0
    assert not len(series.street.load_w)
    assert not len(series.stretches.row)
