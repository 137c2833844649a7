"""The newest of what a slow source gives: a thread waits for the source, the node's loop never does."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Lock, Thread

from wattswap.runners.node.drivers.device import DeviceError, DeviceReading


def monotonic_ms() -> int:
    """The clock of all readings."""
    return time.monotonic_ns() // 1_000_000


class Newest:
    """The last reading that came in, and what went wrong since."""

    def __init__(self, source: str, fresh_ms: int) -> None:
        """``source`` is named in errors; a reading older than ``fresh_ms`` is none."""
        self._source, self._fresh_ms = source, fresh_ms
        self._lock = Lock()
        self._reading: DeviceReading | None = None
        self._trouble = "it has said nothing yet"

    def keep(self, reading: DeviceReading) -> None:
        """This came in."""
        with self._lock:
            self._reading = reading

    def fail(self, trouble: object) -> None:
        """This went wrong; the last reading holds until it is too old."""
        with self._lock:
            self._trouble = str(trouble)

    def read(self) -> DeviceReading:
        """The last reading.

        Raises:
            DeviceError: there is none, or it is too old.
        """
        with self._lock:
            reading, trouble = self._reading, self._trouble
        if reading is None:
            raise DeviceError(f"no reading from {self._source}: {trouble}")
        if (age_ms := monotonic_ms() - reading.at_ms) > self._fresh_ms:
            raise DeviceError(f"{trouble}; the last reading from {self._source} is {age_ms} ms old")
        return reading


class Repeating:
    """Calls something over and over in a thread of its own, until it is closed."""

    def __init__(self, name: str, every_ms: int, work: Callable[[], None], failed: Callable[[object], None]) -> None:
        """``failed`` is told when ``work`` raises ``DeviceError`` or ``OSError``; any other error ends the thread."""
        self._every_s, self._work, self._failed = every_ms / 1_000, work, failed
        self._closed, self._now = Event(), Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Call it at once, without waiting for the next time."""
        self._now.set()

    def close(self) -> None:
        """Call it no more. A call that waits for its source is left to end by itself."""
        self._closed.set()
        self._now.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._now.clear()
            try:
                self._work()
            except (DeviceError, OSError) as error:
                self._failed(error)
            self._now.wait(self._every_s)
