"""The tables of a run, on the street of two cars and five ticks, and on real days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from wattswap.experiments import run
from wattswap.experiments.tables import TABLES, table_of
from wattswap.runners.engines.launch import run_street
from wattswap.runners.recording.record import RunRecord
from wattswap.runners.recording.time_series import TimeSeries
from wattswap.runners.scenario import Street, load_street


def columns(name: str, street: Street, record: RunRecord) -> dict[str, np.ndarray]:
    return table_of(name, street, record, TimeSeries.of(street, record))


def table(name: str, street: Street, record: RunRecord) -> pd.DataFrame:
    return pd.DataFrame(columns(name, street, record))


def seconds(street, column) -> list[int]:
    """Instants as seconds from the run's start."""
    return [(ms - street.start_unix_ms) // 1000 for ms in column.tolist()]


def test_the_street_tick_by_tick(street, record):
    series = table("series", street, record)
    assert seconds(street, series["t_ms"]) == [0, 30, 60, 90, 120]
    assert series["load_w"].tolist() == [13_000, 8_000, -3_000, 12_000, 2_000]
    assert series["drawn_w"].tolist() == [11_000, 6_000, -5_000, 6_000, 0]
    assert series["firm_w"].tolist() == [11_000, 17_000, 17_000, 3_000, 0]
    assert series["awarded_w"].tolist() == [0, 11_000, 11_000, 0, 0]
    assert series["forced_w"].tolist() == [0, 0, 6_000, 0, 0]
    assert series["owed_ws"].tolist() == [0, 0, 330_000, 840_000, 0]


def test_what_each_car_did_when(street, record):
    cars = table("cars", street, record)
    spans = zip(seconds(street, cars["from_ms"]), seconds(street, cars["to_ms"]), strict=True)
    told = list(zip(cars["vehicle"], cars["station"], cars["activity"], spans, strict=True))
    assert told == [
        ("Ann", "C1", "charging", (0, 30)),
        ("Ann", "C1", "paused", (30, 60)),
        ("Ann", "C1", "feeding", (60, 90)),
        ("Ann", "C1", "waiting", (90, 120)),
        ("Ann", "C1", "full", (120, 150)),
        ("Bob", "C2", "charging", (30, 60)),
        ("Bob", "C2", "forced", (60, 90)),
        ("Bob", "C2", "catching up", (90, 120)),
    ]
    assert cars["import_w"].tolist() == [11_000, 0, 0, 0, 0, 6_000, 0, 6_000]
    assert cars["export_w"].tolist() == [0, 0, 5_000, 0, 0, 0, 0, 0]


def test_calls_and_trades_know_their_instant(street, record):
    assert seconds(street, table("rounds", street, record)["t_ms"]) == [30]
    trades = table("trades", street, record)
    assert seconds(street, trades["t_ms"]) == [30, 30, 60]
    assert trades["kind"].tolist() == ["reduce", "feed", "forced"]


def test_sessions_know_when_they_came_and_left(street, record):
    sessions = table("sessions", street, record)
    assert seconds(street, sessions["arrival_ms"]) == [30]
    assert seconds(street, sessions["departure_ms"]) == [120]


def test_who_was_owed_what_and_when(street, record):
    owed = table("owed", street, record)
    assert seconds(street, owed["t_ms"]) == [60, 90, 90]
    assert owed["session"].tolist() == ["S1", "S1", "S2"]
    assert owed["owed_ws"].tolist() == [330_000, 660_000, 180_000]


@pytest.mark.parametrize("scenario", ["b250", "tests/runners/three_feeders.toml"])
def test_each_cars_own_price_and_what_it_was_owed_come_to_what_waiting_cost(scenario: str):
    """To a nano a session, for the sum rounds down: what a run directory must hold to be reckoned again."""
    result = run(scenario, day=7, engine="fleet", settings=["reading_s=150"])
    price = dict(zip(result.sessions["session"], result.sessions["waiting_nanos_per_kwh_h"].tolist(), strict=True))
    waited_ws_s = (result.owed.groupby("session")["owed_ws"].sum() * 150).to_dict()
    cost_nanos = sum(ws_s * price[session] // 3_600_000 // 3_600 for session, ws_s in waited_ws_s.items())
    assert cost_nanos == result.summary["waiting_cost_nanos"] > 0
    assert result.owed.groupby("t_ms")["owed_ws"].sum().to_dict() == {
        t_ms: owed_ws for t_ms, owed_ws in result.series.groupby("t_ms")["owed_ws"].sum().items() if owed_ws
    }


@pytest.mark.parametrize("name", TABLES)
def test_a_run_that_never_began_has_every_column_and_no_row(street, record, name: str):
    empty, some = (columns(name, street, each) for each in (RunRecord(), record))
    assert {key: column.dtype for key, column in empty.items()} == {key: column.dtype for key, column in some.items()}
    assert not any(map(len, empty.values()))


def test_stretches_cover_the_time_a_car_is_plugged_in_without_gap_or_overlap():
    street = load_street("demo", settings=["reading_s=300"])
    record = run_street(street, engine="fleet")
    cars = table("cars", street, record)
    by_session = cars.groupby("session", sort=False)
    assert (by_session["to_ms"].shift() == cars["from_ms"])[by_session.cumcount() > 0].all()
    plugged_s = (cars["to_ms"] - cars["from_ms"]).sum() // 1000
    assert plugged_s == 300 * sum(len(row.rows) for row in record.ticks)
    same = (by_session["activity"].shift() == cars["activity"])[by_session.cumcount() > 0]
    assert not same.any(), "a stretch goes on in the next row"


@pytest.mark.parametrize("curve", ["vehicles.curve=flat", "vehicles.curve=taper"])
def test_baselines_are_what_the_street_would_draw_with_nobody_in_control(curve):
    street = load_street("demo", settings=["reading_s=300", curve])
    ours, alone = (
        columns("series", street, run_street(street, controller=controller, engine="fleet"))
        for controller in ("negotiated", "uncontrolled")
    )
    np.testing.assert_array_equal(ours["base_w"] + ours["baseline_w"], alone["load_w"])
