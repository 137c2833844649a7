"""Commands that are killed at random moments, on nodes that are killed and disks that fill: no nano is wrong."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.killing import Story

pytest.importorskip("iota_sdk")

HOUSE = Path(__file__).parents[2]


def stories(folder: Path, *options: str) -> list[dict[str, Any]]:
    """What the harness tells."""
    words = [sys.executable, "-m", "tests.experiments.killing", "--folder", str(folder), *options]
    done = subprocess.run(words, cwd=HOUSE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("ledger", "kills"),
    [
        ("sqlite", 3),
        ("node", 1),
        pytest.param("sqlite", 150, marks=pytest.mark.long),
        pytest.param("node", 150, marks=pytest.mark.long),
    ],
)
def test_commands_that_are_killed_anywhere_make_and_lose_no_nano(tmp_path: Path, ledger: str, kills: int):
    told = stories(tmp_path, "--ledger", ledger, "--kills", str(kills), "--seed", str(kills))
    assert [story for story in told if story["wrong"]] == []
    assert sum(sum(story["kills"].values()) for story in told) >= kills


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A run that nothing happened to."""
    story = Story(tmp_path_factory.mktemp("whole") / "story", None, random.Random(1), 0.0)
    subprocess.run([sys.executable, "-m", "wattswap", *story.begin], capture_output=True, check=True)
    return story


@pytest.mark.parametrize(
    ("forgery", "found"),
    [
        ("UPDATE accounts SET nanos = nanos + 1 WHERE account = 'site'", "site holds"),
        ("UPDATE payments SET nanos = nanos + 1 WHERE id = 1", "payments are not those that bills make"),
        ("UPDATE entries SET nanos = nanos + 1 WHERE seq = 30", "the book is not the beginning of the run's"),
    ],
)
def test_the_same_audit_finds_one_nano_that_is_wrong(whole: Story, forgery: str, found: str):
    assert whole.audit(0) == []
    written = whole.tokens.read_bytes()
    with closing(sqlite3.connect(whole.tokens)) as forger:
        forger.execute(forgery)
        forger.commit()
    try:
        assert any(found in text for text in whole.audit(0))
    finally:
        whole.tokens.write_bytes(written)
