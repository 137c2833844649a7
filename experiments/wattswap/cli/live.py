"""``wattswap live``: a street whose agents are processes that talk over ZeroMQ, on this machine."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples
from wattswap.experiments.interrupts import signals_to

if TYPE_CHECKING:
    from types import FrameType

    from wattswap.runners.scenario.street import Street

FAILED = 1
DEFAULT_SPEED = 60.0
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
        "wattswap live demo --speed 60",
        "wattswap live demo --speed 60 --watch",
        "wattswap live b250 --day 7 --lockstep --processes each --json",
    )
)
@click.argument("scenario", default="demo")
@click.option(
    "--speed",
    type=options.Number(min=0, min_open=True),
    help=f"On the wall clock, so many times faster; {DEFAULT_SPEED:g} by default. 1 is real time.",
)
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
@options.at
@click.option("--ledger", default="memory", show_default=True, help="Where tokens change hands, as in `wattswap run`.")
@click.option("--wallets-seed", type=int, help="What a devnet's wallets are derived from; a new number by default.")
@click.option("--sign", is_flag=True, help="Let the agents sign what they say. It changes no trade.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The run directory; runs/... by default.")
@click.option("--watch", is_flag=True, help="Show it in a browser as it goes on, instead of a table in the terminal.")
@options.page
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else; a directory only with --out.")
@click.pass_context
def live(
    ctx: click.Context,
    scenario: str,
    speed: float | None,
    lockstep: bool,
    processes: int | Literal["each"] | None,
    controller: str,
    strategy: str | None,
    seed: int | None,
    day: int | None,
    settings: tuple[str, ...],
    sayings: tuple[tuple[str, str, str], ...],
    ledger: str,
    wallets_seed: int | None,
    sign: bool,
    out: Path | None,
    watch: bool,
    host: str,
    port: int,
    text: bool,
    kiosk: bool,
    as_json: bool,
) -> None:
    """Run a street whose agents are processes of their own, with encrypted sockets between them.

    On the wall clock they act when they act, as they do on several machines; the terminal shows load, limit, calls and
    who gives way, a log or a pipe a line every half minute. The run directory has a journal of each process, which
    `wattswap replay --check` tells again. In lockstep nothing is late and nothing is lost, the trades are those of
    `wattswap run`, and there is no journal.

    Exit code 1: a process died, hung or failed; the line says which, and when.

    SCENARIO is a bundled name (see `wattswap scenarios list`) or a TOML file.
    """
    from wattswap.cli.progress import progress_bar, strategies_print_to_stderr
    from wattswap.cli.watching import WatchPage, watching
    from wattswap.experiments.api import run_loaded
    from wattswap.experiments.live_lines import LiveLines
    from wattswap.experiments.live_log import Lateness
    from wattswap.experiments.planned_wishes import planned_wishes
    from wattswap.experiments.processors import usable_processors
    from wattswap.runners.node.processes.pool import WorkerLostError
    from wattswap.runners.recording.rundir import default_path

    if kiosk and not watch:
        raise click.UsageError("--kiosk says how to watch a street: add --watch")
    if lockstep and speed is not None:
        raise click.UsageError("--speed is for the wall clock, and --lockstep keeps no time: choose one")
    if not lockstep and speed is None:
        speed = DEFAULT_SPEED
    street = _loaded(scenario, speed, settings, strategy, seed, day)
    if not as_json:
        for note in street.notes:
            click.echo(f"Note: {note}", err=True)
    drivers = planned_wishes(street, sayings) if sayings else None
    options.tell_sayings(() if as_json else sayings)
    if out is None and not as_json:
        out = default_path(street.name, controller, street.scenario.seed, datetime.now(UTC))
    shows = not lockstep and not as_json and (watch or text or sys.stderr.isatty())
    page, lateness = WatchPage(host, port, text or not watch, kiosk), Lateness()
    lines = () if shows or as_json or speed is None else (LiveLines(street, speed, out, partial(click.echo, err=True)),)
    look = partial(watching, street, controller, "processes", speed=None, page=page, run_dir=out, drivers=drivers)
    looking = look() if shows else nullcontext()
    bar = nullcontext(_silent) if shows or not lockstep else progress_bar(street.ticks, f"{street.name}, {controller}")
    try:
        with (
            signals_to(_interrupt, signal.SIGTERM),
            strategies_print_to_stderr(),
            looking as watched,
            bar as progress,
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
                speed=speed,
                observers=(lateness, *lines, *(watched.observers if watched else ())),
                operator=watched.operator if watched else None,
                drivers=watched.drivers if watched else drivers,
            )
    except KeyboardInterrupt:
        what_there_is = f"; what there is lies in {out}" if out and out.is_dir() else ""
        click.echo(f"wattswap: interrupted{what_there_is}", err=True)
        ctx.exit(INTERRUPTED)
    except WorkerLostError as error:
        click.echo(f"wattswap: {error}", err=True)
        ctx.exit(FAILED)
    if as_json:
        click.echo(json.dumps(result.summary, indent=2))
    else:
        from wattswap.cli.show import show_result

        show_result(result)
        if warning := lateness.warning():
            click.echo(f"Note: {warning}", err=True)
    settlement = result.summary["settlement"]
    if settlement is not None and not (settlement["agree"] and not settlement["alarms"]):
        ctx.exit(FAILED)


def _loaded(
    scenario: str,
    speed: float | None,
    settings: tuple[str, ...],
    strategy: str | None,
    seed: int | None,
    day: int | None,
) -> Street:
    """The street; on the wall clock its offers have a quarter of a beat, if the scenario leaves them less."""
    from wattswap.runners.node.live.run import least_deadline_ms
    from wattswap.runners.scenario import load_street

    street = load_street(scenario, settings=settings, strategy=strategy, seed=seed, day=day)
    least_ms = least_deadline_ms(street.tick_ms)
    if speed is None or street.scenario.market.deadline_ms >= least_ms:
        return street
    settings = (*settings, f"market.deadline_ms={least_ms}")
    return load_street(scenario, settings=settings, strategy=strategy, seed=seed, day=day)


def _silent(tick: int) -> None:
    """The table in the terminal says it already."""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends a run as Ctrl-C does."""
    raise KeyboardInterrupt
