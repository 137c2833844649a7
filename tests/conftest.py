"""What all tests share: how Hypothesis searches, and the rules of the market as a scenario has them by default."""

from __future__ import annotations

import gc
import math
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from wattswap.agents.rules import Rules
from wattswap.experiments.processors import usable_processors

# A slow machine is no failure; and CI tries the same examples each time, so that a red build is a change's doing.
# How long Hypothesis searches is arbitrary: briefly at each run of the tests, and as long as there is time with
# `--hypothesis-profile=thorough`.
EXAMPLES = 40
HERE = Path(__file__).parent
settings.register_profile("here", deadline=None, max_examples=EXAMPLES)
settings.register_profile("ci", deadline=None, max_examples=EXAMPLES, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=50 * EXAMPLES)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# Tests that were started in the background ignore Ctrl-C, and so would the commands that they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name a genuine IOTA node for the tests that are marked ``node``."""
    parser.addoption("--node", help="GraphQL of an IOTA node, for `pytest -m node`")
    parser.addoption("--node-faucet", default="http://127.0.0.1:9123", help="the faucet of that network")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three workers for two cores (`-n auto`): at any time some test waits for a socket, a child or the clock."""
    return math.ceil(1.5 * usable_processors())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nodes first, which mostly wait while others work, then the long files of this folder: short tests are left."""
    first = (HERE / "runners/node", HERE)
    items.sort(key=lambda item: first.index(item.path.parent) if item.path.parent in first else len(first))


def pytest_collection_finish() -> None:
    """What was collected lives to the end; looking through it takes the garbage collector a third of a second."""
    gc.freeze()


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs leave no page for people: drawing it takes longer than running a small street."""
    monkeypatch.setattr("wattswap.experiments.api._report", lambda directory, result: None)


@pytest.fixture(autouse=True)
def no_strategies_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that one test gives as a strategy is known to this process, and to no other test."""
    monkeypatch.setattr("wattswap.runners.engines.strategy_assignment._GIVEN", {})


@pytest.fixture
def rules() -> Rules:
    """30-s ticks, 300-s windows, half an hour of guard, 690 W an ampere."""
    return Rules()
