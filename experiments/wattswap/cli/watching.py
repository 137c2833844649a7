"""Serves a dashboard while a command goes on, and says where."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple, TextIO

import click

from wattswap.protocol.errors import InputError

_REFRESHES_A_SECOND = 4
_LOOK_S = 0.2
"""How often one looks whether there is something new to say."""
_LOOKED_AT_S = 10.0
"""A browser that ends earlier found no screen."""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.live import Live

    from wattswap.experiments.dashboard.rights import Rights
    from wattswap.experiments.dashboard.terminal import TerminalView
    from wattswap.experiments.dashboard.terminal_lines import TerminalLines
    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.limit_order import LimitOrder
    from wattswap.runners.engines.observer import Observer
    from wattswap.runners.scenario.street import Street
    from wattswap.runners.watching.history import History


class WatchPage(NamedTuple):
    """Where somebody wants to look."""

    host: str
    port: int
    text: bool
    """In the terminal, not in a browser."""
    kiosk: bool = False
    """All over this machine's own screen."""


class Watched(NamedTuple):
    """A run with a dashboard."""

    history: History
    observers: tuple[Observer, ...]
    operator: LimitOrder | None
    """Through which the page moves the limit; None where no agents would hear of it."""
    drivers: DriverWishes | None
    """What drivers planned to say, and say by the page."""


@contextmanager
def serving(history: History, page: WatchPage, run_dir: Path | None, rights: Rights | None = None) -> Iterator[None]:
    """Serve a history until the block is left; the address stands on stderr, and the operator's with its token.

    Raises:
        InputError: the server is not installed, or the port is taken.
    """
    try:
        from wattswap.experiments.dashboard.serving import served
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("wattswap"):
            raise
        raise InputError(f"the dashboard needs {error.name}: pip install 'wattswap[dashboard]'") from None
    with served(history, page.host, page.port, rights, run_dir) as address:
        click.echo(f"Dashboard: {address}  (Ctrl-C ends it)", err=True)
        if rights is not None:
            may = "may move the limit, and finds each driver's address on the car's screen"
            click.echo(f"Operator:  {address}#operator={rights.operator_token}  ({may})", err=True)
        with shown_on_screen(address) if page.kiosk else nullcontext():
            yield


@contextmanager
def shown_on_screen(address: str) -> Iterator[None]:
    """Open a page all over this machine's screen, in a browser of its own, until the block is left.

    Raises:
        InputError: there is no browser that can.
    """
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise InputError(f"--kiosk needs one of {', '.join(_BROWSERS)}: apt-get install chromium")
    with TemporaryDirectory(prefix="wattswap-kiosk-", ignore_cleanup_errors=True) as profile:
        command = [browser, "--kiosk", f"--app={address}", f"--user-data-dir={profile}", "--window-size=800,480"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:  # noqa: S603 - a browser from the PATH
            is_over = Event()
            Thread(target=_say_if_it_ends, args=(process, address, is_over), name="kiosk", daemon=True).start()
            try:
                yield
            finally:
                is_over.set()
                process.terminate()


def _say_if_it_ends(browser: subprocess.Popen[bytes], address: str, is_over: Event) -> None:
    """Say that a browser ended by itself before anybody could have looked at it."""
    with suppress(subprocess.TimeoutExpired):
        status = browser.wait(_LOOKED_AT_S)
        if not is_over.is_set():
            why = "has this machine a screen, and does DISPLAY or WAYLAND_DISPLAY name it?"
            click.echo(
                f"--kiosk: the browser ended at once (exit code {status}); {why} The page is at {address}", err=True
            )


@contextmanager
def watching(
    street: Street,
    controller: str,
    engine: str,
    *,
    speed: float | None,
    page: WatchPage,
    run_dir: Path | None,
    drivers: DriverWishes | None = None,
) -> Iterator[Watched]:
    """A dashboard of a run that is about to begin, until the block is left; ``drivers`` have planned something."""
    from wattswap.agents.controllers import NEGOTIATED
    from wattswap.experiments.dashboard.rights import Rights
    from wattswap.experiments.dashboard.transformer_observer import TransformerObserver
    from wattswap.experiments.dashboard.watcher import Watcher
    from wattswap.runners.engines.driver_wishes import DriverWishes
    from wattswap.runners.engines.limit_order import LimitOrder

    rights: Rights | None = None
    if engine != "fleet" and not page.text:
        drivers = (drivers or DriverWishes()) if controller == NEGOTIATED else drivers
        rights = Rights.new(LimitOrder(), drivers)
    watcher = Watcher(street, controller, speed, rights)
    with shown_meanwhile(watcher.history) if page.text else serving(watcher.history, page, run_dir, rights):
        observers = (TransformerObserver(street, watcher.history), watcher)
        yield Watched(watcher.history, observers, rights.limits if rights else None, drivers)


def show(history: History, speed: float | None) -> None:
    """Show a history on stdout until it is over: in a terminal as a view, elsewhere a plain line for each tick."""
    from wattswap.experiments.dashboard.terminal import TerminalView
    from wattswap.experiments.dashboard.terminal_lines import TerminalLines

    if sys.stdout.isatty():
        view = TerminalView(history, speed)
        with _live(view, sys.stdout):
            while not view.is_over:
                time.sleep(_LOOK_S)
        return
    lines = TerminalLines(history, click.echo, speed)
    while not lines.is_over:
        lines.look()
        time.sleep(_LOOK_S)


@contextmanager
def shown_meanwhile(history: History) -> Iterator[None]:
    """Show a history on stderr, as :func:`show` does on stdout, until the block is left."""
    from wattswap.experiments.dashboard.terminal import TerminalView
    from wattswap.experiments.dashboard.terminal_lines import TerminalLines

    if sys.stderr.isatty():
        with _live(TerminalView(history), sys.stderr):
            yield
        return
    lines, is_left = TerminalLines(history, partial(click.echo, err=True)), Event()
    thread = Thread(target=_say_until, args=(lines, is_left), name="lines", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_left.set()
        thread.join()


def _live(view: TerminalView, stream: TextIO) -> Live:
    from rich.console import Console
    from rich.live import Live

    return Live(get_renderable=view.render, console=Console(file=stream), refresh_per_second=_REFRESHES_A_SECOND)


def _say_until(lines: TerminalLines, is_left: Event) -> None:
    """Say what is new, the last of it once the block was left."""
    with suppress(OSError):  # nobody reads it any more
        while not is_left.wait(_LOOK_S):
            lines.look()
        lines.look()


def until_interrupted() -> None:
    """Keep the page open until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        Event().wait()
