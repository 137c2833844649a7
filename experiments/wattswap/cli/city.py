"""``wattswap city``: many transformers at once, of a scenario or drawn from the bundled weeks."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples

if TYPE_CHECKING:
    from wattswap.experiments.city import City

_FAILED = 1
_SHOWN = 5
"""So many failures are told."""


@click.command(
    epilog=examples(
        "wattswap city 100 --day 7 --out city",
        "wattswap city 1000 --day 5 --set vehicles.strategy=need:0.5+keep:0.5 --out lazy_city",
        "wattswap city my-city.toml --day 7 --out my-city",
    )
)
@click.argument("which", metavar="TRANSFORMERS|SCENARIO")
@click.option("--seed", type=int, help="Of all that is drawn; the scenario's own by default, 1 for a drawn city.")
@options.day
@options.settings
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes; as many as processors by default.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Where each finished transformer is kept; the same command again goes on from there.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
@click.pass_context
def city(
    ctx: click.Context,
    which: str,
    seed: int | None,
    day: int | None,
    settings: tuple[str, ...],
    jobs: int | None,
    out: Path,
    *,
    as_json: bool,
) -> None:
    """Run many transformers under negotiation: so many drawn ones, 1 to 10,000, or the feeders of a SCENARIO.

    A drawn city's transformers are like those of the bundled streets, with homes and cars drawn anew for each. Its
    scenario lies in DIR as city.toml, and `wattswap scenarios new --city` writes one to be changed first.

    It leaves a table of all transformers (feeders.csv) and a picture in DIR, and prints the sums.
    """
    from wattswap.cli.progress import progress_bar, strategies_print_to_stderr
    from wattswap.experiments.city import PICTURE, plan_city, run_plan
    from wattswap.experiments.full_disk import full_disk_told
    from wattswap.runners.recording.whole_file import whole_file

    planned = plan_city(int(which) if which.isdecimal() else which, out, seed=seed, day=day, settings=settings)
    feeders = len(planned.names)
    try:
        with strategies_print_to_stderr(), progress_bar(feeders, f"{feeders:,} transformers", every=1) as passed:
            done = run_plan(planned, jobs, out, progress=lambda count: passed(count - 1))
    except KeyboardInterrupt:
        click.echo(f"wattswap: interrupted; finished ones lie in {out}, the same command goes on from there", err=True)
        ctx.exit(INTERRUPTED)
    if find_spec("matplotlib") is not None:
        with (
            full_disk_told(out, "all transformers are in its table; make room, and the same command draws the picture"),
            whole_file(out / PICTURE) as beside,
        ):
            done.plot().savefig(beside, dpi=110, format="png")
    for note in done.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(json.dumps(_as_json(done), indent=2) if as_json else _told(done))
    if len(done.good) < feeders:
        ctx.exit(_FAILED)


def _as_json(done: City) -> dict[str, object]:
    from wattswap.experiments.city_table import FIGURES

    sums = {name: done.total(name) for name in FIGURES if name not in ("peak_w", "limit_w", "ageing_h")}
    return {
        "transformers": len(done.rows),
        "failed": len(done.rows) - len(done.good),
        "transformers_over": done.over("overload_s"),
        "transformers_over_baseline": done.over("baseline_overload_s"),
        **sums,
    }


def _told(done: City) -> str:
    from wattswap.experiments.formatting import amount

    alone_h, baseline_h, over_h = (
        done.total(key) / 3_600 for key in ("homes_over_s", "baseline_overload_s", "overload_s")
    )
    failed = [row for row in done.rows if row["error"]]
    deferred_mwh, fed_mwh = (done.total(key) / 1e6 for key in ("deferred_wh", "fed_back_wh"))
    over = done.over("baseline_overload_s"), done.over("overload_s")
    cut_kwh = done.total("forced_wh") / 1_000
    open_iota, waiting_iota, feeding_iota = (
        done.total(key) / 1e9 for key in ("rent_open_nanos", "waiting_cost_nanos", "feeding_cost_nanos")
    )
    bore = f"waiting cost the cars {waiting_iota:,.0f}" + (f", and feeding {feeding_iota:,.0f}" if fed_mwh else "")
    and_open = f", and {open_iota:,.0f} more in rent that was still running" if open_iota else ""
    fed = over_h < alone_h
    helped = "where waiting cannot help, but cars that feed did" if fed else "which no car that waits can help"
    hurt = [f"  cut by the last resort, without pay: {amount(cut_kwh)} kWh"] if cut_kwh else []
    lines = [
        f"{len(done.rows):,} transformers, {done.total('sessions'):,} charging sessions",
        *hurt,
        f"  over the limit for a minute or more: {over[0]:,} had nobody given way, {over[1]:,} as negotiated",
        f"  hours over it in all: {baseline_h:,.1f} had nobody given way, {over_h:,.1f} as negotiated",
        f"  of these homes alone: {alone_h:,.1f}, {helped}",
        f"  sessions left short: {done.total('sessions_short'):,}",
        f"  deferred {deferred_mwh:,.2f} MWh and fed back {fed_mwh:,.2f} MWh in {done.total('rounds'):,} rounds,",
        f"  for {done.total('paid_nanos') / 1e9:,.0f} IOTA{and_open}; {bore}",
    ]
    lines += [f"  failed: transformer {row['feeder']}: {row['error']}" for row in failed[:_SHOWN]]
    lines += [f"  and {len(failed) - _SHOWN} more failed"] if len(failed) > _SHOWN else []
    return "\n".join((*lines, f"\nAll transformers: {done.out}"))
