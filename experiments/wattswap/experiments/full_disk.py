"""A disk that takes no more is told in one line: what stays, and how to go on."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NOT_OURS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What no run can do anything about."""


@contextmanager
def full_disk_told(out: str | Path | None, what_then: str) -> Iterator[None]:
    """What is written in this block goes to ``out``; without one, nothing is changed about its errors.

    Raises:
        InputError: the disk is full, over its quota, read-only or broken.
    """
    try:
        yield
    except OSError as error:
        if out is None or error.errno not in _NOT_OURS:
            raise
        raise InputError(f"--out {out}: not writable any more ({error.strerror}); {what_then}") from None
