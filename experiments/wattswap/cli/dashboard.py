"""``wattswap dashboard``: a finished run in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples


@click.command(
    epilog=examples(
        "wattswap dashboard runs/20261122T181508-demo-negotiated-s1",
        "wattswap dashboard runs/20261122T181508-demo-negotiated-s1 --speed 600",
    )
)
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="Play it so many times faster than it was.")
@options.page
@click.pass_context
def dashboard(ctx: click.Context, run_dir: Path, speed: float | None, host: str, port: int) -> None:
    """Show a finished run in a browser: the street, its cars, its rounds; Ctrl-C ends it.

    To watch a run while it goes on: `wattswap run --watch`.
    """
    from wattswap.cli.watching import serving, until_interrupted
    from wattswap.experiments.dashboard.finished import finished_run

    with serving(finished_run(run_dir, speed), host, port, run_dir):
        until_interrupted()
    ctx.exit(INTERRUPTED)
