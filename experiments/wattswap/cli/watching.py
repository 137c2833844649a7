"""Serves a dashboard while a command goes on, and says where."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

import click

from wattswap.protocol.errors import InputError

_REFRESHES_A_SECOND = 4

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wattswap.experiments.dashboard.history import History
    from wattswap.experiments.dashboard.terminal import TerminalView
    from wattswap.experiments.dashboard.watcher import Watcher
    from wattswap.runners.engines.limit_order import LimitOrder
    from wattswap.runners.scenario.street import Street


class WatchPage(NamedTuple):
    """Where somebody wants to look."""

    host: str
    port: int
    text: bool
    """In the terminal, not in a browser."""


class Watched(NamedTuple):
    """A run with a dashboard."""

    watcher: Watcher
    operator: LimitOrder | None
    """Through which the page moves the limit; None where no agents would hear of it."""


@contextmanager
def serving(
    history: History, page: WatchPage, run_dir: Path | None, limits: LimitOrder | None = None
) -> Iterator[None]:
    """Serve a history until the block is left; the address stands on stderr, and the operator's with its token.

    Raises:
        InputError: the server is not installed, or the port is taken.
    """
    try:
        from wattswap.experiments.dashboard.server import Operator
        from wattswap.experiments.dashboard.serving import served
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("wattswap"):
            raise
        raise InputError(f"the dashboard needs {error.name}: pip install 'wattswap[dashboard]'") from None
    operator = None if limits is None else Operator(secrets.token_urlsafe(16), limits.order)
    with served(history, page.host, page.port, operator, run_dir) as address:
        click.echo(f"Dashboard: {address}  (Ctrl-C ends it)", err=True)
        if operator is not None:
            click.echo(f"Operator:  {address}#operator={operator.token}  (may move the limit)", err=True)
        yield


@contextmanager
def watching(
    street: Street,
    controller: str,
    engine: str,
    *,
    speed: float | None,
    page: WatchPage,
    run_dir: Path | None,
) -> Iterator[Watched]:
    """A dashboard of a run that is about to begin, until the block is left."""
    from wattswap.experiments.dashboard.terminal import TerminalView
    from wattswap.experiments.dashboard.watcher import Watcher
    from wattswap.runners.engines.limit_order import LimitOrder

    operator = LimitOrder() if engine == "messages" and not page.text else None
    watcher = Watcher(street, controller, speed, is_steered=operator is not None)
    with shown(TerminalView(watcher.history)) if page.text else serving(watcher.history, page, run_dir, operator):
        yield Watched(watcher, operator)


@contextmanager
def shown(view: TerminalView) -> Iterator[None]:
    """Show a view in the terminal until the block is left."""
    from rich.console import Console
    from rich.live import Live

    with Live(get_renderable=view.render, console=Console(stderr=True), refresh_per_second=_REFRESHES_A_SECOND):
        yield


def until_interrupted() -> None:
    """Keep the page open until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        Event().wait()
