"""Where a settlement stands: what a ledger has made of a book's entries, in figures and in words."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from wattswap.ledger.base import DamagedError, LedgerDownError
from wattswap.ledger.crossing import Earnings, crossings, earnings, held_in, opening_in, summed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wattswap.ledger.book import Book
    from wattswap.ledger.ledger import Ledger

OUTSIDE_ERRORS: Final = (LedgerDownError, DamagedError, sqlite3.Error, OSError)
"""What may happen to files and networks; anything else is a bug of ours."""
SPLIT: Final = ("earned", "netted", "waiting", "crossed")
"""What cars have earned, and its three parts."""


def payment_status(
    settlement: Ledger,
    books: Mapping[str, Book],
    records: int,
    alarms: Iterable[str] = (),
    *,
    compared: bool,
) -> dict[str, Any]:
    """Figures of a settlement: what the ledger made of each feeder's book and of so many meter records."""
    owed = [payment.key for feeder, book in books.items() for payment in crossings(book.entries, feeder)]
    told = list(alarms)
    try:
        settled, paid = settlement.settled(), settlement.paid_keys()
    except OUTSIDE_ERRORS as error:
        return {
            "payments": len(owed),
            "pending": len(owed) + records,
            **split_nanos(books, set()),
            "alarms": _lines((*told, str(error))),
            "notes": [],
        }
    refused = [text.partition(": ")[0] for text in settled.refused]
    pending = max(len([key for key in owed if key not in paid]) + records - settled.anchors - len(refused), 0)
    differing = None
    if compared and not pending:
        try:
            expected = summed(held_in(book.balances(), feeder) for feeder, book in books.items())
            opening = summed(opening_in(book.entries, feeder) for feeder, book in books.items())
            differing = settlement.differences(expected, opening)
        except OUTSIDE_ERRORS as error:
            told.append(f"the ledger could not be compared with the book: {error}")
    return {
        "payments": len(owed),
        "pending": pending,
        "refused": len(refused),
        **split_nanos(books, paid),
        "fees_nanos": settled.fees_nanos,
        "deposits_nanos": settled.deposits_nanos,
        "anchors": settled.anchors,
        "agree": differing == [] and not refused,
        "differences": differing or [],
        "notes": list(settled.notes),
        "alarms": _lines((*told, *settled.alarms, *settled.refused, *(settled.waiting if pending else ()))),
    }


def split_nanos(books: Mapping[str, Book], paid: set[str]) -> dict[str, int]:
    """What cars earned, what bills took of it, what waits and what crossed the ledger: the first is their sum."""
    total = sum(_earnings(books, paid.__contains__).values(), Earnings())
    return {f"{name}_nanos": getattr(total, name) for name in SPLIT}


def reward_states(settlement: Ledger, books: Mapping[str, Book]) -> dict[str, str]:
    """Settlement key of a reward -> ``netted``, ``waiting``, ``crossed``, or two of them with a plus."""
    paid: set[str] = set()
    with suppress(*OUTSIDE_ERRORS):
        paid = settlement.paid_keys()
    return {key: one.state for key, one in _earnings(books, paid.__contains__).items()}


def _earnings(books: Mapping[str, Book], is_paid: Callable[[str], bool]) -> dict[str, Earnings]:
    """Of all feeders: the key of a reward names its feeder's number."""
    found: dict[str, Earnings] = {}
    for feeder, book in books.items():
        found |= earnings(book.entries, is_paid, feeder)
    return found


def _lines(texts: Iterable[str]) -> list[str]:
    """Each text once, in one line; those that differ only in the wallet that waits are one."""
    lines: dict[str, str] = {}
    for text in texts:
        line = " ".join(text.split())
        lines.setdefault(line.partition(": ")[2] or line, line)
    return [line for line in lines.values() if line]
