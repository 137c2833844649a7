"""A street of two days at 20 kW, 35 kW in the evening, in a folder of its own; a case adds its sessions."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Say, say

__all__ = ["say"]

HEADER = "session_id,station_id,arrival,departure,energy_kwh,user_id"
STREET = """\
start = 2018-11-20T00:00:00+01:00
days = 2
reading_s = 300
[transformer]
rating_va = 90_000
[base]
household_csv = "base.csv"
[sessions]
csv = "sessions.csv"
"""

Figures = Callable[..., dict[str, Any]]


def write_street(folder: Path) -> Path:
    """Write ``street.toml`` and ``base.csv``; the folder."""
    hours = ((day, hour) for day in (20, 21) for hour in range(24))
    rows = (f"2018-11-{day}T{hour:02}:00:00+01:00,{35 if 17 <= hour <= 20 else 20}" for day, hour in hours)
    (folder / "base.csv").write_text("\n".join(("timestamp,household_kw", *rows)) + "\n")
    (folder / "street.toml").write_text(STREET)
    return folder


def write_sessions(folder: Path, *rows: str) -> None:
    """Write the street's sessions, a row each."""
    (folder / "sessions.csv").write_text("\n".join((HEADER, *rows)) + "\n")


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with ``street.toml`` and ``base.csv``."""
    monkeypatch.chdir(tmp_path)
    return write_street(tmp_path)


@pytest.fixture
def figures(say: Say, case: Path) -> Figures:
    """Run the street with these options; its figures."""

    def run(*options: str) -> dict[str, Any]:
        code, out, said = say("run", "street.toml", "--json", *options)
        assert code == 0, said
        found: dict[str, Any] = json.loads(out)
        return found

    return run


@pytest.fixture
def sessions(case: Path) -> Callable[..., None]:
    """Write the street's sessions, a row each."""
    return partial(write_sessions, case)
