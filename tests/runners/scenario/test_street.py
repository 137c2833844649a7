from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from wattswap.protocol.draws import agent_key
from wattswap.runners.scenario import load_street

HOUR = 120  # ticks


def test_first_column_of_the_base_is_the_tick_before_the_start(scenario):
    base_w = load_street(scenario, day=1, settings=["base.shape=step"]).base_w
    assert base_w.shape == (1, 2881)
    assert base_w[0, 0] == base_w[0, 1] == 8_000
    later = load_street(
        scenario, settings=["base.shape=step", "start=2024-01-01T02:00:00+01:00", "reading_s=3600", "window_s=3600"]
    )
    assert later.base_w[0, :3].tolist() == [9_000, 10_000, 11_000]


def test_sessions_live_from_the_first_whole_tick_to_the_last(scenario):
    sessions = load_street(scenario).sessions
    assert sessions.session_id == ("s1", "s2", "s3")
    assert sessions.arrival_tick.tolist() == [HOUR + 1, -4 * HOUR, 6 * HOUR]
    assert sessions.departure_tick.tolist() == [5 * HOUR + 1, 2 * HOUR, 31 * HOUR]
    assert sessions.stated_departure_ms.tolist() == [tick * 30_000 for tick in sessions.departure_tick.tolist()]
    assert sessions.energy_ws.tolist() == [37_800_000, 25_200_000, 72_000_000]
    assert all(
        column.dtype == np.int64 for column in (sessions.arrival_tick, sessions.departure_tick, sessions.energy_ws)
    )


def test_a_person_draws_under_one_name_in_every_session_and_a_nameless_one_under_the_sessions(scenario):
    sessions = load_street(scenario).sessions
    assert sessions.key.tolist() == [agent_key("s1"), agent_key("s2"), agent_key("s3")]
    assert sessions.user_key.tolist() == [agent_key("ann"), agent_key("bob"), agent_key("s3")]
    assert sessions.vehicle_id == ("ann", "bob", "s3")


def test_sessions_that_are_never_live_in_the_run_are_left_out(scenario, folder):
    (folder / "sessions.csv").write_text(
        "session_id,station_id,arrival,departure,energy_kwh,user_id\n"
        "gone,A,2023-12-31T20:00:00+01:00,2024-01-01T00:00:29+01:00,5,\n"
        "brief,A,2024-01-01T01:00:01+01:00,2024-01-01T01:00:59+01:00,5,\n"
        "here,A,2024-01-01T23:59:30+01:00,2024-01-02T01:00:00+01:00,5,\n"
        "later,B,2024-01-01T23:59:31+01:00,2024-01-02T01:00:00+01:00,5,\n"
    )
    assert load_street(scenario).sessions.session_id == ("here",)


def test_a_street_without_a_single_live_session_still_loads(scenario, folder):
    (folder / "sessions.csv").write_text(
        "session_id,station_id,arrival,departure,energy_kwh,user_id\n"
        "gone,A,2023-12-31T20:00:00+01:00,2023-12-31T21:00:00+01:00,5,\n"
    )
    sessions = load_street(scenario).sessions
    assert sessions.session_id == ()
    assert sessions.arrival_tick.shape == sessions.key.shape == (0,)


def test_one_day_sees_what_the_week_sees():
    week, day = load_street("a400"), load_street("a400", day=3)
    assert day.name == week.name
    assert (day.ticks, day.scenario.days) == (2880, 1)
    assert day.start_unix_ms == week.start_unix_ms + 2 * 86_400_000
    assert np.array_equal(day.base_w[0], week.base_w[0, 2 * 2880 : 3 * 2880 + 1])
    rows = [week.sessions.session_id.index(name) for name in day.sessions.session_id]
    assert np.array_equal(day.sessions.arrival_tick, week.sessions.arrival_tick[rows] - 2 * 2880)
    assert day.sessions.vehicle_id == tuple(week.sessions.vehicle_id[row] for row in rows)
    assert np.array_equal(day.sessions.energy_ws, week.sessions.energy_ws[rows])


@pytest.mark.parametrize("day", [0, 8, -1])
def test_a_day_outside_the_scenario_is_refused(day, complaint):
    text = complaint(lambda: load_street("a400", day=day))
    assert text == f"--day {day}: scenario a400 has 7 days; choose 1 to 7"


def test_events_hold_from_the_first_tick_that_starts_in_them_and_the_later_one_wins(scenario, folder):
    with (folder / "street.toml").open("a") as file:
        file.write(
            "[[event]]\nfrom = 2023-12-31T23:00:00+01:00\nto = 2024-01-01T00:01:01+01:00\nlimit_w = 0\n"
            "[[event]]\nfrom = 2024-01-01T00:00:31+01:00\nto = 2024-01-01T00:01:30+01:00\nlimit_w = -5\n"
            "[[event]]\nfrom = 2024-02-01T00:00:00+01:00\nto = 2024-02-02T00:00:00+01:00\nlimit_w = 1\n"
        )
    assert load_street(scenario).limit_w[0, :5].tolist() == [0, 0, -5, 95_000, 95_000]
    assert load_street(scenario).limit_w[0, 5:].min() == 95_000


