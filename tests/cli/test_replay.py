"""``wattswap replay``: as a user meets it, after a run that ended well, by Ctrl-C, or not of its own accord."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.smalltown import found, journal_of, run_into

from wattswap.agents import law
from wattswap.cli import main
from wattswap.runners.recording.rundir import read_run

LONG = ("--set", "reading_s=30", "--set", "window_s=60")
"""What makes the small street's day long enough to be interrupted."""


def replayed(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """``wattswap replay ARGS``: its exit code and what it said."""
    with pytest.raises(SystemExit) as left:
        main(["replay", *args])
    assert isinstance(left.value.code, int)
    return left.value.code, *capsys.readouterr()


def test_a_run_is_replayed_and_found_identical_in_one_line(say, tmp_path: Path):
    run_dir = run_into(tmp_path)
    written = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    identical = "identical: all 288 ticks; tables compared: series, rounds, trades, sessions, cars, owed\n"
    assert say("replay", "run", "--check") == (0, identical, "")
    assert written == {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}


def stopped(folder: Path, by: signal.Signals) -> Path:
    """A run directory of a real process that was stopped on the way."""
    command = [sys.executable, "-m", "wattswap", "run", str(found(folder)), *LONG, "--out", "here"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        journal = journal_of(folder / "here")
        while not journal.exists() or journal.stat().st_size < 135_000:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, by)
        process.wait(timeout=30)
    return folder / "here"


def test_a_run_that_was_interrupted_is_replayed_to_its_end(tmp_path: Path, capsys):
    run_dir = stopped(tmp_path, signal.SIGINT)
    run = read_run(run_dir)
    assert run.status == "interrupted"
    code, out, err = replayed(capsys, str(run_dir), "--check")
    assert (code, err) == (0, "")
    assert out.startswith("identical: ")
    assert " of 2880 ticks, the journal is unfinished and ends at 2024-01-01 " in out
    assert "for the run was interrupted; tables compared: series, rounds, trades, sessions, owed\n" in out
    ticks = int(out.split()[1])
    assert len(run.columns("series")["t_ms"]) in {ticks - 1, ticks}


def test_after_a_power_cut_the_tables_are_rebuilt_from_the_journal(tmp_path: Path, capsys):
    run_dir = stopped(tmp_path, signal.SIGKILL)
    left = {path.name for path in run_dir.iterdir() if not path.name.endswith(".parquet.part")}
    assert left == {"run.json", "scenario.toml", "journal", "log.jsonl"}
    code, out, err = replayed(capsys, str(run_dir))
    assert (code, err) == (0, "")
    assert "ticks, the journal is unfinished and ends at" in out
    assert "wrote series.parquet, rounds.parquet" in out
    run = read_run(run_dir)
    assert not list(run_dir.glob(".*.part")), "what was half written is written whole"
    assert run.status == "interrupted"
    assert run.figures["sessions"]
    assert len(run.columns("series")["t_ms"]) > 1_800
    assert replayed(capsys, str(run_dir), "--check")[1].startswith("identical: ")


def test_without_the_extras_the_agents_are_compared_and_the_tables_left_out(tmp_path: Path):
    """On a Raspberry Pi there is no pandas and no pyarrow."""
    found(tmp_path)
    script = (
        "import sys\n"
        "for name in ('pandas', 'pyarrow', 'matplotlib', 'mesa', 'scipy'): sys.modules[name] = None\n"
        "from wattswap.cli import _code\n"
        "assert _code(['run', 'smalltown.toml', '--out', 'here', '--json']) == 0\n"
        "assert _code(['replay', 'here', '--check']) == 0\n"
        "sys.exit(_code(['replay', 'here']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "identical: all 288 ticks; there are no tables to compare\n" in done.stdout
    assert done.stdout.endswith(
        "replayed: all 288 ticks; wrote nothing\n"
        "Note: tables were left out, they need pyarrow: pip install 'wattswap[sim]'\n"
    )


def _a_watt_more(found: law.Assessment) -> law.Assessment:
    return found._replace(need_w=found.need_w + (found.need_w > 0))


@pytest.mark.parametrize("args", [("--check",), ()], ids=["check", "rebuild"])
def test_a_difference_is_a_readable_pair_and_nothing_is_written(tmp_path: Path, monkeypatch, capsys, args):
    assess = law.assess
    run_dir = run_into(tmp_path)
    (run_dir / "series.parquet").unlink()
    monkeypatch.setattr(law, "assess", lambda *of: _a_watt_more(assess(*of)))
    code, out, err = replayed(capsys, str(run_dir), *args)
    assert (code, err) == (1, "")
    assert not (run_dir / "series.parquet").exists()
    first, what, recorded, again, *more = out.splitlines()
    tick = read_run(run_dir).columns("rounds")["tick"][0]
    assert first.startswith(f"different from tick {tick} on, 2024-01-01 ")
    assert what == "the hash of all events and effects so far"
    assert recorded.startswith("  recorded: ")
    assert again.startswith("  replayed: ")
    assert more[0] == "rounds, row 0"
    assert "need_w" in more[1]
    assert more[-1] == "Note: a run with --journal full shows the first event that differs."


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("nowhere",), "no such run directory"),
        ((".",), "this is no run directory"),
        ((), "missing argument"),
    ],
)
def test_what_cannot_be_replayed_is_one_line_with_exit_code_2(tmp_path: Path, monkeypatch, capsys, args, what: str):
    monkeypatch.chdir(tmp_path)
    code, out, err = replayed(capsys, *args)
    assert (code, out) == (2, "")
    assert what in err.lower()
    assert err.count("\n") == 1


