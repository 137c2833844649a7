from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.sessions import departure_error_ms, departure_errors, keys_of, read_sessions

HEADER = "session_id,station_id,arrival,departure,energy_kwh,max_kw,user_id"


def at(hour: int, minute: int = 0) -> str:
    return f"2024-01-01T{hour:02}:{minute:02}:00+01:00"


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    (folder / "sessions.csv").write_text("\n".join((header, *rows)) + "\n")
    return folder / "sessions.csv"


GOOD = f"s1,A,{at(1)},{at(2)},5,11,ann"
REFUSED = [
    ((f"s1,A,{at(2)},{at(1)},5,11,",), f"line 2, column departure: {at(1)} is before the arrival; correct one of them"),
    ((GOOD, f"s2,B,{at(1)},{at(2)},-0.1,11,"), "line 3, column energy_kwh: -0.1 kWh is not between 0 and 1000"),
    ((f"s1,A,{at(1)},{at(2)},1000.1,11,",), "1000.1 kWh is not between 0 and 1000; is the column in kWh?"),
    ((f"s1,A,{at(1)},{at(2)},NaN,11,",), "line 2, column energy_kwh: 'NaN' cannot be used"),
    ((f"s1,A,{at(1)},{at(2)},,11,",), "line 2, column energy_kwh: '' is no number"),
    (
        (GOOD, f"s1,B,{at(1)},{at(2)},5,11,"),
        "line 3, column session_id: session s1 stands already in line 2; give each",
    ),
    ((f",A,{at(1)},{at(2)},5,11,",), "line 2, column session_id: the field is empty; every row needs one"),
    ((f"s1,,{at(1)},{at(2)},5,11,",), "line 2, column station_id: the field is empty; every row needs one"),
    (
        (f"s1,A,{at(1)},{at(2)},5,11,a\x07",),
        "line 2, column user_id: 'a\\x07' holds a character that cannot be printed",
    ),
    (
        ("s1,A,2024-01-01T01:00:00,2024-01-01T02:00:00,5,11,",),
        "line 2, column arrival: '2024-01-01T01:00:00' has no time",
    ),
    ((f"s1,A,{at(1)},soon,5,11,",), "line 2, column departure: 'soon' is no time stamp; write it like 2018-11-19T"),
    ((f"s1,A,{at(1)},{at(2)},5",), "line 2: 5 fields under a header of 7; correct the row"),
    ((), "there is a header and no row below it"),
]


@pytest.mark.parametrize(("rows", "said"), REFUSED, ids=[said[:60] for _, said in REFUSED])
def test_a_session_file_that_cannot_be_used_is_refused_with_the_line(rows, said, tmp_path, complaint):
    path = written(tmp_path, *rows)
    text = complaint(lambda: read_sessions(path))
    assert text.startswith(str(path))
    assert said in text


def test_sessions_that_overlap_at_a_station_get_points_of_their_own_with_a_note(tmp_path):
    path = written(
        tmp_path, f"s1,A,{at(3)},{at(5)},5,11,", f"s2,B,{at(1)},{at(9)},5,11,", f"s3,A,{at(1)},{at(3, 1)},5,11,"
    )
    table = read_sessions(path)
    assert table.station_id == ("A#2", "B", "A")
    (note,) = table.notes
    assert note.startswith("sessions.csv: 1 of 3 sessions arrive while their station is taken and get a point of their")


def test_a_session_may_start_when_the_one_before_it_ends(tmp_path):
    path = written(
        tmp_path, f"s1,A,{at(3)},{at(5)},5,11,", f"s2,A,{at(1)},{at(3)},5,11,", f"s3,A,{at(4)},{at(4)},0,11,"
    )
    assert read_sessions(path).session_id == ("s1", "s2", "s3")


def test_missing_columns_are_named_with_what_the_file_has(tmp_path, complaint):
    path = written(tmp_path, header="session_id,station_id,arrival,departure,kwh")
    assert complaint(lambda: read_sessions(path)) == (
        f"{path}, line 1: columns energy_kwh, user_id missing, the file has session_id, station_id, arrival, departure,"
        " kwh; rename or add it"
    )


