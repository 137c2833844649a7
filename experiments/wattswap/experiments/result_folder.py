"""A folder that a command goes on from: one process writes into it at a time, and its scenario lies there whole."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from wattswap.ledger.file_lock import FileLock, HeldError
from wattswap.protocol.errors import InputError
from wattswap.runners.recording.whole_file import remove_half_written, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK: Final = ".lock"


@contextmanager
def folder_taken(out: Path) -> Iterator[None]:
    """Be the one process that writes into a folder, which is made if need be.

    Raises:
        InputError: another one does, or nothing can be written there.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK)
    except HeldError as error:
        raise InputError(f"--out {out}: in use by {error.holder}; wait for its end, or name a new folder") from None
    except OSError as error:
        raise unwritable(out, error) from None
    try:
        for folder in (out, *(entry for entry in out.iterdir() if entry.is_dir())):
            remove_half_written(folder)
        yield
    finally:
        lock.release()


def keep_text(path: Path, text: str, other: str) -> str:
    """Have this text in a file of the folder; what to tell of it, nothing as a rule.

    A file that holds only a beginning of the text, or nothing, was torn by a full disk or a kill, and is written again.

    Raises:
        InputError: another text lies there (``other`` says what that means), or nothing can be written.
    """
    try:
        found = path.read_bytes() if path.is_file() else None
        if found is not None and not text.encode().startswith(found):
            raise InputError(other)
        write_whole(path, text)
    except OSError as error:
        raise unwritable(path.parent, error) from None
    torn = found is not None and len(found) < len(text.encode())
    return f"{path} was torn and is written again" if torn else ""


def unwritable(out: Path, error: OSError) -> InputError:
    """What is said of a place that takes nothing from the start."""
    return InputError(f"--out {out}: cannot be written to ({error.strerror}); choose another place")
