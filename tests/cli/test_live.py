"""``wattswap live --lockstep``: the trades of ``wattswap run``, by processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.smalltown import found


def test_the_figures_are_those_of_run(say, tmp_path: Path):
    scenario = str(found(tmp_path))
    code, out, err = say("live", scenario, "--lockstep", "--processes", "2", "--json")
    assert (code, err) == (0, "")
    here, there = json.loads(out), json.loads(say("run", scenario, "--json")[1])
    left_out = {"timing", "events_hash"}
    assert {key: value for key, value in here.items() if key not in left_out} == {
        key: value for key, value in there.items() if key not in left_out
    }
    assert here["events_hash"] is None


def test_it_leaves_a_run_directory_with_tables_and_a_ledger(say, tmp_path: Path):
    code, _, err = say("live", str(found(tmp_path)), "--lockstep", "--processes", "each", "--out", "there")
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "there/run.json").read_text())["status"] == "complete"
    assert {"trades.parquet", "ledger.sqlite"} <= {path.name for path in (tmp_path / "there").iterdir()}


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "say --lockstep"),
        (("--lockstep", "--processes", "0"), "'0' is neither a number from 1 on nor 'each'"),
        (("--lockstep", "--processes", "many"), "'many' is neither"),
        (("--lockstep", "--set", "faults.loss_pct=2"), "in lockstep nothing is late or lost"),
        (("--lockstep", "--controller", "negotated"), "the nearest is 'negotiated'"),
    ],
)
def test_what_cannot_be_run_is_one_line(say, words, what):
    code, out, err = say("live", "demo", "--json", *words)
    assert (code, out, err.count("\n"), what in err) == (2, "", 1, True), err
