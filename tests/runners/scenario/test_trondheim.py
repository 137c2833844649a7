"""The raw report from Trondheim. ``data/trondheim_report.csv`` holds twelve of its rows, see the NOTICE there."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from tests.runners.scenario.conftest import profile

from wattswap.runners.engines.launch import run_street
from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.trondheim import read_trondheim
from wattswap.runners.scenario.visits import SessionTable
from wattswap.runners.scenario.zones import Redating

REPORT = Path(__file__).parent / "data" / "trondheim_report.csv"
HEADER = "session_ID;Garage_ID;User_ID;User_type;Shared_ID;Start_plugin;End_plugout;El_kWh;Duration_hours"


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def table_of(folder: Path, *rows: str, header: str = HEADER) -> SessionTable:
    (folder / "report.csv").write_bytes("\r\n".join((header, *rows, "")).encode())
    return read_trondheim(folder / "report.csv", Redating())


def row(start: str, end: str, length: str = "NA", *, name: str = "1", user: str = "A1-1", kwh: str = "5,6") -> str:
    return f"{name};A1;{user};Private;NA;{start};{end};{kwh};{length}"


def test_the_report_is_read_to_the_minute_and_the_watt_second():
    table = read_trondheim(REPORT, Redating())
    assert len(table.session_id) == 11
    first = table.session_id[0], table.station_id[0], table.user_id[0], int(table.energy_ws[0])
    assert first == ("TRD-3200", "AdA6-1", "AdA6-1", 2_910 * 3_600)
    assert (table.arrival_ms[0], table.departure_ms[0]) == (
        ms("2019-10-26T15:27:00+02:00"),
        ms("2019-10-26T16:33:00+02:00"),
    )
    assert table.estimated_ms is None
    assert table.notes == (
        "trondheim_report.csv: 1 of 12 sessions left out: they end when they begin",
        "trondheim_report.csv: 1 of 11 sessions last over 48 h and are kept",
    )


def test_a_night_on_which_clocks_are_put_back_has_an_hour_more():
    """From 16:47 to 11:12 two days later are 43.42 hours, as the report's own column says."""
    table = read_trondheim(REPORT, Redating())
    at = table.session_id.index("TRD-3203")
    assert table.departure_ms[at] - table.arrival_ms[at] == (43 * 60 + 25) * 60_000


def test_every_length_is_the_recorded_one_to_a_minute():
    """The report's lengths are kept to the second, its times to the minute."""
    table = read_trondheim(REPORT, Redating())
    rows = [line.split(";") for line in REPORT.read_text().splitlines()[1:]]
    recorded_h = {f"TRD-{cells[0]}": float(cells[10].replace(",", ".")) for cells in rows}
    read_h = (table.departure_ms - table.arrival_ms) / 3_600_000
    assert np.abs(read_h - [recorded_h[name] for name in table.session_id]).max() < 1 / 60


def test_shared_points_are_told_apart_where_the_report_does():
    table = read_trondheim(REPORT, Redating())
    stations = dict(zip(table.session_id, table.station_id, strict=True))
    assert stations["TRD-3215"] == "Bl2/Shared-6"
    assert stations["TRD-3216"] == "Bl2/Shared-7"


def test_sessions_that_overlap_at_a_shared_point_get_points_of_their_own(tmp_path):
    header = HEADER.replace("Shared_ID;", "")
    times = (("13:00", "18:00"), ("14:00", "16:00"), ("15:00", "19:00"), ("16:00", "17:00"))
    rows = [
        f"{number};B;Share-{number};Shared;05.03.2019 {start};05.03.2019 {end};5;NA"
        for number, (start, end) in enumerate(times)
    ]
    table = table_of(tmp_path, *rows, header=header)
    assert table.station_id == ("B/shared", "B/shared#2", "B/shared#3", "B/shared#2")
    assert table.notes == (
        "report.csv: 3 of 4 sessions arrive while their station is taken and get a point of their own (#2 and so on)",
    )


