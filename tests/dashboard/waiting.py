"""Patience with what another thread or process does."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 20


def wait_until(holds: Callable[[], bool]) -> None:
    """Look again and again; at some time it must be so."""
    pause = Event()
    for _ in range(PATIENCE_S * 20):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError("never so")
