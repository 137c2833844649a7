"""Time stamps in the shapes that people's files have, and streets whose days follow the clocks on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.protocol.errors import InputError
from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.profile_files import read_profile
from wattswap.runners.scenario.sessions import read_sessions
from wattswap.runners.scenario.stamps import Stamps
from wattswap.runners.scenario.tables import Cell

BERLIN = ZoneInfo("Europe/Berlin")
NOON_MS = 1_795_777_200_000
"""2026-11-27T11:00:00Z, noon in Berlin."""
QUARTER = timedelta(minutes=15)


def cells(*texts: str) -> list[Cell]:
    return [Cell("load.csv", line, "timestamp", text) for line, text in enumerate(texts, 2)]


def read(*texts: str) -> list[int]:
    column = cells(*texts)
    return Stamps.of(column, BERLIN).instants_ms(column)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("2026-11-27T12:00:00+01:00", ""),
        ("2026-11-27T11:00:00Z", ""),
        ("2026-11-27T12:00:00+0100", ""),
        ("2026-11-27 12:00", ""),
        ("27.11.2026 12:00", "dates read as day, month, year"),
        ("27.11.2026 12:00:00", "dates read as day, month, year"),
        ("27/11/2026 12:00", "dates read as day, month, year"),
        ("27-11-2026, 12:00", "dates read as day, month, year"),
        ("11/27/2026 12:00", "dates read as month, day, year"),
        ("27.11.2026 11:00Z", "dates read as day, month, year"),
        ("1795777200", "numbers read as seconds since 1970, UTC"),
        ("1795777200000", "numbers read as milliseconds since 1970, UTC"),
    ],
)
def test_a_stamp_is_the_instant_that_is_meant_and_what_was_guessed_is_said(text: str, note: str):
    stamps = Stamps.of(cells(text), BERLIN)
    assert stamps.instants_ms(cells(text)) == [NOON_MS]
    assert stamps.note == note


def test_the_whole_column_tells_whether_days_or_months_come_first():
    assert read("01/02/2026 00:00", "13/02/2026 00:00")[0] == read("2026-02-01T00:00")[0]
    assert read("01/02/2026 00:00", "01/13/2026 00:00")[0] == read("2026-01-02T00:00")[0]
    assert read("01.02.2026 00:00") == read("2026-02-01T00:00"), "points stand after days"


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (("01/02/2026", "02/02/2026"), "'01/02/2026' may be day or month first, and no row of the column tells"),
        (("13/02/2026", "02/13/2026"), "days before months in some rows and after them in others"),
        (("31.02.2026",), "'31.02.2026' is no time stamp"),
        (("29.03.2026 02:30",), "no clock in Europe/Berlin shows '29.03.2026 02:30': that hour is skipped"),
        (("tomorrow",), "'tomorrow' is no time stamp"),
        (("01.01.1066",), "is not between 1900 and 2999"),
        (("1795777200", "noon"), "'1795777200' is no time stamp"),
    ],
)
def test_what_cannot_be_told_is_one_line(texts: tuple[str, ...], says: str):
    with pytest.raises(InputError) as refused:
        read(*texts)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_stamp_without_an_offset_needs_a_zone():
    column = cells("2026-11-27 12:00")
    with pytest.raises(InputError, match='give the street\'s zone in the scenario, like zone = "Europe/Berlin"'):
        Stamps.of(column, None).instants_ms(column)


def quarters(day: str) -> list[datetime]:
    """The quarters of an hour of a local day."""
    first = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    over = (first + timedelta(days=1)).astimezone(UTC)
    count = (over - first.astimezone(UTC)) // QUARTER
    return [(first.astimezone(UTC) + at * QUARTER).astimezone(BERLIN) for at in range(count)]


@pytest.mark.parametrize(("day", "count"), [("2026-03-29", 92), ("2026-10-25", 100), ("2026-11-27", 96)])
def test_days_of_92_96_and_100_quarters_of_an_hour_are_regular(tmp_path: Path, day: str, count: int):
    stamps = quarters(day)
    rows = "".join(f"{stamp:%d.%m.%Y %H:%M};1,5\n" for stamp in stamps)
    (tmp_path / "load.csv").write_text("timestamp;household_kw\n" + rows)
    profile = read_profile(tmp_path / "load.csv", "household_kw", BERLIN)
    assert (len(profile.mean_w), profile.step_ms, profile.mean_w[0]) == (count, 900_000, 1_500)
    assert profile.start_ms == int(stamps[0].timestamp()) * 1_000


@given(st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)), st.integers(2, 300))  # noqa: DTZ001 - local
def test_stamps_of_any_local_quarters_come_back_as_their_instants(first: datetime, count: int):
    """Whatever hour comes twice or is skipped in between; the first must not be in the second of two."""
    start = first.replace(minute=0, second=0, microsecond=0, tzinfo=BERLIN).astimezone(UTC)
    instants = [start + at * QUARTER for at in range(count)]
    local = [instant.astimezone(BERLIN) for instant in instants]
    texts = [f"{stamp:%Y-%m-%dT%H:%M}" for stamp in local]
    expected = [int(instant.timestamp()) * 1_000 for instant in instants]
    assert read(*texts) == expected or local[0].fold == 1


def test_a_street_in_a_zone_has_local_days(tmp_path: Path):
    """The week in which winter time begins has 169 hours, the one of summer time 167."""
    for start, hours in (("2026-10-19", 169), ("2026-03-23", 167), ("2026-11-02", 168)):
        (tmp_path / "st.toml").write_text(
            f'start = {start}T00:00:00\nzone = "Europe/Berlin"\n[sessions]\ngenerate = 2\n', encoding="utf-8"
        )
        assert load_street(str(tmp_path / "st.toml")).ticks == hours * 120
        days = [load_street(str(tmp_path / "st.toml"), day=day).ticks for day in range(1, 8)]
        assert sum(days) == hours * 120
        assert days[-1] == (hours - 144) * 120


def test_a_zone_that_is_none_is_named_with_the_nearest(tmp_path: Path, complaint):
    (tmp_path / "st.toml").write_text('start = 2026-10-19T00:00:00\nzone = "Europe/Berlni"\n[sessions]\ngenerate = 2\n')
    assert "zone: there is no time zone 'Europe/Berlni'; did you mean Europe/Berlin?" in complaint(
        lambda: load_street(str(tmp_path / "st.toml"))
    )


def test_a_file_of_a_windows_spreadsheet_is_read_and_said(tmp_path: Path):
    head = "session_id;station_id;arrival;departure;energy_kwh;user_id\n"
    text = (
        head
        + "1;Säule 1;27.11.2026 18:00;28.11.2026 07:00;7,5;Müller\n2;Säule 1;25.11.2026 18:00;26.11.2026 07:00;7;\n"
    )
    (tmp_path / "sessions.csv").write_bytes(text.encode("cp1252"))
    table = read_sessions(tmp_path / "sessions.csv", clock=BERLIN)
    assert table.station_id[0] == "Säule 1"
    assert table.notes[0].endswith("sessions.csv: dates read as day, month, year, text as Windows-1252")


def test_a_stay_over_the_hour_that_comes_twice_ends_after_it_began(tmp_path: Path):
    head = "session_id,station_id,arrival,departure,energy_kwh,user_id\n"
    (tmp_path / "sessions.csv").write_text(head + "1,C1,2026-10-25T02:40,2026-10-25T02:10,0.5,\n")
    table = read_sessions(tmp_path / "sessions.csv", clock=BERLIN)
    assert table.departure_ms[0] - table.arrival_ms[0] == 30 * 60_000
