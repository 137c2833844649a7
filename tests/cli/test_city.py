"""``wattswap city`` as it is called."""

from __future__ import annotations

import json
from pathlib import Path


def test_a_city_prints_its_sums_and_leaves_a_table_and_a_map(say, tmp_path: Path):
    command = ("city", "3", "--day", "7", "--set", "reading_s=150", "--out", "city", "--jobs", "1")
    code, printed, err = say(*command)
    assert (code, err) == (0, "")
    assert printed.startswith("3 transformers, ")
    assert "had nobody given way" in printed
    assert {path.name for path in (tmp_path / "city").iterdir()} == {"feeders.csv", "city.png"}
    figures = json.loads(say(*command, "--json")[1])
    assert (figures["transformers"], figures["failed"]) == (3, 0)
    assert f"{figures['sessions']} charging sessions" in printed


def test_a_city_that_cannot_be_is_one_line(say):
    assert say("city", "0", "--out", "city") == (2, "", "wattswap: a city of 0 transformers: choose 1 to 10_000\n")
