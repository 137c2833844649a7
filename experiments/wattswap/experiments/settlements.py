"""What became of a run's tokens on its ledger, in words; and a run that could not settle, settled later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wattswap.ledger.anchoring import Anchorer
from wattswap.ledger.anchors import Detail
from wattswap.ledger.base import LedgerDownError
from wattswap.ledger.settlement_worker import DRAIN_S, open_worker
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import seeded_signer
from wattswap.runners.engines.agent_factory import transformer_name
from wattswap.runners.payments.payment_status import payment_status, unpaid_sessions
from wattswap.runners.payments.run_payments import MEMORY, SQLITE, Block, detail_of
from wattswap.runners.recording.rundir import (
    METERS,
    OUTBOX,
    RUN_JSON,
    SCENARIO,
    SETTLEMENT,
    RunDir,
    read_book,
    read_run,
)
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wattswap.ledger.settlement_worker import SettlementWorker
    from wattswap.runners.recording.rundir import RunFiles

_NANOS: Final = 1e9
_MOST_TOLD: Final = 5

AGREE: Final = "book and ledger agree to the nano"
_ROWS: Final[tuple[tuple[str, Callable[[Block], str]], ...]] = (
    ("Payments over the ledger", lambda of: f"{of['payments']:,}"),
    ("Meter records anchored", lambda of: f"{of['anchors']:,}"),
    ("Of both, still on their way", lambda of: f"{of['pending']:,}"),
    ("Fees, burned", lambda of: f"{of['fees_nanos'] / _NANOS:,.6g} IOTA"),
    ("Deposits, locked until freed", lambda of: f"{of['deposits_nanos'] / _NANOS:,.6g} IOTA"),
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
    told = [*block["differences"], *block["alarms"]]
    if block["differences"]:
        lines.append(f"Ledger {where}: book and ledger differ.")
    lines += [f"  {text}" for text in told[:_MOST_TOLD]]
    if len(told) > _MOST_TOLD:
        lines.append(f"  and {len(told) - _MOST_TOLD} more, see `{SETTLEMENT}` in {RUN_JSON}")
    return lines or [f"Ledger {where}: the run ended before it was compared with the book."]


def name_of(block: Block) -> str:
    """The ledger as people know it: of a file its name alone."""
    where = str(block["ledger"])
    return f"{SQLITE}{Path(where.removeprefix(SQLITE)).name}" if where.startswith(SQLITE) else where


def finish(run_dir: Path, patience_s: float = DRAIN_S) -> Block:
    """Settle a run that could not at its end, or check one that did; its directory says then what became of it.

    What the book lets cross is handed in again, and what crossed before is not paid twice.

    Raises:
        InputError: there is no such run, it settled on no ledger, or the ledger cannot be reached or is another one.
    """
    run = read_run(run_dir)
    block = run.settlement
    if block is None or block["ledger"] == MEMORY:
        raise InputError(f"{run_dir}: this run kept its tokens in memory; there is no ledger to settle on")
    entries, balances = read_book(run_dir)
    _require_files(run_dir, block)
    try:
        with open_worker(block["ledger"], None, wallets_seed=block["wallets_seed"], outbox=run_dir / OUTBOX) as worker:
            worker.settle(entries)
            records = _hand_in_records(run_dir, worker)
            worker.drain(patience_s)
            block = {**block, "alarms": [], **payment_status(worker, entries, balances, records, compared=True)}
            unpaid = unpaid_sessions(worker, entries)
    except LedgerDownError as error:
        raise InputError(f"--ledger {block['ledger']}: {error}; start it again and try once more") from None
    _write_down(run, block, unpaid)
    return block


def _require_files(run_dir: Path, block: Mapping[str, Any]) -> None:
    """Make nothing anew: an empty outbox or ledger would pay everything once more, or nothing."""
    needed = [run_dir / OUTBOX]
    if block["ledger"].startswith(SQLITE):
        needed.append(Path(block["ledger"].removeprefix(SQLITE)))
    for path in needed:
        if not path.is_file():
            raise InputError(f"{path}: it is gone, and without it nobody knows what was paid; put it back")


def _hand_in_records(run_dir: Path, worker: SettlementWorker) -> int:
    """Hand in the meter records that are not on the ledger; how many there are."""
    path = run_dir / METERS
    if not path.is_file():
        return 0
    street = load_street(str(run_dir / SCENARIO))
    signer = seeded_signer(street.scenario.seed, transformer_name(street.feeders[0].name))
    detail = detail_of(street.scenario.ledger.anchor, "", worker.ledger)
    with Anchorer(path, signer, street.name, worker, detail=detail or Detail.FULL) as anchorer:
        return anchorer.made


def _write_down(run: RunFiles, block: Block, unpaid: Mapping[str, str]) -> None:
    """Bring figures and trades of a run directory up to date."""
    directory = RunDir(run.path)
    figures = {**run.figures, SETTLEMENT: block}
    if run.uncontrolled is not None:
        figures["uncontrolled"] = run.uncontrolled
    directory.write_figures(figures, run.status)
    _mark_trades(run.path, unpaid)


def _mark_trades(run_dir: Path, unpaid: Mapping[str, str]) -> None:
    """Write into trades.parquet, if there is one, which rewards are paid by now."""
    path = run_dir / "trades.parquet"
    if not path.is_file():
        return
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(path)
    if not {"session", "status"} <= set(table.column_names):
        return
    rows = zip(table["session"].to_pylist(), table["status"].to_pylist(), strict=True)
    status = [unpaid.get(session, "paid") if was in ("paid", "pending", "refused") else was for session, was in rows]
    marked = table.set_column(table.column_names.index("status"), "status", pa.array(status, pa.string()))
    beside = path.with_name(f".{path.name}.part")
    parquet.write_table(marked, beside, compression="zstd")
    beside.replace(path)
