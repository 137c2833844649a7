"""The view in a terminal, and bad input of the commands that show a run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO

import msgspec
import pytest
from rich.console import Console
from tests.dashboard.histories import history_of
from tests.smalltown import found

from wattswap.cli import main
from wattswap.experiments.api import Result, run
from wattswap.experiments.dashboard import told_so_far
from wattswap.experiments.dashboard.finished import finished_run
from wattswap.experiments.dashboard.serving import served
from wattswap.experiments.dashboard.terminal import TerminalView
from wattswap.experiments.dashboard.terminal_lines import TerminalLines
from wattswap.runners.recording.activities import ACTIVITIES, CHARGING, FEEDING, REDUCED
from wattswap.runners.watching.history import FEEDER_COLUMNS, HOMES, CarCard, History


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run("demo", engine="fleet", out=tmp_path_factory.mktemp("run") / "run")


def text_of(view: TerminalView) -> str:
    console = Console(width=100, file=StringIO())
    console.print(view.render())
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_view_ends_with_what_the_tables_hold(told):
    assert told.out is not None
    view = TerminalView(finished_run(told.out))
    text, last = text_of(view), told.series.iloc[-1]
    assert f"{last['load_w'] / 1000:.0f} of {last['limit_w'] / 1000:.0f} kW" in text
    assert f"The newest of {len(told.rounds)} calls" in text
    assert view.is_over


def test_who_gives_way_is_named(told):
    """Three cars: one draws less, one feeds, one charges on; when the first two have their energy back, nobody does."""
    card = CarCard(session="", station="", vehicle="", strategy="", arrival_tick=0, departure_tick=9, need_ws=1)
    cars = [msgspec.structs.replace(card, station=f"C{number}") for number in (7, 8, 9)]
    history = History()
    head = finished_run(told.out).head
    assert head is not None
    history.begin(head, cars)
    doing = [REDUCED, CHARGING, FEEDING]
    history.add(ticks=[[0] * 6], cars=[[0, row, ACTIVITIES.index(name), 0, 0, 0, 0] for row, name in enumerate(doing)])
    view = TerminalView(history)
    assert "Giving way: C7, C9\n" in text_of(view)
    history.add(ticks=[[0] * 6], cars=[[1, row, ACTIVITIES.index(CHARGING), 0, 0, 0, 0] for row in (0, 2)])
    assert "Giving way: nobody\n" in text_of(view)


def test_what_a_node_does_not_know_is_no_figure():
    history = history_of(3)
    history.add(unknown=[[0, HOMES, "unheard"], [1, 0, "silent"], [2, HOMES, ""], [2, 0, ""]])
    said: list[str] = []
    TerminalLines(history, said.append).look()
    homes, both, known = said
    assert "not known of 0.0 kW (homes not known, cars 0.0 kW)" in homes
    assert "(homes not known, cars not known); cars: 1 not known; " in both
    assert "not known" not in known
    assert "not known" not in text_of(TerminalView(history))


def test_a_file_gets_a_plain_line_for_each_tick_with_what_the_tables_hold(told):
    said: list[str] = []
    lines = TerminalLines(finished_run(told.out), said.append)
    lines.look()
    lines.look()
    assert lines.is_over
    assert len(said) == len(told.series)
    for place in (0, 2_300, -1):
        row = told.series.iloc[place]
        loads = f"{row['load_w'] / 1000:.1f} of {row['limit_w'] / 1000:.1f} kW (homes {row['base_w'] / 1000:.1f} kW, "
        assert loads in said[place]
    assert said[-1].endswith(f"calls so far: {len(told.rounds)}")
    assert not [line for line in said if not line.isascii()]


def test_lines_say_when_the_street_is_not_heard_of_any_more():
    history, said = history_of(2), list[str]()
    lines = TerminalLines(history, said.append)
    lines.look()
    history.end("lost")
    lines.look()
    lines.look()
    assert [line[:15] for line in said] == ["Thu 00:00:00  0", "Thu 00:00:30  0", "connection lost"]
    history.add(ticks=[[1_000] * len(FEEDER_COLUMNS)])
    history.end("complete")
    lines.look()
    assert said[3:] == ["Thu 00:01:00  1.0 of 1.0 kW (homes 1.0 kW, cars 0.0 kW); cars: none; calls so far: 0"]
    assert lines.is_over


def test_a_street_that_stands_still_is_said_to(monkeypatch: pytest.MonkeyPatch):
    now_s, said = [100.0], list[str]()
    monkeypatch.setattr(told_so_far, "monotonic", lambda: now_s[0])
    history, beats = History(), history_of(1)
    assert beats.head is not None
    history.begin(msgspec.structs.replace(beats.head, beat_ms=2_000, all_ticks=9), [])
    history.add(ticks=[[0] * len(FEEDER_COLUMNS)])
    lines, view = TerminalLines(history, said.append), TerminalView(history)
    for seconds in (0, 10, 1, 1):
        now_s[0] += seconds
        lines.look()
        assert ("the street may have stopped" in text_of(view)) == (now_s[0] > 110)
    assert said[1:] == ["no news since then: the street may have stopped"]
    history.add(ticks=[[0] * len(FEEDER_COLUMNS)])
    lines.look()
    assert len(said) == 3
    assert "stopped" not in text_of(view)


@pytest.mark.parametrize("command", ["dashboard {run} --text --speed 1e9", "dashboard --connect {address} --text"])
def test_what_is_written_into_a_pipe_is_all_there_is_to_say(told, command):
    with served(finished_run(told.out), "127.0.0.1", 0) as address:
        words = command.format(run=told.out, address=address).split()
        done = subprocess.run([sys.executable, "-m", "wattswap", *words], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(told.series)
    assert done.stderr == ""


def test_a_run_that_is_watched_says_its_lines_beside_its_result(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(f"run {found(tmp_path)} --watch --text --json".split())
    assert left.value.code == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["scenario"]
    assert re.fullmatch(r"\w{3} \d\d:\d\d:\d\d  [\d.]+ of .*; calls so far: \d+", err.splitlines()[-1])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dashboard no/such/run", "no such run directory"),
        ("dashboard {empty}", "no run.json"),
        ("dashboard {unfinished}", "run --watch"),
        ("dashboard {run} --port 70000", "--port"),
        ("dashboard {run} --speed 0", "--speed"),
        ("dashboard {run} --host no.such.host.invalid", "--host"),
        ("run demo --speed 10", "--watch"),
        ("run demo --text", "--watch"),
    ],
)
def test_bad_input_is_named_in_one_line(told, tmp_path, capsys, line, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "unfinished").mkdir()
    about = {
        "schema": json.loads((told.out / "run.json").read_text())["schema"],
        "version": "0",
        "status": "interrupted",
    }
    (tmp_path / "unfinished" / "run.json").write_text(json.dumps(about))
    names = {"empty": tmp_path / "empty", "unfinished": tmp_path / "unfinished", "run": told.out}
    with pytest.raises(SystemExit) as left:
        main(line.format(**names).split())
    complaint = capsys.readouterr().err
    assert (left.value.code, complaint.count("\n")) == (2, 1)
    assert says in complaint
