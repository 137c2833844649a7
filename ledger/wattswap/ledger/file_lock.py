"""A file that says who works on something: the operating system lets go of it when that process dies."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_OWNER_ONLY: Final = 0o600
_MOST_DIGITS: Final = 20


class HeldError(Exception):
    """Another process holds the lock; ``holder`` names it."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"held by {holder}")
        self.holder = holder


class FileLock:
    """A lock that this process holds until :meth:`release`, or until it dies. Its file holds the process's number.

    Raises:
        HeldError: another one holds it.
        OSError: there can be no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = _locked(path)
        with suppress(OSError):  # a disk that is full: who comes second is then not told who is first
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let others have it, and remove its file. Releasing twice is harmless."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def _locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _OWNER_ONLY)
        if os.fstat(descriptor).st_nlink > 1:  # it is another file as well, and what is written here would be its end
            os.close(descriptor)
            raise OSError(errno.EMLINK, "it has another name as well")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            number = os.pread(descriptor, _MOST_DIGITS, 0).decode("ascii", "replace")
            os.close(descriptor)
            raise HeldError(f"process {number}" if number.isdecimal() else "another program") from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # its last holder removed it just before we got it
