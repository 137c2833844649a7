"""Sessions that happen another week, or under another sky, than they were recorded."""

from __future__ import annotations

import sys
import zoneinfo
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.sessions import read_sessions
from wattswap.runners.scenario.zones import Redating, zone_named

OSLO, ANGELES = ZoneInfo("Europe/Oslo"), ZoneInfo("America/Los_Angeles")


def moved(arrival: datetime, days: int = 0, zone: str = "") -> datetime:
    later = arrival.astimezone(ZoneInfo("UTC")) + timedelta(milliseconds=Redating(days, zone).moved_ms(arrival))
    return later.astimezone(zone_named(zone) if zone else arrival.tzinfo)


MOVES = [
    (datetime(2019, 10, 26, 15, 27, tzinfo=OSLO), 0, "", "2019-10-26T15:27:00+02:00"),
    (datetime(2019, 10, 26, 15, 27, tzinfo=OSLO), 7, "", "2019-11-02T15:27:00+01:00"),
    (datetime(2019, 10, 26, 15, 27, tzinfo=OSLO), -364, "", "2018-10-27T15:27:00+02:00"),
    (datetime(2021, 3, 19, 18, 39, 37, tzinfo=ANGELES), 0, "Europe/Oslo", "2021-03-19T18:39:37+01:00"),
    (datetime(2021, 3, 19, 18, 39, 37, tzinfo=ANGELES), 14, "Europe/Oslo", "2021-04-02T18:39:37+02:00"),
    (datetime(2019, 3, 30, 2, 30, tzinfo=OSLO), 1, "", "2019-03-31T03:30:00+02:00"),
    (datetime(2019, 10, 27, 2, 30, fold=1, tzinfo=OSLO), 0, "Europe/Oslo", "2019-10-27T02:30:00+01:00"),
    (datetime.fromisoformat("2019-10-26T15:27:00+02:00"), 7, "", "2019-11-02T15:27:00+02:00"),
]


@pytest.mark.parametrize(("arrival", "days", "zone", "expected"), MOVES)
def test_arrivals_keep_the_time_of_day_by_the_wall_clock(arrival, days, zone, expected):
    assert moved(arrival, days, zone).isoformat() == expected


def test_our_own_files_can_be_moved_too(scenario):
    plain, later = (load_street(scenario, settings=[f"sessions.shift_days={days}"]).sessions for days in (0, 1))
    assert plain.session_id == ("s1", "s2", "s3")
    assert later.session_id == ("s2",), "the others now arrive after the day"
    assert later.arrival_tick.tolist() == [20 * 120]
    assert later.energy_ws.tolist() == plain.energy_ws[1:2].tolist()


def test_what_drivers_state_moves_with_them(scenario, folder):
    (folder / "sessions.csv").write_text(
        "session_id,station_id,arrival,departure,energy_kwh,user_id,estimated_departure\n"
        "s1,A,2024-01-08T01:00:00+01:00,2024-01-08T05:00:00+01:00,5,,2024-01-08T03:00:00+01:00\n"
    )
    settings = ["vehicles.departure=stated", "sessions.shift_days=-7"]
    assert load_street(scenario, settings=settings).sessions.stated_departure_ms.tolist() == [3 * 3_600_000]


def test_sessions_that_a_change_of_clocks_pushes_together_get_points_of_their_own(tmp_path):
    """The Californian night has an hour more, the one in Oslo has not: the second comes before the first goes."""
    (tmp_path / "sessions.csv").write_text(
        "session_id,station_id,arrival,departure,energy_kwh,user_id\n"
        "s1,A,2024-11-02T23:00:00-07:00,2024-11-03T06:00:00-08:00,5,\n"
        "s2,A,2024-11-03T06:00:00-08:00,2024-11-03T07:00:00-08:00,5,\n"
    )
    recorded = read_sessions(tmp_path / "sessions.csv")
    moved_there = read_sessions(tmp_path / "sessions.csv", redating=Redating(-306, "Europe/Oslo"))
    assert recorded.station_id == ("A", "A")
    assert moved_there.station_id == ("A", "A#2")


def test_without_zone_data_the_machine_is_told_what_it_lacks(monkeypatch, complaint):
    for name in [name for name in sys.modules if name.startswith("tzdata.")] + ["tzdata"]:
        monkeypatch.setitem(sys.modules, name, None)
    zone_named.cache_clear()
    ZoneInfo.clear_cache()
    zoneinfo.reset_tzpath(to=())
    try:
        text = complaint(lambda: zone_named("Europe/Oslo"))
    finally:
        zoneinfo.reset_tzpath()
        ZoneInfo.clear_cache()
        zone_named.cache_clear()
    assert text == (
        "time zone 'Europe/Oslo' is needed and this machine has no time zone data; install the package tzdata"
    )


def test_the_bundled_weeks_need_no_zone_data(monkeypatch):
    def never(name):
        raise AssertionError(name)

    monkeypatch.setattr("wattswap.runners.scenario.zones.zone_named", never)
    assert np.array_equal(load_street("demo").sessions.arrival_tick, load_street("a400", day=7).sessions.arrival_tick)
