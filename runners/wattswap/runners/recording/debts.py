"""What a run still owes, by its outbox alone, whatever else of it is torn or gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.ledger.base import DamagedError
from wattswap.ledger.outbox_reading import read_outbox
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def debts(outbox: Path) -> str:
    """How much is owed by the outbox in this file, in words; empty if nothing is, or if there is no such file."""
    if not outbox.is_file():
        return ""
    try:
        with read_outbox(outbox) as opened:
            count = opened.unsettled
    except (InputError, DamagedError):
        return f"tokens may be owed, for {outbox.name} beside it cannot be read either"
    return f"{count:,} payments or records are still owed, as {outbox.name} beside it says" if count else ""
