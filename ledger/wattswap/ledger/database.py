"""One SQLite file with one writer: created whole, checked when opened, and never believed after a failed write.

What a ledger and an outbox have in common. Whatever ``transaction`` did is on the disk when it returns (WAL,
``synchronous=FULL``); whatever it did not finish never happened.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from wattswap.ledger.base import MOST_ANCHOR_BYTES, Closing, DamagedError, LedgerDownError
from wattswap.ledger.file_lock import FileLock, HeldError
from wattswap.protocol.errors import InputError

_OWNER_ONLY: Final = 0o600
_IDENTITY_BYTES: Final = 16
_IDENTITY: Final = "CREATE TABLE identity (id TEXT NOT NULL, run TEXT NOT NULL) STRICT;"
MOST_DICTIONARY_BYTES: Final = 32_000
"""No more of a dictionary is used than zlib can look back."""
_BUSY_S: Final = 5.0
"""How long to wait for a reader of the file that is in the way, in seconds."""


class Kind(Struct, frozen=True, kw_only=True):
    """What sort of file it is: its name in messages, the marks in its header, and the SQL that makes an empty one."""

    name: str
    application_id: int
    version: int
    schema: str


class FileInUseError(InputError):
    """The file is open in another process."""


class Database(Closing):
    """An open file of one ``Kind``, or one in memory if the path is ``None``. Usable from any thread, one at a time.

    With ``reads_only`` it must be there, may meanwhile be written by another process, and is not changed. A new file
    takes a random ``identity`` and belongs to a ``run``; one that belongs to another run than is named is refused.

    Raises ``InputError`` with one line if the path cannot be used: it is open in another process, is no such file, was
    written by another version, or is damaged.
    """

    def __init__(self, path: Path | None, kind: Kind, *, reads_only: bool = False, run: str = "") -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._broken = ""
        self._lock = None if path is None or reads_only else _locked(path, kind.name)
        try:
            self._connection = _opened(path, kind, run, reads_only=reads_only)
        except BaseException:
            self._unlock()
            raise

    def close(self) -> None:
        """Close the file and let others have it. Closing twice is harmless."""
        with self._mutex:
            self._connection.close()
            self._unlock()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: on the disk when the block ends, undone if it raises.

        Raises ``LedgerDownError`` if the disk fails. After that nothing more is written: what a failed flush left
        behind is only known once the file is opened again.
        """
        with self._mutex:
            if self._broken:
                raise LedgerDownError(self._broken)
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:  # nothing was written: somebody else has it open for writing
                raise LedgerDownError(f"cannot write {self.path} now: {error}") from error
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    self._connection.rollback()
                if isinstance(error, sqlite3.OperationalError):
                    self._broken = f"cannot write {self.path}: {error}; open it again when the cause is gone"
                    raise LedgerDownError(self._broken) from error
                raise

    @contextmanager
    def closed_if_bad(self) -> Iterator[None]:
        """Close the file if the block raises; ``InputError`` says what is damaged."""
        try:
            yield
        except DamagedError as error:
            self.close()
            raise InputError(f"{self.path} is damaged ({error}): restore it from a backup") from None
        except BaseException:
            self.close()
            raise

    def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """What a query finds. Raises ``DamagedError`` for a text that is none."""
        return self._found(sql, arguments, -1)

    def row(self, sql: str, *arguments: object) -> tuple[Any, ...] | None:
        """The first row that a query finds."""
        return next(iter(self._found(sql, arguments, 1)), None)

    def _found(self, sql: str, arguments: tuple[object, ...], most: int) -> list[tuple[Any, ...]]:
        try:
            with self._mutex:
                cursor = self._connection.execute(sql, arguments)
                return cursor.fetchall() if most < 0 else cursor.fetchmany(most)
        except sqlite3.OperationalError as error:
            if "decode" in str(error):
                raise DamagedError(f"a text in it is none: {error}") from None
            raise

    def number(self, sql: str, *arguments: object) -> int:
        """The number that a query finds; 0 if it finds none."""
        found = self.row(sql, *arguments)
        return int(found[0] or 0) if found else 0

    def texts(self, sql: str, *arguments: object) -> list[str]:
        """The texts that a query finds, of one column."""
        return [str(text) for (text,) in self.rows(sql, *arguments)]

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()


class Stored(Closing):
    """What keeps its state in a file, and closes it."""

    _database: Database

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._database.close()

    @property
    def identity(self) -> str:
        """A random id that no other file has."""
        return self._database.texts("SELECT id FROM identity")[0]


def _opened(path: Path | None, kind: Kind, run: str, *, reads_only: bool) -> sqlite3.Connection:
    """A connection to a file that has been made, or checked."""
    connection = None
    try:
        if path is not None and not reads_only:
            _create(path)
        address = ":memory:" if path is None else _address(path, kind) if reads_only else path.absolute().as_uri()
        connection = sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        for pragma in ("foreign_keys=ON", "synchronous=FULL", "trusted_schema=OFF", "cell_size_check=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"PRAGMA query_only={reads_only}")
        if not reads_only and _is_blank(connection):
            _lay_out(connection, kind, run)
        _check(connection, path, kind, run)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, OSError | sqlite3.Error):
            raise InputError(f"cannot open {kind.name} {path}: {getattr(error, 'strerror', None) or error}") from None
        raise
    return connection


