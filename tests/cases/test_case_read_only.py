"""A run directory on a read-only medium can be looked at: a card that is write-protected, a mounted backup."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    ("report", "READ/run"),
    ("wallet", "balance", "--run", "READ/run"),
    ("meter", "list", "--run", "READ/run"),
    ("meter", "verify", "--run", "READ/run"),
)
SCRIPT = """
set -e
mount -t tmpfs none "$1"
"$2" -m wattswap run street.toml --engine fleet --out "$1/run" --set ledger.anchor_s=3600 \\
    --ledger "sqlite:$1/tokens.sqlite" > /dev/null
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


def read_only(folder: Path, command: tuple[str, ...], before: str = ":") -> subprocess.CompletedProcess[str]:
    """Run a command on a run directory that lies on a read-only file system of its own."""
    medium = folder / "medium"
    medium.mkdir()
    words = " ".join(word.replace("READ", '"$1"') for word in command)
    script = SCRIPT.format(before=before, command=words)
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(medium), sys.executable],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def street(case: Path, sessions) -> Path:
    trial = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    )
    if trial.returncode:
        pytest.skip("this machine lets us mount nothing of our own")
    sessions("1,C1,2018-11-20T17:00:00+01:00,2018-11-21T07:00:00+01:00,20,anna")
    return case


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command[:2]) for command in COMMANDS])
def test_what_only_reads_works_on_a_read_only_medium(street: Path, command: tuple[str, ...]):
    done = read_only(street, command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_what_was_not_brought_into_its_file_is_not_passed_over(street: Path):
    """The site was at work when the power failed: its last records are in the log beside the file."""
    (street / "power_fails.py").write_text(POWER_FAILS)
    done = read_only(street, COMMANDS[2], before='"$2" power_fails.py "$1/run/meters.sqlite"')
    assert done.returncode == 2
    assert "its last changes lie in meters.sqlite-wal beside it, and the medium is read-only" in done.stderr
    assert done.stderr.count("\n") == 1
