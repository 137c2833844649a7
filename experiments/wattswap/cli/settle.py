"""``wattswap settle``: a run's tokens brought over its ledger, where the run itself could not."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wattswap.cli.examples import examples

NOT_SETTLED = 1


@click.command(
    epilog=examples(
        "wattswap settle runs/20261122T181508-demo-negotiated-s1",
        "wattswap settle runs/20261122T181508-demo-negotiated-s1 --patience 600",
        "wattswap settle runs/20261122T181508-demo-negotiated-s1 --thaw --acknowledge",
    )
)
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option(
    "--patience", type=click.IntRange(0), default=60, show_default=True, help="Seconds without progress to wait."
)
@click.option("--thaw", is_flag=True, help="Let accounts go on that were frozen; look first why they were.")
@click.option("--retry", is_flag=True, help="Try again what the ledger refused again and again.")
@click.option("--acknowledge", is_flag=True, help="Take the alarms so far as read.")
@click.option("--keys", type=click.Path(path_type=Path), metavar="DIR", help="The wallets' keys; else the run's.")
@click.option("--ledger", metavar="TEXT", help="Where the run's ledger is now, if it was moved.")
@click.option("--allow", multiple=True, metavar="CHAIN", help="Pay on this public network, by its chain id.")
@click.option("--json", "as_json", is_flag=True, help="The key `settlement` of run.json and nothing else.")
@click.pass_context
def settle(
    ctx: click.Context,
    run_dir: Path,
    patience: int,
    thaw: bool,
    retry: bool,
    acknowledge: bool,
    keys: Path | None,
    ledger: str | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> None:
    """Go on where a run's ledger was out of reach, and compare it with the book once more.

    Nothing is paid twice. Exit code 1: something is still on its way, book and ledger differ, or meter
    records are lost.
    """
    from rich.console import Console

    from wattswap.cli.progress import countdown_bar
    from wattswap.cli.show import show_settlement
    from wattswap.experiments.broken_off import broken_off, records_lost
    from wattswap.experiments.report import refresh_report
    from wattswap.experiments.settlements import Wishes, finish

    wishes = Wishes(thaw=thaw, retry=retry, acknowledge=acknowledge)
    with countdown_bar("payments and records on their way") as progress:
        block = finish(
            run_dir,
            patience,
            wishes=wishes,
            keys=keys,
            allow=allow,
            ledger=ledger,
            progress=progress,
            tell=lambda line: click.echo(line, err=as_json),
        )
    if as_json:
        click.echo(json.dumps(block, indent=2))
    else:
        show_settlement(Console(highlight=False), block, run_dir)
    lost = records_lost(run_dir)
    for told in filter(None, (broken_off(run_dir), lost)):
        click.echo(told, err=as_json)
    refresh_report(run_dir)
    if not block["agree"] or block["alarms"] or lost:
        ctx.exit(NOT_SETTLED)
