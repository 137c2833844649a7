"""``wattswap city`` as it is called."""

from __future__ import annotations

import json
from pathlib import Path


def test_a_city_prints_its_sums_and_leaves_a_table_and_a_map(wattswap, tmp_path: Path):
    done = wattswap("city", "3", "--day", "7", "--out", "city", "--jobs", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 transformers, ")
    assert "had nobody given way" in done.stdout
    assert {path.name for path in (tmp_path / "city").iterdir()} == {"feeders.csv", "city.png"}
    figures = json.loads(wattswap("city", "3", "--day", "7", "--out", "city", "--jobs", "1", "--json").stdout)
    assert (figures["transformers"], figures["failed"]) == (3, 0)
    assert f"{figures['sessions']} charging sessions" in done.stdout


def test_a_city_that_cannot_be_is_one_line(wattswap):
    done = wattswap("city", "0", "--out", "city")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "wattswap: a city of 0 transformers: choose 1 to 10_000\n"
