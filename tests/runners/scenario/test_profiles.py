from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.protocol.draws import agent_key, draw
from wattswap.protocol.units import Purpose
from wattswap.runners.scenario.profile_files import read_profile
from wattswap.runners.scenario.profiles import Profile, Ticks, noise_w, ramp_knots, resolve

MINUTE = 60_000


def profile_of(mean_w: list[int], step_s: int = 900, start_ms: int = 0) -> Profile:
    return Profile("load.csv", "", start_ms, step_s * 1000, np.array(mean_w, dtype=np.int64))


def written(folder: Path, *rows: str, header: str = "timestamp,household_kw") -> Path:
    (folder / "load.csv").write_text("\n".join((header, *rows)) + "\n")
    return folder / "load.csv"


def test_kilowatts_become_the_nearest_watt_on_utc(tmp_path):
    rows = ("2024-01-01T00:00:00+01:00,1.2346", "2024-01-01T00:15:00+01:00,-0.5", "2024-01-01T00:30:00+01:00,7")
    profile = read_profile(written(tmp_path, *rows), "household_kw")
    assert profile.mean_w.tolist() == [1235, -500, 7000]
    assert (profile.start_ms, profile.step_ms) == (1_704_063_600_000, 15 * MINUTE)
    assert profile.end_ms == profile.start_ms + 45 * MINUTE


@pytest.mark.parametrize(
    "rows",
    [
        ("2024-03-31T01:30:00+01:00,1", "2024-03-31T03:00:00+02:00,2", "2024-03-31T03:30:00+02:00,3"),
        ("2024-10-27T02:30:00+02:00,1", "2024-10-27T02:00:00+01:00,2", "2024-10-27T02:30:00+01:00,3"),
    ],
    ids=["forward", "back"],
)
def test_summer_time_changes_only_the_offset(tmp_path, rows):
    profile = read_profile(written(tmp_path, *rows), "household_kw")
    assert (profile.step_ms, profile.mean_w.tolist()) == (30 * MINUTE, [1000, 2000, 3000])


FIRST, SECOND, THIRD = (f"2024-01-01T00:{minute:02}:00Z" for minute in (0, 15, 30))
REFUSED = [
    ((f"{FIRST},1", "2024-01-01T00:15:00,1"), "line 3, column timestamp: '2024-01-01T00:15:00' has no time zone"),
    (("0001-01-01T00:00:00Z,1", f"{SECOND},1"), "'0001-01-01T00:00:00Z' is not between 1900 and 2999; correct"),
    (("yesterday,1", f"{SECOND},1"), "line 2, column timestamp: 'yesterday' is no time stamp; write it like 2018-"),
    ((f"{FIRST},1", "2024-01-01T00:15:00.5Z,1"), "line 3, column timestamp: '2024-01-01T00:15:00.5Z' is not a whole"),
    (
        (f"{FIRST},1", f"{SECOND},1", "2024-01-01T00:45:00Z,1"),
        "'2024-01-01T00:45:00Z' is 1800 s after the stamp above it, the first step is 900 s; fill the gap so that",
    ),
    ((f"{SECOND},1", f"{FIRST},1"), f"line 3, column timestamp: '{FIRST}' is not after the stamp above it; sort"),
    ((f"{FIRST},1", f"{FIRST},1"), f"line 3, column timestamp: '{FIRST}' is not after the stamp above it; sort"),
    ((f"{FIRST},1", "2024-01-03T00:00:00Z,1"), "line 3, column timestamp: 172800 s after the stamp above it; a step"),
    ((f"{FIRST},1",), "line 2, column timestamp: one row does not tell how long its interval is; give at least two"),
    ((f"{FIRST},1", f"{SECOND},nan"), "line 3, column household_kw: 'nan' cannot be used; fill the gap"),
    ((f"{FIRST},-inf", f"{SECOND},1"), "line 2, column household_kw: '-inf' cannot be used; fill the gap"),
    ((f"{FIRST},1", f"{SECOND},1e999"), "line 3, column household_kw: '1e999' cannot be used; fill the gap"),
    ((f"{FIRST},100001", f"{SECOND},1"), "line 2, column household_kw: 100001 kW is over 100 MW; is the column in kW?"),
    ((f"{FIRST},", f"{SECOND},1"), "line 2, column household_kw: '' is no number"),
    ((f'{FIRST},"1,5"', f"{SECOND},1"), "line 2, column household_kw: '1,5' is no number; use a point for decimals"),
    ((f"{FIRST},1,2", f"{SECOND},1"), "line 2: 3 fields under a header of 2; correct the row"),
    ((), "there is a header and no row below it; add rows or name another file"),
]


