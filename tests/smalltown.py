"""A street small enough to be run and replayed many times, in a folder of its own, where every choice occurs."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from wattswap.experiments import api
from wattswap.runners.recording.journal import STREET

START = datetime.fromisoformat("2024-01-01T00:00:00+01:00")

SCENARIO = """\
schema = 1
name = "smalltown"
start = 2024-01-01T00:00:00+01:00
days = 1
reading_s = 300
window_s = 600
[transformer]
rating_va = 60_000
[base]
household_csv = "household.csv"
[sessions]
csv = "sessions.csv"
[vehicles]
strategy = "need:0.5+prosumer:0.3+keep:0.2"
[[event]]
from = 2024-01-01T19:00:00+01:00
to = 2024-01-01T20:00:00+01:00
limit_w = 40_000
"""

FAULTS = tuple(
    f"faults.{key}"
    for key in (
        "loss_pct=2",
        "repeat_pct=5",
        "delay_ms=800",
        "crashes_per_day=4",
        "freezes_per_day=4",
        "cuts_per_day=4",
        "outage_s=900",
        "drift_pct=1",
    )
)
"""Settings under which everything that can go wrong does."""


def found(folder: Path) -> Path:
    """Write the street's files; the path of its scenario."""
    hours = ((START + timedelta(hours=hour), 12 + 16 * (17 <= hour < 22)) for hour in range(26))
    lines = ["timestamp,household_kw", *(f"{stamp.isoformat()},{kilowatts}" for stamp, kilowatts in hours)]
    (folder / "household.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = ["session_id,station_id,arrival,departure,energy_kwh,max_kw,user_id"]
    for number in range(9):
        comes = START + timedelta(hours=15 + number / 2)
        goes = comes + timedelta(hours=3 if number < 2 else 3.5 + number)
        place = f"C{number % 7},{comes.isoformat()},{goes.isoformat()}"
        lines.append(f"s{number},{place},{10 + number},11.0,user-{number % 8}")
    (folder / "sessions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "smalltown.toml").write_text(SCENARIO, encoding="utf-8")
    return folder / "smalltown.toml"


def run_into(folder: Path, *settings: str, **options: object) -> Path:
    """Found the street, run it and leave its run directory, without a page for people."""
    scenario, out = found(folder), folder / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "_report", lambda directory, result: None)
        api.run(scenario, settings=settings, out=out, **options)  # type: ignore[arg-type]
    return out


def journal_of(run_dir: Path) -> Path:
    """Where the journal of a run directory lies."""
    return run_dir / STREET
