"""CSV files as users bring them: every complaint names the file, the line and what to do about it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final

from wattswap.protocol.errors import InputError
from wattswap.protocol.units import MS_PER_DAY

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
YEARS: Final = range(1900, 3000)
"""Years a stamp may be of: far enough from what a date can hold to compute with."""
_MS: Final = timedelta(milliseconds=1)
_SHOWN: Final = 8
"""So many of a file's columns are named where one is missing."""


@dataclass(frozen=True)
class Cell:
    """One field of a table, which knows where it stands."""

    file: str
    line: int
    column: str
    text: str
    decimal: str = "."
    """What stands before decimals in its file."""

    def wrong(self, what: str) -> InputError:
        """An error about this cell: file, line, column, then ``what``."""
        return InputError(f"{self.file}, line {self.line}, column {self.column}: {what}")

    def filled(self) -> str:
        """The text in this cell, which must not be empty."""
        if not self.text:
            raise self.wrong("the field is empty; every row needs one")
        return self.printable()

    def printable(self) -> str:
        """The text in this cell, which may be empty and must be fit for a line of output."""
        if not self.text.isprintable():
            raise self.wrong(f"{self.text!r} holds a character that cannot be printed; take it out")
        return self.text

    def instant_ms(self) -> int:
        """The ISO 8601 time stamp in this cell as milliseconds since 1970 in UTC; it must carry an offset."""
        return unix_ms(self.stamp())

    def stamp(self) -> datetime:
        """The ISO 8601 time stamp in this cell, on the clock it was written by; it must carry an offset."""
        try:
            stamp = datetime.fromisoformat(self.text)
        except ValueError:
            raise self.wrong(f"{self.text!r} is no time stamp; write it like 2018-11-19T00:00:00+01:00") from None
        if stamp.tzinfo is None:
            raise self.wrong(f"{self.text!r} has no time zone; add the offset, like 2018-11-19T00:00:00+01:00")
        if stamp.year not in YEARS:
            raise self.wrong(f"{self.text!r} is not between {YEARS[0]} and {YEARS[-1]}; correct the year")
        return stamp

    def number(self, decimal: str = "") -> float:
        """The finite number in this cell; ``decimal`` is what stands before its decimals, if not as in its file."""
        decimal = decimal or self.decimal
        try:
            value = float(self.text.replace(decimal, "."))
        except ValueError:
            hint = "; use a point for decimals" if "," in self.text and decimal == "." else ""
            raise self.wrong(f"{self.text!r} is no number{hint}") from None
        if not math.isfinite(value):
            raise self.wrong(f"{self.text!r} cannot be used; fill the gap with a finite number")
        return value


@dataclass(frozen=True)
class Table:
    """A CSV file that has been read: its header, its rows with their line numbers, and what it hashes to."""

    file: str
    sha256: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    decimal: str = "."
    """What stands before decimals: a comma where semicolons separate the fields of a file that may have commas."""
    encoding: str = "UTF-8"

    def column(self, name: str) -> Iterator[Cell]:
        """The cells of one column, in file order. The column must be there."""
        at = self.header.index(name)
        return (Cell(self.file, line, name, row[at], self.decimal) for line, row in self.rows)


def few(names: Iterable[str], shown: int = 3) -> str:
    """The first of these names, each once, and how many there are beside."""
    told = [name if name.isprintable() else repr(name) for name in dict.fromkeys(names)]
    return ", ".join(told[:shown]) + (f" and {len(told) - shown} more" if len(told) > shown else "")


def unix_ms(stamp: datetime) -> int:
    """Milliseconds since 1970 in UTC of a date with an offset: summer time needs no further thought."""
    return (stamp - EPOCH) // _MS


def time_of_day_ms(stamp: datetime) -> int:
    """Since midnight, by the stamp's own offset from UTC."""
    return unix_ms(stamp.replace(tzinfo=UTC)) % MS_PER_DAY


def read_table(
    path: Path,
    columns: Sequence[str],
    separator: str = ",",
    instead: Mapping[str, Sequence[str]] = MappingProxyType({}),
    hint: str = "rename or add it",
) -> Table:
    """Read a CSV file that must have ``columns`` (further ones are kept, and harmless) and at least one row.

    ``instead`` names, for a column, others that may stand there in its place; ``hint`` says what to do where one is
    missing. A file whose header has semicolons and no
    comma is read as spreadsheets of many countries write it: semicolons between fields, commas before decimals.
    """
    content = read_content(path)
    first = content.partition(b"\n")[0]
    semicolons = separator == "," and b";" in first and b"," not in first
    separator = ";" if semicolons else separator
    encoding, text = _decoded(path, content)
    lines = [(line, row) for line, row in _lines(path, text, separator) if row]
    if not lines:
        head = separator.join(columns)
        raise InputError(f"{path}: the file is empty; it needs the header {head} and rows below it")
    header = tuple(name.strip() for name in lines[0][1])
    standing = [_standing(name, header, instead.get(name, ())) for name in columns]
    _require_columns(path, header, standing, separator, hint)
    if len(lines) == 1:
        raise InputError(f"{path}: there is a header and no row below it; add rows or name another file")
    for line, row in lines[1:]:
        if len(row) != len(header):
            raise InputError(f"{path}, line {line}: {len(row)} fields under a header of {len(header)}; correct the row")
    rows = tuple((line, tuple(text.strip() for text in row)) for line, row in lines[1:])
    return Table(str(path), sha256(content).hexdigest(), header, rows, "," if semicolons else ".", encoding)


def read_content(path: Path) -> bytes:
    """A file's bytes; a file that cannot be read is refused with what to do about it."""
    if path.is_char_device():  # such as /dev/zero, which has no end
        raise InputError(f"{path}: this is a device, not a file; name a readable file")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file{nearest_file(path)}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a readable file") from None
    except ValueError:
        raise InputError(f"{str(path)!r} is no file name; name a readable file") from None


def nearest_file(path: Path) -> str:
    """What to do about a file that is not there: the one beside it that was likely meant, or where to look."""
    try:
        names = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
    except OSError:
        return f"; there is no folder {path.parent} either"
    near = get_close_matches(path.name, names, n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else f"; look into {path.parent.resolve()}"


def _decoded(path: Path, content: bytes) -> tuple[str, str]:
    """The encoding of a file and its text, without a byte order mark: UTF-8, or what Windows' spreadsheets write."""
    try:
        return "UTF-8", content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    try:
        if b"\0" in content:
            raise ValueError
        return "Windows-1252", content.decode("cp1252")
    except ValueError:
        raise InputError(f"{path}, line {line}: this is not UTF-8 text; save the file as UTF-8 CSV") from None


def _lines(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each record."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not readable as CSV ({error}); correct the line") from None


def _standing(name: str, header: tuple[str, ...], others: Sequence[str]) -> str:
    """This column, or that of ``others`` which a file has in its place."""
    return name if name in header else next((other for other in others if other in header), name)


def _require_columns(path: Path, header: tuple[str, ...], columns: Sequence[str], separator: str, hint: str) -> None:
    missing = [name for name in columns if name not in header]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        marks = {",": "commas", ";": "semicolons"}[separator]
        hint = f"separate the fields by {marks}" if len(header) == 1 else hint
        has = f"the file has {few(header, _SHOWN)}"
        raise InputError(f"{path}, line 1: column{plural} {', '.join(missing)} missing, {has}; {hint}")
    twice = [name for name in columns if header.count(name) > 1]
    if twice:
        raise InputError(f"{path}, line 1: column {twice[0]} stands there twice; keep one")
