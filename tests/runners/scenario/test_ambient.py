"""The temperature of the days, from a file: what it does to the ageing figure, and what is said where it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from wattswap.protocol.errors import InputError
from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.ambient import read_temperatures
from wattswap.runners.scenario.profiles import Ticks

HOUR_MS = 3_600_000


def file_of(folder: Path, *rows: str) -> Path:
    path = folder / "temperature.csv"
    path.write_text("\n".join(("timestamp,temp_c", *rows)), encoding="utf-8")
    return path


def test_between_two_instants_it_goes_in_a_straight_line(tmp_path: Path):
    path = file_of(tmp_path, "1970-01-01T00:00:00+00:00,4", "1970-01-01T01:00:00+00:00,8")
    assert read_temperatures(path).over(Ticks(0, HOUR_MS // 4, 4)).tolist() == [4.5, 5.5, 6.5, 7.5]


def test_where_the_file_says_nothing_its_mean_counts_and_a_note_says_so(tmp_path: Path):
    path = file_of(tmp_path, "1970-01-01T00:00:00+00:00,4", "1970-01-01T02:00:00+00:00,8")
    read, beyond = read_temperatures(path), Ticks(2 * HOUR_MS, HOUR_MS, 3)
    assert read.over(beyond).tolist() == [8, 6, 6]
    (note,) = read.notes(beyond)
    assert "the run reaches beyond its temperatures" in note
    assert read.notes(Ticks(0, HOUR_MS, 2)) == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (("1970-01-01T00:00:00+00:00,280",), "line 2, column temp_c: 280 is no temperature in degrees Celsius"),
        (("1970-01-01T00:00:00+00:00,2", "1970-01-01T00:00:00+00:00,3"), "line 3, .* is not after the stamp above it"),
        (("1970-01-01T00:00:00+00:00,warm",), "column temp_c"),
    ],
)
def test_what_is_wrong_in_it_is_said_with_its_place(tmp_path: Path, rows: tuple[str, ...], words: str):
    with pytest.raises(InputError, match=words):
        read_temperatures(file_of(tmp_path, *rows))


def test_the_bundled_streets_have_the_days_of_their_sun():
    street = load_street("a400", day=7)
    ambient_c = street.feeders[0].ambient_c(street.ticks)
    assert ambient_c.min() > 0
    assert ambient_c.max() < 10
    assert "november_temperature.csv" in street.inputs
    assert 'ambient_csv = "bundled:weather/november_temperature.csv"' in street.resolved_toml
    warm = load_street("a400", day=7, settings=["transformer.ambient_csv="])
    assert set(warm.feeders[0].ambient_c(3).tolist()) == {20.0}
