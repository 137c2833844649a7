"""A run directory on a read-only medium can be looked at: a card that is write-protected, a mounted backup."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cases.conftest import write_sessions, write_street

COMMANDS = (
    ("report", "READ/run"),
    ("wallet", "balance", "--run", "READ/run"),
    ("meter", "list", "--run", "READ/run"),
    ("meter", "verify", "--run", "READ/run"),
)
SCRIPT = """
set -e
mount -t tmpfs none "$1"
{commands}
"""
RUN = """
"$2" -m wattswap run street.toml --engine fleet --out "$1/run" --set ledger.anchor_s=3600 \\
    --ledger "sqlite:$1/tokens.sqlite" > /dev/null
cp -a "$1/." "$3"
"""
READ = """
cp -a "$3/." "$1"
{before}
mount -o remount,ro "$1"
"$2" -m wattswap {command}
"""

POWER_FAILS = """
import os, sqlite3, sys

connection = sqlite3.connect(sys.argv[1])
connection.execute("CREATE TABLE one_more (x)")
connection.commit()
os._exit(0)
"""


class Medium:
    """A file system of its own for every command, always in the same place; a copy of a run is put on it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._place, self._copy = folder, folder / "medium", folder / "copy"
        self._place.mkdir()
        self._copy.mkdir()

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run the street."""
        return self._on_it(RUN)

    def read(self, command: tuple[str, ...], before: str = ":") -> subprocess.CompletedProcess[str]:
        """Run a command on the run directory once nothing there can be written any more."""
        words = " ".join(word.replace("READ", '"$1"') for word in command)
        return self._on_it(READ.format(before=before, command=words))

    def _on_it(self, commands: str) -> subprocess.CompletedProcess[str]:
        script, words = SCRIPT.format(commands=commands), (self._place, sys.executable, self._copy)
        return subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", *map(str, words)],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Medium:
    """With the run of a street of one car."""
    trial = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    )
    if trial.returncode:
        pytest.skip("this machine lets us mount nothing of our own")
    folder = write_street(tmp_path_factory.mktemp("case"))
    write_sessions(folder, "1,C1,2018-11-20T17:00:00+01:00,2018-11-21T07:00:00+01:00,20,anna")
    (folder / "power_fails.py").write_text(POWER_FAILS)
    found = Medium(folder)
    done = found.run()
    assert (done.returncode, done.stderr) == (0, "")
    return found


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command[:2]) for command in COMMANDS])
def test_what_only_reads_works_on_a_read_only_medium(medium: Medium, command: tuple[str, ...]):
    done = medium.read(command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_what_was_not_brought_into_its_file_is_not_passed_over(medium: Medium):
    """The site was at work when the power failed: its last records are in the log beside the file."""
    done = medium.read(COMMANDS[2], before='"$2" power_fails.py "$1/run/meters.sqlite"')
    assert done.returncode == 2
    assert "its last changes lie in meters.sqlite-wal beside it, and the medium is read-only" in done.stderr
    assert done.stderr.count("\n") == 1
