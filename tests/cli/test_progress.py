"""The progress bar: on a terminal only, and only where the whole takes a while."""

from __future__ import annotations

import io
import sys

import pytest

from wattswap.cli import progress
from wattswap.cli.progress import countdown_bar, progress_bar, strategies_print_to_stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_screen(patch: pytest.MonkeyPatch) -> Terminal:
    """A terminal as stderr; not a fixture, for pytest sets its own stderr between a fixture and its test."""
    terminal = Terminal()
    patch.setattr(sys, "stderr", terminal)
    patch.setenv("TERM", "xterm")
    return terminal


def test_what_takes_a_while_shows_a_bar_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch):
    screen = on_screen(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    with progress_bar(128, "a400, negotiated") as passed:
        for tick in range(128):
            passed(tick)
    assert "a400, negotiated" in screen.getvalue()


def test_what_is_over_soon_shows_none(monkeypatch: pytest.MonkeyPatch):
    screen = on_screen(monkeypatch)
    with progress_bar(128, "demo") as passed:
        for tick in range(128):
            passed(tick)
    assert "demo" not in screen.getvalue()


def test_what_is_still_on_its_way_counts_down_from_what_there_was(monkeypatch: pytest.MonkeyPatch):
    screen = on_screen(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    with countdown_bar("on their way") as left:
        for count in (1_200, 600, 0):
            left(count)
    assert "on their way, 1,200" in screen.getvalue()
    assert "100%" in screen.getvalue()


def test_whoever_reads_from_a_pipe_sees_none(monkeypatch: pytest.MonkeyPatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    with progress_bar(2, "demo", every=1) as passed:
        passed(0)
        passed(1)
    assert not pipe.getvalue()


def test_what_is_printed_while_runs_are_made_goes_to_stderr(capsys: pytest.CaptureFixture[str]):
    with strategies_print_to_stderr():
        sys.stdout.write("from a strategy\n")
    sys.stdout.write("from the command\n")
    assert capsys.readouterr() == ("from the command\n", "from a strategy\n")