def test_households_are_rows_of_their_own_each_with_its_own_noise(scenario, folder):
    with (folder / "street.toml").open("a") as file:
        file.write('[[household]]\nhousehold_csv = "household.csv"\nnoise_pct = 5\n')
    street = load_street(scenario, settings=["household.0.shape=step", "base.noise_pct=5", "base.shape=step"])
    noise_w = street.household_w[:, 1:] - np.repeat([np.arange(10, 34) - 2, np.arange(10, 34)], HOUR, axis=1) * 1000
    assert street.household_w.shape == (2, 2881)
    assert np.array_equal(street.base_w, street.household_w.sum(axis=0, keepdims=True))
    assert abs(np.corrcoef(noise_w)[0, 1]) < 0.2
    assert list(street.inputs) == ["household.csv", "pv.csv", "sessions.csv"]


@pytest.mark.parametrize("name", [r"a\u0000b.csv", "~nobody/pv.csv"])
def test_a_name_that_can_be_no_file_is_refused(name, scenario, complaint):
    assert "file" in complaint(lambda: load_street(scenario, settings=[f'base.pv_csv="{name}"']))


def test_a_scenario_without_sun_needs_no_file_for_it(scenario):
    assert load_street(scenario, settings=["base.pv_csv=", "base.shape=step"]).base_w[0, 1] == 10_000


def test_a_profile_that_ends_too_early_is_refused_with_both_spans(scenario, complaint):
    text = complaint(lambda: load_street(scenario, settings=["days=2"]))
    assert "household.csv: the profile covers 2024-01-01T00:00:00+01:00 to 2024-01-02T06:00:00+01:00" in text
    assert "the run needs 2024-01-01T00:00:00+01:00 to 2024-01-03T00:00:00+01:00; extend it" in text


def test_a_profile_that_starts_too_late_is_refused(scenario, complaint):
    text = complaint(lambda: load_street(scenario, settings=["start=2023-12-31T23:59:30+01:00"]))
    assert "the run needs 2023-12-31T23:59:30+01:00 to" in text


def test_the_record_of_a_run_runs_again_from_any_folder(scenario, folder, tmp_path_factory):
    (folder / "mine.py").write_text("def patient(): ...\n")
    street = load_street(scenario, settings=["vehicles.strategy=mine.py:patient:0.5+keep:0.5", "name=a-b"], seed=9)
    record = tmp_path_factory.mktemp("run") / "scenario.toml"
    record.write_text(street.resolved_toml)
    again = load_street(str(record))
    assert np.array_equal(again.base_w, street.base_w)
    assert again.sessions.session_id == street.sessions.session_id
    assert again.inputs == again.scenario.inputs == street.inputs
    assert again.scenario.vehicles.strategy == f"{folder / 'mine.py'}:patient:0.5+keep:0.5"
    assert (again.name, again.scenario.seed) == ("a-b", 9)


@pytest.mark.parametrize("name", ["a400", "b250", "c250stress", "demo"])
def test_the_record_of_a_bundled_day_names_no_folder_and_runs_again(name, tmp_path):
    street = load_street(name, day=1)
    record = tmp_path / "scenario.toml"
    record.write_text(street.resolved_toml)
    assert 'csv = "bundled:sessions/' in street.resolved_toml
    again = load_street(str(record))
    assert np.array_equal(again.base_w, street.base_w)
    assert np.array_equal(again.limit_w, street.limit_w)
    assert (again.name, again.ticks, again.resolved_toml) == (name, 2880, street.resolved_toml)


def test_a_record_whose_input_has_changed_is_refused(scenario, folder, complaint):
    record = folder / "scenario.toml"
    record.write_text(load_street(scenario).resolved_toml)
    with (folder / "pv.csv").open("a") as file:
        file.write("\n")
    text = complaint(lambda: load_street(str(record)))
    assert "pv.csv: not the file this scenario was recorded with" in text
    assert "put the old file back, or delete [inputs]" in text


def test_two_files_of_one_name_are_recorded_apart(scenario, folder):
    (folder / "farm").mkdir()
    shutil.copy(folder / "household.csv", folder / "farm" / "household.csv")
    with (folder / "farm" / "household.csv").open("a") as file:
        file.write("\n")
    street = load_street(scenario, settings=["household.0.household_csv=farm/household.csv"])
    assert list(street.inputs) == ["household.csv", "pv.csv", "farm/household.csv", "sessions.csv"]


def test_a_file_named_by_an_option_is_looked_for_in_the_working_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    options = [f"base.{key}={key.removesuffix('_csv')}.csv" for key in ("household_csv", "pv_csv")]
    street = load_street("a400", settings=[*options, "start=2024-01-01T00:00:00+01:00", "days=1"])
    assert "pv.csv" in street.inputs
    assert Path(street.scenario.base.pv_csv) == folder.resolve() / "pv.csv"
