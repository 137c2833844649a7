"""A node's clock: the wall's time when the node starts, and a monotonic count from then on.

Ticks are numbered by it and must never repeat, not even when the wall's clock is set back between two starts. So the
node remembers now and then what its clock says, beside the machine's own count since it was switched on. While the
machine is not switched off, that count tells how much time has passed since, whatever the wall's clock says.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

EPOCH_S: Final = 1_577_836_800
"""2020-01-01T00:00:00Z: instants are counted from here, so that ticks of a second fit into 31 bits until 2088."""
KEEP_MS: Final = 300_000
"""How often what the clock says is remembered."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class ClockRecord(Struct, frozen=True, array_like=True):
    """What a clock said once."""

    now_ms: int
    up_ms: int
    """The machine's count since it was switched on."""
    boot_id: str
    """A word for the time since the machine was switched on; empty where there is none."""

    def encode(self) -> bytes:
        """As bytes for a store."""
        return msgspec.msgpack.encode(self)


class NodeClock:
    """Milliseconds since the epoch; never goes back and never jumps while the node runs."""

    def __init__(self, remembered: bytes | None = None) -> None:
        """``remembered`` is the last record of the node's earlier run."""
        record = None if remembered is None else msgspec.msgpack.decode(remembered, type=ClockRecord)
        self._offset_ms = max(wall_ms(), _least_ms(record)) - _monotonic_ms()

    def now_ms(self) -> int:
        """The time now."""
        return _monotonic_ms() + self._offset_ms

    def ahead_of_wall_ms(self) -> int:
        """By how much it differs from the wall's clock, which somebody may have set since."""
        return self.now_ms() - wall_ms()

    def record(self) -> ClockRecord:
        """What it says now."""
        return ClockRecord(self.now_ms(), _up_ms(), _boot_id())


def newest_record(remembered: Iterable[bytes | None]) -> bytes | None:
    """Of several records, the one in which the clock says most."""
    records = [one for one in remembered if one is not None]
    return max(records, key=lambda one: msgspec.msgpack.decode(one, type=ClockRecord).now_ms, default=None)


def wall_ms() -> int:
    """The wall's time, counted from the same epoch."""
    return time.time_ns() // 1_000_000 - EPOCH_S * 1_000


def utc_text(now_ms: int) -> str:
    """An instant of a node's clock, as logs write it."""
    return datetime.fromtimestamp(EPOCH_S + now_ms / 1_000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _least_ms(record: ClockRecord | None) -> int:
    """What the clock cannot have been behind of when the node ended."""
    if record is None:
        return 0
    if record.boot_id and record.boot_id == _boot_id():
        return record.now_ms + _up_ms() - record.up_ms
    if wall_ms() >= record.now_ms:
        return 0
    return record.now_ms + KEEP_MS  # the wall's clock was set back: go on where the node may have ended at the latest


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _up_ms() -> int:
    """Since the machine was switched on, time in which it slept included where the system counts that."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
