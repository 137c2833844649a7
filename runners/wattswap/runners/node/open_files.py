"""How many files and connections a process may have open: the kernel's question, asked once when a node starts."""

from __future__ import annotations

import resource
from contextlib import suppress


def raise_open_files_limit() -> int:
    """Let this process open as many files as its user may; the limit in force now.

    A login shell and systemd give 1,024, and leave it to a program to ask for more. Every connection is one of them,
    even that of a stranger who never shows a key.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard
    return soft
