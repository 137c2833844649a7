"""The commands around a run, and what holds for all of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from wattswap.cli import COMMANDS, main
from wattswap.cli import wattswap as group
from wattswap.cli.progress import progress_bar
from wattswap.cli.show import sales
from wattswap.experiments.formatting import plain


def every_command() -> list[tuple[str, click.Command]]:
    """Each command and each of its parts, by the words that call it."""
    context = click.Context(group)
    found: list[tuple[str, click.Command]] = [("", group)]
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {part}", command.commands[part]) for part in command.commands]
    return found


@pytest.mark.parametrize(("words", "command"), every_command(), ids=str)
def test_every_help_has_an_example(words: str, command: click.Command):
    text = command.get_help(click.Context(command, info_name=words))
    assert "Example" in text
    assert f"\n    wattswap {words}".rstrip() in text


@pytest.mark.parametrize(("words", "command"), [each for each in every_command() if isinstance(each[1], click.Group)])
def test_a_list_of_commands_is_not_cut_at_80_columns(words: str, command: click.Group):
    text = command.get_help(click.Context(command, info_name=words, terminal_width=80))
    lines = text.partition("Commands:\n")[2].splitlines()
    assert len(lines) >= len(command.list_commands(click.Context(command)))
    assert [line for line in lines if line.endswith("...") or len(line) > 80] == []


def test_help_loads_nothing_heavy():
    script = (
        "import sys\nfrom wattswap.cli import _code\nassert _code(['--help']) == 0\n"
        "print({'numpy', 'pandas', 'pyarrow', 'matplotlib', 'rich', 'mesa'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"


def test_without_a_command_there_is_help(wattswap):
    done = wattswap()
    assert (done.returncode, done.stderr) == (0, "")
    assert "wattswap run demo" in done.stdout


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("rnu",), "the nearest is 'run'"),
        (("--nonsense",), "no such option"),
        (("report",), "missing argument"),
        (("report", "nowhere"), "no such run directory"),
        (("report", "nowhere", "--picture", "x.pdf"), "no such run directory"),
        (("report", "."), "this is no run directory"),
        (("scenarios", "show", "a4000"), "did you mean a400?"),
        (("scenarios", "new", "no/such/folder.toml"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_exit_code_2(tmp_path: Path, monkeypatch, capsys, args, what: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(args)
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert what in err.lower()
    assert err.count("\n") == 1


def test_scenarios_are_listed_shown_and_begun(say, tmp_path: Path):
    _, listed, _ = say("scenarios", "list")
    assert [line.split()[0] for line in listed.splitlines()] == ["a400", "b250", "c250stress", "demo"]
    _, shown, _ = say("scenarios", "show", "demo")
    assert shown.startswith("# The Sunday")
    (tmp_path / "shown.toml").write_text(shown, encoding="utf-8")
    code, _, _ = say("run", "shown.toml", "--engine", "fleet", "--set", "reading_s=300", "--json")
    assert code == 0, "what is shown can be run from anywhere"
    _, begun, _ = say("scenarios", "new", "mine.toml")
    assert "wattswap run mine.toml" in begun
    assert (tmp_path / "mine.toml").read_text(encoding="utf-8").startswith("# A scenario of your own")
    assert say("scenarios", "new", "mine.toml")[0] == 2


def test_whoever_stops_reading_hears_no_complaint(tmp_path: Path):
    command = [sys.executable, "-m", "wattswap", "scenarios", "show", "demo"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 128 + signal.SIGPIPE, "1 is for a check that failed"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux what its processes listen to")
@pytest.mark.parametrize(
    "words",
    [
        ("compare", "demo", "--day", "1", "--seeds", "2", "--engine", "fleet", "--jobs", "2", "--out", "here"),
        ("literature", "--arms", "none", "--seeds", "40", "--jobs", "2"),
    ],
    ids=lambda words: words[0],
)
def test_ctrl_c_while_processes_import_is_one_line(tmp_path: Path, words: tuple[str, ...]):
    command = [sys.executable, "-m", "wattswap", *words]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        # two have been started, and the one that was started last, at least, is still at its imports
        while not (len(workers := workers_of(process.pid)) == 2 and any(map(listens_to_ctrl_c, workers))):
            assert process.poll() is None
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.startswith("wattswap: interrupted; ")
    assert err.count("\n") == 1


def workers_of(pid: int) -> list[Path]:
    """The processes that a command started to make runs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path("/proc", child) for child in children if b"spawn_main" in Path("/proc", child, "cmdline").read_bytes()]


def listens_to_ctrl_c(process: Path) -> bool:
    """Python has begun there, which makes a KeyboardInterrupt of the signal."""
    caught = re.search(r"SigCgt:\s+(\w+)", (process / "status").read_text())
    return bool(caught and int(caught[1], 16) >> (signal.SIGINT - 1) & 1)


def test_no_bar_is_drawn_where_nobody_looks(capsys):
    with progress_bar(100, "demo") as progress:
        for tick in range(100):
            progress(tick)
    assert capsys.readouterr() == ("", "")


def test_deeds_are_added_up_by_car_best_paid_first():
    trades: dict[str, list[Any]] = {
        "session": ["s1", "s2", "s3", "s4"],
        "kind": ["reduce", "reduce", "reduce", "feed"],
        "delivered_ws": [10, 20, 30, 40],
        "nanos": [1, 5, 3, 9],
    }
    cars = {
        "session": ["s1", "s1", "s2", "s3", "s4"],
        "vehicle": ["ann", "ann", "bob", "ann", "cy"],
        "station": ["c1", "c1", "c2", "c1", "c3"],
    }
    assert sales("reduce", trades, cars) == [("bob", "c2", 20, 5), ("ann", "c1", 40, 4)]
    assert sales("feed", trades, cars) == [("cy", "c3", 40, 9)]


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (1234.56, "1,234.6"), (10.0, "10"), (0.04, "0")])
def test_numbers_lose_the_zeros_that_say_nothing(number: float, text: str):
    assert plain(number) == text


def test_no_number_that_a_command_takes_may_be_nan_or_without_an_end():
    """For click NaN lies within every range, and infinity in those without an end."""
    options = [option for _, command in every_command() for option in command.params]
    numbers = [option for option in options if isinstance(option.type, click.FloatRange | click.types.FloatParamType)]
    assert len(numbers) > 5
    for option in numbers:
        for text in ("nan", "inf", "-inf"):
            with pytest.raises(click.BadParameter):
                option.type.convert(text, option, None)
