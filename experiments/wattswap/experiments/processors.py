"""How many processes can work at the same time on this machine."""

from __future__ import annotations

import os


def usable_processors() -> int:
    """The processors that this process may use, at least 1. macOS cannot say, so there it is all of the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
