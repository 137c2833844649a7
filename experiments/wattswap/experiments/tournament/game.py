"""The heuristic payoff table of strategies, and what game theory reads from it.

``N`` players each choose one of ``k`` strategies; the table has what a player of each strategy earns for every way in
which the ``N`` may have chosen (Walsh, Das, Tesauro and Kephart, Analyzing complex strategic interactions in
multi-agent systems, AAAI workshop 2002). Here a player stands for an equal share of the street's cars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import factorial, prod
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Shares = NDArray[np.float64]
    """A figure for each strategy: its share of the population, together 1, or what it earns."""

Counts = tuple[int, ...]
"""How many players chose each strategy."""

_STEP: Final = 0.1
_MOST_STEPS: Final = 20_000
_STILL: Final = 1e-9


def compositions(players: int, strategies: int) -> list[Counts]:
    """All ways in which so many players may choose, each once."""
    return [
        tuple(chosen.count(strategy) for strategy in range(strategies))
        for chosen in combinations_with_replacement(range(strategies), players)
    ]


@dataclass(frozen=True)
class Game:
    """The table: for each composition what each strategy earns; what nobody chose may be anything."""

    strategies: Sequence[str]
    players: int
    payoff: Mapping[Counts, Sequence[float]]

    def expected(self, shares: Shares) -> Shares:
        """What each strategy earns on average if the other players are drawn from this population."""
        kinds = len(self.strategies)
        found = np.zeros(kinds)
        for others in compositions(self.players - 1, kinds):
            chance = factorial(self.players - 1) * prod(
                float(share) ** count / factorial(count) for share, count in zip(shares, others, strict=True)
            )
            for strategy in range(kinds) if chance else ():
                everyone = tuple(count + (at == strategy) for at, count in enumerate(others))
                found[strategy] += chance * self.payoff[everyone][strategy]
        return found

    def regret(self, shares: Shares) -> float:
        """What the best single deviation from this population would gain; 0 in a symmetric Nash equilibrium."""
        earned = self.expected(shares)
        return float(earned.max() - earned @ shares)

    def replicated(self, shares: Shares) -> Shares:
        """Where the population comes to rest if strategies spread as they earn more than the mean.

        The replicator equation (Taylor and Jonker, Mathematical Biosciences 40, 1978), by small steps; payoffs are
        taken in units of their spread, which changes how fast it goes and not where.
        """
        cells = [earned for counts, row in self.payoff.items() for earned, n in zip(row, counts, strict=True) if n]
        spread = max(cells) - min(cells) or 1.0
        for _ in range(_MOST_STEPS):
            earned = self.expected(shares) / spread
            after = shares * (1 + _STEP * (earned - earned @ shares))
            after = np.asarray(after / after.sum(), dtype=np.float64)
            if np.abs(after - shares).max() < _STILL:
                return after
            shares = after
        return shares

    def basins(self, grid: int = 8) -> dict[tuple[float, ...], float]:
        """Where populations come to rest, rounded to hundredths, and the share of starts that each attracts.

        The starts are all mixes of ``grid`` equal parts in which every strategy occurs.
        """
        starts = [np.array(counts) / grid for counts in compositions(grid, len(self.strategies)) if min(counts)]
        found: dict[tuple[float, ...], float] = {}
        for start in starts:
            rest = tuple(abs(round(float(share), 2)) for share in self.replicated(start))
            found[rest] = found.get(rest, 0.0) + 1 / len(starts)
        return dict(sorted(found.items(), key=lambda one: -one[1]))


def alpha_rank(game: Game, alpha: float = 100.0) -> Shares:
    """How much of the time each strategy holds a population in which mutants are rare.

    The stationary distribution of alpha-rank for one population (Omidshafiei and others, Scientific Reports 9, 2019),
    with fixation by the Fermi rule. ``alpha`` is the strength of selection, in units of the payoffs' spread.
    """
    kinds, players = len(game.strategies), game.players
    cells = [earned for counts, row in game.payoff.items() for earned, n in zip(row, counts, strict=True) if n]
    scale = alpha / (max(cells) - min(cells) or 1.0)
    chain = np.zeros((kinds, kinds))
    for resident in range(kinds):
        for mutant in range(kinds):
            if mutant != resident:
                gains = [_gain(game, resident, mutant, count) * scale for count in range(1, players)]
                chain[resident, mutant] = fixation(gains) / max(kinds - 1, 1)
        chain[resident, resident] = 1 - chain[resident].sum()
    system = np.vstack([chain.T - np.eye(kinds), np.ones(kinds)])
    solved, *_ = np.linalg.lstsq(system, np.append(np.zeros(kinds), 1.0), rcond=None)
    shares: Shares = np.clip(solved, 0.0, 1.0)
    return shares


def _gain(game: Game, resident: int, mutant: int, mutants: int) -> float:
    """What a mutant earns beyond a resident where there are so many mutants."""
    counts = [0] * len(game.strategies)
    counts[resident], counts[mutant] = game.players - mutants, mutants
    row = game.payoff[tuple(counts)]
    return row[mutant] - row[resident]


def fixation(gains: Sequence[float]) -> float:
    """The chance that one mutant takes over; ``gains`` are its scaled gains with 1, 2, ... mutants.

    1 / (1 + sum over l of exp(-(gains of 1 to l))), so 1/N where nothing is gained or lost.
    """
    upto = np.cumsum(np.asarray(gains, dtype=np.float64))
    return float(1 / (1 + np.exp(np.clip(-upto, -700, 700)).sum()))
