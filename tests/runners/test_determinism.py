"""A run is a function of its scenario and seed: the same on every machine, and one car more is nobody's bad luck."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from tests.streets import Stay, random_street, street_of

import wattswap
from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.engines.launch import run_street
from wattswap.runners.engines.simulated import simulated_run
from wattswap.runners.scenario import Street, load_street

DEMO = "03d6ef77b452"
"""How the demo's trace hash begins. Whoever changes it has changed what is traded, and says so in the change log."""

RUN = """
from wattswap.runners.engines.launch import run_street
from wattswap.runners.scenario import load_street
record = run_street(load_street("b250", day=7, settings=["reading_s=150"]), engine="messages")
print(record.trace_hash(), record.events_hash, len(record.trades))
"""


class Hashes(NamedTuple):
    trace: str
    events: str
    trades: int


def run_elsewhere(python: str, **environment: str) -> Hashes:
    """Run a day of b250 in another process."""
    roots = os.pathsep.join(str(Path(path).parent) for path in wattswap.__path__)
    environment = {**os.environ, "PYTHONPATH": roots, **environment}
    done = subprocess.run([python, "-c", RUN], env=environment, capture_output=True, text=True, check=True, timeout=100)
    trace, events, trades = done.stdout.split()
    return Hashes(trace, events, int(trades))


@pytest.fixture(scope="module")
def once() -> Hashes:
    return run_elsewhere(sys.executable, PYTHONHASHSEED="1")


def test_the_demo_trades_what_it_always_did():
    assert run_street(load_street("demo"), engine="fleet").trace_hash().startswith(DEMO)


def test_the_order_of_hash_tables_means_nothing(once):
    assert once.trades > 50
    assert run_elsewhere(sys.executable, PYTHONHASHSEED="4242") == once


def test_another_python_trades_and_says_the_same(once):
    other = next((python for python in ("python3.13", "python3.12", "python3.11") if can_run(python)), None)
    if other is None:
        pytest.skip("no other Python here can import the core")
    assert run_elsewhere(other) == once


def can_run(python: str) -> bool:
    """Whether it is another version than ours that has what the core needs."""
    path = shutil.which(python)
    if path is None or python == f"python{sys.version_info.major}.{sys.version_info.minor}":
        return False
    needs = "import msgpack, msgspec, nacl, numpy"
    return subprocess.run([path, "-c", needs], capture_output=True, check=False).returncode == 0


def test_a_second_run_in_the_same_process_says_the_same():
    street = random_street(131, chargers=8, ticks=80)
    records = [simulated_run(street).run() for _ in range(2)]
    assert len({record.events_hash for record in records}) == 1
    assert records[0].sessions == records[1].sessions


def test_another_seed_trades_otherwise():
    street = street_of(
        [Stay(0, 900, kwh * WS_PER_KWH) for kwh in (5, 8, 11, 14)],
        40,
        limit_w=[20_000] * 40,
        vehicles={"strategy": "truthful"},
    )
    assert len({hash_of(street, seed, engine="fleet") for seed in range(5)}) > 1
    assert hash_of(street, 3, engine="fleet") == hash_of(street, 3, engine="messages")


def hash_of(street: Street, seed: int, engine: str) -> str:
    seeded = replace(street, scenario=msgspec.structs.replace(street.scenario, seed=seed))
    return run_street(seeded, engine="fleet" if engine == "fleet" else "messages").trace_hash()


@pytest.mark.parametrize("engine", ["fleet", "messages"])
def test_one_more_car_changes_nobodys_draws_and_offers(engine):
    """The newcomer has nothing to charge and takes no part; it stands first in the file, so that all others move up."""
    stays = [Stay(0, 900, kwh * WS_PER_KWH, f"station-{kwh}", f"user-{kwh}") for kwh in range(2, 14)]
    mix = {"strategy": "truthful+need+altruist"}
    without = street_of([Stay(99, 100, 0), *stays], 40, limit_w=[60_000] * 40, vehicles=mix)
    joined = street_of([Stay(0, 900, 0, "first", "newcomer"), *stays], 40, limit_w=[60_000] * 40, vehicles=mix)
    before, after = run_street(without, engine=engine), run_street(joined, engine=engine)
    assert len(after.sessions) == len(before.sessions) + 1
    assert len(before.trades) > 20
    assert after.trades == before.trades
    assert [msgspec.structs.replace(row, called=row.called - 1) for row in after.rounds] == before.rounds
    strategies = {row.session: row.strategy for row in after.sessions}
    assert {row.session: row.strategy for row in before.sessions}.items() < strategies.items()
    assert len(set(strategies.values())) == 3


def test_a_person_keeps_a_character_from_session_to_session():
    stays = [Stay(4 * visit, 4 * visit + 3, 0, "a", f"user-{visit % 8}") for visit in range(40)]
    record = run_street(street_of(stays, 160, vehicles={"strategy": "need+truthful+altruist"}), engine="fleet")
    by_user: dict[str, set[str]] = {}
    for row in record.sessions:
        by_user.setdefault(row.vehicle, set()).add(row.strategy)
    assert len(by_user) == 8
    assert {len(strategies) for strategies in by_user.values()} == {1}
    assert len(set.union(*by_user.values())) == 3


def test_shares_of_a_mix_come_out_among_many():
    stays = [Stay(0, 9, 0) for _ in range(2_000)]
    record = run_street(street_of(stays, 1, vehicles={"strategy": "need:0.7+keep:0.3"}), engine="fleet")
    assert np.isclose(sum(row.strategy == "keep" for row in record.sessions) / 2_000, 0.3, atol=0.03)
