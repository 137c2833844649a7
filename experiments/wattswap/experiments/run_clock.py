"""The time of day in a run: its agents and records count milliseconds from its start."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from wattswap.protocol.errors import InputError
from wattswap.runners.recording.rundir import SCENARIO

if TYPE_CHECKING:
    from pathlib import Path

_UNIX_FROM_MS: Final = 10**12
"""No run lasts until here, and no wall clock that metered anything was ever before: what is more counts from 1970."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RunClock:
    """When a run began, in the street's own time, and how long its ticks are."""

    start: datetime
    tick_ms: int

    def at(self, ms: int) -> datetime:
        """The instant of so many ms since the run's start, or since 1970."""
        begins = _EPOCH.astimezone(self.start.tzinfo) if ms >= _UNIX_FROM_MS else self.start
        return begins + timedelta(milliseconds=ms)

    def at_tick(self, tick: int) -> datetime:
        """The instant of a tick."""
        return self.at(tick * self.tick_ms)

    def ms_of(self, text: str, *, since_1970: bool) -> int:
        """An instant that somebody wrote, in ms as the run's records count them; without an offset the street's time.

        Raises:
            InputError: it is no instant.
        """
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            raise InputError(
                f"{text!r} is no instant: write it as {self.start:%Y-%m-%dT%H:%M:%S}, or milliseconds as the records do"
            ) from None
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=self.start.tzinfo)
        return (instant - (_EPOCH if since_1970 else self.start)) // timedelta(milliseconds=1)


def counts_from_1970(ms: int) -> bool:
    """Whether an instant counts from 1970, not from a run's start."""
    return ms >= _UNIX_FROM_MS


def clock_of(run: Path) -> RunClock:
    """The clock of a run directory.

    Raises:
        InputError: its scenario cannot be read.
    """
    scenario = _scenario(run)
    start, reading_s = scenario.get("start"), scenario.get("reading_s")
    if not isinstance(start, datetime) or start.tzinfo is None or type(reading_s) is not int:
        raise InputError(f"{run / SCENARIO}: not the scenario of a run, which has start and reading_s")
    return RunClock(start, reading_s * 1_000)


def end_of(run: Path) -> datetime:
    """When a run is over that nobody breaks off.

    Raises:
        InputError: its scenario cannot be read.
    """
    scenario = _scenario(run)
    days, hours = scenario.get("days"), scenario.get("hours")
    if type(days) is not int or type(hours) is not int:
        raise InputError(f"{run / SCENARIO}: not the scenario of a run, which has days and hours")
    return clock_of(run).start + timedelta(days=days, hours=hours)


def _scenario(run: Path) -> dict[str, Any]:
    path = run / SCENARIO
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise InputError(f"{path}: not the scenario of a run, it is torn or was edited") from None


def told(clock: RunClock | None, ms: int) -> str:
    """An instant as a person reads it; without a clock, how long after the start."""
    if clock is not None or counts_from_1970(ms):
        instant = clock.at(ms) if clock is not None else _EPOCH + timedelta(milliseconds=ms)
        return f"{instant:%Y-%m-%d %H:%M:%S}"
    minutes, seconds = divmod(ms // 1_000, 60)
    return f"+{minutes // 60}:{minutes % 60:02}:{seconds:02}"
