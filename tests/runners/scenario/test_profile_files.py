"""Load files of one meter and of many, and what cannot be the load of homes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runners.scenario.conftest import profile

from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.profile_files import read_profile

HOURS = [f"2024-01-01T{hour:02}:00:00+01:00" for hour in range(3)]
METERS = {"north": [1, 2, 3], "south": [10, 20, 30]}
BY_TIME = [(stamp, name, METERS[name][at]) for at, stamp in enumerate(HOURS) for name in METERS]
BY_METER = sorted(BY_TIME, key=lambda row: row[1])


def of_meters(folder: Path, rows: list[tuple[str, str, int]], column: str) -> Path:
    path = folder / "meters.csv"
    lines = (f"{stamp},{name},{kw}" for stamp, name, kw in rows)
    path.write_text("\n".join((f"timestamp,{column},household_kw", *lines)) + "\n")
    return path


@pytest.mark.parametrize("column", ["meter", "meter_id"])
@pytest.mark.parametrize("rows", [BY_TIME, BY_METER], ids=["by time", "by meter"])
def test_a_row_for_each_meter_and_interval_is_added_up_by_time(tmp_path: Path, rows, column: str):
    found = read_profile(of_meters(tmp_path, rows, column), "household_kw")
    assert found.mean_w.tolist() == [11_000, 22_000, 33_000]
    assert found.notes == ("2 meters added up",)


def test_a_meter_that_lacks_an_interval_is_named(tmp_path: Path, complaint):
    path = of_meters(tmp_path, [row for row in BY_TIME if row != BY_TIME[-1]], "meter")
    said = complaint(lambda: read_profile(path, "household_kw"))
    assert "meter 'south' has 2 intervals of 3600 s from" in said
    assert "give every meter the same intervals" in said


def test_meters_without_their_column_are_not_to_be_dropped(tmp_path: Path, complaint):
    """Whoever drops the repeated stamps keeps one home of forty."""
    said = complaint(lambda: read_profile(of_meters(tmp_path, BY_TIME, "customer"), "household_kw"))
    assert "every stamp is there 2 times: for a row of each meter, call the column that names the meter 'meter'" in said


def test_one_stamp_that_is_repeated_is_still_to_be_dropped(tmp_path: Path, complaint):
    path = of_meters(tmp_path, [*BY_METER[:3], BY_METER[2]], "customer")
    assert "sort the rows and drop repeated ones" in complaint(lambda: read_profile(path, "household_kw"))


@pytest.mark.parametrize(
    ("values_kw", "cause"),
    [([3_000 + hour % 7 for hour in range(30)], "another unit?"), (list(range(3_000, 3_030)), "a register in place")],
)
def test_homes_of_many_times_the_rating_are_refused_with_the_likely_cause(
    folder: Path, scenario: str, complaint, values_kw: list[float], cause: str
):
    (folder / "household.csv").write_text(profile("household_kw", values_kw))
    said = complaint(lambda: load_street(scenario))
    assert "30 times transformer.rating_va (100_000)" in said
    assert cause in said


@pytest.mark.parametrize("kwh", ["0.1", "0.05"])
def test_kilowatt_hours_under_a_header_of_watts_are_told(folder: Path, scenario: str, kwh: str):
    """Forty homes of 0.1 kWh each quarter of an hour are no homes of 0.1 W."""
    (folder / "household.csv").write_text(profile("household_w", [float(kwh) * 40] * 30))
    (note,) = load_street(scenario).notes
    assert note.startswith(f"{folder / 'household.csv'}: these homes take {float(kwh) * 40:.0f} W in the mean")
    assert "transformer.rating_va (100_000): another unit?" in note


def test_kilowatt_hours_of_a_quarter_under_a_header_of_kilowatts_are_told(folder: Path, scenario: str):
    """A hundred homes of 0.4 kW take 10 kWh each quarter of an hour; read as kilowatts that is 100 W a home."""
    (folder / "household.csv").write_text(profile("household_kw", [10.0] * 30))
    homes = ["sessions.csv=''", "sessions.generate_pct=10", "sessions.homes=100"]
    (note,) = load_street(scenario, settings=homes).notes
    assert "these homes take 100 W each in the mean, by sessions.homes, where 250 to 600 W are usual" in note
    (folder / "household.csv").write_text(profile("household_kw", [40.0] * 30))
    assert load_street(scenario, settings=homes).notes == ()


def test_a_street_that_feeds_as_much_as_it_takes_is_no_faint_one(folder: Path, scenario: str):
    (folder / "household.csv").write_text(profile("household_kw", [30.0, -30.0] * 15))
    assert load_street(scenario).notes == ()


def test_a_table_with_a_column_for_each_meter_is_told_to_have_a_row_for_each(tmp_path: Path, complaint):
    houses = ";".join(f"Haus {number}" for number in range(1, 41))
    (tmp_path / "wide.csv").write_text(f"Zeit;{houses}\n")
    said = complaint(lambda: read_profile(tmp_path / "wide.csv", "household_kw"))
    assert "columns timestamp, household_kw missing, the file has Zeit, Haus 1, Haus 2, Haus 3" in said
    assert "Haus 7 and 33 more; " in said
    assert "one row per meter, with a column meter" in said


def test_values_that_never_fall_are_told_to_be_a_register(tmp_path: Path):
    """A home's first days: the register is far from what the transformer could not carry."""
    (tmp_path / "load.csv").write_text(profile("household_kwh", [float(row // 3) for row in range(96)], step_min=15))
    (note,) = read_profile(tmp_path / "load.csv", "household_kw").notes
    assert note.startswith("household_kwh never falls, as a meter's register does")


@pytest.mark.parametrize(("days", "told"), [(8, 0), (9, 1)])
def test_more_than_a_day_that_is_made_up_is_told(folder: Path, scenario: str, days: int, told: int):
    hours = [10.0 + hour % 24 for hour in range(7 * 24 + 1)]
    for name, column in (("household.csv", "household_kw"), ("pv.csv", "pv_kw")):
        (folder / name).write_text(profile(column, hours))
    street = load_street(scenario, settings=[f"days={days}", "base.beyond=week-before"])
    repeated = [note for note in street.notes if "its last week is repeated" in note]
    assert len(repeated) == told
    assert all(note.startswith(f"{folder / 'household.csv'} and 1 more: the run goes 2.0 days") for note in repeated)


def test_what_holds_of_many_files_is_said_once(folder: Path, scenario: str):
    text = (
        (folder / "household.csv")
        .read_text()
        .replace("2024-01-01T", "01.01.2024 ")
        .replace("2024-01-02T", "02.01.2024 ")
    )
    tables = []
    for number in range(3):
        (folder / f"home{number}.csv").write_text(text)
        tables.append(f'[[household]]\nhousehold_csv = "home{number}.csv"\n')
    (folder / "street.toml").write_text((folder / "street.toml").read_text() + "".join(tables))
    assert load_street(scenario).notes == (f"{folder / 'home0.csv'} and 2 more: dates read as day, month, year",)


def test_a_battery_that_was_enlarged_is_told(scenario: str):
    """Twenty kilowatt-hours are more than a car of 20 kWh takes between 10 and 80 %."""
    (note,) = load_street(scenario, settings=["vehicles.capacity_wh=20_000"]).notes
    assert note == (
        "1 of 3 sessions took more than their battery holds between 10 and 80 %: it is taken as larger, 29 kWh at most;"
        " set vehicles.capacity_wh"
    )
