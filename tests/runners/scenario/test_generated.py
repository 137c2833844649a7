"""Sessions drawn after the bundled week's, for a street that has a file of homes and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wattswap.runners.scenario import load_street

GENERATED = """\
start = 2024-01-01T00:00:00+01:00
days = 1
[transformer]
rating_va = 100_000
[base]
household_csv = "household.csv"
[sessions]
generate_pct = 40
homes = 50
"""


@pytest.fixture
def homes_only(folder: Path) -> str:
    (folder / "street.toml").write_text(GENERATED)
    (folder / "sessions.csv").unlink()
    return str(folder / "street.toml")


def test_a_street_starts_from_a_file_of_homes_alone_and_a_seed_tells_it_again(homes_only):
    first, again, other = (load_street(homes_only, seed=seed).sessions for seed in (1, 1, 2))
    assert 0 < len(first.session_id) <= 20 * 2
    assert len(set(first.vehicle_id)) <= 20
    assert (first.session_id, first.energy_ws.tolist()) == (again.session_id, again.energy_ws.tolist())
    assert first.energy_ws.tolist() != other.energy_ws.tolist()


def test_one_more_car_changes_nothing_about_the_others(homes_only):
    few, more = (
        load_street(homes_only, settings=["sessions.generate_pct=0", f"sessions.generate={cars}"]).sessions
        for cars in (20, 21)
    )
    assert more.session_id[: len(few.session_id)] == few.session_id
    assert more.energy_ws[: len(few.energy_ws)].tolist() == few.energy_ws.tolist()


def test_drawn_sessions_are_like_the_recorded_ones():
    settings = ["sessions.csv=", "sessions.generate=200"]
    drawn, recorded = (load_street("a400", settings=each).sessions for each in (settings, []))
    assert len(drawn.session_id) == pytest.approx(len(recorded.session_id), rel=0.15)
    assert drawn.energy_ws.mean() == pytest.approx(recorded.energy_ws.mean(), rel=0.1)
    stays = [np.median(each.departure_tick - each.arrival_tick) for each in (drawn, recorded)]
    assert stays[0] == pytest.approx(stays[1], rel=0.2)
    hours = [np.median(each.arrival_tick % 2880 / 120) for each in (drawn, recorded)]
    assert hours[0] == pytest.approx(hours[1], abs=1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["sessions.homes=0"], "sessions.generate_pct is a share of the homes; write how many there are"),
        (["sessions.generate=3"], "sessions.generate and sessions.generate_pct both say how many cars"),
        (["sessions.csv=household.csv"], "sessions.generate_pct draws sessions and sessions.csv names a file of them"),
    ],
)
def test_what_does_not_fit_together_is_refused(settings, said, homes_only, complaint):
    assert said in complaint(lambda: load_street(homes_only, settings=settings))
