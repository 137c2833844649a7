"""``wattswap city`` as it is called."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from wattswap.cli.city import _told
from wattswap.experiments.city import City
from wattswap.experiments.city_table import FIGURES


def test_a_city_prints_its_sums_and_leaves_a_table_and_a_map(say, tmp_path: Path):
    command = ("city", "3", "--day", "7", "--set", "reading_s=150", "--out", "city", "--jobs", "1")
    code, printed, err = say(*command)
    assert (code, err) == (0, "")
    assert printed.startswith("3 transformers, ")
    assert "had nobody given way" in printed
    assert {path.name for path in (tmp_path / "city").iterdir()} == {"city.toml", "feeders.csv", "city.png"}
    figures = json.loads(say(*command, "--json")[1])
    assert (figures["transformers"], figures["failed"]) == (3, 0)
    assert f"{figures['sessions']} charging sessions" in printed


def test_a_city_tells_open_rent_beside_what_was_paid_and_whether_feeding_helped_where_waiting_cannot():
    row = dict.fromkeys(FIGURES, 0) | {"error": "", "homes_over_s": 3_600, "baseline_overload_s": 7_200}
    row |= {"paid_nanos": 3_628 * 10**9, "rent_open_nanos": 2_045 * 10**9, "waiting_cost_nanos": 5_573 * 10**9}
    said = _told(City([row]))
    rent = "for 3,628 IOTA, and 2,045 more in rent that was still running; waiting cost the cars 5,573"
    assert rent in said
    assert "of these homes alone: 1.0, where waiting cannot help, but cars that feed did" in said
    assert "feeding" not in said
    fed = _told(City([row | {"fed_back_wh": 2_000, "feeding_cost_nanos": 7 * 10**9}]))
    assert "waiting cost the cars 5,573, and feeding 7" in fed
    still_over = _told(City([row | {"overload_s": 3_600, "rent_open_nanos": 0}]))
    assert "of these homes alone: 1.0, which no car that waits can help" in still_over
    assert "for 3,628 IOTA; waiting" in still_over


def test_a_full_disk_under_the_picture_is_one_line(say, monkeypatch, tmp_path: Path):
    figure = pytest.importorskip("matplotlib.figure")

    def savefig(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(figure.Figure, "savefig", savefig)
    words = ("1", "--day", "7", "--set", "reading_s=300", "--jobs", "1", "--out", str(tmp_path / "city"))
    code, out, err = say("city", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "not writable any more (No space left on device); all transformers are in its table" in err


def test_a_city_that_cannot_be_is_one_line(say):
    assert say("city", "0", "--out", "city") == (2, "", "wattswap: a city of 0 transformers: choose 1 to 10_000\n")


def test_a_city_is_written_as_a_scenario_to_change_and_run(say, tmp_path: Path):
    assert say("scenarios", "new", "town.toml", "--city", "2", "--seed", "5") == (
        0,
        "Wrote town.toml, 2 transformers. Then: wattswap city town.toml --day 7 --out town\n",
        "",
    )
    command = ("city", "town.toml", "--day", "7", "--set", "reading_s=150", "--out", "town", "--jobs", "1", "--json")
    code, printed, err = say(*command)
    assert (code, err, json.loads(printed)["transformers"]) == (0, "", 2)
    assert {path.name for path in (tmp_path / "town").iterdir()} == {"feeders.csv", "city.png"}
    code, _, err = say("scenarios", "new", "town.toml", "--city", "3")
    assert (code, err) == (2, "wattswap: town.toml: there is something there already; choose another name\n")
    assert say("scenarios", "new", "x.toml", "--city", "0") == (
        2, "", "wattswap: a city of 0 transformers: choose 1 to 10_000\n"
    )  # fmt: skip
    assert say("scenarios", "new", "x.toml", "--seed", "3")[2].startswith("wattswap: --seed: only with --city")
    assert not (tmp_path / "x.toml").exists()