def test_an_empty_file_is_refused(tmp_path, complaint):
    (tmp_path / "sessions.csv").write_text("")
    assert "the file is empty; it needs the header session_id," in complaint(
        lambda: read_sessions(tmp_path / "sessions.csv")
    )


def test_further_columns_and_a_wrong_max_kw_are_ignored(tmp_path):
    path = written(tmp_path, f"s1,A,{at(1)},{at(2)},5.5,much,ann,x", header=f"{HEADER},note")
    table = read_sessions(path)
    assert table.energy_ws.tolist() == [19_800_000]
    assert (table.departure_ms - table.arrival_ms).tolist() == [3_600_000]


def test_one_car_cannot_stand_at_two_chargers_so_its_user_has_several(tmp_path):
    rows = (f"s1,A,{at(1)},{at(5)},5,11,ann", f"s2,B,{at(4)},{at(6)},5,11,ann", f"s3,A,{at(8)},{at(9)},5,11,ann")
    table = read_sessions(written(tmp_path, *rows, f"s4,C,{at(1)},{at(9)},5,11,", f"s5,D,{at(1)},{at(2)},5,11,bob"))
    assert table.user_id == ("ann", "ann", "ann", "s4", "bob")
    assert table.vehicle_id == ("ann@A", "ann@B", "ann@A", "s4", "bob")


def test_a_user_who_drives_from_charger_to_charger_has_one_car(tmp_path):
    rows = (f"s1,A,{at(1)},{at(5)},5,11,ann", f"s2,B,{at(5)},{at(6)},5,11,ann")
    assert read_sessions(written(tmp_path, *rows)).vehicle_id == ("ann", "ann")


def test_stated_departures_need_their_column(scenario, complaint):
    text = complaint(lambda: load_street(scenario, settings=["vehicles.departure=stated"]))
    assert "sessions.csv, line 1: column estimated_departure missing, the file has session_id" in text


def test_stated_departures_are_what_the_agents_are_told_but_never_before_the_first_tick(scenario, folder):
    rows = (f"s1,A,{at(1)},{at(5)},5,11,,{at(3)}", f"s2,B,{at(1)},{at(5)},5,11,,{at(0)}")
    written(folder, *rows, header=f"{HEADER},estimated_departure")
    sessions = load_street(scenario, settings=["vehicles.departure=stated"]).sessions
    assert sessions.departure_tick.tolist() == [600, 600]
    assert sessions.stated_departure_ms.tolist() == [360 * 30_000, 121 * 30_000]


def test_departures_stated_with_an_error_are_off_by_as_much_as_asked():
    told, actual = (
        load_street("a400", settings=[f"vehicles.departure={departure}"]).sessions
        for departure in ("error:2h", "actual")
    )
    off_ms = told.stated_departure_ms - actual.stated_departure_ms
    assert told.departure_tick.tolist() == actual.departure_tick.tolist()
    assert (told.stated_departure_ms >= (told.arrival_tick + 1) * 30_000).all()
    assert (told.stated_departure_ms % 30_000 == 0).all()
    assert 6_000_000 < off_ms.std() < 8_000_000


def test_an_error_of_nothing_is_the_actual_departure():
    told, actual = (
        load_street("b250", settings=[f"vehicles.departure={departure}"]).sessions
        for departure in ("error:0h", "actual")
    )
    assert told.stated_departure_ms.tolist() == actual.stated_departure_ms.tolist()


def test_errors_are_near_normal_and_a_sessions_own():
    """Another row beside it changes nothing: each session draws under its own key."""
    keys = keys_of([f"s{row}" for row in range(5000)])
    errors_ms = departure_errors("error:2h", 1, keys)
    assert errors_ms.std() == pytest.approx(7_200_000, rel=0.05)
    assert abs(errors_ms.mean()) < 300_000
    assert np.array_equal(departure_errors("error:2h", 1, keys[10:20]), errors_ms[10:20])
    assert not np.array_equal(departure_errors("error:2h", 2, keys), errors_ms)


def test_only_error_with_hours_is_an_error():
    assert [departure_error_ms(text) for text in ("error:2h", "error:0.5h")] == [7_200_000, 1_800_000]
    assert [departure_error_ms(text) for text in ("actual", "error:2", "error:h", "error:-1h", "error:9999h")] == [
        None
    ] * 5
