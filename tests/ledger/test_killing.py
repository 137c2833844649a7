"""kill -9, for real: a process that settles is killed over and over, and an audit of its files finds nothing wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).parents[2]


def kill(folder: Path, *options: str) -> dict[str, Any]:
    """The report of the harness."""
    command = [sys.executable, "-m", "tests.ledger.killing", "--folder", str(folder), *options]
    result = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


@pytest.mark.parametrize("ledger", ["sqlite", "chain"])
def test_twenty_kills_cost_and_create_nothing(tmp_path: Path, ledger: str) -> None:
    report = kill(tmp_path, "--kills", "20", "--ledger", ledger)
    assert report["wrong"] == []
    assert report["debts"] >= report["acknowledged"] > 20
    assert report["paid"] == report["owed"]


@pytest.mark.long
@pytest.mark.parametrize("ledger", ["sqlite", "chain"])
def test_two_thousand_kills_cost_and_create_nothing(tmp_path: Path, ledger: str) -> None:
    report = kill(tmp_path, "--kills", "2000", "--ledger", ledger, "--seed", "2")
    assert report["wrong"] == []
    assert report["paid"] == report["owed"]


@pytest.mark.parametrize("design", ["pay-first", "rebuild"])
def test_the_same_audit_catches_designs_that_are_wrong(tmp_path: Path, design: str) -> None:
    report = kill(tmp_path, "--kills", "20", "--ledger", "chain", "--design", design)
    assert report["wrong"]
    assert report["paid"] != report["owed"]
