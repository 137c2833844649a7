"""A city is as many streets as it has transformers: each is what a run of it alone is, and a second start goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wattswap.experiments import run
from wattswap.experiments.city import FEEDERS_CSV, FIGURES, KINDS, City, run_city
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.side_by_side import have_one_grid
from wattswap.runners.scenario import load_street

DAY = 7
COARSE = ["reading_s=150"]


@pytest.fixture(scope="module")
def city() -> City:
    return run_city(7, day=DAY, settings=COARSE, jobs=1)


def test_every_transformer_is_the_run_of_its_street_alone(city: City):
    for row in city.rows[:3]:
        alone = run(
            row["street"], day=DAY, seed=row["seed"], settings=[*COARSE, "sessions.resample=yes"], engine="fleet"
        )
        assert {name: row[name] for name in FIGURES} == {name: alone.summary[name] for name in FIGURES}


def test_streets_of_all_kinds_share_a_pass_but_for_those_of_another_grid_or_market():
    alike = [load_street(kind, day=DAY, settings=COARSE) for kind in KINDS]
    assert have_one_grid(alike)
    assert not have_one_grid([*alike, load_street("a400", day=DAY, settings=["reading_s=75"])])
    assert not have_one_grid([*alike, load_street("a400", day=DAY, settings=[*COARSE, "market.feed_h=3"])])


def test_streets_differ_and_all_kinds_occur_and_sums_are_sums(city: City):
    assert {row["street"] for row in city.rows} == set(KINDS)
    assert len({(row["street"], row["sessions"], row["paid_nanos"]) for row in city.rows}) == 7
    assert city.total("sessions") == sum(row["sessions"] for row in city.rows)
    assert city.over("baseline_overload_s") == sum(row["baseline_overload_s"] >= 60 for row in city.rows) > 0
    assert city.total("overload_s") < city.total("baseline_overload_s"), "the negotiation helps somebody"


def test_a_city_that_was_interrupted_goes_on_and_comes_to_the_same(city: City, tmp_path: Path):
    first: list[int] = []

    def stop(done: int) -> None:
        first.append(done)
        if done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_city(7, day=DAY, settings=COARSE, jobs=1, out=tmp_path / "city", progress=stop)
    with (tmp_path / "city" / FEEDERS_CSV).open("a", encoding="utf-8") as table:
        table.write("6,a400,1")  # the power failed in the middle of a row
    again: list[int] = []
    whole = run_city(7, day=DAY, settings=COARSE, jobs=1, out=tmp_path / "city", progress=again.append)
    assert again[0] >= 3
    assert again[-1] == 7
    assert whole.rows == city.rows
    third: list[int] = []
    assert run_city(7, day=DAY, settings=COARSE, jobs=1, out=tmp_path / "city", progress=third.append).rows == city.rows
    assert third == [7], "nothing is made again"


def test_another_city_in_the_folder_is_refused(tmp_path: Path):
    run_city(1, day=DAY, settings=COARSE, jobs=1, out=tmp_path)
    with pytest.raises(InputError, match=r"another city lies there \(seed 1, day 7, .*sessions.resample=yes\)"):
        run_city(1, day=DAY, settings=COARSE, jobs=1, out=tmp_path, seed=2)


@pytest.mark.parametrize(("feeders", "settings"), [(0, []), (10_001, []), (2, ["market.nothing=1"])])
def test_what_cannot_be_is_refused_before_anything_is_run(feeders: int, settings: list[str]):
    with pytest.raises(InputError):
        run_city(feeders, day=DAY, settings=settings, jobs=1)


def test_the_map_has_every_transformer_in_the_same_place_of_both_panels(city: City):
    pytest.importorskip("matplotlib")
    before, after, *_ = city.plot().axes
    arrays = [axes.images[0].get_array() for axes in (before, after)]
    shown = [np.ma.compressed(cells) for cells in arrays if cells is not None]
    assert [len(cells) for cells in shown] == [7, 7]
    hours = sorted((row["baseline_overload_s"] / 3_600 for row in city.rows), reverse=True)
    assert shown[0].tolist() == pytest.approx(hours)
    of = {row["baseline_overload_s"]: row["overload_s"] / 3_600 for row in city.rows}
    assert shown[1].tolist() == pytest.approx([of[round(hour * 3_600)] for hour in hours])
