"""A local IOTA node in a process of its own, for tests that need a chain."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from wattswap.ledger.base import ANCHORS
from wattswap.protocol.units import NANOS_PER_IOTA

_RUNS = itertools.count(1)


@contextmanager
def local_node(db: Path | None = None, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL of a node that lives as long as the block, and its process."""
    settings = {"port": port, "as_json": True, "db": str(db) if db else None}
    command = [sys.executable, "-m", "wattswap.ledger.devnet.process", msgspec.json.encode(settings).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield msgspec.json.decode(process.stdout.readline())["url"], process
        finally:
            process.kill()


def fresh_ledger(url: str, opening: Mapping[str, int], outbox: Path | None = None) -> Any:
    """An ``IotaLedger`` with wallets that nobody had before, in which ``opening`` holds."""
    from wattswap.ledger.iota import IotaClient
    from wattswap.ledger.iota_keys import SeededWallets
    from wattswap.ledger.iota_ledger import GAS, IotaLedger
    from wattswap.ledger.outbox import Outbox

    ledger = IotaLedger(IotaClient(url), SeededWallets(next(_RUNS)), Outbox(outbox))
    ledger.fund({GAS: 1_000 * NANOS_PER_IOTA, ANCHORS: 1_000 * NANOS_PER_IOTA, **opening})
    return ledger
