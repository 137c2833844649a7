"""A small street in a folder of its own: thirty hours of load and sun, three sessions, and their scenario."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from wattswap.protocol.errors import InputError

START = datetime.fromisoformat("2024-01-01T00:00:00+01:00")

SCENARIO = """\
schema = 1
start = 2024-01-01T00:00:00+01:00
days = 1
[transformer]
rating_va = 100_000
[base]
household_csv = "household.csv"
pv_csv = "pv.csv"
noise_pct = 0
[sessions]
csv = "sessions.csv"
"""

SESSIONS = """\
session_id,station_id,arrival,departure,energy_kwh,max_kw,user_id
s1,A,2024-01-01T01:00:10+01:00,2024-01-01T05:00:50+01:00,10.5,11.0,ann
s2,B,2023-12-31T20:00:00+01:00,2024-01-01T02:00:00+01:00,7,11.0,bob
s3,A,2024-01-01T06:00:00+01:00,2024-01-02T07:00:00+01:00,20,11.0,
"""


def profile(column: str, values_kw: list[float], start: datetime = START, step_min: int = 60) -> str:
    """A profile file's text, one row per value."""
    stamps = (start + timedelta(minutes=step_min * row) for row in range(len(values_kw)))
    rows = (f"{stamp.isoformat()},{value}" for stamp, value in zip(stamps, values_kw, strict=True))
    return "\n".join((f"timestamp,{column}", *rows)) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The street's folder; its scenario is ``street.toml``."""
    (tmp_path / "street.toml").write_text(SCENARIO)
    (tmp_path / "household.csv").write_text(profile("household_kw", [10 + hour for hour in range(30)]))
    (tmp_path / "pv.csv").write_text(profile("pv_kw", [2] * 30))
    (tmp_path / "sessions.csv").write_text(SESSIONS)
    return tmp_path


@pytest.fixture
def scenario(folder: Path) -> str:
    """The path of the small street's scenario, as a user would give it."""
    return str(folder / "street.toml")


@pytest.fixture
def complaint() -> Callable[[Callable[[], object]], str]:
    """Call something that must refuse its input; the one line it says."""

    def complain(call: Callable[[], object]) -> str:
        with pytest.raises(InputError) as caught:
            call()
        text = str(caught.value)
        assert text.isprintable(), "one line"
        return text

    return complain