@pytest.mark.parametrize(("rows", "said"), REFUSED, ids=[said[:60] for _, said in REFUSED])
def test_a_profile_that_cannot_be_used_is_refused_with_the_line(rows, said, tmp_path, complaint):
    path = written(tmp_path, *rows)
    text = complaint(lambda: read_profile(path, "household_kw"))
    assert text.startswith(str(path))
    assert said in text


def test_a_missing_column_is_named_with_what_the_file_has(tmp_path, complaint):
    path = written(tmp_path, f"{FIRST},1", header="timestamp,load_kw")
    assert complaint(lambda: read_profile(path, "household_kw")) == (
        f"{path}, line 1: column household_kw missing, the file has timestamp, load_kw; name it household_kw (power in"
        " kW), household_w (power in W) or household_kwh (energy of each interval); of several meters, one row per"
        " meter, with a column meter"
    )


def test_a_column_that_stands_there_twice_is_refused(tmp_path, complaint):
    path = written(tmp_path, f"{FIRST},1,1", header="timestamp,household_kw,household_kw")
    assert "column household_kw stands there twice; keep one" in complaint(lambda: read_profile(path, "household_kw"))


def test_a_quote_that_never_ends_is_refused_with_the_line(tmp_path, complaint):
    path = written(tmp_path, f'{FIRST},"1', f"{SECOND},1")
    assert ", line 3: not readable as CSV (" in complaint(lambda: read_profile(path, "household_kw"))


def test_a_header_with_stray_bytes_is_shown_in_one_line(tmp_path, complaint):
    path = written(tmp_path, f"{FIRST},1", header="timestamp,household\0kw")
    text = complaint(lambda: read_profile(path, "household_kw"))
    assert "the file has timestamp, 'household\\x00kw'" in text


def test_an_empty_file_is_refused(tmp_path, complaint):
    (tmp_path / "load.csv").write_text("\n\n")
    assert complaint(lambda: read_profile(tmp_path / "load.csv", "pv_kw")) == (
        f"{tmp_path / 'load.csv'}: the file is empty; it needs the header timestamp,pv_kw and rows below it"
    )


def test_a_file_that_is_not_there_is_answered_with_the_nearest(tmp_path, complaint):
    written(tmp_path)
    text = complaint(lambda: read_profile(tmp_path / "laod.csv", "pv_kw"))
    assert text == f"{tmp_path / 'laod.csv'}: there is no such file; did you mean load.csv?"
    text = complaint(lambda: read_profile(tmp_path / "sun", "pv_kw"))
    assert text == f"{tmp_path / 'sun'}: there is no such file; look into {tmp_path.resolve()}"


def test_a_folder_is_no_profile(tmp_path, complaint):
    assert "name a readable file" in complaint(lambda: read_profile(tmp_path, "pv_kw"))


def test_a_device_without_an_end_is_refused(complaint):
    said = complaint(lambda: read_profile(Path("/dev/zero"), "pv_kw"))
    assert said == "/dev/zero: this is a device, not a file; name a readable file"


def test_bytes_that_are_no_text_are_refused_with_the_line(tmp_path, complaint):
    (tmp_path / "load.csv").write_bytes(b"timestamp,pv_kw\n\x81,1\n")
    text = complaint(lambda: read_profile(tmp_path / "load.csv", "pv_kw"))
    assert text.endswith("load.csv, line 2: this is not UTF-8 text; save the file as UTF-8 CSV")


def test_a_byte_order_mark_blank_lines_and_spaces_are_harmless(tmp_path):
    text = f"\ufefftimestamp , household_kw,note\r\n\r\n {FIRST} , 1,x\r\n{SECOND},2,\r\n"
    (tmp_path / "load.csv").write_bytes(text.encode())
    assert read_profile(tmp_path / "load.csv", "household_kw").mean_w.tolist() == [1000, 2000]


MEANS = st.lists(st.integers(-100_000_000, 100_000_000), min_size=2, max_size=20)


