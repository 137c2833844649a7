"""A tournament: the street is run with every mix of the strategies, and each earns what its cars earned.

played = tournament("a400", ["need", "truthful", "prosumer"], players=4, seeds=3, day=7)
played.game.regret(np.array([1.0, 0.0, 0.0]))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.controllers import NEGOTIATED
from wattswap.experiments.processors import usable_processors
from wattswap.experiments.sweep import checked_jobs, run_all
from wattswap.experiments.tournament.game import Counts, Game, alpha_rank, compositions
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from wattswap.experiments.jobs import JobOutcome

MOST_STRATEGIES: Final = 5
MOST_PLAYERS: Final = 12


@dataclass(frozen=True)
class Standing:
    """How a strategy did."""

    strategy: str
    alone_iota: float
    """What a called car gains if everybody follows it: earned, less what waiting and feeding cost its owner."""
    first_iota: float
    """What the first players to follow it gain, where all others follow the one strategy that lets them gain most."""
    regret_iota: float
    """What a deviation would gain where everybody follows it; 0: nobody has a reason to leave it."""
    alpha: float
    """Alpha-rank: the share of the time it holds a population."""


@dataclass(frozen=True)
class Tournament:
    """The table of payoffs, and what follows from it."""

    game: Game
    seeds: int

    @property
    def standings(self) -> list[Standing]:
        """Every strategy, those that hold a population longest first."""
        kinds, players = len(self.game.strategies), self.game.players
        alphas = alpha_rank(self.game)
        found = []
        for at, strategy in enumerate(self.game.strategies):
            pure = np.eye(kinds)[at]
            others = [other for other in range(kinds) if other != at]
            lone = [self.game.payoff[_counts(kinds, {at: 1, other: players - 1})][at] for other in others]
            alone = self.game.payoff[_counts(kinds, {at: players})][at]
            found.append(Standing(strategy, alone, max(lone), self.game.regret(pure), float(alphas[at])))
        return sorted(found, key=lambda one: -one.alpha)


def tournament(
    scenario: str | Path,
    strategies: Sequence[str],
    *,
    players: int = 4,
    seeds: int = 3,
    day: int | None = None,
    settings: Sequence[str] = (),
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Tournament:
    """Run every mix of the strategies in shares of 1/``players``, over so many seeds, and fill the table.

    Raises:
        InputError: a strategy is unknown, or there are too few or too many, or a run failed.
    """
    names = list(dict.fromkeys(strategies))
    if not 2 <= len(names) <= MOST_STRATEGIES:
        raise InputError(f"--strategies: a tournament is of 2 to {MOST_STRATEGIES} strategies, not of {len(names)}")
    if not 2 <= players <= MOST_PLAYERS:
        raise InputError(f"--players {players}: choose 2 to {MOST_PLAYERS}")
    if bad := [name for name in names if "+" in name]:
        raise InputError(f"--strategies: {bad[0]!r} is a mix, and a tournament makes all mixes itself")
    mixes = {_mix(names, counts): counts for counts in compositions(players, len(names))}
    _, wanted = checked_jobs(
        str(scenario),
        controllers=[NEGOTIATED],
        strategies=list(mixes),
        seeds=seeds,
        engine="fleet",
        day=day,
        settings=settings,
    )
    done = run_all(None, wanted, jobs or usable_processors(), lambda count: progress(count, len(wanted)))
    payoff: dict[Counts, list[float]] = {}
    for mix, counts in mixes.items():
        payoff[counts] = _payoffs(names, counts, [outcome for outcome in done if outcome.job.strategy == mix])
    return Tournament(Game(names, players, payoff), seeds)


def _mix(names: Sequence[str], counts: Counts) -> str:
    return "+".join(f"{name}:{count}" for name, count in zip(names, counts, strict=True) if count)


def _payoffs(names: Sequence[str], counts: Counts, outcomes: Sequence[JobOutcome]) -> list[float]:
    """The mean over the seeds of what each strategy's called cars gained; 0 for one that nobody chose."""
    if failed := [outcome for outcome in outcomes if outcome.figures is None]:
        raise InputError(f"a run of {failed[0].job.strategy}, seed {failed[0].job.seed} failed: {failed[0].error}")
    found = []
    for name, count in zip(names, counts, strict=True):
        groups = [outcome.figures["by_strategy"].get(name) for outcome in outcomes if outcome.figures is not None]
        gains = [group["gain_iota"] for group in groups if group is not None]
        found.append(sum(gains) / len(gains) if count and gains else 0.0)
    return found


def _counts(kinds: int, chosen: dict[int, int]) -> Counts:
    return tuple(chosen.get(at, 0) for at in range(kinds))
