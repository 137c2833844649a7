"""The view in a terminal, and bad input of the commands that show a run."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from wattswap.cli import main
from wattswap.experiments.api import Result, run
from wattswap.experiments.dashboard.finished import finished_run
from wattswap.experiments.dashboard.terminal import TerminalView


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
