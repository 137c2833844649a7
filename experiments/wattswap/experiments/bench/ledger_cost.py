"""What a ledger costs a run: bytes on the disk and seconds beyond the same run in memory, and the check of its records.

    python -m wattswap.experiments.bench.ledger_cost                         # a day of b250, fleet
    python -m wattswap.experiments.bench.ledger_cost --week --json           # the whole week: the check takes longest

Each run is a process of its own, as a user starts it. Processor seconds are those of that process: on a busy machine
they say more than the clock.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.json import encode

from wattswap.experiments.bench.settling import a_node

_LEDGERS = (("memory", "none"), ("sqlite", "root"), ("sqlite", "full"), ("devnet", "root"))


class LedgerCostRow(Struct, frozen=True):
    """One run. Figures beyond memory are for the reader to subtract."""

    ledger: str
    anchor: str
    megabytes: float
    """Run directory and ledger file together."""
    wall_s: float
    cpu_s: float
    verify_s: float
    """``meter verify``, wall time; 0 for a run without records."""


def measure(street: Sequence[str], url: str, folder: Path) -> Iterator[LedgerCostRow]:
    """All rows, as they are measured."""
    _timed("run", "demo", "--engine", "fleet", "--ledger", "memory", "--json")  # compiles what the others find
    for number, (ledger, anchor) in enumerate(_LEDGERS):
        place = folder / str(number)
        place.mkdir()
        where = {"memory": "memory", "sqlite": f"sqlite:{place / 'ledger.sqlite'}", "devnet": url}[ledger]
        options = ("--engine", "fleet", "--ledger", where, "--set", f"ledger.anchor={anchor}")
        wall_s, cpu_s = _timed("run", *street, *options, "--out", str(place / "run"))
        megabytes = sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / 1e6
        verify_s = 0.0 if anchor == "none" else _timed("meter", "verify", "--run", str(place / "run"))[0]
        yield LedgerCostRow(ledger, anchor, megabytes, wall_s, cpu_s, verify_s)


def _timed(*words: str) -> tuple[float, float]:
    """Wall and processor seconds of ``wattswap WORDS``."""
    before, began_s = os.times(), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "wattswap", *words], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"wattswap {' '.join(words)}: {done.stderr or done.stdout}")
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began_s, cpu_s


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a local devnet that runs already; without it, one is started")
    parser.add_argument("--street", default="b250", help="a scenario (b250)")
    parser.add_argument("--week", action="store_true", help="all its days, not the seventh alone")
    parser.add_argument("--json", action="store_true", help="one JSON object a run instead of a table")
    chosen = parser.parse_args(arguments)
    street = [chosen.street] if chosen.week else [chosen.street, "--day", "7"]
    if not chosen.json:
        print(f"{'ledger':8} {'anchor':7} {'MB':>7} {'wall, s':>8} {'cpu, s':>7} {'verify, s':>9}")
    with a_node(chosen.url) as url, tempfile.TemporaryDirectory() as folder:
        for row in measure(street, url, Path(folder)):
            print(
                encode(row).decode()
                if chosen.json
                else f"{row.ledger:8} {row.anchor:7} {row.megabytes:7.2f} {row.wall_s:8.2f} {row.cpu_s:7.2f}"
                f" {row.verify_s:9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
