"""Comparisons of runs: on a Mac, and with a strategy whose helpers change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MINE = """\
import sys

from wattswap.agents.offers import OfferBook

sys.path.insert(0, ".")
from helper import ASK


def f(call, own, memory, draws):
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=ASK)
"""
AS_ON_MACOS = """\
import os, sys

from wattswap.cli import main

del os.sched_getaffinity
sys.argv = ["wattswap", "compare", "street.toml", "--seeds", "1", "--out", "out"]
main()
"""
STAY = "1,C1,2018-11-20T17:00:00+01:00,2018-11-21T07:00:00+01:00,20,anna"


def test_a_comparison_without_jobs_works_where_nobody_knows_the_usable_processors(case: Path, sessions):
    sessions(STAY)
    done = subprocess.run([sys.executable, "-c", AS_ON_MACOS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (case / "out" / "results.csv").is_file()


def test_a_comparison_does_not_go_on_with_runs_that_other_code_made(case: Path, sessions, say):
    """The strategy's own file stays as it was; what it imports does not."""
    sessions(STAY)
    (case / "mine.py").write_text(MINE)
    (case / "helper.py").write_text("ASK = 1_000_000\n")
    command = [sys.executable, "-m", "wattswap", "compare", "street.toml", "--controllers", "negotiated"]
    command += ["--strategies", "./mine.py:f", "--jobs", "1", "--out", "out", "--seeds"]
    first = subprocess.run([*command, "1"], capture_output=True, text=True, check=False)
    assert (first.returncode, first.stderr) == (0, "")
    (case / "helper.py").write_text("ASK = 500_000_000\n")
    second = subprocess.run([*command, "2"], capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "made from other inputs" in second.stderr
    assert second.stderr.count("\n") == 1