def test_a_user_whose_sessions_overlap_has_two_cars_at_two_points(tmp_path):
    rows = [
        row("05.03.2019 13:00", "05.03.2019 18:00"),
        row("05.03.2019 17:00", "05.03.2019 19:00", name="2"),
    ]
    table = table_of(tmp_path, *rows)
    assert table.user_id == ("A1-1", "A1-1")
    assert table.vehicle_id == ("A1-1@A1-1", "A1-1@A1-1#2")


@pytest.mark.parametrize("nothing", ["", "NA"])
def test_a_row_without_a_plug_out_is_left_out(nothing, tmp_path):
    table = table_of(tmp_path, row("05.03.2019 13:00", nothing), row("05.03.2019 13:00", "05.03.2019 18:00", name="2"))
    assert table.session_id == ("TRD-2",)
    assert table.notes == ("report.csv: 1 of 2 sessions left out: they have no plug-out",)


def test_a_report_of_which_nothing_is_left_is_refused(tmp_path, complaint):
    text = complaint(lambda: table_of(tmp_path, row("05.03.2019 13:00", "NA")))
    assert text.endswith("report.csv: no session can be used (1 of them: they have no plug-out); name another file")


TWICE = [
    ("27.10.2019 02:30", "27.10.2019 08:00", "5,5", "2019-10-27T02:30:00+01:00", "2019-10-27T08:00:00+01:00"),
    ("27.10.2019 02:30", "27.10.2019 08:00", "6,5", "2019-10-27T02:30:00+02:00", "2019-10-27T08:00:00+01:00"),
    ("27.10.2019 02:30", "27.10.2019 08:00", "NA", "2019-10-27T02:30:00+02:00", "2019-10-27T08:00:00+01:00"),
    ("26.10.2019 22:00", "27.10.2019 02:30", "5,5", "2019-10-26T22:00:00+02:00", "2019-10-27T02:30:00+01:00"),
    ("27.10.2019 02:30", "27.10.2019 02:10", "0,67", "2019-10-27T02:30:00+02:00", "2019-10-27T02:10:00+01:00"),
]


@pytest.mark.parametrize(("start", "end", "length", "arrival", "departure"), TWICE)
def test_in_the_hour_that_comes_twice_the_recorded_length_decides(start, end, length, arrival, departure, tmp_path):
    table = table_of(tmp_path, row(start, end, length))
    assert (table.arrival_ms[0], table.departure_ms[0]) == (ms(arrival), ms(departure))
    assert table.notes == (
        "report.csv: 1 of 1 sessions begin or end in the hour that comes twice in October; the recorded length decides",
    )


def test_a_user_that_is_not_named_is_the_session(tmp_path):
    header = HEADER
    table = table_of(tmp_path, "1;A1;NA;Shared;NA;05.03.2019 13:00;05.03.2019 18:00;5,6;NA", header=header)
    assert (table.user_id, table.station_id) == (("TRD-1",), ("A1/shared",))


START, END = "05.03.2019 13:00", "05.03.2019 18:00"
REFUSED = [
    (row(START, END, kwh="-0,1"), "line 2, column El_kWh: -0,1 kWh is not between 0 and 1000; is the column in kWh?"),
    (row(START, END, kwh="1000,1"), "line 2, column El_kWh: 1000,1 kWh is not between 0 and 1000"),
    (row(START, END, kwh="NA"), "line 2, column El_kWh: 'NA' is no number"),
    (row(START, END, kwh="nan"), "line 2, column El_kWh: 'nan' cannot be used"),
    (row("05.03.19 13:00", END), "column Start_plugin: '05.03.19 13:00' is no time like 26.10.2019 15:27; correct it"),
    (row("2019-03-05 13:00", END), "column Start_plugin: '2019-03-05 13:00' is no time like 26.10.2019 15:27"),
    (row("", END), "line 2, column Start_plugin: '' is no time like 26.10.2019 15:27"),
    (row("31.02.2019 13:00", END), "column Start_plugin: '31.02.2019 13:00' is no time ("),
    (row("05.03.1019 13:00", END), "'05.03.1019 13:00' is not between 1900 and 2999; correct the year"),
    (row("31.03.2019 02:30", "31.03.2019 08:00"), "'31.03.2019 02:30' never was: clocks in Europe/Oslo skip that hour"),
    (row(END, START), "line 2, column End_plugout: 05.03.2019 13:00 is before the plug-in; correct one of them"),
    (row(START, END, user=""), "line 2, column User_ID: the field is empty; every row needs one"),
    (row(START, END, name=""), "line 2, column session_ID: the field is empty; every row needs one"),
    (row(START, END).replace("Private", "Guest"), "column User_type: 'Guest' is neither Private nor Shared; correct"),
    (f"{row(START, END)}\r\n{row(START, END)}", "line 3, column session_ID: session 1 stands already in line 2"),
    (row("27.10.2019 02:30", "27.10.2019 08:00", "long"), "line 2, column Duration_hours: 'long' is no number"),
    (row(START, END)[:-3], "line 2: 8 fields under a header of 9; correct the row"),
]


