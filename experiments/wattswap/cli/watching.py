"""Serves a dashboard while a command goes on, and says where."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from threading import Event
from typing import TYPE_CHECKING

import click

from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wattswap.experiments.dashboard.history import History
    from wattswap.experiments.dashboard.watcher import Watcher
    from wattswap.runners.scenario.street import Street


@contextmanager
def serving(history: History, host: str, port: int) -> Iterator[str]:
    """Serve a history until the block is left; the address stands on stderr.

    Raises:
        InputError: the server is not installed, or the port is taken.
    """
    try:
        from wattswap.experiments.dashboard.serving import served
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("wattswap"):
            raise
        raise InputError(f"the dashboard needs {error.name}: pip install 'wattswap[dashboard]'") from None
    with served(history, host, port) as address:
        click.echo(f"Dashboard: {address}  (Ctrl-C ends it)", err=True)
        yield address


@contextmanager
def watching(street: Street, controller: str, speed: float | None, host: str, port: int) -> Iterator[Watcher]:
    """An observer whose history is served until the block is left."""
    from wattswap.experiments.dashboard.watcher import Watcher

    watcher = Watcher(street, controller, speed)
    with serving(watcher.history, host, port):
        yield watcher


def until_interrupted() -> None:
    """Keep the page open until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        Event().wait()
