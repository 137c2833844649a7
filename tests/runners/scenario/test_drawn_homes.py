"""Homes drawn from recorded ones: real weeks with replacement, by seed, each street's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.bundled import DATA
from wattswap.runners.scenario.drawn_homes import RECORDED_HOMES, home_weeks
from wattswap.runners.scenario.profile_files import read_profile

START = "start = 2018-11-19T00:00:00+01:00\n"
CALM = "[base]\nhomes = 200\nnoise_pct = 0\n"


@pytest.fixture
def drawn(tmp_path: Path):
    """Write a scenario and load it."""

    def load(text: str, **options):
        path = tmp_path / "drawn.toml"
        path.write_text(START + text)
        return load_street(str(path), **options)

    return load


def test_the_recording_is_a_hundred_homes_in_two_whole_weeks():
    _, weeks_w = home_weeks(RECORDED_HOMES)
    assert weeks_w.shape == (7 * 96, 200)
    kwh_a_day = weeks_w.sum(axis=0) / 4_000 / 7
    assert 15 < kwh_a_day.mean() < 25, "homes with heat pumps in winter"


def test_two_hundred_homes_are_like_those_of_the_bundled_street_in_energy_and_peak():
    """a400 is the sum of these home-weeks, each once; drawn anew 40 times its mean is met, and peaks scatter around."""
    from wattswap.runners.scenario.drawn_homes import drawn_homes
    from wattswap.runners.scenario.profiles import Ticks

    a400 = read_profile(DATA / "households/A400_household_15min.csv", "household_kw")
    ticks = Ticks(a400.start_ms, 30_000, 7 * 2_880)
    start = load_street("a400", day=1).scenario.start
    streets_w = np.stack([drawn_homes(200, seed, 0, start, ticks).mean_w[-7 * 96 :] for seed in range(40)])
    assert streets_w.mean() == pytest.approx(a400.mean_w.mean(), rel=0.02)
    peaks_w = streets_w.max(axis=1)
    assert peaks_w.min() < a400.mean_w.max() < peaks_w.max()
    assert 0.04 < peaks_w.std() / peaks_w.mean() < 0.15, "transformers of a city do not peak alike"


def test_a_seed_draws_the_same_homes_again_and_another_one_others(drawn):
    one, again, other = (drawn(CALM, day=1, seed=seed).base_w for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_day_is_the_day_of_its_week_noise_included_and_of_the_weeks_after(drawn):
    fortnight = drawn("days = 14\n" + CALM.replace("noise_pct = 0", "noise_pct = 2"))
    for day in (2, 7, 9):
        alone = drawn("days = 14\n" + CALM.replace("noise_pct = 0", "noise_pct = 2"), day=day)
        assert np.array_equal(alone.base_w[0, 1:], fortnight.base_w[0, 1 + (day - 1) * 2_880 : 1 + day * 2_880])
        assert alone.base_w[0, 0] == fortnight.base_w[0, (day - 1) * 2_880], "the tick before is known too"
    calm = drawn("days = 14\n" + CALM)
    assert np.array_equal(calm.base_w[0, 2_881:5_761], calm.base_w[0, 2_881 + 20_160 : 5_761 + 20_160])


def test_feeders_with_seeds_have_homes_and_flicker_of_their_own_and_those_without_have_the_same(drawn):
    text = "days = 1\n[base]\nhomes = 100\n"
    feeders = "[[feeder]]\nname = '{}'\nseed = {}\n[feeder.transformer]\n"
    plain = drawn(text + feeders.format("a", 0) + feeders.format("b", 0))
    assert np.array_equal(plain.base_w[0], plain.base_w[1])
    apart = drawn(text + feeders.format("a", 0) + feeders.format("b", 1) + feeders.format("c", 2))
    assert np.array_equal(apart.base_w[0], plain.base_w[0])
    assert not np.array_equal(apart.base_w[1], apart.base_w[2])
    read = text.replace("homes = 100", "household_csv = 'bundled:households/B250_household_15min.csv'\nnoise_pct = 20")
    flicker_w = drawn(read + feeders.format("a", 1) + feeders.format("b", 2)).base_w
    assert abs(np.corrcoef(np.diff(flicker_w))[0, 1]) < 0.2, "the same homes, but they flicker apart"


def test_users_drawn_for_a_feeder_with_a_seed_are_nobody_elses(drawn):
    text = "days = 1\n[transformer]\n[base]\n[sessions]\nresample = 'yes'\n"
    feeder = "[[feeder]]\nname = '{0}'\nseed = {1}\n[feeder.sessions]\ncsv = 'bundled:sessions/A400_sessions.csv'\n"
    street = drawn(text + feeder.format("a", 1) + feeder.format("b", 2))
    users = [set(street.sessions.user_id[feeder.sessions]) for feeder in street.feeders]
    assert not users[0] & users[1]
    recorded = [{user.partition(".")[2] for user in each} for each in users]
    assert recorded[0] != recorded[1]
    other = drawn(text + feeder.format("a", 1) + feeder.format("b", 3))
    rows = street.feeders[0].sessions, other.feeders[0].sessions
    assert street.sessions.session_id[rows[0]] == other.sessions.session_id[rows[1]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CALM + "household_csv = 'x.csv'\n", "base.homes draws homes and base.household_csv names a file of them;"),
        ("[base]\nhomes = -1\n", "base.homes is -1; choose 0 to 100_000"),
        (CALM + "[transformer]\nrating_va = 1_000\n", "these homes take 1"),
    ],
)
def test_homes_that_cannot_be_are_refused(drawn, complaint, text: str, said: str):
    assert said in complaint(lambda: drawn(text))


def test_a_feeder_takes_a_number_of_homes_in_place_of_the_files_own(drawn):
    feeder = "[[feeder]]\nname = 'a'\n[feeder.base]\nhomes = 10\n"
    street = drawn("[transformer]\n[base]\nhousehold_csv = 'nowhere.csv'\nnoise_pct = 1\n" + feeder, day=1)
    base = street.scenario.feeders[0].base
    assert (base.homes, base.household_csv, base.noise_pct) == (10, "", 1)
