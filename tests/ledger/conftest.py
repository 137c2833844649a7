"""Every backend under one contract: what is added to ``BACKENDS`` must pass all of ``test_ledger_contract.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from wattswap.ledger.base import Ledger
from wattswap.ledger.memory import MemoryLedger

OPENING: Mapping[str, int] = {"alice": 1_000, "bob": 500, "site": 10**20 // 25}
"""Who holds what when a test begins. ``carol`` is known to nobody."""

BACKENDS: Mapping[str, Callable[[Mapping[str, int]], Ledger]] = {"memory": MemoryLedger}


@pytest.fixture(params=BACKENDS)
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """A fresh ledger in which ``OPENING`` holds."""
    return BACKENDS[request.param](OPENING)
