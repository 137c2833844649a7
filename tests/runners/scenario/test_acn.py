"""Raw ACN-Data in both layouts. The files in ``data`` are excerpts of real downloads, see the NOTICE there."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runners.scenario.conftest import profile

from wattswap.protocol.errors import InputError
from wattswap.runners.engines.launch import run_street
from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.acn import read_acn
from wattswap.runners.scenario.visits import SessionTable
from wattswap.runners.scenario.zones import Redating

DATA = Path(__file__).parent / "data"
DOWNLOAD, BARE = DATA / "acn_web_download.json", DATA / "acn_bare_list.json"
RECORDED = Redating()


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def item(**changes: Any) -> dict[str, Any]:
    """A session of two hours and ten kilowatt-hours; ``name=None`` is null, ``name=...`` takes the key out."""
    plain = {
        "sessionID": "s1",
        "stationID": "2-39-1-1",
        "connectionTime": "Sat, 20 Mar 2021 01:39:37 GMT",
        "disconnectTime": "Sat, 20 Mar 2021 03:39:37 GMT",
        "doneChargingTime": None,
        "kWhDelivered": 10.0,
        "timezone": "America/Los_Angeles",
        "userID": "000001297",
        "userInputs": None,
    }
    return {key: value for key, value in (plain | changes).items() if value is not ...}


def said(modified: str, departure: str) -> dict[str, Any]:
    """One revision of userInputs; both times are of 20 March 2021, as HH:MM:SS."""
    at = (f"Sat, 20 Mar 2021 {time} GMT" for time in (modified, departure))
    return dict(zip(("modifiedAt", "requestedDeparture"), at, strict=True)) | {"kWhRequested": 31.0, "userID": 1297}


def table_of(folder: Path, *items: dict[str, Any], stated: bool = False) -> SessionTable:
    (folder / "acn.json").write_text(json.dumps(items))
    return read_acn(folder / "acn.json", RECORDED, stated=stated)


def test_a_web_download_is_read_to_the_second_and_the_watt_second():
    table = read_acn(DOWNLOAD, RECORDED, stated=False)
    assert len(table.session_id) == 12
    assert table.notes == ()
    assert table.session_id[0] == "2_39_79_379_2020-12-05 20:38:23.224832"
    assert (table.station_id[0], table.user_id[0], table.vehicle_id[0]) == ("2-39-79-379", "000009048", "000009048")
    assert table.arrival_ms[0] == ms("2020-12-05T12:38:38-08:00")
    assert table.departure_ms[0] == ms("2020-12-06T02:58:47+00:00")
    assert table.energy_ws[0] == 5_308 * 3_600
    assert table.estimated_ms is None


def test_a_clients_plain_list_is_read_the_same_way(tmp_path):
    table = read_acn(BARE, RECORDED, stated=False)
    assert table.arrival_ms[0] == ms("2021-03-20T05:47:07+00:00")
    assert table.energy_ws.tolist() == [9_961 * 3_600, 14_342 * 3_600, 831 * 3_600]
    (tmp_path / "wrapped.json").write_text('{"_meta": {"site": "caltech"}, "_items": ' + BARE.read_text() + "}")
    wrapped = read_acn(tmp_path / "wrapped.json", RECORDED, stated=False)
    assert (wrapped.session_id, wrapped.user_id) == (table.session_id, table.user_id)
    assert np.array_equal(wrapped.arrival_ms, table.arrival_ms)


def test_a_byte_order_mark_and_spaces_before_it_are_harmless(tmp_path):
    (tmp_path / "acn.json").write_bytes(b"\xef\xbb\xbf\r\n " + BARE.read_bytes())
    assert len(read_acn(tmp_path / "acn.json", RECORDED, stated=False).session_id) == 3


@pytest.mark.parametrize("done", [None, ..., "Sat, 20 Mar 2021 04:00:00 GMT", "Fri, 19 Mar 2021 04:00:00 GMT", "soon"])
def test_when_charging_was_done_plays_no_part(done, tmp_path):
    """It is null in every second session and now and then later than the plug-out."""
    table = table_of(tmp_path, item(doneChargingTime=done))
    assert table.departure_ms[0] - table.arrival_ms[0] == 7_200_000


@pytest.mark.parametrize("key", ["userID", "userInputs"])
@pytest.mark.parametrize("value", [None, ...])
def test_a_session_that_nobody_claimed_is_its_own_user(key, value, tmp_path):
    table = table_of(tmp_path, item(userID=None) | item(**{key: value}), stated=True)
    assert table.user_id[0] == ("s1" if key == "userID" else "000001297")
    assert table.estimated_ms is not None
    assert table.estimated_ms[0] == table.departure_ms[0]
    assert table.notes == ("acn.json: 1 of 1 sessions state no departure, so the recorded one is told",)


STATED = [
    ("the only one", [said("01:39:36", "09:00:00")], "09:00:00"),
    ("the last known at plug-in", [said("01:39:36", "09:00:00"), said("01:42:00", "08:00:00")], "08:00:00"),
    ("not one of later on", [said("01:39:36", "09:00:00"), said("01:44:38", "08:00:00")], "09:00:00"),
    ("five minutes are still in time", [said("01:39:36", "09:00:00"), said("01:44:37", "08:00:00")], "08:00:00"),
    ("by time, not by place", [said("01:42:00", "08:00:00"), said("01:39:36", "09:00:00")], "08:00:00"),
    ("the later place at one time", [said("01:40:00", "08:00:00"), said("01:40:00", "09:00:00")], "09:00:00"),
    ("the first if all are late", [said("02:30:00", "07:00:00"), said("02:00:00", "09:00:00")], "09:00:00"),
    ("even one that is past", [said("01:39:36", "01:00:00")], "01:00:00"),
]


@pytest.mark.parametrize(("inputs", "departure"), [case[1:] for case in STATED], ids=[case[0] for case in STATED])
def test_of_several_revisions_the_one_known_at_plug_in_is_stated(inputs, departure, tmp_path):
    table = table_of(tmp_path, item(userInputs=inputs), stated=True)
    assert table.estimated_ms is not None
    assert table.estimated_ms[0] == ms(f"2021-03-20T{departure}+00:00")


def test_real_revisions_are_told_from_each_other_and_counted():
    """Item 2 was revised 3, 29 and 45 s after plug-in; item 9 at once and hours later; four came late or never."""
    table = read_acn(DOWNLOAD, RECORDED, stated=True)
    items = json.loads(DOWNLOAD.read_text())["_items"]
    assert table.estimated_ms is not None
    for row, revision in ((2, 2), (3, 0), (9, 0), (10, 0)):
        text = items[row]["userInputs"][revision]["requestedDeparture"]
        assert table.estimated_ms[row] == parsedate_to_datetime(text).timestamp() * 1000
    late, never = table.notes
    assert late.startswith("acn_web_download.json: 4 of 12 sessions state a departure only later than 5 min after plug")
    assert never == "acn_web_download.json: 1 of 12 sessions state no departure, so the recorded one is told"


def test_what_cannot_be_used_is_left_out_and_counted(tmp_path):
    at = "Sat, 20 Mar 2021 01:39:37 GMT"
    long = item(sessionID="s4", stationID="b", disconnectTime="Mon, 22 Mar 2021 01:39:38 GMT")
    gone = [item(sessionID="s1", disconnectTime=None), item(sessionID="s2", disconnectTime=at)]
    table = table_of(tmp_path, *gone, item(sessionID="s3"), long)
    assert table.session_id == ("s3", "s4")
    assert table.notes == (
        "acn.json: 1 of 4 sessions left out: they have no plug-out",
        "acn.json: 1 of 4 sessions left out: they end when they begin",
        "acn.json: 1 of 2 sessions last over 48 h and are kept",
    )


def test_sessions_that_overlap_at_a_station_get_points_of_their_own(tmp_path):
    times = (("s1", "01:00", "03:00"), ("s2", "02:00", "04:00"), ("s3", "02:30", "03:30"), ("s4", "03:00", "05:00"))
    day = "Sat, 20 Mar 2021"
    items = [
        item(sessionID=name, connectionTime=f"{day} {start}:00 GMT", disconnectTime=f"{day} {end}:00 GMT", userID=name)
        for name, start, end in times
    ]
    table = table_of(tmp_path, *items)
    assert table.station_id == ("2-39-1-1", "2-39-1-1#2", "2-39-1-1#3", "2-39-1-1")
    assert table.notes == (
        "acn.json: 2 of 4 sessions arrive while their station is taken and get a point of their own (#2 and so on)",
    )


def test_a_user_with_two_sessions_at_a_time_has_two_cars(tmp_path):
    table = table_of(tmp_path, item(), item(sessionID="s2", stationID="b"))
    assert table.user_id == ("000001297", "000001297")
    assert table.vehicle_id == ("000001297@2-39-1-1", "000001297@b")


def test_iso_times_with_an_offset_are_read_too(tmp_path):
    """A client that saves parsed dates writes them so."""
    table = table_of(tmp_path, item(connectionTime="2021-03-19 18:39:37-07:00"))
    assert table.arrival_ms[0] == ms("2021-03-20T01:39:37+00:00")


REFUSED = [
    ({"kWhDelivered": -0.1}, ", at $[0].kWhDelivered: -0.1 kWh is not between 0 and 1000; correct or drop the item"),
    ({"kWhDelivered": 1001}, ", at $[0].kWhDelivered: 1001.0 kWh is not between 0 and 1000; correct or drop the item"),
    ({"kWhDelivered": "7"}, ": Expected `float`, got `str` - at `$[0].kWhDelivered`; is this a file of ACN-Data?"),
    ({"kWhDelivered": None}, ": Expected `float`, got `null` - at `$[0].kWhDelivered`; is this a file of ACN-Data?"),
    ({"kWhDelivered": ...}, ": Object missing required field `kWhDelivered` - at `$[0]`; is this a file of ACN-Data?"),
    ({"stationID": ...}, "missing required field `stationID` - at `$[0]`; is this a file of ACN-Data? if so, correct"),
    ({"stationID": ""}, ", at $[0].stationID: '' is no name that can be printed; correct it or drop the item"),
    ({"sessionID": "a\x07"}, ", at $[0].sessionID: 'a\\x07' is no name that can be printed; correct it or drop"),
    ({"timezone": "America/Los_Angles"}, ", at $[0].timezone: there is no time zone 'America/Los_Angles'; did you"),
    ({"connectionTime": "Sat, 20 Mar 2021 01:39:37"}, "is no time like 'Sat, 20 Mar 2021 01:39:37 GMT'; correct it"),
    ({"connectionTime": "Sat, 20 Mar 2021 01:39:37 PST"}, "[0].connectionTime: 'Sat, 20 Mar 2021 01:39:37 PST' is no"),
    ({"connectionTime": "Sat, 20 Mar 2021 25:39:37 GMT"}, "[0].connectionTime: 'Sat, 20 Mar 2021 25:39:37 GMT' is no"),
    ({"connectionTime": "Sam, 20 Mär 2021 01:39:37 GMT"}, "[0].connectionTime: 'Sam, 20 Mär 2021 01:39:37 GMT' is no"),
    ({"connectionTime": "2021-03-20T01:39:37"}, "[0].connectionTime: '2021-03-20T01:39:37' is no time like"),
    ({"connectionTime": "Sat, 20 Mar 1021 01:39:37 GMT"}, "is not between 1900 and 2999; correct the year"),
    (
        {"disconnectTime": "Sat, 20 Mar 2021 01:39:36 GMT"},
        ", at $[0].disconnectTime: Sat, 20 Mar 2021 01:39:36 GMT is before connectionTime; correct one of them or drop",
    ),
    (
        {"userInputs": [said("01:39:36", "soon")]},
        ", at $[0].userInputs[0].requestedDeparture: 'Sat, 20 Mar 2021 soon GMT' is no time",
    ),
    ({"userInputs": [{"modifiedAt": ""}]}, "missing required field `requestedDeparture` - at `$[0].userInputs[0]`"),
    ({"disconnectTime": None}, ": no session can be used (1 of them: they have no plug-out); name another file"),
]


@pytest.mark.parametrize(("changes", "what"), REFUSED, ids=[what[:60] for _, what in REFUSED])
def test_an_item_that_cannot_be_used_is_refused_with_its_place(changes, what, tmp_path, complaint):
    text = complaint(lambda: table_of(tmp_path, item(**changes), stated=True))
    assert text.startswith(str(tmp_path / "acn.json"))
    assert what in text


def test_the_place_in_a_web_download_is_named_as_it_stands_there(tmp_path, complaint):
    (tmp_path / "acn.json").write_text(json.dumps({"_meta": {}, "_items": [item(), item(sessionID="s2", timezone="")]}))
    text = complaint(lambda: read_acn(tmp_path / "acn.json", RECORDED, stated=False))
    assert "acn.json, at $._items[1].timezone: there is no time zone ''; write it like Europe/Oslo" in text


def test_a_session_that_stands_there_twice_is_refused_with_both_places(tmp_path, complaint):
    text = complaint(lambda: table_of(tmp_path, item(), item()))
    assert text.endswith("at $[1].sessionID: session s1 stands already at $[0]; drop one of them")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "torn, or no JSON (Input data was truncated); download it again"),
        (b"session_id,station_id\n", "torn, or no JSON (JSON is malformed: invalid character (byte 0)); download it"),
        (b'[{"sessionID": NaN}]', "torn, or no JSON (JSON is malformed: invalid character (byte 15)); download it"),
        (b'[{"sessionID": "\xff"}]', "torn, or no JSON ("),
        (b'[{"x": ' + b"[" * 100_000, "torn, or no JSON ("),
        (b"{}", "Object missing required field `_items`; is this a file of ACN-Data?"),
        (b"[]", "no session can be used (the list is empty); name another file"),
        (b"[3]", "Expected `object`, got `int` - at `$[0]`; is this a file of ACN-Data?"),
        (b"3", "Expected `object`, got `int`; is this a file of ACN-Data?"),
    ],
)
def test_a_file_that_is_torn_or_another_is_refused(content, what, tmp_path, complaint):
    (tmp_path / "acn.json").write_bytes(content)
    text = complaint(lambda: read_acn(tmp_path / "acn.json", RECORDED, stated=False))
    assert text.startswith(f"{tmp_path / 'acn.json'}: {what}")


@given(st.integers(0, len(BARE.read_bytes().rstrip()) - 1))
def test_wherever_a_file_is_torn_one_line_says_so(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("torn") / "acn.json"
    path.write_bytes(BARE.read_bytes()[:length])
    with pytest.raises(InputError, match="torn, or no JSON") as caught:
        read_acn(path, RECORDED, stated=False)
    assert str(caught.value).isprintable()


@pytest.fixture
def campus(folder: Path) -> str:
    """A street of two days on which the sessions of two Californian days happen, by the clock on the wall."""
    (folder / "household.csv").write_text(profile("household_kw", [20.0] * 50))
    shutil.copy(DOWNLOAD, folder / "acn.json")
    text = (folder / "street.toml").read_text().replace('pv_csv = "pv.csv"\n', "").replace("days = 1", "days = 2")
    sessions = 'csv = "acn.json"\nformat = "acn"\nshift_days = 1122\nzone = "Europe/Oslo"'
    (folder / "street.toml").write_text(text.replace('csv = "sessions.csv"', sessions))
    return str(folder / "street.toml")


def test_sessions_of_another_year_and_continent_happen_at_their_time_of_day(campus):
    """20:38:38 GMT is 12:38:38 in California, and so it is 12:38:38 here."""
    street = load_street(campus, settings=["vehicles.departure=stated"])
    assert street.sessions.session_id[0] == "2_39_79_379_2020-12-05 20:38:23.224832"
    assert len(street.sessions.session_id) == 10
    assert street.sessions.arrival_tick[0] * 30 == 12 * 3600 + 39 * 60
    assert len(street.notes) == 3
    assert street.notes[2].startswith("3 of 10 sessions took more than charger and car give here"), "fast charging"


def test_both_engines_agree_on_a_campus_to_the_last_nano(campus):
    settings = ["vehicles.departure=stated", "transformer.limit_w=35_000"]
    street = load_street(campus, settings=settings)
    fleet, messages = (run_street(street, engine=engine) for engine in ("fleet", "messages"))
    assert fleet.trace_hash() == messages.trace_hash()
    assert len(fleet.trades) > 10


def test_a_recorded_campus_runs_again(campus, tmp_path):
    street = load_street(campus)
    (tmp_path / "scenario.toml").write_text(street.resolved_toml)
    again = load_street(str(tmp_path / "scenario.toml"))
    assert again.sessions.session_id == street.sessions.session_id
    assert np.array_equal(again.sessions.arrival_tick, street.sessions.arrival_tick)
    assert (again.notes, "acn.json" in again.inputs) == (street.notes, True)
