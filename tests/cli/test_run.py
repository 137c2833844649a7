"""``wattswap run``: what is printed, what is written, and what is said of input that cannot be used."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from wattswap.cli import main
from wattswap.experiments import api
from wattswap.experiments.tables import TABLES
from wattswap.protocol.errors import InputError
from wattswap.runners.recording.rundir import read_run

FAST = ("--engine", "fleet")
COARSE = ("--set", "reading_s=300")
"""A run in a tenth of the time, where the street itself is not what is looked at."""
KEYS = (
    "scenario controller strategy engine seed limit_w peak_w overload_s overload_wh sessions sessions_short"
    " sessions_open unserved_wh deferred_wh waiting_wh_h fed_back_wh forced_wh rounds choices paid_nanos billed_nanos"
    " jain_waiting jain_tokens ageing_h baseline_ageing_h hot_spot_c baseline_hot_spot_c deferral_eur_per_year"
    " upgrade_eur messages messages_per_kwh oscillations stops stops_total fallback_unsafe_w trace_hash events_hash"
    " faults settlement feeders timing near_limit_s waiting_cost_nanos sellers sellers_losing rent_open_nanos"
    " sellers_gain_nanos feeding_cost_nanos"
    " eur_per_iota homes_over_s homes_over_w gave_way gave_way_full gave_way_short gave_way_open"
    " called gini_waiting gini_tokens by_strategy notes baseline_overload_s"
)


def test_json_is_one_object_on_stdout_and_nothing_else_anywhere(wattswap, tmp_path: Path):
    done = wattswap("run", "demo", *FAST, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    figures = json.loads(done.stdout)
    assert sorted(figures) == sorted(KEYS.split())
    assert set(figures["choices"]) == {"keep", "reduce", "feed"}
    assert set(figures["timing"]) == {"wall_s", "vehicle_steps_per_s"}
    assert (figures["scenario"], figures["controller"], figures["engine"]) == ("demo", "negotiated", "fleet")
    assert figures["strategy"] == "need:0.6+prosumer:0.2+keep:0.2"
    assert figures["events_hash"] is None
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("without_report")
def test_what_a_run_has_to_note_stands_in_its_json_too(say):
    """A reserve under which nobody can feed back, for example."""
    command = ("run", "demo", *FAST, *COARSE, "--set", "market.reserve_nanos_per_kwh_h=100_000_000")
    _, out, _ = say(*command, "--json")
    (note,) = json.loads(out)["notes"]
    assert note.startswith("vehicles: nobody feeds back, since a kWh fed earns at most")
    _, _, err = say(*command)
    assert f"Note: {note}" in err


def test_a_run_prints_what_was_achieved_and_leaves_a_directory_that_can_be_run_again(say, tmp_path: Path):
    code, printed, err = say("run", "demo", *FAST)
    assert (code, err) == (0, "")
    for words in (
        "min over the limit",
        "of 42 sessions that gave way",
        "left full",
        "nobody in control",
        "deferred",
        "fed back",
        "IOTA",
        "1,010 EUR a year",
        "Note: a larger transformer is assumed to cost 20,000 EUR (upgrade_eur).",
    ):
        assert words in printed
    (path,) = (tmp_path / "runs").iterdir()
    assert re.search(rf"Run directory: runs/{path.name} \([\d.]+ MB\)", printed)
    assert path.name.endswith("-demo-negotiated-s1")
    run = read_run(path)
    assert run.status == "complete"
    assert run.uncontrolled is not None
    assert run.uncontrolled["overload_s"] > run.figures["overload_s"] == 0
    for table in (*TABLES, "uncontrolled"):
        assert run.columns(table)
    assert {entry.name for entry in path.iterdir()} >= {"scenario.toml", "ledger.sqlite", "log.jsonl", "report.html"}
    assert tomllib.loads((path / "scenario.toml").read_text(encoding="utf-8"))["inputs"]
    assert [json.loads(line)["event"] for line in (path / "log.jsonl").read_text(encoding="utf-8").splitlines()] == [
        "run started",
        "figures",
        "run finished",
    ]
    (path / "report.html").unlink()
    assert say("report", f"runs/{path.name}") == (0, printed, "")
    assert (path / "report.html").is_file()
    _, again, _ = say("run", f"runs/{path.name}/scenario.toml", *FAST, "--json")
    assert json.loads(again)["trace_hash"] == run.figures["trace_hash"]


def test_a_transformer_hotter_than_the_standard_covers_has_no_figure_for_its_life(say):
    """A fifth of what the street needs, with nobody in control."""
    code, printed, _ = say(
        "run", "demo", *FAST, *COARSE, "--controller", "uncontrolled", "--set", "transformer.rating_va=80_000"
    )
    assert code == 0
    assert "beyond IEC 60076-7" in printed
    assert "over 180 °C" in printed


def test_options_reach_the_run(say):
    args = ("--day", "2", "--seed", "3", "--strategy", "keep", "--set", "transformer.limit_w=100_000")
    _, out, _ = say("run", "a400", *FAST, *COARSE, *args, "--controller", "uncontrolled", "--json")
    figures = json.loads(out)
    assert (figures["seed"], figures["strategy"], figures["limit_w"]) == (3, "keep", 100_000)
    assert (figures["controller"], figures["rounds"]) == ("uncontrolled", 0)
    assert figures["overload_s"] > 0


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("demmo",), "did you mean demo?"),
        (("./demo.toml",), "there is no such scenario file"),
        (("demo", "--controller", "uncontroled"), "the nearest is 'uncontrolled'"),
        (("demo", "--strategy", "ned:0.5+keep"), "the nearest is 'need'"),
        (("demo", "--strategy", "mine.py:f"), "no such file; write FILE.py:FUNCTION"),
        (("demo", "--engine", "fleat"), "the nearest is 'fleet'"),
        (("demo", "--seed", "one"), "'one' is not a valid integer"),
        (("demo", "--seed", "-1"), "--seed -1"),
        (("demo", "--day", "9"), "--day 9"),
        (("demo", "--set", "vehicles.curv=taper"), "did you mean vehicles.curve?"),
        (("demo", "--set", "faults.loss_pct=5"), "use --engine messages"),
        (("demo", "--ledger", "momory"), "say memory, sqlite:FILE, or the URL of an IOTA node"),
        (("demo", "--controler", "edf"), "--controller"),
        (("demo", "more"), "unexpected extra argument"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_leaves_nothing(
    tmp_path: Path, monkeypatch, capsys, args, what: str
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["run", *FAST, *args, "--out", "here/and/there"])
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert what in err
    assert err.startswith("wattswap: ")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_a_driver_says_is_seen_to_be_heard(say):
    words = ("run", "demo", *FAST, "--set", "reading_s=300", "--at", "19:20", "car=TRD-3472", "veto")
    code, _, err = say(*words)
    assert code == 0
    assert "Note: 19:20, the driver of TRD-3472 says veto\n" in err
    assert "says" not in say(*words, "--json")[2]


def test_a_folder_with_something_in_it_is_not_written_to(say, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    code, _, err = say("run", "demo", *FAST, "--out", ".")
    assert code == 2
    assert "name a new or an empty one" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_ctrl_c_leaves_a_directory_that_says_so(tmp_path: Path):
    command = [sys.executable, "-m", "wattswap", "run", "a400", *FAST, "--out", "here"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not (tmp_path / "here" / ".series.parquet.part").exists():  # the first portion is about to be written
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "interrupted; what there is lies in here" in err
    assert "Traceback" not in err
    run = read_run(tmp_path / "here")
    assert run.status == "interrupted"
    assert 0 < len(run.columns("series")["t_ms"]) < 20_160
    assert run.figures["scenario"] == "a400"


def test_without_the_extras_a_run_says_what_it_left_out(tmp_path: Path):
    """On a Raspberry Pi there is no pandas, pyarrow or matplotlib."""
    script = (
        "import sys\n"
        "for name in ('pandas', 'pyarrow', 'matplotlib', 'mesa', 'scipy'): sys.modules[name] = None\n"
        "from wattswap.cli import main\n"
        "main(['run', 'demo', '--engine', 'fleet', '--set', 'reading_s=300', '--out', 'here'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "tables were left out" in done.stdout
    assert "report.html was left out" in done.stdout
    assert read_run(tmp_path / "here").status == "complete"


def test_a_strategy_found_wanting_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch):
    def refused(*args, **kwargs):
        raise InputError("strategy 'mine.py:f' offers a negative power")

    monkeypatch.setattr("wattswap.experiments.run_job.start_run", refused)
    with pytest.raises(InputError, match="negative power"):
        api.run("demo", out=tmp_path / "runs" / "one")
    assert not list(tmp_path.iterdir())


def test_our_own_bug_is_a_traceback_and_a_directory_marked_failed(tmp_path: Path, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("our bug")

    monkeypatch.setattr("wattswap.experiments.run_job.start_run", broken)
    with pytest.raises(ZeroDivisionError):
        api.run("demo", out=tmp_path / "here")
    assert read_run(tmp_path / "here").status == "failed"
    assert "our bug" in (tmp_path / "here" / "log.jsonl").read_text(encoding="utf-8")


def test_a_run_from_python_has_tables_and_a_twin():
    result = api.run("demo", engine="fleet", settings=["base.noise_pct=0", "reading_s=300"])
    assert result.out is None
    assert len(result.series) == 36 * 12
    assert result.trades["nanos"].sum() == result.summary["paid_nanos"]
    assert len(result.rounds) == result.summary["rounds"]
    assert len(result.sessions) == result.summary["sessions"]
    assert result.uncontrolled["overload_s"] > 0
    assert result.twin.uncontrolled is result.uncontrolled


STRATEGIES = """
from wattswap.agents.offers import OfferBook

