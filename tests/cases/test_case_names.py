"""Names: too long for a message, made up and taken already, missing, or not fit for a terminal."""

from __future__ import annotations

import json

from wattswap.runners.scenario import load_street

NIGHT = "2018-11-20T18:00:00+01:00,2018-11-21T04:00:00+01:00"
MESSAGES, FLEET = ("--engine", "messages"), ("--engine", "fleet")
BATTERY = (
    "--set=battery.0.capacity_wh=50000",
    "--set=battery.0.max_w=11000",
    "--set=battery.0.initial_pct=95",
    "--set=vehicles.strategy=need",
)


def acn(number: int, station: str, user: str | None = None) -> dict[str, object]:
    return {
        "sessionID": f"a{number}",
        "stationID": station,
        "connectionTime": f"Tue, 20 Nov 2018 17:{number}0:00 GMT",
        "disconnectTime": "Wed, 21 Nov 2018 03:00:00 GMT",
        "kWhDelivered": 20.0,
        "timezone": "Europe/Oslo",
        "userID": user,
    }


def test_a_car_whose_name_no_message_can_carry_is_refused_and_not_left_without_a_word(say, case, sessions):
    user, station = "u" * 36, "s" * 36
    sessions(f"s1,{station},{NIGHT},20,{user}", f"s2,other,{NIGHT},20,{user}")
    for engine in (MESSAGES, FLEET):
        code, _, said = say("run", "street.toml", "--json", *engine)
        assert (code, "has 73 characters and a message carries 72; shorten" in said, said.count("\n")) == (2, True, 1)


def test_the_longest_name_is_charged_in_both_engines(figures, sessions):
    sessions(f"{'s' * 72},st1,{NIGHT},20,u1")
    both = [figures("--set=transformer.limit_w=30_000", *engine) for engine in (MESSAGES, FLEET)]
    assert [(each["sessions"], each["sessions_short"]) for each in both] == [(1, 0)] * 2
    assert both[0]["trace_hash"] == both[1]["trace_hash"]


def test_a_point_made_up_for_an_overlap_is_not_called_like_a_station_of_the_file(figures, case):
    (case / "acn.json").write_text(json.dumps([acn(1, "CP1"), acn(2, "CP1"), acn(3, "CP1#2")]))
    options = ("--set=sessions.csv=acn.json", "--set=sessions.format=acn", "--set=transformer.limit_w=36_000")
    street = load_street("street.toml", settings=[option.removeprefix("--set=") for option in options])
    assert street.sessions.station_id == ("CP1", "CP1#3", "CP1#2")
    both = [figures(*options, *engine) for engine in (MESSAGES, FLEET)]
    assert both[0]["trace_hash"] == both[1]["trace_hash"]
    assert both[0]["sessions_short"] == both[1]["sessions_short"]


def test_a_session_called_like_a_battery_stands_beside_it(figures, sessions):
    sessions(f"battery-1,st1,{NIGHT},20,u1")
    both = [figures("--set=transformer.limit_w=35_000", *BATTERY, *engine) for engine in (MESSAGES, FLEET)]
    assert [each["sessions"] for each in both] == [1, 1]
    assert both[0]["trace_hash"] == both[1]["trace_hash"]


def test_a_mark_for_a_missing_user_is_nobody_s_name(case, sessions):
    marks = ("NA", "NULL", "NaN", "-", "None", "")
    sessions(*(f"s{at},st{at},{NIGHT},15,{mark}" for at, mark in enumerate(marks)))
    street = load_street("street.toml")
    assert street.sessions.user_id == street.sessions.vehicle_id == ("s0", "s1", "s2", "s3", "s4", "s5")


def test_a_user_of_acn_data_who_cannot_be_printed_is_refused_like_a_station(say, case):
    (case / "acn.json").write_text(json.dumps([acn(1, "CP1", "jo\nhn \x1b[31mRED")]))
    code, _, said = say("run", "street.toml", "--set=sessions.csv=acn.json", "--set=sessions.format=acn")
    assert (code, said.count("\n"), "\x1b" in said) == (2, 1, False)
    assert "[0].userID: 'jo\\nhn" in said
