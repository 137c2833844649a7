"""A run that could not settle at its end, settled later."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattswap.experiments.ledger_places import require_keys_there
from wattswap.experiments.settlement_note import require_own, settlement_note
from wattswap.ledger.anchoring import Anchorer
from wattswap.ledger.anchors import Detail
from wattswap.ledger.archive import KIND, RecordFile
from wattswap.ledger.base import DamagedError, LedgerDownError
from wattswap.ledger.book import Book
from wattswap.ledger.database import Database
from wattswap.ledger.ledger import DRAIN_S
from wattswap.ledger.settlement import open_settlement
from wattswap.protocol.errors import InputError, LocalProtocolError
from wattswap.runners.payments.payment_status import payment_status, reward_states
from wattswap.runners.payments.run_payments import (
    MEMORY,
    SITE_KEY,
    SQLITE,
    Block,
    absolute,
    detail_of,
    keys_held,
    meters_file,
    meters_identity,
    site_signer,
    ticks_a_record,
    wallets_in,
    whose_records,
)
from wattswap.runners.payments.wallets_seed import SEED_FILE, read_wallets_seed, write_wallets_seed
from wattswap.runners.recording.rundir import (
    OUTBOX,
    RUN_JSON,
    SCENARIO,
    SETTLEMENT,
    RunDir,
    book_file,
    read_book,
    read_run,
)
from wattswap.runners.recording.whole_file import whole_file
from wattswap.runners.scenario import load_street

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wattswap.ledger.ledger import Ledger, Progress
    from wattswap.runners.recording.rundir import RunFiles


@dataclass(frozen=True)
class Wishes:
    """What a person, who has looked, lets a settlement do."""

    thaw: bool = False
    """Let frozen accounts go on."""
    retry: bool = False
    """Try again what was given up."""
    acknowledge: bool = False
    """Take the alarms so far as read."""


def finish(
    run_dir: Path,
    patience_s: float = DRAIN_S,
    *,
    wishes: Wishes = Wishes(),
    keys: Path | None = None,
    allow: Sequence[str] = (),
    ledger: str | None = None,
    progress: Progress = lambda _left: None,
    tell: Callable[[str], None] = lambda _line: None,
) -> Block:
    """Settle a run that could not at its end, or check one that did; its directory says then what became of it.

    The book is read from the run directory, or from where it was written down as it grew. What it lets cross is handed
    in again, and what crossed before is not paid twice. ``ledger`` says where the run's ledger is now, if it was moved.

    Raises:
        InputError: there is no such run, it settled on no ledger, the ledger cannot be reached, or ledger, outbox and
            meter records are not those of this run.
    """
    run = read_run(run_dir)
    block = run.settlement
    if block is None and run.status != "complete":
        raise InputError(
            f"{run_dir}: this run ended before it had opened a ledger; no token has moved, run it again (with"
            " another file, if its ledger is one)"
        )
    note = settlement_note(run_dir)
    if note is None and (run_dir / OUTBOX).exists():
        raise InputError(
            f"{run_dir / RUN_JSON}: it names no ledger, and an outbox lies beside it: put it back from a backup"
        )
    if block is None or note is None or note.ledger == MEMORY:
        raise InputError(f"{run_dir}: this run kept its tokens in memory; there is no ledger to settle on")
    if ledger is not None:
        block = {**block, "ledger": _where_now(run_dir, ledger, note.ledger)}
    _require_files(run_dir, block)
    seed, folder = read_wallets_seed(run_dir, block), keys or (Path(note.keys) if note.keys else None)
    if seed is None and folder is None and note.ledger.startswith("http"):
        raise InputError(f"{run_dir / SEED_FILE} is gone, from which the run's wallets come: put it back from a backup")
    feeders = note.feeders or [""]
    if folder is not None and keys is None:
        require_keys_there(folder)
    try:
        with (
            keys_held(folder),
            open_settlement(
                block["ledger"],
                None,
                wallets_seed=seed or 0,
                wallets=None if folder is None else wallets_in(folder, feeders),
                allow=allow,
                outbox=run_dir / OUTBOX,
                run=block["run_id"],
            ) as settlement,
        ):
            _require_same(run_dir, block, settlement)
            books = _books_of(run_dir, feeders, block, settlement)
            _require_archives(run_dir, feeders, block, settlement)
            for line in _grant(settlement, wishes):
                tell(line)
            for feeder, book in books.items():
                settlement.post(book, feeder)
            made, alarms = _hand_in_records(run_dir, feeders, block, settlement)
            is_cut = bool(made) and run.status != "complete"
            records = max(sum(made.values()), block["records"])
            metered_until_ms = max(block.get("metered_until_ms", 0), _metered_ms(run_dir, books) if is_cut else 0)
            settlement.drain(patience_s, progress)
            status = payment_status(
                settlement,
                books,
                records,
                alarms,
                compared=True,
            )
            entries = sum(len(book.entries) for book in books.values())
            block = {**block, "alarms": [], **status, "entries": entries, "records": records}
            if (more := block["anchors"] - records) > 0 and made:
                block["alarms"].append(f"{more} meter records lie on the ledger that this run has not made")
            block |= {"records_by_site": made, "metered_until_ms": metered_until_ms}
            states = reward_states(settlement, books)
    except LedgerDownError as error:
        raise InputError(f"--ledger {block['ledger']}: {error}; start it again and try once more") from None
    except (DamagedError, LocalProtocolError, sqlite3.Error) as error:
        raise InputError(f"{run_dir}: {error}; restore it from a backup") from None
    if (seed := block.pop("wallets_seed", None)) is not None and not (run_dir / SEED_FILE).exists():
        write_wallets_seed(run_dir, seed)
    _write_down(run, block, states)
    return block


def _grant(settlement: Ledger, wishes: Wishes) -> list[str]:
    """Do what a person wishes; a line for each that had an effect."""
    told, outbox = [], settlement.outbox
    if outbox is not None:
        if wishes.thaw and (thawed := outbox.thaw()):
            told.append(f"thawed: {', '.join(thawed)}")
        if wishes.retry and (count := outbox.retry()):
            told.append(f"tried again: {count} that were given up")
        if wishes.acknowledge and (count := outbox.acknowledge()):
            told.append(f"acknowledged: {count} alarms")
    return told


def _require_files(run_dir: Path, block: Mapping[str, Any]) -> None:
    """Make nothing anew: an empty outbox or ledger would pay everything once more, or nothing."""
    if "run_id" not in block:
        raise InputError(f"{run_dir}: written by an older version, which alone can settle it")
    is_embedded = block["ledger"].startswith(SQLITE)
    path = Path(block["ledger"].removeprefix(SQLITE)) if is_embedded else run_dir / OUTBOX
    if not path.is_file():
        moved = ", or say with --ledger sqlite:FILE where it was moved" if is_embedded else ""
        raise InputError(f"{path}: it is gone, and without it nobody knows what was paid; put it back{moved}")


def _where_now(run_dir: Path, ledger: str, before: str) -> str:
    """Where the ledger of a run lies now; whether it is the same one its identity says, when it is opened."""
    if ledger.startswith(SQLITE) != before.startswith(SQLITE) or ledger.removeprefix(SQLITE) in ("", MEMORY):
        raise InputError(f"--ledger {ledger}: {run_dir} settled on {before}; name where that one is now")
    return absolute(ledger)


def _require_same(run_dir: Path, block: Mapping[str, Any], settlement: Ledger) -> None:
    """Refuse a ledger or outbox that is not the run's own."""
    for name, identity in settlement.identities().items():
        require_own(run_dir, block["identities"], name, identity)


