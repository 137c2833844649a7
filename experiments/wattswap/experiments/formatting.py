"""Figures and names as people read them, on the terminal, in the picture and in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.protocol.units import NANOS_PER_IOTA

if TYPE_CHECKING:
    from pathlib import Path


def plain(number: float, places: int = 1) -> str:
    """A number with commas between thousands and without zeros at its end; what rounds to nothing has no sign."""
    text = f"{number:,.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def rounded(number: float, places: int = 1) -> str:
    """As :func:`plain`, but what is not nothing keeps its first digit and is not written as 0."""
    return plain(number, places) if number == 0 or abs(number) >= 0.5 / 10**places else f"{number:.1g}"


def kilo(amount: float) -> str:
    """Watts as kW, watt-hours as kWh, to one decimal."""
    return plain(amount / 1000)


def minutes(seconds: float) -> str:
    """Seconds as minutes, to one decimal."""
    return plain(seconds / 60)


def iota(nanos: float) -> str:
    """Nanos as tokens, to two decimals."""
    return plain(nanos / NANOS_PER_IOTA, 2)


def with_euros(nanos: float, eur_per_iota: float) -> str:
    """Nanos as tokens, and in euros at this rate; a rate of 0 says no euros."""
    tokens = f"{iota(nanos)} IOTA"
    return f"{tokens} ({nanos / NANOS_PER_IOTA * eur_per_iota:,.2f} EUR)" if eur_per_iota and nanos else tokens


def amount(value: float) -> str:
    """A figure that is not negative with about three digits: whole from ten on, one or two decimals below."""
    if value == 0 or value >= 10:
        return f"{value:,.0f}"
    if value < 0.005:
        return "<0.01"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def controller_name(controller: str) -> str:
    """A controller by name, marked with what it knows that cars tell nobody."""
    from wattswap.agents.controllers import KNOWLEDGE

    return f"{controller} (knows {KNOWLEDGE[controller]})" if controller in KNOWLEDGE else controller


def counted(count: int, thing: str) -> str:
    """A number of things, with an s unless it is one."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def megabytes(folder: Path) -> str:
    """What the files of a folder take on the disk together."""
    taken = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{plain(max(taken / 1_000_000, 0.1))} MB"


def printable(name: str, longest: int) -> str:
    """A name from a file, fit to be drawn: one line, no longer than this, in letters that most fonts have."""
    drawn = "".join(letter if letter.isprintable() and ord(letter) < 0x2E80 else "?" for letter in name)
    return drawn if len(drawn) <= longest else drawn[: longest - 1] + "…"
