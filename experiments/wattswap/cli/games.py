"""``wattswap compare --games``: what the bundled manipulations of the market earn, as a table or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.experiments.games.play import GameOutcome


def play_and_show(
    scenario: str, *, seeds: int, share: float | None, day: int | None, settings: Sequence[str], as_json: bool
) -> None:
    """Play every manipulation under so many seeds and print what came of it."""
    from wattswap.cli.progress import progress_bar
    from wattswap.experiments.games.manipulations import MANIPULATIONS
    from wattswap.experiments.games.play import play_games

    runs = max(seeds, 0) * (len(MANIPULATIONS) + 1)
    with progress_bar(runs, f"{scenario}, {runs} runs", every=1) as passed:
        outcomes = play_games(
            scenario,
            seeds=seeds,
            share=share,
            day=day,
            settings=settings,
            progress=lambda done: passed(done - 1),
        )
    if as_json:
        click.echo(json.dumps(_as_json(scenario, outcomes), indent=2))
    else:
        _show(scenario, outcomes, seeds)


def _as_json(scenario: str, outcomes: Sequence[GameOutcome]) -> dict[str, object]:
    """Each game with each seed."""
    games = [{**outcome._asdict(), "gain_iota": outcome.gain_iota} for outcome in outcomes]
    return {"scenario": scenario, "games": games}


def _show(scenario: str, outcomes: Sequence[GameOutcome], seeds: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=False)
    console.print(f"Games on street {scenario}, the mean of {seeds} seed{'s' if seeds > 1 else ''}\n", markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("game", no_wrap=True)
    for title in ("share", "cars", "honest\nIOTA", "playing\nIOTA", "gain\nIOTA", "others\nIOTA", "payments"):
        table.add_column(title, justify="right", no_wrap=True)
    for game in dict.fromkeys(outcome.game for outcome in outcomes):
        table.add_row(game, *_cells([outcome for outcome in outcomes if outcome.game == game]))
    console.print(table, markup=False)
    short = ", ".join(
        f"{outcome.game} {outcome.short} and {outcome.others_short} of others (seed {outcome.seed})"
        for outcome in outcomes
        if outcome.short or outcome.others_short
    )
    invented = max(outcome.invented_paid_iota for outcome in outcomes)
    console.print(
        "\nFor each car that plays: what it earned beyond what waiting cost it, honest and playing, and the gain; what"
        " each other car gains; what the site pays, over the honest run's payments."
        f" Paid to cars that are not there: at most {invented:g} IOTA. Sessions left short: {short or 'none'}.\n",
        markup=False,
        soft_wrap=True,
    )
    for game, does in dict.fromkeys((outcome.game, outcome.does) for outcome in outcomes):
        console.print(f"{game}: {does}", markup=False, soft_wrap=True)


def _cells(seeds: Sequence[GameOutcome]) -> tuple[str, ...]:
    """The means over the seeds of one game."""

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    return (
        f"{seeds[0].share:.0%}",
        f"{mean([each.cars for each in seeds]):.0f}",
        f"{mean([each.honest_iota for each in seeds]):.2f}",
        f"{mean([each.utility_iota for each in seeds]):.2f}",
        f"{mean([each.gain_iota for each in seeds]):+.2f}",
        f"{mean([each.others_gain_iota for each in seeds]):+.2f}",
        f"{mean([each.payments_ratio for each in seeds]):.2f} x",
    )
