"""``wattswap optimum``: the least waiting that anybody who knew everything beforehand could have managed with."""

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
    """Find the least waiting cost of SCENARIO: by linear programming, knowing everything beforehand.

    Aims, one after the other: nobody short, no overload, least waiting cost and wear. The negotiation is run on the
    same street and put beside it. A day of 200 cars takes a second or two, a week some minutes.
    """
    from wattswap.cli.progress import progress_bar
    from wattswap.experiments.api import run_loaded
    from wattswap.experiments.optimum import optimum as solve
    from wattswap.runners.scenario import load_street

    street = load_street(scenario, settings=settings, strategy=strategy, seed=seed, day=day)
    with progress_bar(len(street.feeders), f"{street.name}, optimum", every=1) as progress:
        bound = solve(street, feed=feed, margin=not no_margin, progress=lambda done: progress(done - 1))
    negotiated = run_loaded(street, engine="fleet").summary
    if as_json:
        click.echo(json.dumps(_as_json(bound, negotiated), indent=2))
    else:
        _show(bound, negotiated)


def _as_json(bound: Optimum, negotiated: dict[str, Any]) -> dict[str, Any]:
    """The bound's figures, the load of each feeder every five minutes, and the summary of the negotiation."""
    figures = asdict(bound) | {"load_w": bound.load_w.round(1).tolist()}
    return {"optimum": figures, "negotiated": negotiated}


def _show(bound: Optimum, negotiated: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from wattswap.protocol.units import NANOS_PER_IOTA

    reached = negotiated["waiting_cost_nanos"] / NANOS_PER_IOTA
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("", "optimum", f"negotiated, {negotiated['strategy']}"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    table.add_row("short, kWh", f"{bound.short_wh / 1e3:.1f}", f"{negotiated['unserved_wh'] / 1e3:.1f}")
    table.add_row("waiting cost, IOTA", f"{bound.waiting_cost_iota:.2f}", f"{reached:.2f}")
    table.add_row("fed back, kWh", f"{bound.fed_back_wh / 1e3:.1f}", f"{negotiated['fed_back_wh'] / 1e3:.1f}")
    table.add_row("wear, IOTA", f"{bound.wear_iota:.2f}", "")
    console = Console(highlight=False)
    console.print(f"The least that {negotiated['scenario']} could have had to wait\n", markup=False)
    console.print(table, markup=False)
    if bound.overload_wh > 1:
        console.print(
            f"\nEven so {bound.overload_wh / 1e3:.1f} kWh lie above the limit or its margin: homes and firm cars alone"
            " exceed it.",
            markup=False,
            soft_wrap=True,
        )
    if bound.waiting_cost_iota > 0:
        ratio, feeding_iota = reached / bound.waiting_cost_iota, negotiated["feeding_cost_nanos"] / NANOS_PER_IOTA
        besides = f", and {feeding_iota:.2f} IOTA for feeding besides" if feeding_iota else ""
        told = f"The waiting of the negotiation, which knows nothing beforehand, costs {ratio:.2f} x as much{besides}."
        console.print(f"\n{told}", markup=False, soft_wrap=True)
