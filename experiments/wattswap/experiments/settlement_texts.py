"""What became of a run's tokens on its ledger, in figures and sentences for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from wattswap.ledger.amounts import iota_of
from wattswap.runners.payments.run_payments import MEMORY, SQLITE, Block
from wattswap.runners.recording.rundir import RUN_JSON, SETTLEMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_TOLD: Final = 5

AGREE: Final = "book and ledger agree to the nano"
_ROWS: Final[tuple[tuple[str, Callable[[Block], str]], ...]] = (
    ("Payments over the ledger", lambda of: f"{of['payments']:,}"),
    ("Meter records anchored", lambda of: f"{of['anchors']:,}"),
    ("Of both, still on their way", lambda of: f"{of['pending']:,}"),
    ("Earned by giving way", lambda of: f"{iota_of(of['earned_nanos'])} IOTA"),
    ("  of it netted with energy bills", lambda of: f"{iota_of(of['netted_nanos'])} IOTA"),
    ("  of it waiting for a bill or the ledger", lambda of: f"{iota_of(of['waiting_nanos'])} IOTA"),
    ("  of it crossed the ledger", lambda of: f"{iota_of(of['crossed_nanos'])} IOTA"),
    ("Fees, burned", lambda of: f"{iota_of(of['fees_nanos'])} IOTA"),
    ("Deposits, locked until freed", lambda of: f"{iota_of(of['deposits_nanos'])} IOTA"),
)


def figures_of(block: Block) -> list[tuple[str, str]]:
    """Label and figure of what a settlement came to."""
    return [(label, say(block)) for label, say in _ROWS]


def verdict(block: Block, run_dir: Path | None = None) -> list[str]:
    """Whether book and ledger agree, and if not, what is wrong and what can be done, a sentence a line."""
    where = name_of(block)
    lines = []
    if block["agree"]:
        lines.append(f"Ledger {where}: {AGREE}.")
    if block["pending"]:
        how = "it ended with the run, for there is no run directory"
        if run_dir is not None and block["ledger"] != MEMORY:
            how = f"nothing is lost: `wattswap settle {run_dir}` goes on"
        lines.append(f"Ledger {where}: {block['pending']:,} payments or records are still on their way; {how}.")
    if block["alarms"] and not lines:
        lines.append(f"Ledger {where}: something is wrong.")
    lines += _first(block["alarms"])
    if block["differences"]:
        lines += [f"Ledger {where}: book and ledger differ.", *_first(block["differences"])]
    lines += [f"Note: {text}." for text in block.get("notes", ())]
    return lines or [f"Ledger {where}: the run ended before it was compared with the book."]


def _first(texts: Sequence[str]) -> list[str]:
    """The first of these, and how many more there are."""
    more = len(texts) - _MOST_TOLD
    last = [f"  and {more} more, see `{SETTLEMENT}` in {RUN_JSON}"] if more > 0 else []
    return [*(f"  {text}" for text in texts[:_MOST_TOLD]), *last]


def name_of(block: Block) -> str:
    """The ledger as people know it: of a file its name alone."""
    where = str(block["ledger"])
    return f"{SQLITE}{Path(where.removeprefix(SQLITE)).name}" if where.startswith(SQLITE) else where
