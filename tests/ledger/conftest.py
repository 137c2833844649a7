"""Every backend under one contract: what is added to ``BACKENDS`` must pass all of ``test_ledger_contract.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.ledger.local_node import fresh_ledger, local_node

from wattswap.ledger.base import Ledger
from wattswap.ledger.sqlite import SqliteLedger

OPENING: Mapping[str, int] = {"alice": 1_000, "bob": 500, "site": 10**15}
"""Who holds what when a test begins. ``carol`` is known to nobody."""

BACKENDS = ("sqlite", "sqlite in memory", "iota")


@pytest.fixture(scope="session")
def node_url() -> Iterator[str]:
    """A local IOTA node for all tests that need one; each takes wallets of its own."""
    pytest.importorskip("iota_sdk")
    with local_node() as (url, _):
        yield url


@pytest.fixture(params=BACKENDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A fresh ledger in which ``OPENING`` holds."""
    fresh: Ledger
    match request.param:
        case "sqlite":
            fresh = SqliteLedger(tmp_path / "ledger.sqlite", OPENING)
        case "sqlite in memory":
            fresh = SqliteLedger(None, OPENING)
        case _:
            fresh = fresh_ledger(request.getfixturevalue("node_url"), OPENING)
    yield fresh
    fresh.close()
