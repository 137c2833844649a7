"""Time stamps as people's meters and spreadsheets write them, read column by column.

ISO 8601 with an offset needs no thought. Others are read as the whole column allows: day before month or month before
day, seconds or milliseconds since 1970, and local times by the clocks of the street's zone, where one hour of autumn
comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_S
from wattswap.runners.scenario.tables import EPOCH, YEARS, Cell, Table, unix_ms

_SECONDS: Final = re.compile(r"\d{9,10}")
_MILLISECONDS: Final = re.compile(r"\d{12,13}")
_NUMBERS: Final = re.compile(
    r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?(Z|[+-]\d{2}:?\d{2})?"
)
"""Day and month in either order, then the year; a time of day and an offset may follow."""


@dataclass(frozen=True)
class Stamps:
    """How the stamps of a column are read."""

    order: str = ""
    """``day`` or ``month``, whichever comes first; ``s`` or ``ms`` since 1970; empty for ISO 8601."""
    clock: tzinfo | None = None
    """Whose clocks show what has no offset."""

    @classmethod
    def of(cls, cells: Sequence[Cell], clock: tzinfo | None) -> Stamps:
        """How the filled cells of one or several columns are to be read; ``clock`` is that of the street's zone.

        Raises:
            InputError: days and months cannot be told apart.
        """
        filled = [cell for cell in cells if cell.text]
        if filled and all(_SECONDS.fullmatch(cell.text) for cell in filled):
            return cls("s")
        if filled and all(_MILLISECONDS.fullmatch(cell.text) for cell in filled):
            return cls("ms")
        numbers = [found for cell in filled if (found := _NUMBERS.fullmatch(cell.text))]
        return cls(_order(filled[0], numbers) if numbers else "", clock)

    @property
    def note(self) -> str:
        """What was taken for what, where somebody might have meant something else."""
        return {
            "day": "dates read as day, month, year",
            "month": "dates read as month, day, year",
            "s": "numbers read as seconds since 1970, UTC",
            "ms": "numbers read as milliseconds since 1970, UTC",
            "": "",
        }[self.order]

    def read(self, cell: Cell, after_ms: int | None = None) -> datetime:
        """The stamp in a cell; of an hour that comes twice, the first that is later than ``after_ms``.

        Raises:
            InputError: it is none, or has no offset where no zone is known, or no clock of the zone ever shows it.
        """
        stamp = self._parsed(cell)
        if stamp.year not in YEARS:
            raise cell.wrong(f"{cell.text!r} is not between {YEARS[0]} and {YEARS[-1]}; correct the year")
        if stamp.tzinfo is not None:
            return stamp
        if self.clock is None:
            raise cell.wrong(
                f"{cell.text!r} has no time zone; add the offset, like 2018-11-19T00:00:00+01:00, or give the street's"
                ' zone in the scenario, like zone = "Europe/Berlin"'
            )
        local = stamp.replace(tzinfo=self.clock)
        if local.astimezone(UTC).astimezone(self.clock).replace(tzinfo=None) != stamp:
            raise cell.wrong(f"no clock in {self.clock} shows {cell.text!r}: that hour is skipped; is the zone right?")
        if after_ms is not None and unix_ms(local) <= after_ms:
            return local.replace(fold=1)
        return local

    def instants_ms(self, cells: Sequence[Cell]) -> list[int]:
        """The instants of stamps that follow each other, in ms since 1970 in UTC."""
        found: list[int] = []
        for cell in cells:
            found.append(unix_ms(self.read(cell, found[-1] if found else None)))
        return found

    def _parsed(self, cell: Cell) -> datetime:
        text = cell.text
        if self.order in ("s", "ms"):
            return EPOCH + timedelta(milliseconds=int(text) * (MS_PER_S if self.order == "s" else 1))
        try:
            if self.order and (found := _NUMBERS.fullmatch(text)):
                one, _, two, year, hour, minute, second, offset = found.groups()
                day, month = (one, two) if self.order == "day" else (two, one)
                time = f"{int(hour or 0):02}:{minute or '00'}:{second or '00'}"
                text = f"{year}-{int(month):02}-{int(day):02}T{time}{offset or ''}"
            return datetime.fromisoformat(text)
        except ValueError:
            raise _no_stamp(cell) from None


def read_as(table: Table, stamps: Stamps) -> tuple[str, ...]:
    """A note on what a file was taken for, without its name, if anybody might have meant something else."""
    taken = [note for note in (stamps.note, "" if table.encoding == "UTF-8" else f"text as {table.encoding}") if note]
    return (", ".join(taken),) if taken else ()


def _order(first: Cell, numbers: Sequence[re.Match[str]]) -> str:
    """Which of day and month comes first: where points stand between them the day does, else the column tells."""
    is_day = any(int(found[1]) > 12 for found in numbers)
    is_month = any(int(found[3]) > 12 for found in numbers)
    if is_day and is_month:
        raise first.wrong("the column has days before months in some rows and after them in others; write 2026-11-27")
    if is_day or is_month:
        return "day" if is_day else "month"
    if numbers[0][2] == ".":
        return "day"
    raise first.wrong(f"{first.text!r} may be day or month first, and no row of the column tells; write 2026-11-27")


def _no_stamp(cell: Cell) -> InputError:
    return cell.wrong(f"{cell.text!r} is no time stamp; write it like 2018-11-19T00:00:00+01:00")
