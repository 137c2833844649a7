"""Ctrl-C that waits: what must be done in one piece is not cut in two by an interruption."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def interrupt_deferred() -> Iterator[None]:
    """Let an interruption (SIGINT) that comes within take effect when the block is over.

    Only the main thread is interrupted, and only where somebody listens; elsewhere there is nothing to defer.
    """
    listener = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or not callable(listener):
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, listener)
    if came:
        listener(*came[0])
