"""``wattswap compare``: what is printed, what is left, and how it is asked wrongly."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
from html import unescape
from pathlib import Path

import pytest

from wattswap.cli import main

FAST = ("--set", "reading_s=300", "--jobs", "1", "--seeds", "2")
FAILS = """
from wattswap.agents.offers import OfferBook

def fails(call, own, memory, draws):
    if call.need_w.min() < 50_000:  # the trial before a run asks for more
        raise ZeroDivisionError("not for so little")
    return OfferBook.keep(own)
"""
DISCLOSED = ("--set", "vehicles.disclose=departure")


def run_main(*args: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["compare", *args])
    code = left.value.code
    assert isinstance(code, int)
    return code


def test_a_comparison_prints_means_and_leaves_its_runs(say, tmp_path: Path):
    command = ("compare", "demo", *FAST, "--strategies", "need,need:0.5+keep:0.5", "--out", "here")
    code, printed, err = say(*command)
    assert (code, err) == (0, "")
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80, "an ordinary terminal shows it"
    for words in ("uncontrolled", "negotiated", "need:0.5+keep:0.5", "IOTA", "All runs: here (6 runs, "):
        assert words in printed
    assert {path.name for path in (tmp_path / "here").iterdir()} == {
        "runs",
        "scenario.toml",
        "results.csv",
        "results.parquet",
        "comparison.png",
        "differences.csv",
        "report.html",
    }
    assert len(list((tmp_path / "here/runs").iterdir())) == 6
    assert lines[-2:] == ["Report: here/report.html", "Picture: here/comparison.png"]
    assert say(*command) == (0, printed, "")


def test_the_command_on_its_page_asks_for_the_same(say, tmp_path: Path):
    """Nothing is made anew, and the page is the same to the letter."""
    words = ("demo", *FAST, "--controllers", "fcfs", "--vary", "market.feed_h=1,2", "--out", "the runs")
    assert say("compare", *words)[0] == 0
    page = (tmp_path / "the runs/report.html").read_text(encoding="utf-8")
    (command,) = re.findall("<pre>wattswap (compare .*)</pre>", page)
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "the runs/runs").iterdir()}
    assert len(runs) == 4
    assert say(*shlex.split(unescape(command)))[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "the runs/runs").iterdir()} == runs
    assert (tmp_path / "the runs/report.html").read_text(encoding="utf-8") == page


def test_where_all_runs_fail_the_page_says_why(say, tmp_path: Path):
    (tmp_path / "mine.py").write_text(FAILS, encoding="utf-8")
    words = ("--controllers", "negotiated", "--strategies", "mine.py:fails", "--out", "here")
    assert say("compare", "demo", *FAST, *words)[0] == 1
    page = (tmp_path / "here/report.html").read_text(encoding="utf-8")
    assert "2 of 2 runs failed" in page
    assert page.count("raises ZeroDivisionError: not for so little") == 2
    assert "<img" not in page


def test_a_picture_for_paper_has_the_paired_differences(tmp_path: Path, monkeypatch, capsys):
    """Before anything runs a name with another ending is refused."""
    monkeypatch.chdir(tmp_path)
    words = ("demo", *FAST, "--controllers", "negotiated", "--strategies", "need,keep", "--out", "here", "--picture")
    assert run_main(*words, "figure.bmp") == 2
    assert "a picture's name ends in .pdf, .png, .svg" in capsys.readouterr().err
    assert not Path("here").exists()
    assert run_main(*words, "figure.svg") == 0
    assert "the 95 % interval of the difference from negotiated, need" in Path("figure.svg").read_text()


def test_json_is_one_object_and_nothing_else(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_main("demo", *FAST, "--controllers", "edf", *DISCLOSED, "--out", "here", "--json") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert [(group["controller"], group["runs"]) for group in found["groups"]] == [("edf", 2)]
    assert {row["seed"] for row in found["runs"]} == {1, 2}


def test_who_knows_when_cars_leave_is_marked(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_main("demo", *FAST, "--controllers", "edf,fcfs", *DISCLOSED, "--out", "here") == 0
    lines = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines[lines.index("edf") + 1] == "(knows departures)"
    assert lines[lines.index("fcfs") + 1] == "", "and who asks nobody has no strategy"


def test_a_failed_run_is_told_and_the_code_is_1(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from wattswap.agents.offers import OfferBook\n"
        "def picky(call, own, memory, draws):\n"
        "    assert call.need_w.min() >= 50_000, 'not for so little'\n"
        "    return OfferBook.keep(own)\n",
        encoding="utf-8",
    )
    assert run_main("demo", *FAST, "--controllers", "negotiated", "--strategies", "mine.py:picky", "--out", "here") == 1
    out, _ = capsys.readouterr()
    assert "(2 of 2 failed)" in out
    assert "Failed: negotiated, mine.py:picky, seed 1:" in out
    assert "not for so little" in out


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("demmo", "--out", "here"), "did you mean demo?"),
        (("demo",), "--out"),
        (("demo", "--games", "--cluster", "tcp://10.0.0.1:8786"), "--cluster: not with --games"),
        (("demo", "--out", "here", "--controllers", "egf"), "the nearest is"),
        (("demo", "--out", "here", "--controllers", ","), "--controllers: name at least one"),
        (("demo", "--out", "here", "--seeds", "0"), "--seeds 0"),
        (("demo", "--out", "here", "--controllers", "edf"), "--set vehicles.disclose=departure"),
        (("demo", "--out", "here", "--vary", "days"), "--vary days: write KEY="),
        (("demo", "--out", "here", "--vary", "transformer.limt_w=1,2"), "did you mean transformer.limit_w?"),
        (("demo", "--games", "--seeds", "0"), "--seeds 0"),
        (("demo", "--games", "--share", "0"), "--share 0"),
        (("demo", "--games", "--out", "here"), "--out: not with --games"),
        (("demo", "--games", "--controllers", "edf"), "--controllers: not with --games"),
        (("demo", "--share", "0.2", "--out", "here"), "--share: only with --games"),
        (("demmo", "--games"), "did you mean demo?"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_leaves_nothing(
    tmp_path: Path, monkeypatch, capsys, args: tuple[str, ...], what: str
):
    monkeypatch.chdir(tmp_path)
    assert run_main(*args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert what in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


YEARS = ("demo", "--engine", "messages", "--seeds", "2000000", "--jobs", "1", "--out", "here")


def test_a_grid_of_more_than_a_day_asks_first(say, monkeypatch, tmp_path: Path):
    """Nobody waits for years by a slip of a digit: without a terminal it is refused, on one it is asked."""
    code, out, err = say("compare", *YEARS)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "4,000,000 runs would take some" in err
    assert "days on one process; say --yes to begin them all the same" in err
    terminal = io.StringIO("n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    code, out, err = say("compare", *YEARS)
    assert (code, out.strip()) == (0, "")
    assert "on one process. Begin? [y/N]" in err
    assert not list(tmp_path.iterdir())


def test_a_grid_of_less_or_one_that_is_wanted_does_not_ask(say):
    words = ("demo", *FAST, "--controllers", "uncontrolled", "--out", "here")
    assert say("compare", *words)[0] == say("compare", *words, "--yes")[0] == 0


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(say, monkeypatch):
    """The third run finds no room: two are kept, no half file lies there, and the next start makes what is missing."""
    words = ("compare", "demo", *FAST, "--jobs", "1", "--out", "here")
    real, written = Path.write_text, list[Path]()

    def write_text(path: Path, *args, **kwargs):
        if path.suffix == ".part" and path.parent.name == "runs":
            written.append(path)
            if len(written) > 2:
                real(path, "{")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", write_text)
    code, out, err = say(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "here: not writable any more (No space left on device); finished runs stay; make room" in err
    assert [path.suffix for path in Path("here/runs").iterdir()] == [".json", ".json"]
    monkeypatch.setattr(Path, "write_text", real)
    assert say(*words)[0] == 0
    assert len(list(Path("here/runs").iterdir())) == 4


WAITS = """
import os, time
from pathlib import Path
from wattswap.agents.offers import OfferBook

