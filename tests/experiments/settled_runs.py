"""What the tests of a run's settlement share: a short street, a node that can be killed, and what must come out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from tests.ledger.local_node import local_node

from wattswap.experiments.api import Result, run_loaded
from wattswap.runners.scenario import Street, load_street

QUICK = (
    "start=2018-11-25T12:00:00+01:00",
    "hours=0",
    "reading_s=1_800",
    "window_s=1_800",
    "ledger.anchor_s=1_800",
)
"""The demo from Sunday noon to Monday noon, in 48 ticks."""


def quick_street(*settings: str) -> Street:
    return load_street("demo", settings=[*QUICK, *settings])


def in_memory(street: Street, engine: str = "fleet") -> Result:
    return run_loaded(street, engine=engine)


def plain(result: Result) -> dict[str, Any]:
    """All figures that must not depend on the ledger."""
    return {key: value for key, value in result.summary.items() if key not in ("settlement", "timing")}


class DevnetProcess:
    """A local IOTA node that can be killed and started again over the same chain."""

    def __init__(self, db: Path) -> None:
        self.db, self._stack, self._port = db, ExitStack(), 0
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        url, self._process = self._stack.enter_context(local_node(self.db, self._port))
        self.url = url.removesuffix("/graphql")
        self._port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """As with ``kill -9``."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._stack.close()


@contextmanager
def a_node(folder: Path) -> Iterator[DevnetProcess]:
    node = DevnetProcess(folder / "chain.sqlite")
    try:
        yield node
    finally:
        node.close()


STREET: Final = quick_street()
SLOTS: Final = STREET.ticks
EVENING: Final = SLOTS // 2
"""A tick when cars trade and leave."""
MEMORY: Final = in_memory(STREET)