def _books_of(run_dir: Path, feeders: Sequence[str], block: Mapping[str, Any], settlement: Ledger) -> dict[str, Book]:
    """The run's books by feeder, as whole as anybody has them."""
    stored = {feeder: settlement.entries(feeder) for feeder in feeders}
    count = sum(map(len, stored.values()))
    is_written = all((run_dir / book_file(feeder)).is_file() for feeder in feeders)
    is_embedded = block["ledger"].startswith(SQLITE)
    if count < block["entries"] and (is_embedded or not is_written):
        where = block["ledger"] if is_embedded else run_dir / OUTBOX
        raise InputError(
            f"{where} holds {count} entries of the run's book and held {block['entries']}: it was rolled back to"
            " an older copy; put back the newest"
        )
    written = (
        {feeder: read_book(run_dir, feeder, run_id=block["run_id"])[0] for feeder in feeders} if is_written else stored
    )
    for feeder, entries in written.items():
        if stored[feeder] != entries[: len(stored[feeder])]:
            where = block["ledger"] if is_embedded else run_dir / OUTBOX
            raise InputError(
                f"{run_dir / book_file(feeder)} is not the book that {where} began with: put back the right one"
            )
    return {feeder: Book.restore(entries) for feeder, entries in written.items()}


def _require_archives(run_dir: Path, feeders: Sequence[str], block: Mapping[str, Any], settlement: Ledger) -> None:
    """Refuse foreign meter records, or a foreign key to sign more of them, before anything moves."""
    for feeder in feeders:
        path, wanted = run_dir / meters_file(feeder), block["identities"].get(meters_identity(feeder))
        if path.is_file():
            with RecordFile(Database(path, KIND, reads_only=True, run=block["run_id"])) as archive:
                has_key = bool(archive.public_key) and (run_dir / SITE_KEY).is_file()
                is_foreign = has_key and archive.public_key != site_signer(run_dir, settlement).public_key
                if archive.identity != wanted or is_foreign:
                    what = f"{path} is another run's archive of meter records, or {SITE_KEY} beside it another's"
                    raise InputError(f"{what}: put back the right one")


