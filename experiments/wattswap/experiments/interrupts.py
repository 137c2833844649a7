"""Signals for a while: who listens to Ctrl-C and SIGTERM during a block, and listens no longer after it."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import wait
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


@contextmanager
def signals_to(listener: Callable[[int, FrameType | None], None], *numbers: signal.Signals) -> Iterator[None]:
    """Hand these signals to a listener until the block is over, then to who listened before. Main thread only."""
    before = {number: signal.signal(number, listener) for number in numbers}
    try:
        yield
    finally:
        for number, listened in before.items():
            signal.signal(number, listened)


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


@contextmanager
def interrupt_masked() -> Iterator[None]:
    """Start processes that Ctrl-C does not end until they call :func:`begin_worker`: an import has its traceback.

    What comes within is heard when the block is over.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_worker() -> None:
    """Let this process, which works for another, end with it: with one that is killed, too, and without a word.

    Ctrl-C on a terminal reaches who started us as well, and that one speaks.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    """Wait until nobody holds the other end, which the kernel closes whatever ends a process."""
    wait([sentinel])
    os._exit(1)
