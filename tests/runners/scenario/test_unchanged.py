"""A file that nobody changed is read once; one that was changed is read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wattswap.protocol.errors import InputError
from wattswap.runners.scenario.profile_files import read_profile
from wattswap.runners.scenario.unchanged import read_once

HEAD = "timestamp,household_kw\n"
ROWS = "2026-11-27T00:00:00Z,{0}\n2026-11-27T00:15:00Z,{0}\n"


def test_what_was_read_is_shared_until_the_file_changes(tmp_path: Path):
    path = tmp_path / "load.csv"
    path.write_text(HEAD + ROWS.format("1.5"))
    first = read_profile(path, "household_kw")
    assert read_profile(path, "household_kw") is first
    path.write_text(HEAD + ROWS.format("2.5"))
    os.utime(path, ns=(1, 1))
    assert read_profile(path, "household_kw").mean_w.tolist() == [2_500, 2_500]
    assert first.mean_w.tolist() == [1_500, 1_500]


def test_nobody_can_change_what_is_shared(tmp_path: Path):
    path = tmp_path / "load.csv"
    path.write_text(HEAD + ROWS.format("1.5"))
    with pytest.raises(ValueError, match="read-only"):
        read_profile(path, "household_kw").mean_w[0] = 7


def test_a_file_that_is_missing_or_wrong_says_so_each_time(tmp_path: Path):
    path = tmp_path / "load.csv"
    for _ in range(2):
        with pytest.raises(InputError, match="there is no such file"):
            read_profile(path, "household_kw")
    path.write_text(HEAD)
    for _ in range(2):
        with pytest.raises(InputError, match="no row below it"):
            read_profile(path, "household_kw")
    path.write_text(HEAD + ROWS.format("1"))
    assert read_profile(path, "household_kw").mean_w.tolist() == [1_000, 1_000]


def test_other_arguments_are_other_readings(tmp_path: Path):
    (tmp_path / "one").touch()
    asked: list[int] = []

    @read_once
    def read(path: Path, number: int) -> int:
        asked.append(number)
        return number

    assert [read(tmp_path / "one", number) for number in (1, 2, 1)] == [1, 2, 1]
    assert asked == [1, 2]
