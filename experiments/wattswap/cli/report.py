"""``wattswap report``: a run directory once more, as a table and as a page."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from wattswap.cli.examples import examples


@click.command(
    epilog=examples(
        "wattswap report runs/20261122T181508-demo-negotiated-s1",
        "wattswap report runs/20261122T181508-demo-negotiated-s1 --picture sunday.pdf",
    )
)
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only write its picture, as FILE.pdf, FILE.png or FILE.svg.",
)
def report(run_dir: Path, picture: Path | None) -> None:
    """Draw report.html of a run directory anew and print its table."""
    from wattswap.cli.show import show_run
    from wattswap.experiments.api import WITHOUT_REPORT
    from wattswap.protocol.errors import InputError
    from wattswap.runners.recording.rundir import read_run

    run = read_run(run_dir)
    if not run.figures:
        raise InputError(f"{run_dir}: this run {run.status} before it had any figures; run the scenario again")
    if find_spec("matplotlib") is None:
        raise InputError(f"report.html needs pictures, and matplotlib is not installed: {WITHOUT_REPORT}")
    if picture is not None:
        from wattswap.experiments.plots.picture import plot_run, save_picture
        from wattswap.experiments.run_tables import RunTables

        save_picture(plot_run(RunTables.read(run_dir)), picture)
        click.echo(f"Picture: {picture}")
        return
    from wattswap.experiments.report import write_report

    try:
        write_report(run_dir)
        notes = []
    except OSError as error:
        notes = [f"report.html was not written: {error.strerror}"]
    show_run(run, notes)