@pytest.mark.parametrize(("rows", "what"), REFUSED, ids=[what[:60] for _, what in REFUSED])
def test_a_row_that_cannot_be_used_is_refused_with_its_line(rows, what, tmp_path, complaint):
    rows = rows.removesuffix(";") if "fields" in what else rows
    text = complaint(lambda: table_of(tmp_path, rows))
    assert text.startswith(str(tmp_path / "report.csv"))
    assert what in text


def test_missing_columns_are_named_and_so_is_another_separator(tmp_path, complaint):
    text = complaint(lambda: table_of(tmp_path, "1;2", header="session_ID;kWh"))
    assert "columns Garage_ID, User_ID, User_type, Start_plugin, End_plugout, El_kWh missing, the file has" in text
    text = complaint(lambda: table_of(tmp_path, "1,2", header="session_ID,kWh"))
    assert text.endswith("separate the fields by semicolons")


@pytest.fixture
def garage(folder: Path) -> str:
    """Two days of the report, two weeks later, over a load of the small street's kind."""
    start = datetime.fromisoformat("2019-11-09T00:00:00+01:00")
    (folder / "household.csv").write_text(profile("household_kw", [20.0] * 50, start))
    shutil.copy(REPORT, folder / "report.csv")
    text = (folder / "street.toml").read_text().replace('pv_csv = "pv.csv"\n', "").replace("days = 1", "days = 2")
    sessions = 'csv = "report.csv"\nformat = "trondheim"\nshift_days = 14'
    text = text.replace('csv = "sessions.csv"', sessions).replace("2024-01-01T", "2019-11-09T")
    (folder / "street.toml").write_text(text)
    return str(folder / "street.toml")


def test_two_weeks_later_a_session_keeps_its_weekday_its_hour_and_its_length(garage):
    """From summer to winter time: 15:27 stays 15:27, and 43 h 25 min stay 43 h 25 min."""
    sessions = load_street(garage).sessions
    assert sessions.session_id[:2] == ("TRD-3200", "TRD-3203")
    assert sessions.arrival_tick[:2].tolist() == [2 * (15 * 60 + 27), 2 * (16 * 60 + 47)]
    assert (sessions.departure_tick - sessions.arrival_tick)[:2].tolist() == [2 * 66, 2 * (43 * 60 + 25)]


def test_both_engines_agree_on_a_garage_to_the_last_nano(garage):
    street = load_street(
        garage, settings=["reading_s=150", "transformer.limit_w=35_000", "vehicles.departure=error:2h"]
    )
    fleet, messages = (run_street(street, engine=engine) for engine in ("fleet", "messages"))
    assert fleet.trace_hash() == messages.trace_hash()
    assert len(fleet.trades) > 10
    assert len(street.notes) == 3
    assert "took more than their battery holds" in street.notes[-1]


def test_the_report_states_no_departure(garage, complaint):
    text = complaint(lambda: load_street(garage, settings=["vehicles.departure=stated"]))
    assert text.startswith("--set vehicles.departure=stated: vehicles.departure is 'stated' and the reports from Trond")
    assert text.endswith("write actual or error:2h")
