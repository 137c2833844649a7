"""A dashboard that shows what another one shows, and a screen of its own for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.dashboard.histories import RATING_VA, history_of, parts_of
from tests.dashboard.waiting import PATIENCE_S, wait_until

from wattswap.cli import main
from wattswap.cli.watching import shown_on_screen
from wattswap.experiments.dashboard.remote import remote_run
from wattswap.experiments.dashboard.serving import served
from wattswap.runners.watching.history import FEEDER_COLUMNS, History

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def both(there: History) -> Iterator[History]:
    """What is told elsewhere."""
    with served(there, "127.0.0.1", 0) as address, remote_run(address) as here:
        yield here


def test_what_is_told_there_is_shown_here_but_nothing_can_be_ordered():
    there = history_of(100)
    with both(there) as here:
        wait_until(lambda: here.ticks == 100)
        there.add(ticks=[[7] * len(FEEDER_COLUMNS)])
        wait_until(lambda: here.ticks == 101)
        there.end("complete")
        wait_until(lambda: here.state == "complete")
        assert list(parts_of(here)) == list(parts_of(there))
        assert there.head is not None
        assert here.head is not None
        assert (there.head.feeders[0].most_limit_w, here.head.feeders[0].most_limit_w) == (RATING_VA, None)


def test_another_run_at_the_same_address_is_shown_from_then_on():
    with served(history_of(3), "127.0.0.1", 0) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        remote = remote_run(address)
        here = remote.__enter__()
        wait_until(lambda: here.ticks == 3)
    with served(history_of(9), "127.0.0.1", port):
        wait_until(lambda: here.ticks == 9)
    remote.__exit__(None, None, None)


def test_who_is_not_heard_of_any_more_is_said_to_be_lost_until_heard_again():
    there = history_of(3)
    with served(there, "127.0.0.1", 0) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        remote = remote_run(address)
        here = remote.__enter__()
        wait_until(lambda: here.ticks == 3)
        assert here.state == "running"
    wait_until(lambda: here.state == "lost")
    with served(there, "127.0.0.1", port):
        wait_until(lambda: here.state == "running")
        there.end("complete")
        wait_until(lambda: here.state == "complete")
    with served(history_of(9), "127.0.0.1", port):
        wait_until(lambda: (here.ticks, here.state) == (9, "running"))
    remote.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dashboard", "a run directory, or --connect"),
        ("dashboard somewhere --connect pi:8100", "a run directory, or --connect"),
        ("dashboard --connect pi", "write HOST:PORT"),
        ("dashboard --connect pi:99999", "write HOST:PORT"),
        ("dashboard --connect ftp://pi:1", "write HOST:PORT"),
        ("dashboard --connect 127.0.0.1:1", "nobody answers there"),
        ("dashboard --connect pi:1 --speed 3", "goes on at its own pace"),
        ("dashboard somewhere --kiosk --text", "choose one"),
        ("run demo --kiosk", "add --watch"),
        ("live demo --kiosk", "add --watch"),
    ],
)
def test_bad_input_is_named_in_one_line(capsys, line, says):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    complaint = capsys.readouterr().err
    assert (left.value.code, complaint.count("\n")) == (2, 1)
    assert says in complaint


def test_a_screen_is_a_browser_of_its_own_that_ends_with_the_page(tmp_path: Path):
    browser = tmp_path / "chromium"
    asked = tmp_path / "asked"
    script = f'#!/bin/sh\necho "$@" > {asked}.part; mv {asked}.part {asked}\nexec sleep 600\n'
    browser.write_text(script)
    browser.chmod(0o755)
    with served(history_of(3), "127.0.0.1", 0) as address:
        command = [sys.executable, "-m", "wattswap", "dashboard", "--connect", address, "--port", "0", "--kiosk"]
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        with subprocess.Popen(command, env={**os.environ, "PATH": path}, stderr=subprocess.PIPE) as process:
            wait_until(asked.exists)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 130
    assert "--kiosk --app=http://127.0.0.1:" in asked.read_text()


def test_a_browser_that_finds_no_screen_is_named_in_one_line(tmp_path: Path, capfd):
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\necho cannot open display >&2\nexit 7\n")
    browser.chmod(0o755)
    said = ""

    def is_said() -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return "\n" in said

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        with shown_on_screen("http://127.0.0.1:1/"):
            wait_until(is_said)
    assert (said.count("\n"), "exit code 7" in said, "http://127.0.0.1:1/" in said) == (1, True, True)
