"""Every backend under one contract: what is added to ``BACKENDS`` must pass all of ``test_ledger_contract.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from wattswap.ledger.base import Ledger
from wattswap.ledger.memory import MemoryLedger
from wattswap.ledger.sqlite import SqliteLedger

OPENING: Mapping[str, int] = {"alice": 1_000, "bob": 500, "site": 10**20 // 25}
"""Who holds what when a test begins. ``carol`` is known to nobody."""

BACKENDS: Mapping[str, Callable[[Mapping[str, int], Path], Ledger]] = {
    "memory": lambda opening, _: MemoryLedger(opening),
    "sqlite": lambda opening, folder: SqliteLedger(folder / "ledger.sqlite", opening),
    "sqlite in memory": lambda opening, _: SqliteLedger(None, opening),
}


@pytest.fixture(params=BACKENDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A fresh ledger in which ``OPENING`` holds."""
    fresh = BACKENDS[request.param](OPENING, tmp_path)
    yield fresh
    fresh.close()
