"""A node as a child process, for tests, benchmarks, and whoever wants a chain for the length of a program."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from wattswap.ledger.devnet.process import DevnetReady, Settings
from wattswap.protocol.errors import InputError

_LEAVES_WITHIN_S = 10.0


class Child:
    """A running node. ``ready`` says where."""

    def __init__(self, settings: Settings) -> None:
        command = [sys.executable, "-m", "wattswap.ledger.devnet.process", msgspec.json.encode(settings).decode()]
        self.process = subprocess.Popen(  # noqa: S603 - ourselves
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            _, error = self.process.communicate()
            raise InputError(f"the node did not start: {error.decode(errors='replace').strip()}")
        self.ready = msgspec.json.decode(line, type=DevnetReady)

    def kill(self) -> None:
        """End it the way a power cut does."""
        self.process.kill()
        self.process.communicate()

    def stop(self) -> tuple[int, str]:
        """Ask it to leave; its exit code, and what it had to say on stderr."""
        self.process.terminate()
        try:
            _, said = self.process.communicate(timeout=_LEAVES_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return self.process.returncode, said.decode(errors="replace")


@contextmanager
def running(*, db: str | None = None, **settings: object) -> Iterator[Child]:
    """A node on a free port of this machine, which ends with the block, however it ends."""
    child = Child(msgspec.convert({"db": db, "port": 0, "as_json": True, "tied": True, **settings}, Settings))
    try:
        yield child
    finally:
        if child.process.poll() is None:
            child.stop()
        else:
            child.process.communicate()  # lets go of the pipes
