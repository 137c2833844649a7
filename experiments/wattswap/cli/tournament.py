"""``wattswap tournament``: which strategy would spread in a street if everybody could choose."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from math import comb
from typing import TYPE_CHECKING

import click

from wattswap.cli import INTERRUPTED, options
from wattswap.cli.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.experiments.tournament.game import Game
    from wattswap.experiments.tournament.play import Tournament

_FEW_SEEDS = 5
"""With fewer a 95 % interval is over three standard errors wide on each side."""


@click.command(
    epilog=examples(
        "wattswap tournament c250stress --strategies need,truthful,keep --day 5",
        "wattswap tournament a400 --strategies zip,gd,truthful --players 6 --seeds 10 --day 7 --json",
    )
)
@click.argument("scenario", default="demo")
@click.option(
    "--strategies",
    required=True,
    metavar="X,Y,Z",
    callback=options.names,
    help="2 to 5 strategies, bundled or FILE.py:FUNCTION.",
)
@click.option(
    "--players",
    type=int,
    default=4,
    show_default=True,
    metavar="N",
    help="Mixes are made in shares of 1/N.",
)
@click.option("--seeds", type=int, default=3, show_default=True, metavar="N", help="Runs of each mix.")
@options.day
@options.settings
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes; as many as processors by default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
@click.pass_context
def tournament(
    ctx: click.Context,
    scenario: str,
    strategies: tuple[str, ...],
    players: int,
    seeds: int,
    day: int | None,
    settings: tuple[str, ...],
    jobs: int | None,
    *,
    as_json: bool,
) -> None:
    """Run a street with every mix of some strategies, and see which of them would spread.

    What a called car gains is what it earned, less what its own waiting and feeding cost its owner. The table tells
    what a strategy gains if everybody follows it and if few do, what a deviation from it would gain, and how much of
    the time it would hold a street in which now and then somebody tries another one (alpha-rank).
    """
    from wattswap.cli.progress import progress_bar, strategies_print_to_stderr
    from wattswap.experiments.tournament.play import tournament as play

    kinds = len(set(strategies))
    runs = comb(max(players + kinds - 1, 0), kinds - 1 if kinds else 0) * max(seeds, 0)
    try:
        with strategies_print_to_stderr(), progress_bar(runs, f"{scenario}, {runs} runs", every=1) as passed:
            played = play(
                scenario,
                strategies,
                players=players,
                seeds=seeds,
                day=day,
                settings=settings,
                jobs=jobs,
                progress=lambda done, _of: passed(done - 1),
            )
    except KeyboardInterrupt:
        click.echo("wattswap: interrupted; nothing was kept", err=True)
        ctx.exit(INTERRUPTED)
    click.echo(json.dumps(_as_json(played), indent=2) if as_json else _told(played))


def _as_json(played: Tournament) -> dict[str, object]:
    game = played.game
    table = [{"players": _named(game, counts), "gain_iota": _named(game, row)} for counts, row in game.payoff.items()]
    rests = [{"shares": _named(game, rest), "attracts": round(part, 6)} for rest, part in game.basins().items()]
    deviations = [asdict(each) for each in played.deviations] if find_spec("scipy") is not None else []
    return {
        "standings": [asdict(each) for each in played.standings],
        "deviations": deviations,
        "rests": rests,
        "payoffs": table,
        "seeds": played.seeds,
    }


def _named(game: Game, row: Iterable[float]) -> dict[str, float]:
    return dict(zip(game.strategies, row, strict=True))


def _told(played: Tournament) -> str:
    game = played.game
    wide = max(len("strategy"), *(len(name) for name in game.strategies))
    runs = "1 seed" if played.seeds == 1 else f"{played.seeds} seeds"
    lines = [
        f"IOTA gained by a called car, over {runs}; mixes in shares of 1/{game.players}",
        "",
        f"{'strategy':{wide}}  {'all follow it':>14}  {'few follow it':>14}  {'to deviate':>11}  {'alpha-rank':>11}",
    ]
    lines += [
        f"{each.strategy:{wide}}  {each.alone_iota:14.2f}  {each.first_iota:14.2f}  {each.regret_iota:11.2f}"
        f"  {each.alpha:11.0%}"
        for each in played.standings
    ]
    lines += _of_deviations(played) if find_spec("scipy") is not None else []
    lines += ["", "If strategies spread as they gain more than the mean, the street comes to rest at"]
    for rest, part in game.basins().items():
        mix = ", ".join(f"{share:.0%} {name}" for share, name in zip(rest, game.strategies, strict=True) if share)
        lines.append(f"  {mix}  (from {part:.0%} of all beginnings)")
    return "\n".join(lines)


def _of_deviations(played: Tournament) -> list[str]:
    """What it gains to leave a strategy that all others follow; nothing where one seed tells of no chance."""
    if not (deviations := played.deviations):
        return ["", "One seed says nothing of chance: with --seeds 10 differences have intervals."]
    wide = max(len(f"{each.resident} to {each.mutant}") for each in deviations)
    lines = [
        "",
        "Who first leaves a strategy that all follow gains, in pairs of one seed (95 % interval; * where Holm's",
        "corrected p is below 0.05)",
    ]
    lines += [
        f"  {f'{each.resident} to {each.mutant}':{wide}}  {each.mean_iota:+8.2f}{'*' if each.is_certain else ' '}"
        f"  ({each.low_iota:+.2f} to {each.high_iota:+.2f})"
        for each in deviations
    ]
    few = f"  {played.seeds} seeds are few: intervals are wide, and hardly anything can be certain; try --seeds 10"
    return [*lines, few] if played.seeds < _FEW_SEEDS else lines
