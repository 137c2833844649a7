"""An interruption in the middle of what must be done in one piece."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from threading import Thread

import pytest

from wattswap.experiments.interrupts import interrupt_deferred, signals_to


def interrupted(then: Callable[[], object]) -> None:
    """Be interrupted, and only then do something."""
    with interrupt_deferred():
        os.kill(os.getpid(), signal.SIGINT)
        then()


def test_an_interruption_waits_until_the_block_is_over():
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(lambda: done.append("all of it"))
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_within_goes_before_an_interruption():
    with pytest.raises(ZeroDivisionError):
        interrupted(lambda: 1 // 0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_process_that_ignores_interruptions_goes_on_ignoring_them():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupt_deferred():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_cannot_be_interrupted_and_need_no_deferring():
    done = []

    def work() -> None:
        with interrupt_deferred():
            done.append("here")

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["here"]


def test_signals_go_to_a_listener_for_a_block_and_then_to_who_listened_before():
    heard: list[int] = []
    before = signal.getsignal(signal.SIGTERM)
    with signals_to(lambda number, _frame: heard.append(number), signal.SIGTERM):
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before
