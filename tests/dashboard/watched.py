"""A run with a dashboard, as a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def watched(*options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A run with a dashboard, and the addresses it says."""
    command = [sys.executable, "-m", "wattswap", "run", "demo", "--watch", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            addresses: list[str] = []
            assert process.stderr is not None
            while len(addresses) < 2:
                line = process.stderr.readline()
                assert line, "the run ended before it said where its page is"
                addresses += re.findall(r"http://\S+", line)
            yield process, addresses
        finally:
            process.kill()