def of_another_version(run_dir: Path) -> None:
    journal = journal_of(run_dir)
    journal.write_bytes(journal.read_bytes().replace(b"format_version\x03", b"format_version\x07"))


def with_a_hole(run_dir: Path) -> None:
    journal = journal_of(run_dir)
    written = journal.read_bytes()
    journal.write_bytes(written[:9_000] + written[9_050:])


def with_another_scenario(run_dir: Path) -> None:
    scenario = run_dir / "scenario.toml"
    scenario.write_text(scenario.read_text(encoding="utf-8").replace("margin_pct = 4", "margin_pct = 5"), "utf-8")


def with_other_data(run_dir: Path) -> None:
    sessions = run_dir.parent / "sessions.csv"
    sessions.write_text(sessions.read_text(encoding="utf-8").replace("user-3", "user-9"), "utf-8")


@pytest.mark.parametrize("args", [("--check",), ()], ids=["check", "rebuild"])
@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (of_another_version, "journal of format version 7, this version reads 3; use wattswap "),
        (with_a_hole, "damaged after tick "),
        (with_another_scenario, "not the scenario of this journal"),
        (with_other_data, "not the file this scenario was recorded with"),
    ],
)
def test_a_journal_that_does_not_fit_is_one_line_and_nothing_is_overwritten(
    tmp_path: Path, capsys, damage, what: str, args
):
    run_dir = run_into(tmp_path)
    (run_dir / "trades.parquet").unlink()
    damage(run_dir)
    there = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, err = replayed(capsys, str(run_dir), *args)
    assert (code, out) == (2, "")
    assert what in err
    assert err.count("\n") == 1
    assert there == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_complete_run_whose_journal_is_torn_is_found_out_and_nothing_is_overwritten(tmp_path: Path, capsys):
    run_dir = run_into(tmp_path)
    journal = journal_of(run_dir)
    journal.write_bytes(journal.read_bytes()[:-2_000])
    there = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    code, out, err = replayed(capsys, str(run_dir))
    assert (code, err) == (1, "")
    assert out.startswith("different from tick 2")
    assert "the journal ends too early\n  recorded: 288 ticks and the journal's end\n  replayed: 2" in out
    assert there == {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("--journal", "ful"), "the nearest is 'full'"),
        (("--journal", "full", "--engine", "fleet", "--out", "here"), "the fleet engine sends no messages"),
        (("--journal", "full", "--json"), "name one with --out"),
    ],
)
def test_a_journal_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch, capsys, args, what: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["run", "demo", *args])
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    assert what in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_run_may_do_without_a_journal(tmp_path: Path, capsys):
    run_dir = run_into(tmp_path, journal="none")
    assert not (run_dir / "journal").exists()
    assert "run the scenario again with --journal inputs" in replayed(capsys, str(run_dir))[2]
