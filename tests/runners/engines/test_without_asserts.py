"""Python leaves asserts out under ``-O``; money moves all the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

RUN: Final = """
import json, sys
from wattswap.runners.engines.fleet import FleetRun
from wattswap.runners.scenario import load_street
settings = ["start=2018-11-25T12:00:00+01:00", "hours=0", "reading_s=1_800", "window_s=1_800"]
book = FleetRun(load_street("demo", settings=settings)).run().book
print(json.dumps([sys.flags.optimize, book.balances()]))
"""


def test_rewards_are_set_aside_and_paid_without_asserts() -> None:
    """The fleet engine once reserved within an assert, and so had promised nothing that it could settle."""
    done = subprocess.run([sys.executable, "-O", "-c", RUN], capture_output=True, text=True, check=True)
    optimized, balances = json.loads(done.stdout)
    assert optimized == 1
    assert sum(nanos for account, nanos in balances.items() if account.startswith("wallet/")) > 0
