"""Where a settlement stands: what a ledger has made of a book's entries, in figures and in words."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from wattswap.ledger.base import LedgerDownError
from wattswap.ledger.settlement_worker import crossing, differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wattswap.ledger.book import Entry
    from wattswap.ledger.settlement_worker import Settled, SettlementWorker

OUTSIDE_ERRORS: Final = (LedgerDownError, sqlite3.Error, OSError)
"""What may happen to files and networks; anything else is a bug of ours."""


def payment_status(
    worker: SettlementWorker,
    entries: Iterable[Entry],
    balances: Mapping[str, int],
    records: int,
    weather: str = "",
    *,
    compared: bool,
) -> dict[str, Any]:
    """Figures of a settlement: what the ledger made of a book's entries and of so many meter records."""
    owed = [payment.key for entry in entries if (payment := crossing(entry)) is not None]
    try:
        settled = worker.settled()
    except OUTSIDE_ERRORS as error:
        return {"payments": len(owed), "pending": len(owed) + records, "alarms": _lines((weather, str(error)))}
    refused = len(settled.refused)
    pending = max(len(owed) + records - settled.payments - settled.anchors - refused, 0)
    differing = None
    if compared and not pending:
        try:
            differing = differences(balances, worker.ledger)
        except OUTSIDE_ERRORS as error:
            weather = weather or f"the ledger could not be compared with the book: {error}"
    return {
        "payments": len(owed),
        "pending": pending,
        "refused": refused,
        "fees_nanos": settled.fees_nanos,
        "deposits_nanos": settled.deposits_nanos,
        "anchors": settled.anchors,
        "agree": differing == [] and not refused,
        "differences": differing or [],
        "alarms": _lines((weather, *settled.alarms, *_refusals(settled), *(settled.waiting if pending else ()))),
    }


def unpaid_sessions(worker: SettlementWorker, entries: Iterable[Entry]) -> dict[str, str]:
    """Session -> ``pending`` or ``refused``, for those whose bill lets tokens cross that have not crossed."""
    refused: set[str] = set()
    with suppress(*OUTSIDE_ERRORS):
        refused = set(worker.settled().refused)
    unpaid = {}
    for entry in entries:
        payment = crossing(entry)
        if payment is not None and not _is_paid(worker, payment.key):
            unpaid[entry[1]] = "refused" if payment.key in refused else "pending"
    return unpaid


def _is_paid(worker: SettlementWorker, key: str) -> bool:
    try:
        return worker.is_paid(key)
    except OUTSIDE_ERRORS:
        return False


def _refusals(settled: Settled) -> list[str]:
    return [f"{key}: the ledger refused it again and again" for key in settled.refused]


def _lines(texts: Iterable[str]) -> list[str]:
    """Each text once, in one line; those that differ only in the wallet that waits are one."""
    lines: dict[str, str] = {}
    for text in texts:
        line = " ".join(text.split())
        lines.setdefault(line.partition(": ")[2] or line, line)
    return [line for line in lines.values() if line]
