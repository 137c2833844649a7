"""Smith's symmetric market as a continuous double auction, in which the bundled rules of trade meet; for tests alone.

Eleven sellers and eleven buyers of one unit a day, limits 0.75 to 3.25 in steps of 0.25, so that the equilibrium is
2.00 and six units trade. Smith's alpha is the root mean square distance of a day's prices from it, in percent of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wattswap.agents.strategies.traders import GD_MEMORY, gd_ask, zip_move, zip_target

Floats = NDArray[np.float64]
LIMITS = np.linspace(0.75, 3.25, 11)
EQUILIBRIUM, BOUND, DAYS, PATIENCE = 2.0, 4.0, 5, 100
"""No price is above the bound; a day ends after so many quotes without a trade."""


class ZeroIntelligence:
    """22 traders in the mirror: buyers have negative limits and prices, so that everyone is a seller."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.buys = np.repeat([False, True], len(LIMITS))
        self.sign = np.where(self.buys, -1.0, 1.0)
        self.limit = self.sign * np.tile(LIMITS, 2)
        self.worst = np.where(self.buys, 0.0, BOUND)

    def quote(self, who: int) -> float:
        return float(self.limit[who] + self.rng.uniform() * (self.worst[who] - self.limit[who]))

    def hear(self, price: float, by_buyer: bool, traded: bool, active: NDArray[np.bool_]) -> None:
        """A quote was made, and taken or not; ``price`` is what it says, never mirrored."""


class Zip(ZeroIntelligence):
    """Zero intelligence plus."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        n = len(self.limit)
        self.rate, self.momentum = rng.uniform(0.1, 0.5, n), rng.uniform(0, 0.1, n)
        self.quotes = self.limit + np.abs(self.limit) * rng.uniform(0.05, 0.35, n)
        self.drift = np.zeros(n)

    def quote(self, who: int) -> float:
        return float(self.quotes[who])

    def hear(self, price: float, by_buyer: bool, traded: bool, active: NDArray[np.bool_]) -> None:
        mirrored = self.sign * price
        raises = traded & (self.quotes <= mirrored)
        mine = self.buys != by_buyer if traded else self.buys == by_buyer
        lowers = active & mine & (self.quotes >= mirrored) & ~raises
        n = len(self.quotes)
        target = zip_target(mirrored, raises, np.sign(mirrored) * self.rng.uniform(0, 1, n), self.rng.uniform(0, 1, n))
        moves = raises | lowers
        drift = zip_move(self.quotes, target, self.drift, self.rate, self.momentum)
        self.drift = np.where(moves, drift, self.drift)
        moved = np.maximum(self.quotes + self.drift, self.limit)
        self.quotes = np.where(moves, np.minimum(moved, self.worst), self.quotes)


class Gd(ZeroIntelligence):
    """Gjerstad and Dickhaut, who remember all quotes of the last five trades."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.heard: list[list[tuple[float, bool, bool]]] = [[]]
        self.points = np.linspace(0, BOUND, 81)

    def quote(self, who: int) -> float:
        sign, limit = self.sign[who], self.limit[[who]]
        heard = [one for trade in self.heard for one in trade]
        taken = [sign * price for price, by_buyer, traded in heard if traded or by_buyer != self.buys[who]]
        refused = [sign * price for price, by_buyer, traded in heard if not traded and by_buyer == self.buys[who]]
        if not taken:
            return super().quote(who)
        asks = np.sort(sign * self.points)[np.newaxis]
        return float(gd_ask(limit, asks, np.array([taken]), np.array([refused or [np.inf]]))[0])

    def hear(self, price: float, by_buyer: bool, traded: bool, active: NDArray[np.bool_]) -> None:
        self.heard[-1].append((price, by_buyer, traded))
        if traded:
            self.heard = [*self.heard, []][-GD_MEMORY - 1 :]


def mean_alpha_pct(kind: type[ZeroIntelligence], seeds: int) -> list[float]:
    """Smith's alpha of each day, over so many seeds."""
    days = np.mean([_alphas(kind(np.random.default_rng(seed))) for seed in range(seeds)], axis=0)
    return [float(alpha) for alpha in days]


def _alphas(traders: ZeroIntelligence) -> list[float]:
    return [_alpha(_day(traders)) for _ in range(DAYS)]


def _alpha(prices: list[float]) -> float:
    return 100 * float(np.sqrt(np.mean((np.array(prices) - EQUILIBRIUM) ** 2))) / EQUILIBRIUM if prices else np.nan


def _day(traders: ZeroIntelligence) -> list[float]:
    """Traders quote in random order and improve the standing quote or are silent; crossing quotes trade."""
    prices: list[float] = []
    active, standing, quiet = np.ones(22, dtype=bool), {False: BOUND, True: 0.0}, 0
    owner: dict[bool, int | None] = {False: None, True: None}
    while quiet < PATIENCE and active[traders.buys].any() and active[~traders.buys].any():
        who = int(traders.rng.choice(np.flatnonzero(active)))
        buys, price, quiet = bool(traders.buys[who]), traders.sign[who] * traders.quote(who), quiet + 1
        other = owner[not buys]
        if other is not None and (price >= standing[False] if buys else price <= standing[True]):
            struck = standing[not buys]
            active[[who, other]] = False
            traders.hear(struck, not buys, traded=True, active=active)
            prices.append(struck)
            standing, owner, quiet = {False: BOUND, True: 0.0}, {False: None, True: None}, 0
        elif price > standing[True] if buys else price < standing[False]:
            standing[buys], owner[buys] = price, who
            traders.hear(price, buys, traded=False, active=active)
    return prices
