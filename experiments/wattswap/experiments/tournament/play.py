"""A tournament: the street is run with every mix of the strategies, and each earns what its cars earned.

played = tournament("a400", ["need", "truthful", "prosumer"], players=4, seeds=3, day=7)
played.game.regret(np.array([1.0, 0.0, 0.0]))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.controllers import NEGOTIATED
from wattswap.experiments.paired import CONFIDENCE, holm, student
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
class LoneDeviation:
    """What the first players gain by leaving the strategy that everybody follows, in pairs of one seed."""

    resident: str
    mutant: str
    pairs: int
    mean_iota: float
    """What a called car of theirs gains, less what one gains where nobody leaves."""
    low_iota: float
    high_iota: float
    """Of the 95 % interval of the mean (Student's)."""
    p: float | None
    """None where it is the same in all pairs."""
    p_holm: float | None = None
    """Corrected for all deviations of the tournament."""

    @property
    def is_certain(self) -> bool:
        """Whether there is a gain or loss, by the corrected p-value."""
        return self.p_holm is not None and self.p_holm < 1 - CONFIDENCE


@dataclass(frozen=True)
class Tournament:
    """The table of payoffs, and what follows from it."""

    game: Game
    seeds: int
    gains: Mapping[Counts, Mapping[int, Mapping[str, float]]]
    """Of each mix and seed, what a called car of each strategy gained, of which any was called; IOTA."""

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

    @property
    def deviations(self) -> list[LoneDeviation]:
        """Every way to leave a strategy that everybody follows, where two seeds or more tell; needs scipy."""
        names, players, found = self.game.strategies, self.game.players, list[LoneDeviation]()
        for (at, resident), (to, mutant) in permutations(enumerate(names), 2):
            stayed = self.gains[_counts(len(names), {at: players})]
            left = self.gains[_counts(len(names), {at: players - 1, to: 1})]
            pairs = [
                left[seed][mutant] - stayed[seed][resident]
                for seed in stayed
                if resident in stayed[seed] and mutant in left[seed]
            ]
            if len(pairs) > 1:
                found.append(LoneDeviation(resident, mutant, len(pairs), *student(np.array(pairs))))
        corrected = holm([each.p for each in found])
        return [replace(each, p_holm=p) for each, p in zip(found, corrected, strict=True)]


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
    gains = {
        counts: _gains(names, counts, [outcome for outcome in done if outcome.job.strategy == mix])
        for mix, counts in mixes.items()
    }
    payoff = {counts: [_mean(name, of_seeds.values()) for name in names] for counts, of_seeds in gains.items()}
    return Tournament(Game(names, players, payoff), seeds, gains)


def _mix(names: Sequence[str], counts: Counts) -> str:
    return "+".join(f"{name}:{count}" for name, count in zip(names, counts, strict=True) if count)


def _gains(names: Sequence[str], counts: Counts, outcomes: Sequence[JobOutcome]) -> dict[int, dict[str, float]]:
    """By seed: what a called car of each strategy that somebody chose gained, where any was called."""
    found: dict[int, dict[str, float]] = {}
    for outcome in outcomes:
        if outcome.figures is None:
            raise InputError(f"a run of {outcome.job.strategy}, seed {outcome.job.seed} failed: {outcome.error}")
        groups = outcome.figures["by_strategy"]
        chosen = [name for name, count in zip(names, counts, strict=True) if count and name in groups]
        found[outcome.job.seed] = {name: groups[name]["gain_iota"] for name in chosen}
    return found


def _mean(name: str, of_seeds: Iterable[Mapping[str, float]]) -> float:
    """What a strategy gains in a mix in the mean over the seeds; 0 if it gained nothing in any."""
    gains = [of_seed[name] for of_seed in of_seeds if name in of_seed]
    return sum(gains) / len(gains) if gains else 0.0


def _counts(kinds: int, chosen: dict[int, int]) -> Counts:
    return tuple(chosen.get(at, 0) for at in range(kinds))
