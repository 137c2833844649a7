"""``wattswap run``: a street, its figures, and who did what."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples

NOT_SETTLED = 1


@click.command(
    epilog=examples(
        "wattswap run demo",
        "wattswap run a400 --strategy need:0.6+keep:0.4 --set transformer.limit_w=350_000",
        "wattswap run b250 --controller uncontrolled --engine fleet --json",
        "wattswap run demo --at 18:50 car=C007 full-by=22:00 --at 19:20 car=TRD-3472 veto",
        "wattswap run demo --watch --speed 600",
        "wattswap run demo --ledger sqlite:street.sqlite",
        "wattswap run demo --ledger http://127.0.0.1:9125",
        "wattswap run demo --ledger http://127.0.0.1:9000/graphql --keys ./wallets --allow 2304aa97",
    )
)
@click.argument("scenario", default="demo")
@click.option(
    "--controller",
    default="negotiated",
    show_default=True,
    help="Who sets the cars' power: negotiated, or to compare uncontrolled, fcfs, equal-share, poc,"
    " round-robin, static-cap, time-of-use, bandwidth, dimming, droop; with --set"
    " vehicles.disclose=departure edf, llf, karma, receding-horizon, valley-filling.",
)
@click.option(
    "--strategy", metavar="MIX", help="How cars answer, by shares: need:0.8+prosumer:0.2, or mine.py:patient."
)
@click.option("--engine", default="messages", show_default=True, help="messages: real agents; fleet: arrays, faster.")
@click.option("--seed", type=int, help="Of every draw; the scenario's own by default.")
@options.day
@options.settings
@options.at
@click.option(
    "--ledger",
    default="memory",
    show_default=True,
    help="Where tokens change hands: memory, sqlite:FILE (a new one), or the URL of a `wattswap devnet`.",
)
@click.option("--wallets-seed", type=int, help="What a devnet's wallets are derived from; a new number by default.")
@click.option(
    "--keys", type=click.Path(path_type=Path), metavar="DIR", help="Key files of the wallets, for a chain of one's own."
)
@click.option("--allow", multiple=True, metavar="CHAIN", help="Settle on this public network, by its chain id.")
@click.option("--sign", is_flag=True, help="Let the agents sign what they say. It changes no trade.")
@click.option(
    "--journal",
    default="inputs",
    show_default=True,
    help="What to keep for `wattswap replay`: inputs, full (every event and effect), none.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The run directory; runs/... by default.")
@click.option("--watch", is_flag=True, help="Show it in a browser as it goes on; the page stays until Ctrl-C.")
@click.option(
    "--speed",
    type=options.Number(min=0, min_open=True),
    help="With --watch: so many times faster than a clock; by default as fast as it can.",
)
@options.page
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else; a directory only with --out.")
@click.pass_context
def run(
    ctx: click.Context,
    scenario: str,
    controller: str,
    strategy: str | None,
    engine: str,
    seed: int | None,
    day: int | None,
    settings: tuple[str, ...],
    sayings: tuple[tuple[str, str, str], ...],
    ledger: str,
    wallets_seed: int | None,
    keys: Path | None,
    allow: tuple[str, ...],
    sign: bool,
    journal: str,
    out: Path | None,
    watch: bool,
    speed: float | None,
    host: str,
    port: int,
    text: bool,
    kiosk: bool,
    as_json: bool,
) -> None:
    """Run a street and print what came of it.

    It leaves a run directory with tables, a ledger and a report. Exit code 1: its tokens did not all cross the ledger,
    or book and ledger differ.

    SCENARIO is a bundled name (see `wattswap scenarios list`) or a TOML file.
    """
    from wattswap.cli.progress import countdown_bar, progress_bar, strategies_print_to_stderr
    from wattswap.cli.watching import WatchPage, until_interrupted, watching
    from wattswap.experiments.api import run_loaded
    from wattswap.experiments.planned_wishes import planned_wishes
    from wattswap.runners.recording.rundir import default_path
    from wattswap.runners.scenario import load_street

    street = load_street(scenario, settings=settings, strategy=strategy, seed=seed, day=day)
    for note in () if as_json else street.notes:
        click.echo(f"Note: {note}", err=True)
    drivers = planned_wishes(street, sayings) if sayings else None
    options.tell_sayings(() if as_json else sayings)
    if out is None and not as_json:
        out = default_path(street.name, controller, street.scenario.seed, datetime.now(UTC))
    if (speed or text or kiosk) and not watch:
        raise click.UsageError("--speed, --text and --kiosk say how to watch a run: add --watch")
    page = WatchPage(host, port, text, kiosk)
    look = partial(watching, street, controller, engine, speed=speed, page=page, run_dir=out, drivers=drivers)
    looking = look() if watch else nullcontext()
    with looking as watched:
        try:
            bar = nullcontext(_silent) if text else progress_bar(street.ticks, f"{street.name}, {controller}")
            drain = nullcontext(_silent) if text else countdown_bar("payments and records on their way")
            with strategies_print_to_stderr(), bar as progress, drain as settling:
                result = run_loaded(
                    street,
                    controller=controller,
                    engine=engine,
                    ledger=ledger,
                    wallets_seed=wallets_seed,
                    keys=keys,
                    allow=allow,
                    sign=sign,
                    journal=journal,
                    out=out,
                    progress=progress,
                    settling=settling,
                    observers=watched.observers if watched else (),
                    operator=watched.operator if watched else None,
                    drivers=watched.drivers if watched else drivers,
                )
        except KeyboardInterrupt:
            what_there_is = f"; what there is lies in {out}" if out and out.is_dir() else ""
            click.echo(f"wattswap: interrupted{what_there_is}", err=True)
            ctx.exit(INTERRUPTED)
        if as_json:
            click.echo(json.dumps(result.summary, indent=2))
        else:
            from wattswap.cli.show import show_result

            show_result(result)
        if watched and not (as_json or text):
            watched.history.end("complete")
            until_interrupted()
    settlement = result.summary["settlement"]
    if settlement is not None and not (settlement["agree"] and not settlement["alarms"]):
        ctx.exit(NOT_SETTLED)


def _silent(tick: int) -> None:
    """The view in the terminal says it already."""
