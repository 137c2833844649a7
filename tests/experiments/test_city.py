"""A city is as many feeders as it has transformers: each is what a run of it alone is, and a second start goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wattswap.experiments import run
from wattswap.experiments.city import CITY_TOML, City, plan_city, run_city
from wattswap.experiments.city_table import FEEDERS_CSV, FIGURES
from wattswap.protocol.errors import InputError
from wattswap.runners.engines.side_by_side import have_one_grid
from wattswap.runners.scenario import Source, load_street, resolved_toml
from wattswap.runners.scenario.city_file import KINDS

DAY = 7
COARSE = ["reading_s=150"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cities")


@pytest.fixture(scope="module")
def city(folder: Path) -> City:
    return run_city(7, day=DAY, settings=COARSE, jobs=1, out=folder / "drawn")


def test_every_transformer_is_the_run_of_a_scenario_with_it_alone(city: City, folder: Path):
    source = plan_city(str(folder / "drawn" / CITY_TOML), folder, settings=COARSE).source
    for number, row in list(enumerate(city.rows))[:3]:
        one = Source(source.scenario.only([number]), source.folder)
        (folder / f"{number}.toml").write_text(resolved_toml(one, {}))
        alone = run(str(folder / f"{number}.toml"), day=DAY, engine="fleet")
        assert {name: row[name] for name in FIGURES} == {name: alone.summary[name] for name in FIGURES}


def test_a_city_is_one_scenario_whose_run_pays_what_its_rows_add_up_to(city: City, folder: Path):
    whole = run(str(folder / "drawn" / CITY_TOML), day=DAY, settings=COARSE, engine="fleet")
    for figure in ("sessions", "rounds", "deferred_wh", "paid_nanos"):
        assert city.total(figure) == pytest.approx(whole.summary[figure], abs=4)
    assert city.total("paid_nanos") == whole.summary["paid_nanos"]


def test_a_drawn_city_is_that_of_its_file_and_a_changed_file_is_another(city: City, folder: Path):
    path = folder / "changed.toml"
    text = (folder / "drawn" / CITY_TOML).read_text()
    path.write_text(text)
    assert run_city(str(path), day=DAY, settings=COARSE, jobs=1).rows == city.rows
    first = "seed = 1\n[feeder.transformer]"
    assert text.count(first) == 1
    path.write_text(text.replace(first, first.replace("1", "99")))
    changed = run_city(str(path), day=DAY, settings=COARSE, jobs=1).rows
    assert changed[0] != city.rows[0]
    assert changed[1:] == city.rows[1:], "a feeder's own seed is nobody else's"


def test_a_scenario_that_lists_no_feeders_is_a_city_of_one():
    (row,) = run_city("b250", day=DAY, settings=COARSE, jobs=1).rows
    alone = run("b250", day=DAY, settings=COARSE, engine="fleet")
    assert {name: row[name] for name in FIGURES} == {name: alone.summary[name] for name in FIGURES}


def test_streets_of_all_kinds_share_a_pass_but_for_those_of_another_grid_or_market():
    alike = [load_street(kind.name, day=DAY, settings=COARSE) for kind in KINDS]
    assert have_one_grid(alike)
    assert not have_one_grid([*alike, load_street("a400", day=DAY, settings=["reading_s=75"])])
    assert not have_one_grid([*alike, load_street("a400", day=DAY, settings=[*COARSE, "market.feed_h=3"])])


def test_streets_differ_and_all_kinds_occur_and_sums_are_sums(city: City):
    assert {row["feeder"].partition("-")[0] for row in city.rows} == {kind.name for kind in KINDS}
    assert len({(row["sessions"], row["homes_over_s"], row["paid_nanos"], row["peak_w"]) for row in city.rows}) == 7
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
        table.write("a400-7,7,1")  # the power failed in the middle of a row
    again: list[int] = []
    whole = run_city(7, day=DAY, settings=COARSE, jobs=1, out=tmp_path / "city", progress=again.append)
    assert again[0] >= 3
    assert again[-1] == 7
    assert whole.rows == city.rows
    (tmp_path / "city" / CITY_TOML).write_text("")  # nor is a scenario that a full disk emptied
    third: list[int] = []
    assert run_city(7, day=DAY, settings=COARSE, jobs=1, out=tmp_path / "city", progress=third.append).rows == city.rows
    assert third == [7], "nothing is made again"


@pytest.mark.usefixtures("city")
def test_another_city_in_the_folder_is_refused(folder: Path, tmp_path: Path):
    lies_there = r"another city lies there \(city \(\w{16}\), seed 1, day 7, reading_s=150\)"
    drawn = folder / "drawn" / CITY_TOML
    run_city(str(drawn), day=DAY, settings=COARSE, jobs=1, out=folder / "drawn")
    with pytest.raises(InputError, match=lies_there):
        run_city(str(drawn), day=DAY, settings=COARSE, jobs=1, out=folder / "drawn", seed=2)
    drawn.with_name("other.toml").write_text(drawn.read_text().replace("margin_pct = 4", "margin_pct = 5"))
    with pytest.raises(InputError, match=lies_there):
        run_city(str(drawn.with_name("other.toml")), day=DAY, settings=COARSE, jobs=1, out=folder / "drawn")
    (tmp_path / CITY_TOML).write_text("changed by hand")
    with pytest.raises(InputError, match=r"city.toml: another city lies there; run that one by its name"):
        run_city(1, day=DAY, settings=COARSE, jobs=1, out=tmp_path)
    assert (tmp_path / CITY_TOML).read_text() == "changed by hand"


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


def test_the_map_outlines_those_that_are_still_over_their_limits_and_counts_them():
    pytest.importorskip("matplotlib")
    from wattswap.experiments.plots.city_map import city_map

    over_s = [0, 59, 60, 900]
    rows = [{"error": "", "baseline_overload_s": 43_200 - at, "overload_s": s} for at, s in enumerate(over_s)]
    before, after, *_ = city_map(rows).axes
    assert not before.collections
    (outlines,) = after.collections
    middles = [path.get_extents().get_points().mean(axis=0).tolist() for path in outlines.get_paths()]
    assert middles == [pytest.approx([0, 1]), pytest.approx([1, 1])], "the second row: a minute, and 15"
    key = after.get_legend()
    assert key is not None
    assert [text.get_text() for text in key.get_texts()] == ["still over the limit: 2, the longest for 15 min"]
    assert city_map([row | {"overload_s": 0} for row in rows]).axes[1].get_legend() is None
