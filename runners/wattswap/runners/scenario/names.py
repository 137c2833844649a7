"""Names in a file: marks of a missing one, names that Wattswap makes up, and how long a name may be."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from wattswap.protocol.errors import InputError

MOST_CHARACTERS: Final = 72
"""An agent is called ``vehicle/<name>``, and no name in a message is longer than 80 characters."""
_MISSING: Final = frozenset({"", "NA", "N/A", "n/a", "NULL", "null", "NaN", "nan", "None", "none", "-"})


def named(text: str) -> str:
    """The name in a field that may be empty; ``""`` where programs write a mark for a missing value."""
    return "" if text in _MISSING else text


def apart(name: str, taken: Collection[str]) -> str:
    """A made-up name that nobody in ``taken`` has: ``name`` itself, or the first free of ``name#2``, ``name#3``."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free


def refuse_long(file: str, what: str, names: Iterable[str]) -> None:
    """Refuse a name that does not fit into a message, before its car is left without a word."""
    for name in names:
        if len(name) > MOST_CHARACTERS:
            raise InputError(
                f"{file}: {what} {name} has {len(name)} characters and a message carries {MOST_CHARACTERS};"
                " shorten the names"
            )