def waits(call, own, memory, draws):
    if call.need_w.min() < 50_000:  # the street's own need, not that of a trial
        Path("begun").touch()
        time.sleep(120)
    return OfferBook.keep(own)
"""


def test_workers_end_with_a_command_that_is_killed(tmp_path: Path):
    """They hold its stderr, which is at its end when the last of them is."""
    (tmp_path / "mine.py").write_text(WAITS)
    words = ("compare", "demo", *FAST, "--jobs", "2", "--strategies", "mine.py:waits", "--out", "here")
    with subprocess.Popen(
        [sys.executable, "-m", "wattswap", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as command:
        until = time.monotonic() + 60
        while not (tmp_path / "begun").exists():
            assert command.poll() is None, command.communicate()[1]
            assert time.monotonic() < until, "no run began"
            time.sleep(0.02)
        command.kill()
        command.communicate(timeout=20)


GAMES = ("demo", "--games", "--set", "reading_s=300", "--seeds", "1")


def test_the_games_are_a_table_that_says_what_each_car_does(say):
    code, printed, err = say("compare", *GAMES)
    assert (code, err) == (0, "")
    table, _, told = printed.partition("\n\nFor each car")
    assert max(map(len, table.splitlines())) <= 80
    for game in ("phantom", "inflated need", "replug", "stall", "false urgency", "ring", "at the peak"):
        assert f"\n{game} " in table
        assert f"\n{game}: " in told
    assert "not there: at most 0 IOTA" in told


def test_the_games_as_json(monkeypatch, tmp_path: Path, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_main(*GAMES, "--share", "0.5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {game["share"] for game in found["games"]} == {0.5}
    assert all(game["gain_iota"] == game["utility_iota"] - game["honest_iota"] for game in found["games"])
