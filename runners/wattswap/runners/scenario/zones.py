"""Civil time: zones by name, and sessions moved to another week by the clock on the wall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from wattswap.protocol.errors import InputError
from wattswap.runners.scenario.tables import unix_ms

if TYPE_CHECKING:
    from wattswap.runners.scenario.schema import Scenario


@lru_cache(maxsize=64)
def zone_named(name: str) -> ZoneInfo:
    """The zone with this IANA name, from the machine's own data.

    Raises:
        InputError: there is none of this name, or the machine has no zone data; what to do stands in it.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(_unknown(name)) from None


def _unknown(name: str) -> str:
    names = sorted(available_timezones())
    if not names:
        return f"time zone {name!r} is needed and this machine has no time zone data; install the package tzdata"
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"there is no time zone {name!r}; " + (f"did you mean {near[0]}?" if near else "write it like Europe/Oslo")


def scenario_clock(scenario: Scenario) -> tzinfo | None:
    """The clock of the street's zone; None where the scenario names none."""
    return zone_named(scenario.zone) if scenario.zone else None


def end_of_run(start: datetime, days: int, hours: int) -> datetime:
    """So many days later by the clock on the wall, and then so many hours: a day has 23 to 25 of them."""
    return (start + timedelta(days=days)).astimezone(UTC) + timedelta(hours=hours)


@dataclass(frozen=True)
class Redating:
    """Where a scenario puts sessions: ``days`` later, and by the wall clock of ``zone`` (``""``: their own)."""

    days: int = 0
    zone: str = ""

    def moved_ms(self, arrival: datetime) -> int:
        """How much later everything about a session happens that was recorded to arrive at ``arrival``.

        It arrives at the same time of day by the clock of the zone it is moved to, and lasts as long as it did. An
        arrival in the hour that summer time skips comes an hour later.
        """
        if not self.days and not self.zone:
            return 0
        clock = zone_named(self.zone) if self.zone else arrival.tzinfo
        moved = arrival.replace(tzinfo=None) + timedelta(days=self.days)
        return unix_ms(moved.replace(tzinfo=clock, fold=arrival.fold)) - unix_ms(arrival)
