"""The command line as a user meets it: a process with a working directory, two streams and an exit code."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from tests.ledger.local_node import local_node

from wattswap.cli import _code


class Command(Protocol):
    def __call__(self, *args: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def wattswap(tmp_path: Path) -> Command:
    """``wattswap ARGS`` in an empty folder."""

    def command(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "wattswap", *args],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return command


class Say(Protocol):
    def __call__(self, *args: str) -> tuple[int, str, str]: ...


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """``wattswap ARGS`` in an empty folder, in this process: exit code, stdout, stderr. Keys lie in ``config``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def command(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = _code(args)
        return code, *capsys.readouterr()

    return command


@pytest.fixture(scope="module")
def node_url() -> Iterator[str]:
    """A local IOTA node for all tests of a file; each run takes wallets of its own."""
    pytest.importorskip("iota_sdk")
    with local_node() as (url, _):
        yield url
