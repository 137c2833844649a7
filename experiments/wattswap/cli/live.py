"""``wattswap live``: a street whose agents are processes that talk over ZeroMQ, on this machine."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples
from wattswap.experiments.interrupts import signals_to

if TYPE_CHECKING:
    from types import FrameType

FAILED = 1
_PROCESSES_A_CORE = 2


def _number_or_each(_ctx: click.Context, _option: click.Parameter, value: str | None) -> int | Literal["each"] | None:
    """What --processes says."""
    if value is None or value == "each":
        return "each" if value else None
    if not value.isdecimal() or not int(value):
        raise click.BadParameter(f"{value!r} is neither a number from 1 on nor 'each'")
    return int(value)


@click.command(
    epilog=examples(
        "wattswap live demo --lockstep",
        "wattswap live b250 --day 7 --lockstep --processes each --json",
    )
)
@click.argument("scenario", default="demo")
@click.option(
    "--lockstep", is_flag=True, help="A conductor orders every step, so the trades are those of `wattswap run`."
)
@click.option(
    "--processes",
    callback=_number_or_each,
    metavar="N|each",
    help="How many processes share the agents, 2 a core by default; each gives every agent its own.",
)
@click.option("--controller", default="negotiated", show_default=True, help="Who sets the cars' power, as in `run`.")
@click.option("--strategy", metavar="MIX", help="How cars answer, as in `wattswap run`.")
@click.option("--seed", type=int, help="Of every draw; the scenario's own by default.")
@options.day
@options.settings
@click.option("--ledger", default="memory", show_default=True, help="Where tokens change hands, as in `wattswap run`.")
@click.option("--wallets-seed", type=int, help="What a devnet's wallets are derived from; a new number by default.")
@click.option("--sign", is_flag=True, help="Let the agents sign what they say. It changes no trade.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The run directory; runs/... by default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else; a directory only with --out.")
@click.pass_context
def live(
    ctx: click.Context,
    scenario: str,
    lockstep: bool,
    processes: int | Literal["each"] | None,
    controller: str,
    strategy: str | None,
    seed: int | None,
    day: int | None,
    settings: tuple[str, ...],
    ledger: str,
    wallets_seed: int | None,
    sign: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run a street whose agents are processes of their own, with encrypted sockets between them.

    In lockstep nothing is late and nothing is lost, and the trades are those of `wattswap run`. It leaves a run
    directory without a journal. Exit code 1: a process died, hung or failed; the line says which, and at which step.

    SCENARIO is a bundled name (see `wattswap scenarios list`) or a TOML file.
    """
    from wattswap.cli.progress import progress_bar, strategies_print_to_stderr
    from wattswap.experiments.api import run_loaded
    from wattswap.experiments.processors import usable_processors
    from wattswap.runners.node.lockstep.conductor import WorkerLostError
    from wattswap.runners.recording.rundir import default_path
    from wattswap.runners.scenario import load_street

    if not lockstep:
        raise click.UsageError("say --lockstep: a street on the wall clock is not ready yet")
    street = load_street(scenario, settings=settings, strategy=strategy, seed=seed, day=day)
    if not as_json:
        for note in street.notes:
            click.echo(f"Note: {note}", err=True)
    if out is None and not as_json:
        out = default_path(street.name, controller, street.scenario.seed, datetime.now(UTC))
    try:
        with (
            signals_to(_interrupt, signal.SIGTERM),
            strategies_print_to_stderr(),
            progress_bar(street.ticks, f"{street.name}, {controller}") as progress,
        ):
            result = run_loaded(
                street,
                controller=controller,
                ledger=ledger,
                wallets_seed=wallets_seed,
                sign=sign,
                out=out,
                progress=progress,
                processes=processes or _PROCESSES_A_CORE * usable_processors(),
            )
    except KeyboardInterrupt:
        click.echo("wattswap: interrupted", err=True)
        ctx.exit(INTERRUPTED)
    except WorkerLostError as error:
        click.echo(f"wattswap: {error}", err=True)
        ctx.exit(FAILED)
    if as_json:
        click.echo(json.dumps(result.summary, indent=2))
    else:
        from wattswap.cli.show import show_result

        show_result(result)
    settlement = result.summary["settlement"]
    if settlement is not None and not (settlement["agree"] and not settlement["alarms"]):
        ctx.exit(FAILED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends a run as Ctrl-C does."""
    raise KeyboardInterrupt
