"""Vickrey, Clarke and Groves: each car is paid what the others' relief would cost in place of its own.

Vickrey 1961, Clarke 1971, Groves 1973; as a reverse auction pay = C(without it) - (C - its own cost), which makes the
truth a best answer and costs the buyer more. Up to ``EXACT`` offers that are all full stops are chosen at least cost,
exactly. Where some can be divided, or there are more, the market's own order decides and each car is paid the cheapest
unsold relief of the others that would replace its own watts, as if that were divisible. What nobody offers costs the
reserve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wattswap.agents.offers import TO_ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints

EXACT: Final = 20
"""Among more lumps than this the least cost is not searched for."""
PRICE_STEP: Final = 1_000_000
"""Prices are whole ticks, as asks are; rounded up."""


class Lump(NamedTuple):
    """An offer that is bought whole or not at all."""

    car: int
    power_w: int
    ask: int


class Cover(NamedTuple):
    """Lumps that meet a need, or all there are."""

    missing_w: int
    cost: int
    cars: frozenset[int]

    def cost_with(self, reserve: int) -> int:
        """What is missing at the reserve."""
        return self.cost + self.missing_w * reserve


def is_exact(relief_w: Ints, admissible: NDArray[np.bool_]) -> bool:
    """Whether these offers are few lumps, among which the least cost is found."""
    others = np.delete(admissible & (relief_w > 0), TO_ZERO, axis=1)
    return not others.any() and int(admissible.sum()) <= EXACT


def lumps_of(relief_w: Ints, ask: Ints, admissible: NDArray[np.bool_], ties: NDArray[np.uint64]) -> list[Lump]:
    """The admissible full stops, the cheapest first, equal ones by their tie."""
    cars = np.flatnonzero(admissible[:, TO_ZERO])
    order = cars[np.lexsort((ties[cars], ask[cars, TO_ZERO]))].tolist()
    return [Lump(car, int(relief_w[car, TO_ZERO]), int(ask[car, TO_ZERO])) for car in order]


def cheapest_cover(lumps: Sequence[Lump], need_w: int) -> Cover:
    """The lumps that meet the need at the least cost, of those the ones of least power; all where they do not.

    Of two ways to have as much, the dearer is dropped at once, so few remain of the 2^n.
    """
    offered_w = sum(lump.power_w for lump in lumps)
    goal_w = min(max(need_w, 0), offered_w)
    ways: dict[int, tuple[int, int, frozenset[int]]] = {0: (0, 0, frozenset())}  # met -> cost, power, cars
    for lump in lumps:
        further: dict[int, tuple[int, int, frozenset[int]]] = {}
        for met_w, (cost, power_w, cars) in ways.items():
            way = cost + lump.ask * lump.power_w, power_w + lump.power_w, cars | {lump.car}
            reached_w = min(met_w + lump.power_w, goal_w)
            known = further.get(reached_w, ways.get(reached_w))
            if met_w < goal_w and (known is None or way[:2] < known[:2]):
                further[reached_w] = way
        ways = _undominated(ways | further)
    cost, _, cars = ways[goal_w]
    return Cover(max(need_w, 0) - goal_w, cost, cars)


def exact_prices(lumps: Sequence[Lump], chosen: Cover, need_w: int, reserve: int) -> dict[int, int]:
    """What each chosen car is paid for each unit: C(without it) less what the others cost, up to the reserve."""
    prices = {}
    for lump in lumps:
        if lump.car in chosen.cars:
            without = cheapest_cover([other for other in lumps if other is not lump], need_w)
            others = chosen.cost_with(reserve) - lump.ask * lump.power_w
            prices[lump.car] = _price(without.cost_with(reserve) - others, lump.power_w, lump.ask, reserve)
    return prices


def divisible_prices(
    relief_w: Ints, ask: Ints, admissible: NDArray[np.bool_], award_w: Ints, reserve: int
) -> dict[int, int]:
    """What each car that sold is paid for each unit: the cheapest unsold watts of the others in place of its own."""
    car, tranche = np.nonzero(admissible & (relief_w > award_w))
    unsold_w, asks = (relief_w - award_w)[car, tranche], ask[car, tranche]
    order = np.argsort(asks, kind="stable")
    unsold = list(zip(car[order].tolist(), unsold_w[order].tolist(), asks[order].tolist(), strict=True))
    prices = {}
    for seller in np.flatnonzero(award_w.sum(axis=1)).tolist():
        sold_w = int(award_w[seller].sum())
        others = ((power_w, price) for owner, power_w, price in unsold if owner != seller)
        dearest = int(ask[seller][award_w[seller] > 0].max())
        prices[seller] = _price(_replaced(others, sold_w, reserve), sold_w, dearest, reserve)
    return prices


def _replaced(unsold: Iterable[tuple[int, int]], power_w: int, reserve: int) -> int:
    cost = 0
    for offered_w, price in unsold:
        taken_w = min(offered_w, power_w)
        cost, power_w = cost + taken_w * price, power_w - taken_w
    return cost + power_w * reserve


def _price(pay: int, power_w: int, ask: int, reserve: int) -> int:
    """For each unit; no car is paid less than it asked, nor more than the reserve."""
    each = -(-pay // power_w)
    return min(max(-(-each // PRICE_STEP) * PRICE_STEP, ask), reserve)


def _undominated(ways: dict[int, tuple[int, int, frozenset[int]]]) -> dict[int, tuple[int, int, frozenset[int]]]:
    """Without the ways that meet no more than a cheaper one."""
    kept: dict[int, tuple[int, int, frozenset[int]]] = {}
    best: tuple[int, int] | None = None
    for met_w in sorted(ways, reverse=True):
        if best is None or ways[met_w][:2] < best:
            kept[met_w], best = ways[met_w], ways[met_w][:2]
    return kept
