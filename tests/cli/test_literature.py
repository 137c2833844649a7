"""``wattswap literature`` as it is called."""

from __future__ import annotations

import json
from pathlib import Path

SMALL = ("--arms", "none,negotiated", "--seeds", "1", "--transformers", "1", "--days", "1", "--jobs", "1")


def test_it_prints_a_table_and_leaves_one_and_a_picture(say, tmp_path: Path):
    code, told, errors = say("literature", *SMALL, "--out", "trial")
    assert (code, errors) == (0, "")
    assert told.startswith("1 virtual transformer of ten cars, 1 day, a limit drawn for each day; mean of 1 seed")
    assert {path.name for path in (tmp_path / "trial").iterdir()} == {"arms.csv", "arms.png"}
    figures = json.loads(say("literature", *SMALL, "--json")[1])
    assert list(figures["arms"]) == ["none", "negotiated"]
    assert figures["runs"]["none"] == [figures["arms"]["none"]]


def test_a_wrong_arm_is_one_line(say):
    code, told, errors = say("literature", "--arms", "nothing")
    assert (code, told) == (2, "")
    assert errors.startswith("wattswap: --arms: there is no arm 'nothing'; the nearest is")


def test_a_folder_that_cannot_be_is_one_line(say, tmp_path: Path):
    (tmp_path / "trial").write_text("a file", encoding="utf-8")
    code, told, errors = say("literature", *SMALL, "--out", "trial")
    assert (code, told) == (2, "")
    assert errors.startswith("wattswap: --out trial: cannot be written to")
