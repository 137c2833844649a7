"""``wattswap replay``: a run told again from its journal, to see whether its agents still do what they did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wattswap.cli.examples import examples

if TYPE_CHECKING:
    from wattswap.experiments.replays import Checked
    from wattswap.runners.recording.process_replay import ProcessesChecked

DIFFERENT = 1


@click.command(
    epilog=examples(
        "wattswap replay runs/20261122T181508-demo-negotiated-s1 --check",
        "wattswap replay runs/20261122T181508-demo-negotiated-s1",
    )
)
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Compare only, write nothing: exit code 1 and the first difference.")
@click.pass_context
def replay(ctx: click.Context, run_dir: Path, check: bool) -> None:
    """Tell a run again from its journal.

    The agents learn what they learned then, and are compared tick by tick with what they did. Without --check, the
    tables that the run did not get to write (a power cut, a Raspberry Pi) are rebuilt; what is there stays. The
    processes of `wattswap live` have a journal each: with --check every agent is told again what it learned.
    """
    from wattswap.cli.progress import progress_bar
    from wattswap.experiments.replays import check_run, missing, rebuild
    from wattswap.runners.recording.parquet_table import WITHOUT_TABLES
    from wattswap.runners.recording.process_replay import check_processes, process_journals
    from wattswap.runners.recording.replay import read_recorded

    if journals := process_journals(run_dir):
        if not check:
            raise click.UsageError("a street of processes can only be checked: add --check")
        with progress_bar(len(journals), f"{run_dir.name}, replayed", every=1) as progress:
            ctx.exit(_show_processes(check_processes(run_dir, progress)))
    recorded = read_recorded(run_dir)
    with progress_bar(recorded.street.ticks, f"{recorded.street.name}, replayed") as progress:
        checked = check_run(recorded, progress)
    if checked.differences:
        _show_differences(checked)
        ctx.exit(DIFFERENT)
    if check:
        click.echo(f"identical: {_reach(checked)}; {_compared(checked)}")
        return
    written = ", ".join(rebuild(checked))
    left_out = missing(checked)
    nothing = "wrote nothing" if left_out else "nothing was missing"
    click.echo(f"replayed: {_reach(checked)}; {f'wrote {written}' if written else nothing}")
    if left_out:
        click.echo(f"Note: tables were left out, they need pyarrow: {WITHOUT_TABLES}")


def _show_processes(checked: ProcessesChecked) -> int:
    """What came of the journals of a street of processes; the exit code."""
    reach = f"{checked.processes} processes, {checked.agents} agents, {checked.events:,} events"
    if checked.difference is None:
        click.echo(f"identical: {reach}")
        return 0
    click.echo(f"different: {checked.difference.what}")
    click.echo(f"  recorded: {checked.difference.recorded}")
    click.echo(f"  replayed: {checked.difference.replayed}")
    return DIFFERENT


def _show_differences(checked: Checked) -> None:
    from wattswap.experiments.replays import instant
    from wattswap.runners.recording.rundir import wattswap_version

    recorded, first = checked.replay.recorded, checked.differences[0]
    click.echo(f"different from tick {first.tick} on, {instant(recorded.street, first.tick)}")
    for difference in checked.differences:
        where = "" if difference.tick == first.tick else f" (tick {difference.tick})"
        click.echo(f"{difference.what}{where}")
        click.echo(f"  recorded: {difference.recorded}")
        click.echo(f"  replayed: {difference.replayed}")
    if recorded.header.wattswap != wattswap_version():
        click.echo(f"Note: recorded by wattswap {recorded.header.wattswap}, this is {wattswap_version()}.")
    if recorded.header.contents != "full":
        click.echo("Note: a run with --journal full shows the first event that differs.")


def _reach(checked: Checked) -> str:
    """How far the journal goes."""
    from wattswap.experiments.replays import instant

    replay, street = checked.replay, checked.replay.recorded.street
    if replay.whole:
        return f"all {street.ticks} ticks"
    status = replay.recorded.run.status
    why = {
        "complete": ", though the run is complete",
        "interrupted": ", for the run was interrupted",
        "failed": ", for the run failed",
    }[status]
    ends = instant(street, replay.ticks)
    return f"{replay.ticks} of {street.ticks} ticks, the journal is unfinished and ends at {ends}{why}"


def _compared(checked: Checked) -> str:
    return f"tables compared: {', '.join(checked.compared)}" if checked.compared else "there are no tables to compare"
