"""``wattswap dashboard``: a finished run, or another machine's, in a browser or in a terminal."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples

_TEXT_SPEED = 3_600.0


@click.command(
    epilog=examples(
        "wattswap dashboard runs/20261122T181508-demo-negotiated-s1",
        "wattswap dashboard runs/20261122T181508-demo-negotiated-s1 --speed 600",
        "wattswap dashboard runs/20261122T181508-demo-negotiated-s1 --text",
        "wattswap dashboard --connect raspberrypi:8100 --kiosk",
        "wattswap dashboard --connect trafo:8090 --text",
    )
)
@click.argument("run_dir", required=False, type=click.Path(path_type=Path))
@click.option(
    "--connect",
    metavar="HOST:PORT",
    help="What another dashboard shows as it goes on, or the page of a transformer's node.",
)
@click.option("--speed", type=options.Number(min=0, min_open=True), help="Play it so many times faster than it was.")
@options.page
@click.pass_context
def dashboard(
    ctx: click.Context,
    run_dir: Path | None,
    connect: str | None,
    speed: float | None,
    host: str,
    port: int,
    text: bool,
    kiosk: bool,
) -> None:
    """Show a finished run in a browser: the street, its cars, its rounds; Ctrl-C ends it.

    With --connect it is a run that goes on elsewhere, as the dashboard there shows it, or a street of real nodes, as
    its transformer's page does. With --text a run is played in this terminal, an hour a second by default; into a file
    or a pipe goes a plain line for each tick. To watch a run while it goes on: `wattswap run --watch`.
    """
    from wattswap.cli.watching import WatchPage, serving, show, until_interrupted
    from wattswap.experiments.dashboard.finished import finished_run
    from wattswap.experiments.dashboard.remote import remote_run

    if (run_dir is None) == (connect is None):
        raise click.UsageError("say what to show: a run directory, or --connect HOST:PORT of a dashboard elsewhere")
    if connect is not None and speed is not None:
        raise click.UsageError("--speed plays a run that is over; one at --connect goes on at its own pace")
    if kiosk and text:
        raise click.UsageError("--kiosk is a screen and --text a terminal: choose one")
    found = nullcontext(finished_run(run_dir, speed)) if run_dir is not None else remote_run(connect or "")
    with found as history:
        if text:
            show(history, None if connect else speed or _TEXT_SPEED)
            return
        with serving(history, WatchPage(host, port, text, kiosk), run_dir):
            until_interrupted()
    ctx.exit(INTERRUPTED)
