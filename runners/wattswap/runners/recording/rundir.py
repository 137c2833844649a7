"""The directory of a run: everything it left behind, to be read, drawn, replayed and compared later.

    run.json         the figures, with schema, version and status
    scenario.toml    the scenario as it was run, every key written out, with the sha256 of its inputs
    journal/         what came into the run from outside, tick by tick: see :mod:`.journal`; not of a fleet run; of
                     processes on the wall clock one each: see :mod:`.process_journal`
    *.parquet        series, rounds, trades, sessions, cars; uncontrolled: the load had nobody given way
    ledger.sqlite    the site's book: entries, their postings, balances; of several feeders ``ledger-<feeder>.sqlite``
    outbox.sqlite    what was to cross the run's ledger, and what became of it; only where that is not memory
    meters.sqlite    the meter records that were anchored
    log.jsonl        what happened to the run itself, a JSON object a line
    report.html      for people

It appears when the run starts and says ``interrupted`` until the run knows better: that is what a power cut leaves.
Bad input leaves nothing. Every file is written beside its place and then moved there, so none is ever half a file.
"""

from __future__ import annotations

import errno
import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from wattswap.protocol.errors import InputError
from wattswap.runners.recording.debts import debts
from wattswap.runners.recording.journal import FOLDER, STREET, Journal
from wattswap.runners.recording.parquet_table import ParquetTable, has_pyarrow, read_table
from wattswap.runners.recording.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray
    from structlog.typing import FilteringBoundLogger

    from wattswap.ledger.book import Book, Entry, Leg
    from wattswap.runners.recording.journal import Header
    from wattswap.runners.recording.record import RunRecord
    from wattswap.runners.scenario.street import Street

Status = Literal["complete", "interrupted", "failed"]
SCHEMA: Final = 2
RUN_JSON: Final = "run.json"
LOG: Final = "log.jsonl"
LEDGER: Final = "ledger.sqlite"
OUTBOX: Final = "outbox.sqlite"
METERS: Final = "meters.sqlite"
SETTLEMENT: Final = "settlement"
SCENARIO: Final = "scenario.toml"
REPORT: Final = "report.html"


def default_path(name: str, controller: str, seed: int, started: datetime) -> Path:
    """Where a run goes when nobody says: ``runs/`` and the wall time of its start in UTC, made unique by a number."""
    stem = f"{started.astimezone(UTC):%Y%m%dT%H%M%S}-{name}-{controller}-s{seed}"
    path, again = Path("runs") / stem, 1
    while path.exists():
        again += 1
        path = Path("runs") / f"{stem}-{again}"
    return path