@given(MEANS)
def test_ramp_keeps_each_intervals_mean_within_a_watt(mean_w):
    ramp_w = resolve(profile_of(mean_w), Ticks(0, 30_000, 30 * len(mean_w)), "ramp")
    assert (np.abs(ramp_w.reshape(-1, 30).mean(axis=1) - mean_w) < 1).all()


@given(MEANS, st.sampled_from([1, 4, 30, 60, 180, 450, 900]))
def test_step_is_exact_on_any_tick_that_divides_the_interval(mean_w, tick_s):
    per_interval = 900 // tick_s
    step_w = resolve(profile_of(mean_w), Ticks(0, tick_s * 1000, per_interval * len(mean_w)), "step")
    assert step_w.tolist() == np.repeat(mean_w, per_interval).tolist()


@given(MEANS, st.integers(0, 40), st.sampled_from(["ramp", "step"]))
def test_a_part_is_resolved_as_it_is_in_the_whole(mean_w, first, shape):
    """--day sees the week's load."""
    profile = profile_of(mean_w)
    whole = resolve(profile, Ticks(0, 30_000, 30 * len(mean_w)), shape)
    part = resolve(profile, Ticks(first * 30_000, 30_000, 10), shape)
    assert part.tolist() == whole[first : first + 10].tolist()


@given(MEANS, st.sampled_from(["ramp", "step"]))
def test_long_ticks_are_the_means_of_short_ones(mean_w, shape):
    profile = profile_of(mean_w)
    short = resolve(profile, Ticks(0, 1_000, 900 * len(mean_w)), shape)
    long = resolve(profile, Ticks(0, 450_000, 2 * len(mean_w)), shape)
    assert (np.abs(short.reshape(-1, 450).mean(axis=1) - long) <= 1).all()


def test_ticks_longer_than_intervals_and_off_their_edges_take_each_intervals_part():
    profile = profile_of([0, 900, 1800, 2700], step_s=60)
    assert resolve(profile, Ticks(0, 120_000, 2), "step").tolist() == [450, 2250]
    assert resolve(profile, Ticks(45_000, 60_000, 2), "step").tolist() == [675, 1575]
    assert resolve(profile, Ticks(7_000, 100_000, 2), "step").tolist() == [423, 1926]


def test_ramp_goes_through_edges_and_middles_by_the_small_print():
    """Edges are means of neighbours (rounded down), the ends repeat; middles make up for the edges."""
    mean_w = np.array([100, 201, 200], dtype=np.int64)
    assert ramp_knots(mean_w).tolist() == [100, 75, 150, 227, 200, 200, 200]
    ramp_w = resolve(profile_of([100, 201, 200], step_s=120), Ticks(0, 30_000, 12), "ramp")
    assert ramp_w.tolist() == [93, 81, 93, 131, 169, 207, 220, 206, 200, 200, 200, 200]


def test_a_flat_profile_stays_flat():
    assert set(resolve(profile_of([5000] * 4), Ticks(0, 30_000, 120), "ramp").tolist()) == {5000}


NOISE_KEY = agent_key("household-0")


def test_noise_has_the_asked_share_of_the_level_and_two_minutes_of_memory():
    level_w = np.full(20_160, 1_000_000, dtype=np.int64)
    noise = noise_w(level_w, 20_000, [1], NOISE_KEY, 0, Ticks(0, 30_000, 20_160))[0]
    assert noise.std() == pytest.approx(20_000, rel=0.05)
    assert abs(noise.mean()) < 1_500
    for ticks, correlation in ((1, 0.779), (4, 0.368)):
        assert np.corrcoef(noise[ticks:], noise[:-ticks])[0, 1] == pytest.approx(correlation, abs=0.04)