def _address(path: Path, kind: Kind) -> str:
    """How SQLite is to open a file to be read: not with ``mode=ro``, which leaves the files of its log behind.

    On a read-only medium nobody can be writing it, and SQLite must not make the files beside it that it needs else.
    """
    if not path.is_file():
        raise InputError(f"cannot open {kind.name} {path}: there is no such file")
    if not os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"{path.absolute().as_uri()}?mode=rw"
    log = path.with_name(f"{path.name}-wal")
    if log.is_file() and log.stat().st_size:
        raise InputError(
            f"cannot open {kind.name} {path}: its last changes lie in {log.name} beside it, and the medium is"
            " read-only; copy both to a place that can be written"
        )
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1"


def _is_blank(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever laid out in it: it is new, or who made it died before the schema was in."""
    marks = [_one(connection, f"PRAGMA {mark}") for mark in ("application_id", "user_version", "schema_version")]
    return not any(marks)


def _lay_out(connection: sqlite3.Connection, kind: Kind, run: str) -> None:
    """Make an empty file of this kind, in one transaction: a crash on the way leaves an empty file, as before."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(f"BEGIN IMMEDIATE; {_IDENTITY} {kind.schema}")  # the transaction stays open
    connection.execute("INSERT INTO identity VALUES (?, ?)", (secrets.token_hex(_IDENTITY_BYTES), run))
    connection.execute(f"PRAGMA application_id={kind.application_id}")
    connection.execute(f"PRAGMA user_version={kind.version}")
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection, path: Path | None, kind: Kind, run: str) -> None:
    """Refuse a file of another kind, version or run, or a damaged one."""
    if _one(connection, "PRAGMA application_id") != kind.application_id:
        raise InputError(f"{path} is not a {kind.name} of ours: choose another file")
    version = _one(connection, "PRAGMA user_version")
    if version != kind.version:
        raise InputError(
            f"{path} is a {kind.name} of version {version}, this program reads version {kind.version}: choose another"
            " file, or the program that wrote it"
        )
    if damage := _damage(connection):
        raise InputError(f"{path} is damaged ({damage}): restore it from a backup")
    owner = str(_one(connection, "SELECT run FROM identity"))
    if run and owner != run:
        whose = f"of run {owner[:8] or 'nobody'}, not of run {run[:8]}"
        raise InputError(f"{path} is the {kind.name} {whose}: put the right one back")


def _damage(connection: sqlite3.Connection) -> str:
    found = str(_one(connection, "PRAGMA integrity_check")).splitlines()[0]
    if found != "ok":
        return found
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        return "rows refer to rows that are gone"
    return "" if connection.execute("SELECT 1 FROM identity").fetchone() else "it does not say whose it is"


def _one(connection: sqlite3.Connection, sql: str) -> object:
    value: object = connection.execute(sql).fetchone()[0]
    return value


def _create(path: Path) -> None:
    """Make the file its owner's alone before SQLite can, unless it is there."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _locked(path: Path, name: str) -> FileLock:
    """Be the file's one writer, or say who is in the way.

    The lock is a file beside it, for closing a second descriptor of the database itself would drop SQLite's own locks.
    """
    try:
        return FileLock(path.with_name(path.name + "-lock"))
    except HeldError as error:
        raise FileInUseError(f"{path} is in use by {error.holder}: end that one, or choose another {name}") from None
    except OSError as error:
        raise InputError(f"cannot open {name} {path}: {error.strerror}") from None


def checksum(content: bytes) -> bytes:
    """What tells whether stored bytes are still what was stored."""
    return blake2b(content, digest_size=16).digest()


def deflated(content: bytes, dictionary: bytes = b"") -> bytes:
    """Content as it lies in a column, deflated (zlib), with a dictionary if there is one."""
    dictionary = dictionary[-MOST_DICTIONARY_BYTES:]
    deflater = zlib.compressobj(zdict=dictionary) if dictionary else zlib.compressobj()
    return deflater.compress(content) + deflater.flush()


def inflated(column: bytes, dictionary: bytes = b"") -> bytes:
    """The content again; as it lies there if it is damaged, for whoever checks hashes or signatures to name.

    Of one that is damaged so that nothing is left a question mark stands there, and of one too long its beginning.
    """
    dictionary = dictionary[-MOST_DICTIONARY_BYTES:]
    inflater = zlib.decompressobj(zdict=dictionary) if dictionary else zlib.decompressobj()
    try:
        content = inflater.decompress(column, MOST_ANCHOR_BYTES)
    except zlib.error:
        content = column
    return (content if inflater.eof else column)[:MOST_ANCHOR_BYTES] or b"?"
