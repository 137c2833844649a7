"""``wattswap faults``: look for a seed in which lost messages and crashed agents break a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wattswap.cli import options
from wattswap.cli.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.runners.network.fault_search import SeedResult

BROKEN = 1


@click.command(
    epilog=examples(
        "wattswap faults --seeds 100",
        "wattswap faults --seeds 1 --from 4711",
        "wattswap faults --seeds 50 --set faults.loss_pct=40 --set faults.crashes_per_day=0",
        "wattswap faults --seeds 50 --sign",
    )
)
@click.option("--seeds", type=click.IntRange(1), default=100, show_default=True, help="How many to try.")
@click.option("--from", "first", type=click.IntRange(0), default=0, show_default=True, help="The first of them.")
@options.settings
@click.option("--sign", is_flag=True, help="Let the agents sign what they say, and refuse what is not signed.")
@click.option("--jobs", type=click.IntRange(1), help="Processes; by default one for each usable processor.")
@click.pass_context
def faults(
    ctx: click.Context, seeds: int, first: int, settings: tuple[str, ...], jobs: int | None, *, sign: bool
) -> None:
    """Look for a seed in which a fault breaks a rule.

    Each seed is 75 minutes of a street of ten cars. In the first 50 a fifth of all messages are lost, a fifth come
    twice, all are up to 3 s late and overtake each other, every agent crashes and is cut off about once an hour, and
    chargers' clocks are off by up to 2 %. An auditor checks after every event that no rule is broken, and in the end
    that nothing is owed and that cars, transformer and book agree about money.

    A seed that breaks a rule is told in one line, and repeats it whenever it is run again. Exit code 1 if there is one.
    """
    from wattswap.cli.progress import progress_bar
    from wattswap.experiments.processors import usable_processors
    from wattswap.runners.network.fault_search import seed_results

    found: list[SeedResult] = []
    with progress_bar(seeds, f"{seeds} seeds") as progress:
        processes = jobs or usable_processors()
        for judged in seed_results(range(first, first + seeds), settings, processes, progress, sign=sign):
            found.append(judged)
            if judged.rule:
                click.echo(judged.found)
    click.echo(_sum(found))
    if any(judged.rule for judged in found):
        ctx.exit(BROKEN)


def _sum(found: Sequence[SeedResult]) -> str:
    broken = sum(1 for judged in found if judged.rule)
    events = sum(judged.events for judged in found)
    rounds = sum(judged.rounds for judged in found)
    over = max((judged.longest_over for judged in found), default=0)
    return (
        f"{len(found)} seeds, {rounds:,} rounds, {events:,} events: {broken or 'none'} broke a rule; "
        f"the longest overload lasted {over} ticks of 30 s"
    )
