"""``wattswap dashboard``: a finished run in a browser or in a terminal."""

from __future__ import annotations

import time
from pathlib import Path

import click

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples

_TEXT_SPEED = 3_600.0
_LOOK_S = 0.2


@click.command(
    epilog=examples(
        "wattswap dashboard runs/20261122T181508-demo-negotiated-s1",
        "wattswap dashboard runs/20261122T181508-demo-negotiated-s1 --speed 600",
        "wattswap dashboard runs/20261122T181508-demo-negotiated-s1 --text",
    )
)
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="Play it so many times faster than it was.")
@options.page
@click.pass_context
def dashboard(ctx: click.Context, run_dir: Path, speed: float | None, host: str, port: int, text: bool) -> None:
    """Show a finished run in a browser: the street, its cars, its rounds; Ctrl-C ends it.

    With --text it is played in this terminal, an hour a second by default. To watch a run while it goes on: `wattswap
    run --watch`.
    """
    from wattswap.cli.watching import WatchPage, serving, shown, until_interrupted
    from wattswap.experiments.dashboard.finished import finished_run
    from wattswap.experiments.dashboard.terminal import TerminalView

    history = finished_run(run_dir, speed)
    if text:
        view = TerminalView(history, speed or _TEXT_SPEED)
        with shown(view):
            while not view.is_over:
                time.sleep(_LOOK_S)
        return
    with serving(history, WatchPage(host, port, text), run_dir):
        until_interrupted()
    ctx.exit(INTERRUPTED)