def prints(call, own, memory, draws):
    print("hello")
    return OfferBook.keep(own)

def leaves(call, own, memory, draws):
    raise SystemExit(3)
"""


@pytest.mark.parametrize(
    "command",
    [("run", *FAST), ("compare", "--controllers", "negotiated", "--seeds", "2", "--jobs", "2", "--out", "there")],
)
def test_what_a_strategy_prints_stays_out_of_what_the_command_prints(wattswap, tmp_path: Path, command):
    (tmp_path / "mine.py").write_text(STRATEGIES, encoding="utf-8")
    option = "--strategy" if command[0] == "run" else "--strategies"
    done = wattswap(*command, "demo", *COARSE, option, "mine.py:prints", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert "hello" in done.stderr


def test_a_strategy_that_ends_the_process_is_refused_in_one_line(wattswap, tmp_path: Path):
    (tmp_path / "mine.py").write_text(STRATEGIES, encoding="utf-8")
    done = wattswap("run", "demo", *FAST, "--strategy", "mine.py:leaves")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "raises SystemExit: 3" in done.stderr


def test_a_report_that_cannot_be_written_is_a_note_below_the_table(tmp_path: Path):
    """On a read-only medium, or a full one; here no file may grow beyond 50 kB."""
    api.run("demo", engine="fleet", settings=["reading_s=300"], out=tmp_path / "here")
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "from wattswap.cli import main\nmain(['report', 'here'])"
    )
    before = b"a page of an earlier version"
    (tmp_path / "here" / "report.html").write_bytes(before)
    done = subprocess.run(
        [sys.executable, "-c", limited], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Highest load" in done.stdout
    assert "Note: report.html was not written: File too large" in done.stdout
    assert (tmp_path / "here" / "report.html").read_bytes() == before