def test_noise_follows_the_written_formula():
    z, expected = 0, []
    for slot in range(5):
        words = [int(draw(7, NOISE_KEY, Purpose.NOISE, slot, index)) for index in range(3)]
        x = sum((word >> shift) & 0xFFFF for word in words for shift in (0, 16, 32, 48)) - 393_210
        z = (51_039 * z + 41_110 * x) >> 16
        expected.append(250_001 * 20_000 * z // (1_000_000 << 16))
    level_w = np.full(5, 250_001, dtype=np.int64)
    assert noise_w(level_w, 20_000, [7], NOISE_KEY, 0, Ticks(0, 30_000, 5))[0].tolist() == expected


def test_noise_of_a_part_is_that_of_the_whole_and_none_is_none():
    level_w = np.full(100, 50_000, dtype=np.int64)
    whole = noise_w(level_w, 20_000, [1], NOISE_KEY, 0, Ticks(0, 30_000, 100))[0]
    part = noise_w(level_w[:10], 20_000, [1], NOISE_KEY, 0, Ticks(90 * 30_000, 30_000, 10))[0]
    assert part.tolist() == whole[90:].tolist()
    assert not noise_w(level_w, 0, [1], NOISE_KEY, 0, Ticks(0, 30_000, 100)).any()


def test_noise_that_nothing_was_reckoned_of_before_is_that_of_the_whole():
    """Far into a week the noise has forgotten how it began, so a late day need not begin there."""
    level_w = np.full(6_000, 50_000, dtype=np.int64)
    whole = noise_w(level_w, 20_000, [1, 2], NOISE_KEY, 0, Ticks(0, 30_000, 6_000))
    part = noise_w(level_w[:10], 20_000, [1, 2], NOISE_KEY, 0, Ticks(5_990 * 30_000, 30_000, 10))
    assert part.tolist() == whole[:, 5_990:].tolist()


def test_each_of_many_seeds_has_the_noise_it_has_alone():
    """So many of them that their draws are made in several parts."""
    level_w, grid = np.full(600, 50_000, dtype=np.int64), Ticks(600 * 30_000, 30_000, 600)
    together = noise_w(level_w, 20_000, range(64), NOISE_KEY, 0, grid)
    alone = {seed: noise_w(level_w, 20_000, [seed], NOISE_KEY, 0, grid)[0] for seed in (0, 7, 63)}
    assert {seed: together[seed].tolist() for seed in alone} == {seed: row.tolist() for seed, row in alone.items()}


def test_noise_on_other_ticks_is_the_mean_over_them():
    ticks = {tick_ms: Ticks(0, tick_ms, 600_000 // tick_ms) for tick_ms in (20_000, 30_000, 60_000)}
    noise = {
        tick_ms: noise_w(np.full(grid.count, 1_000_000), 20_000, [1], NOISE_KEY, 0, grid)[0]
        for tick_ms, grid in ticks.items()
    }
    pairs = noise[30_000].reshape(-1, 2)
    assert (np.abs(pairs.mean(axis=1) - noise[60_000]) <= 1).all()
    thirds = np.stack([pairs[:, 0], pairs.mean(axis=1), pairs[:, 1]], axis=1).ravel()
    assert (np.abs(thirds - noise[20_000]) <= 1).all()


def test_noise_of_a_hundred_megawatts_at_a_hundred_percent_does_not_overflow():
    level_w = np.full(50, 100_000_000, dtype=np.int64)
    full = noise_w(level_w, 1_000_000, [1], NOISE_KEY, 0, Ticks(0, 30_000, 50))[0]
    small = noise_w(level_w // 1000, 1_000_000, [1], NOISE_KEY, 0, Ticks(0, 30_000, 50))[0]
    assert (np.abs(full - small * 1000) <= 1000).all()


@pytest.mark.parametrize(("column", "per_kw"), [("household_w", 1000), ("household_kwh", 0.25)])
@pytest.mark.parametrize("stamps", ["2024-01-01T00:{:02}:00Z", "2024-01-01T00:{:02}:00+0000"])
def test_watts_and_energies_of_each_interval_are_read_as_the_same_power(column, per_kw, stamps, tmp_path):
    rows = "".join(f"{stamps.format(minute)},{kw * per_kw}\n" for minute, kw in ((0, 4), (15, 8), (30, 6)))
    (tmp_path / "homes.csv").write_text(f"timestamp,{column}\n{rows}")
    assert read_profile(tmp_path / "homes.csv", "household_kw").mean_w.tolist() == [4000, 8000, 6000]


def test_semicolons_and_decimal_commas_of_a_spreadsheet_are_read(tmp_path):
    rows = "2024-01-01T00:00:00Z;4,5\n2024-01-01T00:15:00Z;8\n"
    (tmp_path / "homes.csv").write_bytes(b"\xef\xbb\xbf" + f"timestamp;household_kw\n{rows}".encode())
    assert read_profile(tmp_path / "homes.csv", "household_kw").mean_w.tolist() == [4500, 8000]
