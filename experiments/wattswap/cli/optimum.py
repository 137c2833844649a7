"""``wattswap optimum``: the least that waiting and feeding could have cost anybody who knew everything beforehand."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from wattswap.cli import options
from wattswap.cli.examples import examples

if TYPE_CHECKING:
    from wattswap.experiments.optimum import Optimum


@click.command(
    epilog=examples(
        "wattswap optimum a400 --day 7",
        "wattswap optimum b250 --day 7 --feed --strategy prosumer",
        "wattswap optimum my_street.toml --no-margin --json",
    )
)
@click.argument("scenario", default="demo")
@options.day
@click.option("--seed", type=int, help="Of the noise and of the cars' own prices; the scenario's where left out.")
@click.option("--strategy", default="truthful", show_default=True, help="Of the negotiation that is put beside.")
@options.settings
@click.option("--feed", is_flag=True, help="Let cars feed back, as stationary batteries may.")
@click.option("--no-margin", is_flag=True, help="Use the limit to the last watt; the negotiation stays below it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def optimum(
    scenario: str,
    day: int | None,
    seed: int | None,
    strategy: str,
    settings: tuple[str, ...],
    *,
    feed: bool,
    no_margin: bool,
    as_json: bool,
) -> None:
    """Find the least cost of waiting in SCENARIO: by linear programming, knowing everything beforehand.

    Aims, one after the other: nobody short, no overload, least cost of waiting and feeding together. The negotiation is
    run on the same street and put beside it. A day of 200 cars takes a second or two, a week some minutes.
    """
    from wattswap.cli.progress import progress_bar
    from wattswap.experiments.api import run_loaded
    from wattswap.experiments.optimum import optimum as solve
    from wattswap.runners.scenario import load_street

    street = load_street(scenario, settings=settings, strategy=strategy, seed=seed, day=day)
    with progress_bar(len(street.feeders), f"{street.name}, optimum", every=1) as progress:
        bound = solve(street, feed=feed, margin=not no_margin, progress=lambda done: progress(done - 1))
    reached = run_loaded(street, engine="fleet")
    negotiated = reached.summary
    cars_fed = any(session.exported_ws for session in reached.record.sessions if session.status != "battery")
    if as_json:
        click.echo(json.dumps(_as_json(bound, negotiated), indent=2))
    else:
        _show(bound, negotiated, comparable=feed or not cars_fed)


def _as_json(bound: Optimum, negotiated: dict[str, Any]) -> dict[str, Any]:
    """The bound's figures, the load of each feeder every five minutes, and the summary of the negotiation."""
    figures = asdict(bound) | {"load_w": bound.load_w.round(1).tolist()}
    return {"optimum": figures, "negotiated": negotiated}


def _show(bound: Optimum, negotiated: dict[str, Any], *, comparable: bool) -> None:
    """Both side by side; how many times as much the negotiation costs only where both had the same means."""
    from rich.console import Console
    from rich.table import Table

    from wattswap.protocol.units import NANOS_PER_IOTA

    waiting, feeding = (negotiated[f"{what}_cost_nanos"] / NANOS_PER_IOTA for what in ("waiting", "feeding"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("", "optimum", f"negotiated, {negotiated['strategy']}"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    table.add_row("short, kWh", f"{bound.short_wh / 1e3:.1f}", f"{negotiated['unserved_wh'] / 1e3:.1f}")
    table.add_row("fed back, kWh", f"{bound.fed_back_wh / 1e3:.1f}", f"{negotiated['fed_back_wh'] / 1e3:.1f}")
    table.add_row("waiting cost, IOTA", f"{bound.waiting_cost_iota:.2f}", f"{waiting:.2f}")
    table.add_row("feeding cost, IOTA", f"{bound.feeding_cost_iota:.2f}", f"{feeding:.2f}")
    table.add_row("both, IOTA", f"{bound.cost_iota:.2f}", f"{waiting + feeding:.2f}")
    console = Console(highlight=False)
    console.print(f"The least that waiting could have cost {negotiated['scenario']}\n", markup=False)
    console.print(table, markup=False)
    if bound.overload_wh > 1:
        console.print(
            f"\nEven so {bound.overload_wh / 1e3:.1f} kWh lie above the limit or its margin: homes and firm cars alone"
            " exceed it.",
            markup=False,
            soft_wrap=True,
        )
    if not comparable:
        told = "In the negotiation cars fed back, in the optimum they may not: --feed makes the two comparable."
        console.print(f"\n{told}", markup=False, soft_wrap=True)
    elif bound.cost_iota > 0:
        ratio = (waiting + feeding) / bound.cost_iota
        what = "Waiting and feeding" if feeding or bound.feeding_cost_iota else "Waiting"
        told = f"{what} cost the negotiation, which knows nothing beforehand, {ratio:.2f} x as much."
        console.print(f"\n{told}", markup=False, soft_wrap=True)
