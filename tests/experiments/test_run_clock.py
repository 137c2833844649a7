"""Instants of a run: as its records count them, as people write and read them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from wattswap.experiments.run_clock import RunClock, clock_of, counts_from_1970, told
from wattswap.protocol.errors import InputError

START = datetime.fromisoformat("2018-11-25T00:00:00+01:00")
CLOCK = RunClock(START, 30_000)
NOON_MS = 12 * 3_600_000
UNIX_MS = 1_543_104_000_000
"""One in the morning of that day, counted from 1970."""


def scenario(folder: Path, text: str) -> Path:
    (folder / "scenario.toml").write_text(text, encoding="utf-8")
    return folder


def test_an_instant_counts_from_the_start_or_when_it_is_too_large_from_1970():
    assert CLOCK.at(NOON_MS).isoformat() == "2018-11-25T12:00:00+01:00"
    assert CLOCK.at(UNIX_MS).isoformat() == "2018-11-25T01:00:00+01:00"
    assert CLOCK.at_tick(2).isoformat() == "2018-11-25T00:01:00+01:00"
    assert not counts_from_1970(NOON_MS)
    assert counts_from_1970(UNIX_MS)


@pytest.mark.parametrize(
    ("text", "since_1970", "ms"),
    [
        ("2018-11-25T12:00:00", False, NOON_MS),
        ("2018-11-25T11:00:00+00:00", False, NOON_MS),
        ("2018-11-25T01:00:00", True, UNIX_MS),
        ("2018-11-24T23:59:00", False, -60_000),
    ],
)
def test_what_somebody_wrote_is_the_street_s_time_unless_it_says_otherwise(text: str, since_1970: bool, ms: int):
    assert CLOCK.ms_of(text, since_1970=since_1970) == ms


def test_what_is_no_instant_is_refused_with_an_example():
    with pytest.raises(InputError, match=r"'noon' is no instant: write it as 2018-11-25T00:00:00"):
        CLOCK.ms_of("noon", since_1970=False)


def test_an_instant_is_told_as_time_of_day_or_without_a_clock_as_time_since_the_start():
    assert told(CLOCK, NOON_MS) == "2018-11-25 12:00:00"
    assert told(None, NOON_MS + 61_000) == "+12:01:01"
    assert told(None, UNIX_MS) == "2018-11-25 00:00:00", "in UTC, for no clock says where"


def test_a_run_s_clock_stands_in_its_scenario(tmp_path: Path):
    assert clock_of(scenario(tmp_path, "start = 2018-11-25T00:00:00+01:00\nreading_s = 30\n")) == CLOCK


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("reading_s = 30\n", "which has start and reading_s"),
        ("start = 2018-11-25T00:00:00\nreading_s = 30\n", "which has start and reading_s"),
        ("start = 2018-11-25T00:00:00+01:00\nreading_s = true\n", "which has start and reading_s"),
        ("start = ", "it is torn or was edited"),
    ],
    ids=["no start", "no offset", "no number", "torn"],
)
def test_a_scenario_without_a_clock_is_refused(tmp_path: Path, text: str, what: str):
    with pytest.raises(InputError, match=what):
        clock_of(scenario(tmp_path, text))


def test_a_run_without_its_scenario_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"scenario\.toml: cannot be read"):
        clock_of(tmp_path)
