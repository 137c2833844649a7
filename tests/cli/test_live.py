"""``wattswap live``: in lockstep the trades of ``wattswap run``; on the wall clock a run that can be told again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.smalltown import found


def test_the_figures_are_those_of_run(say, tmp_path: Path):
    scenario = str(found(tmp_path))
    code, out, err = say("live", scenario, "--lockstep", "--processes", "2", "--json")
    assert (code, err) == (0, "")
    here, there = json.loads(out), json.loads(say("run", scenario, "--json")[1])
    left_out = {"timing", "events_hash", "messages", "messages_per_kwh"}  # no process sees all of these
    assert {key: value for key, value in here.items() if key not in left_out} == {
        key: value for key, value in there.items() if key not in left_out
    }
    assert here["events_hash"] is here["messages"] is None


def test_it_leaves_a_run_directory_with_tables_and_a_ledger(say, tmp_path: Path):
    code, _, err = say("live", str(found(tmp_path)), "--lockstep", "--processes", "each", "--out", "there")
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "there/run.json").read_text())["status"] == "complete"
    assert {"trades.parquet", "ledger.sqlite"} <= {path.name for path in (tmp_path / "there").iterdir()}


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--lockstep", "--speed", "60"), "choose one"),
        (("--speed", "1000"), "--speed 1000: a beat of 30 s would pass in 30 ms"),
        (("--speed", "0"), "0.0 is not in the range"),
        (("--lockstep", "--processes", "0"), "'0' is neither a number from 1 on nor 'each'"),
        (("--lockstep", "--processes", "many"), "'many' is neither"),
        (("--lockstep", "--set", "faults.loss_pct=2"), "in lockstep nothing is late or lost"),
        (("--lockstep", "--controller", "negotated"), "the nearest is 'negotiated'"),
    ],
)
def test_what_cannot_be_run_is_one_line(say, words, what):
    code, out, err = say("live", "demo", "--json", *words)
    assert (code, out, err.count("\n"), what in err) == (2, "", 1, True), err


def test_a_street_on_the_wall_clock_that_is_stopped_can_be_told_again(say, tmp_path: Path):
    """SIGTERM comes once some beats are in the journals; nothing is left running and nothing half written."""
    words = ("live", str(found(tmp_path)), "--speed", "1500", "--processes", "2", "--out", "there")
    command = [sys.executable, "-m", "wattswap", *words]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    journals = [tmp_path / f"there/journal/process-{number}.msgpack" for number in range(2)]
    until(lambda: sum(journal.stat().st_size for journal in journals if journal.exists()) > 1_400, running)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=60)
    heading, first, *_, last = err.splitlines()
    assert (running.returncode, out, last) == (130, "", "wattswap: interrupted; what there is lies in there")
    assert re.fullmatch(r".* 1500 times as fast as a clock: it takes 0:\d\d:\d\d, into there", heading)
    assert re.fullmatch(r"\d\d\.\d\d\. \d\d:\d\d  \d+ of \d+ kW, rounds so far: 0", first)
    assert len(children) == 2
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert json.loads((tmp_path / "there/run.json").read_text())["status"] == "interrupted"
    log = [json.loads(line)["event"] for line in (tmp_path / "there/log.jsonl").read_text().splitlines()]
    assert log.count("process started") == 2
    code, out, err = say("replay", "there", "--check")
    assert (code, err) == (0, "")
    assert out.startswith("identical: 2 processes, ")


def until(holds: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    """Wait for something, as long as the command runs."""
    end = time.monotonic() + 120
    while not holds():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
