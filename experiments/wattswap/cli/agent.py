"""``wattswap agent``: one agent on its own machine, or several in one process."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from wattswap.cli.examples import examples
from wattswap.experiments.interrupts import signals_to

if TYPE_CHECKING:
    from types import FrameType

    from wattswap.runners.node.roles import Role

_INTERRUPTED = 130
_FAILED = 1


@click.command(
    epilog=examples(
        "wattswap agent transformer --config transformer.toml",
        "wattswap agent charger --config charger7.toml",
        "wattswap agent battery --config cellar.toml",
    )
)
@click.argument("role", type=click.Choice(("transformer", "charger", "vehicle", "household", "battery")))
@click.option(
    "--config", "path", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Its configuration, TOML."
)
@click.pass_context
def agent(ctx: click.Context, role: str, path: Path) -> None:
    """Run one agent until Ctrl-C or SIGTERM; its log goes to stdout, one JSON object a line.

    Further agents that its configuration names under `also` run in the same process, behind the same socket.

    Its keys are made by `wattswap keys new DIR --agent NAME --role ROLE`, and those it talks to are trusted by
    `wattswap keys trust`. A charger that is stopped lets nothing flow.
    """
    from wattswap.ledger.base import LedgerDownError
    from wattswap.runners.node.config import read_config
    from wattswap.runners.node.start import run_agent

    loaded = read_config(path, cast("Role", role))
    told: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    try:
        with signals_to(stop, signal.SIGINT, signal.SIGTERM):
            run_agent(loaded, lambda: bool(told), sys.stdout)
    except LedgerDownError as error:  # nothing may be said that cannot be remembered
        click.echo(f"wattswap: {' '.join(str(error).split())}", err=True)
        ctx.exit(_FAILED)
    ctx.exit(_INTERRUPTED if told[0] == signal.SIGINT else 0)