@dataclass
class RunDir:
    """A run directory being written."""

    path: Path
    _created: list[Path] = field(default_factory=list)
    """Folders that were not there before, innermost first."""
    _log: TextIO | None = None
    _journal: Journal | None = None

    @classmethod
    def create(cls, path: Path, scenario_toml: str) -> RunDir:
        """Make the directory of a run that starts now.

        Raises:
            InputError: the place is taken, or cannot be written to; nothing was written.
        """
        refuse_taken(path)
        created = [folder for folder in (path, *path.parents) if not folder.exists()]
        directory = cls(path, created)
        try:
            path.mkdir(parents=True, exist_ok=True)
            directory.write_figures({}, "interrupted")
            directory.write_text(SCENARIO, scenario_toml)
        except OSError as error:
            directory.discard()
            raise InputError(f"--out {path}: cannot be written to ({error.strerror}); choose another place") from None
        return directory

    @cached_property
    def log(self) -> FilteringBoundLogger:
        """Writes JSON lines, each with level and UTC time, to ``log.jsonl``, until :meth:`close`."""
        import structlog

        self._log = (self.path / LOG).open("a", encoding="utf-8")
        logger: FilteringBoundLogger = structlog.wrap_logger(
            structlog.WriteLogger(self._log),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        return logger

    def journal(self, header: Header) -> Journal:
        """Begin the journal of the street; it is closed with the directory."""
        self.journal_folder()
        self._journal = Journal(self.path / STREET, header)
        return self._journal

    def journal_folder(self) -> Path:
        """Make the folder of journals, for whoever writes into it."""
        folder = self.path / FOLDER
        folder.mkdir()
        return folder

    def close(self) -> None:
        """Close log and journal; nothing may be written to them after this."""
        if self._log is not None:
            self._log.close()
        if self._journal is not None:
            self._journal.close()

    def write_figures(self, figures: Mapping[str, object], status: Status) -> None:
        """Write ``run.json`` anew."""
        about = {"schema": SCHEMA, "version": wattswap_version(), "status": status}
        self.write_text(RUN_JSON, json.dumps({**about, **figures}, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file in one piece."""
        self._write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_table(self, name: str, columns: Mapping[str, NDArray[Any]]) -> bool:
        """Write ``NAME.parquet``; False if pyarrow, which the extra ``sim`` brings, is not installed."""
        if not has_pyarrow():
            return False
        table = ParquetTable(self.path, name)
        try:
            table.append(columns)
            table.close()
        finally:
            table.discard()
        return True

    def write_ledger(self, book: Book, name: str = LEDGER, *, run_id: str = "") -> None:
        """Write a site's book, its journal and balances, under this name; ``run_id`` is that of its settlement."""
        self._write(name, partial(_write_book, book, run_id))

    def write_ledgers(self, street: Street, record: RunRecord, *, run_id: str = "") -> list[str]:
        """Write the book of each site, unless it is there; the files that are new."""
        books = {ledger_of(street, number): part.book for number, part in enumerate(record.feeders or (record,))}
        new = {name: book for name, book in books.items() if book is not None and not (self.path / name).exists()}
        for name, book in new.items():
            self.write_ledger(book, name, run_id=run_id)
        return list(new)

    def discard(self) -> None:
        """Take the directory back: the run ended before it began, and bad input leaves nothing."""
        self.close()
        for entry in self.path.iterdir() if self.path.is_dir() else ():
            if entry.name.startswith((RUN_JSON, SCENARIO, LOG, LEDGER, OUTBOX, METERS)) or entry.suffix == ".parquet":
                entry.unlink()
        with suppress(OSError):  # there may be no journal
            for journal in (self.path / FOLDER).glob("*.msgpack"):
                journal.unlink()
            (self.path / FOLDER).rmdir()
        with suppress(OSError):  # somebody else put something there meanwhile: it is theirs, and so is the folder
            for folder in self._created:
                folder.rmdir()

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        try:
            with whole_file(self.path / name) as beside:
                write(beside)
        except sqlite3.OperationalError as error:  # SQLite's word for a disk that is full or fails
            raise OSError(errno.EIO, str(error)) from error


def ledger_of(street: Street, number: int) -> str:
    """The file of a feeder's book: ``ledger.sqlite``, or ``ledger-<feeder>.sqlite`` where there are several."""
    return book_file(street.feeders[number].name) if len(street.feeders) > 1 else LEDGER


def book_file(feeder: str) -> str:
    """The same by the feeder's name; the only feeder of a street has none."""
    return f"ledger-{feeder}.sqlite" if feeder else LEDGER


def feeders_with_books(run_dir: Path) -> list[str]:
    """The feeders whose books lie in a run directory; that of a street's only feeder has no name."""
    names = sorted(path.name for path in run_dir.glob("ledger-*.sqlite"))
    return [name.removeprefix("ledger-").removesuffix(".sqlite") for name in names] or [""]


def refuse_taken(path: Path) -> None:
    """Raise an InputError unless ``path`` is free: not there yet, or an empty folder."""
    if path.is_dir():
        if any(path.iterdir()):
            raise InputError(f"--out {path}: there is something in this folder already; name a new or an empty one")
    elif path.exists() or path.is_symlink():
        raise InputError(f"--out {path}: this is a file; name a new or an empty folder")


@dataclass(frozen=True)
class RunFiles:
    """A run directory that was read back."""

    path: Path
    status: Status
    version: str
    figures: dict[str, Any]
    """The keys of ``run --json``; empty if the run did not get that far."""
    uncontrolled: dict[str, Any] | None
    """The same keys of the same street with nobody in control, if that was reckoned."""
    settlement: dict[str, Any] | None = None
    """How the run settled on its ledger; written as soon as the ledger is open."""

    def columns(self, name: str, needed: Iterable[str] = ()) -> dict[str, list[Any]]:
        """A table as plain columns.

        Raises:
            InputError: it cannot be read, see :func:`.parquet_table.read_table`.
        """
        columns: dict[str, list[Any]] = read_table(self.path / f"{name}.parquet", needed).to_pydict()
        return columns


def read_run(path: Path) -> RunFiles:
    """Read a run directory back.

    Raises:
        InputError: there is none at ``path``, or it is torn, or from another version's schema.
    """
    file = path / RUN_JSON
    if not path.is_dir():
        raise InputError(f"{path}: there is no such run directory; `wattswap run` makes one and says where")
    if not file.is_file():
        raise InputError(
            f"{path}: this is no run directory, it has no {RUN_JSON}; {_back_or(path, '`wattswap run` makes one')}"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError:
        instead = _back_or(path, "put it back from a backup, or run the scenario again")
        raise InputError(f"{file}: not valid JSON, the file is torn; {instead}") from None
    return _run_files(path, file, content)


def _back_or(run_dir: Path, instead: str) -> str:
    """What to do without a ``run.json``: as long as something is owed, nothing but to get it back."""
    owed = debts(run_dir / OUTBOX)
    back = f"{owed}: put {RUN_JSON} back from a backup, then `wattswap settle {run_dir}` pays"
    return back if owed else instead


def wattswap_version() -> str:
    """The version of this installation."""
    try:
        return version("wattswap")
    except PackageNotFoundError:
        return "unknown"


_STATUS: Final[tuple[Status, ...]] = ("complete", "interrupted", "failed")


def _run_files(path: Path, file: Path, content: object) -> RunFiles:
    if not isinstance(content, dict) or "schema" not in content or content.get("status") not in _STATUS:
        instead = _back_or(path, "name a run directory")
        raise InputError(f"{file}: not written by wattswap, it lacks schema or status; {instead}")
    if content["schema"] != SCHEMA:
        raise InputError(
            f"{file}: schema {content['schema']!r}, this version reads {SCHEMA}; use wattswap {content.get('version')},"
            " which wrote it"
        )
    figures = {
        key: value for key, value in content.items() if key not in ("schema", "status", "version", "uncontrolled")
    }
    settlement = figures.get(SETTLEMENT)
    if figures.keys() == {SETTLEMENT}:
        figures = {}
    return RunFiles(
        path, content["status"], str(content.get("version")), figures, content.get("uncontrolled"), settlement
    )


_BOOK_TABLES: Final = """
    create table run (id text);
    create table entries (seq integer primary key, operation text, key text, account text, nanos integer);
    create table postings (seq integer references entries, from_account text, to_account text, nanos integer);
    create table balances (account text primary key, nanos integer);
"""


def _book_again(run_dir: Path) -> str:
    """How to come to a book that is not there: from the outbox, whence it is paid, or a journal, if there is one."""
    if (run_dir / OUTBOX).is_file():
        owed = debts(run_dir / OUTBOX)
        return f"{f'{owed}, and ' if owed else ''}`wattswap settle {run_dir}` goes on with the book in {OUTBOX}"
    if any((run_dir / FOLDER).glob("*.msgpack")):
        return f"`wattswap replay {run_dir}` rebuilds it"
    return "this run kept no journal to rebuild it from, so run its scenario.toml again"


def read_book(run_dir: Path, feeder: str = "", *, run_id: str | None = None) -> tuple[list[Entry], dict[str, int]]:
    """The entries and the balances of a feeder's book in a run directory.

    ``run_id`` is that of the run's settlement; None for a run that has none.

    Raises:
        InputError: there is none, it cannot be read, or it is another run's.
    """
    path = run_dir / book_file(feeder)
    if not path.is_file():
        raise InputError(f"{path}: the run ended before its book was written; {_book_again(run_dir)}")
    try:
        with closing(sqlite3.connect(path)) as database:
            if run_id is not None and (of := _run_of(database)) != run_id:
                raise InputError(
                    f"{path} is the book of {f'run {of[:8]}' if of else 'a run that names none'}, not of run"
                    f" {run_id[:8]}: put back the right one, or move it away"
                )
            rows = database.execute("select seq, operation, key, account, nanos from entries order by seq").fetchall()
            postings = database.execute("select seq, from_account, to_account, nanos from postings").fetchall()
            balances = dict(database.execute("select account, nanos from balances").fetchall())
    except sqlite3.Error as error:
        raise InputError(f"{path}: cannot be read ({error}); move it away: {_book_again(run_dir)}") from None
    legs: dict[int, list[Leg]] = {}
    for seq, *leg in postings:
        legs.setdefault(seq, []).append((leg[0], leg[1], leg[2]))
    return [(*entry, tuple(legs.get(seq, ()))) for seq, *entry in rows], balances


def _run_of(database: sqlite3.Connection) -> str:
    """The run that a book names; none if an older version wrote it, or if the run settled on no ledger."""
    if database.execute("select 1 from sqlite_schema where name = 'run'").fetchone() is None:
        return ""
    row = database.execute("select id from run").fetchone()
    return "" if row is None else str(row[0])


def _write_book(book: Book, run_id: str, path: Path) -> None:
    """``account`` of an entry is what the book calls its subject: an account, a vehicle, or nothing."""
    path.unlink(missing_ok=True)
    entries = book.entries
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_BOOK_TABLES)
        database.execute("insert into run values (?)", (run_id,))
        database.executemany(
            "insert into entries values (?, ?, ?, ?, ?)",
            [(seq, *entry[:4]) for seq, entry in enumerate(entries, 1)],
        )
        database.executemany(
            "insert into postings values (?, ?, ?, ?)",
            [(seq, *leg) for seq, entry in enumerate(entries, 1) for leg in entry[4]],
        )
        database.executemany("insert into balances values (?, ?)", book.balances().items())
        database.commit()