def _hand_in_records(
    run_dir: Path, feeders: Sequence[str], block: Mapping[str, Any], settlement: Ledger
) -> tuple[dict[str, int], list[str]]:
    """Hand in the meter records that are not on the ledger; how many each site has, and what is wrong with them."""
    made: dict[str, int] = dict(block.get("records_by_site", {}))
    alarms = []
    for feeder in feeders:
        path = run_dir / meters_file(feeder)
        gone = [str(each) for each in (path, run_dir / SITE_KEY) if not each.is_file()]
        if gone and meters_identity(feeder) in block["identities"]:
            alarms.append(f"{' and '.join(gone)} is gone: meter records cannot be anchored any more; put it back")
        if gone:
            continue
        street = load_street(str(run_dir / SCENARIO))
        detail = detail_of(street.scenario.ledger.anchor, "", settlement)
        whose, signer = whose_records(street, block["run_id"], feeder), site_signer(run_dir, settlement)
        with Anchorer(path, signer, whose, settlement, detail=detail or Detail.ROOT) as anchorer:
            wanted_records = made.get(anchorer.site, 0)
            if anchorer.made < wanted_records and not anchorer.alarm:
                alarms.append(
                    f"{path} holds {anchorer.made} of the {wanted_records} meter records that the run made: it was set"
                    " back to an older copy; put back the newest"
                )
            made[anchorer.site] = max(anchorer.made, wanted_records)
            alarms += [anchorer.alarm] if anchorer.alarm else []
    return made, alarms


def _metered_ms(run_dir: Path, books: Mapping[str, Book]) -> int:
    """Until when meters were read at least, for awards were made then: a run that was killed says nothing else."""
    made = [key for book in books.values() for operation, key, *_ in book.entries if operation == "reserve"]
    ticks = [int(key.partition("/")[0].rpartition(".")[2]) for key in made]
    street = load_street(str(run_dir / SCENARIO))
    every_ticks = ticks_a_record(street)
    return max(ticks, default=0) // every_ticks * every_ticks * street.tick_ms


def _write_down(run: RunFiles, block: Block, states: Mapping[str, str]) -> None:
    """Bring figures and trades of a run directory up to date."""
    directory = RunDir(run.path)
    figures = {**run.figures, SETTLEMENT: block}
    if run.uncontrolled is not None:
        figures["uncontrolled"] = run.uncontrolled
    directory.write_figures(figures, run.status)
    _mark_trades(run.path, states)


def _mark_trades(run_dir: Path, states: Mapping[str, str]) -> None:
    """Write into trades.parquet, if there is one, what became of their rewards by now."""
    path = run_dir / "trades.parquet"
    if not path.is_file():
        return
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(path)
    if not {"payment_id", "status"} <= set(table.column_names):
        return
    rows = zip(table["payment_id"].to_pylist(), table["status"].to_pylist(), strict=True)
    status = [was if was in ("disputed", "open", "unpaid") else states.get(key, was) for key, was in rows]
    marked = table.set_column(table.column_names.index("status"), "status", pa.array(status, pa.string()))
    with whole_file(path) as beside:
        parquet.write_table(marked, beside, compression="zstd")
