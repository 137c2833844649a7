"""What goes to stderr while runs are made: a progress bar for people, and what strategies print."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager, redirect_stdout
from time import perf_counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

PATIENCE_S: Final = 2.0
"""What takes no longer than this shows no bar."""
_LOOK_EVERY: Final = 64
"""Ticks between two looks at the clock."""


def strategies_print_to_stderr() -> AbstractContextManager[object]:
    """While runs are made, what a user's strategy prints goes to stderr: stdout is for what the command prints."""
    return redirect_stdout(sys.stderr)


@contextmanager
def progress_bar(ticks: int, title: str, every: int = _LOOK_EVERY) -> Iterator[Callable[[int], None]]:
    """What is to be called with each tick that has passed; a bar appears once the whole looks longer than patience.

    A tick may be anything there are ``ticks`` of; ``every`` so many the clock is looked at.
    """
    if not sys.stderr.isatty():
        yield lambda _tick: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(title, total=ticks)
    began = perf_counter()

    def passed(tick: int) -> None:
        if tick % every:
            return
        elapsed_s = perf_counter() - began
        if not bar.live.is_started and elapsed_s > PATIENCE_S / 4 and elapsed_s * ticks > PATIENCE_S * (tick + 1):
            bar.start()
        bar.update(task, completed=tick + 1)
        if tick + every >= ticks:
            bar.stop()

    try:
        yield passed
    finally:
        bar.stop()


@contextmanager
def countdown_bar(title: str) -> Iterator[Callable[[int], None]]:
    """What is to be called with how much is left; the first call says how much there is in all."""
    with ExitStack() as shown:
        bars: list[tuple[int, Callable[[int], None]]] = []

        def left(count: int) -> None:
            if not bars:
                bars.append((count, shown.enter_context(progress_bar(count, f"{title}, {count:,}", every=1))))
            total, passed = bars[0]
            passed(total - count - 1)

        yield left
