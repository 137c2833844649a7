"""Streets whose recorded users are drawn anew: a sample of streets, each the same for whoever asks by its seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from wattswap.runners.engines.launch import run_street
from wattswap.runners.scenario import load_street
from wattswap.runners.scenario.bundled import DATA
from wattswap.runners.scenario.resample import DrawnNames, resampled
from wattswap.runners.scenario.sessions import read_sessions

WEEK = read_sessions(DATA / "sessions/A400_sessions.csv")
YES = ["sessions.resample=yes"]


def recorded(name: str) -> str:
    """The name without the number of its copy."""
    return name.partition("~")[0]


def test_a_user_comes_with_all_its_sessions_and_no_other_is_made_up():
    drawn = resampled(WEEK, 1)
    of = Counter(WEEK.user_id)
    assert all(count == of[recorded(user)] for user, count in Counter(drawn.user_id).items())
    assert len(set(drawn.user_id)) == len(of), "as many users as there are"
    assert len(set(drawn.session_id)) == len(drawn.session_id)
    known = {session: row for row, session in enumerate(WEEK.session_id)}
    rows = [known[recorded(session)] for session in drawn.session_id]
    np.testing.assert_array_equal(drawn.arrival_ms, WEEK.arrival_ms[rows])
    np.testing.assert_array_equal(drawn.energy_ws, WEEK.energy_ws[rows])
    assert {recorded(station) for station in drawn.station_id} <= set(WEEK.station_id)


def test_a_name_is_the_same_however_it_is_asked_for():
    """Names are made when they are asked for: a day of a week asks for few."""
    names = resampled(WEEK, 1, on="north").session_id
    every = list(names)
    assert isinstance(names, DrawnNames)
    assert [names[at] for at in range(len(names))] == every
    assert names[10:20] == names.take(np.arange(10, 20)) == tuple(every[10:20])
    assert all(name.startswith("north.") for name in every)
    assert any(name.endswith("~3") for name in every), "some user is drawn three times"
    assert max(map(len, every)) <= names.most_characters


def test_about_a_third_of_the_users_is_not_drawn_as_in_any_bootstrap():
    """(1 - 1/n)^n tends to 1/e."""
    users = set(WEEK.user_id)
    left_out = [1 - len({recorded(user) for user in resampled(WEEK, seed).user_id}) / len(users) for seed in range(30)]
    assert abs(np.mean(left_out) - np.exp(-1)) < 0.02


def test_the_mean_over_streets_is_that_of_the_recording():
    energies = [resampled(WEEK, seed).energy_ws.sum() for seed in range(200)]
    assert abs(np.mean(energies) / WEEK.energy_ws.sum() - 1) < 0.02
    assert np.std(energies) > 0.01 * np.mean(energies)


def test_a_seed_is_a_street_and_both_engines_run_it():
    streets = [load_street("b250", day=7, seed=seed, settings=YES) for seed in (1, 1, 2)]
    assert streets[0].sessions.session_id == streets[1].sessions.session_id != streets[2].sessions.session_id
    coarse = ["reading_s=150"]
    drawn, recorded = (load_street("b250", day=7, settings=[*coarse, *resample]) for resample in (YES, []))
    fleet, messages = (run_street(drawn, engine=engine) for engine in ("fleet", "messages"))
    assert fleet.trace_hash() == messages.trace_hash()
    assert fleet.trace_hash() != run_street(recorded, engine="fleet").trace_hash()


def test_a_recorded_run_can_be_run_again(tmp_path: Path):
    street = load_street("b250", day=7, settings=YES)
    (tmp_path / "again.toml").write_text(street.resolved_toml, encoding="utf-8")
    assert load_street(str(tmp_path / "again.toml")).sessions.session_id == street.sessions.session_id


def test_drawn_cars_need_no_drawing_anew(complaint):
    said = complaint(lambda: load_street("demo", settings=[*YES, "sessions.csv=", "sessions.generate=9"]))
    assert "sessions.generate draws other cars with every seed already; compare with --seeds 10" in said
