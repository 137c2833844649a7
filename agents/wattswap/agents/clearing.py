"""Clearing: which of the offered tranches are bought, and at what price.

Cheapest first until the need is met, no ask above the reserve; integers in, integers out, nothing is rounded but the
last divisible tranche, up to a whole ampere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wattswap.agents import vcg
from wattswap.agents.offers import FEED, TO_ZERO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import ClearingRule


class Clearing(NamedTuple):
    """What was bought: shape (cars, 3) each."""

    award_w: Ints
    price_nanos_per_kwh_h: Ints


class _Bought(NamedTuple):
    car: int
    tranche: int
    power_w: int


def clear(
    relief_w: Ints,
    ask_nanos_per_kwh_h: Ints,
    ties: NDArray[np.uint64],
    *,
    need_w: int,
    reserve_nanos_per_kwh_h: int,
    amp_w: int,
    rule: ClearingRule = "next",
) -> Clearing:
    """Buy ``need_w`` of relief from the offered tranches, shape (cars, 3), whose asks never fall within a car.

    Equal asks are ordered by ``ties``, one draw per car. What is paid: under ``next`` the lowest ask of a car that won
    nothing which is not below the highest accepted one, or the reserve where there is none; under ``uniform`` the
    highest accepted ask; under ``pay-as-bid`` a car's reductions its dearer accepted ask, and feeding its own; under
    ``vcg`` what the others would cost in its place; under ``posted`` the reserve, told to whoever takes it, of whom the
    ties choose; under ``none`` nothing, though the cheapest still give way first.
    """
    admissible = (relief_w > 0) & (ask_nanos_per_kwh_h <= reserve_nanos_per_kwh_h)
    if rule == "vcg" and vcg.is_exact(relief_w, admissible):
        return _least_cost(relief_w, ask_nanos_per_kwh_h, admissible, ties, need_w, reserve_nanos_per_kwh_h)
    ordered_by = np.zeros_like(ask_nanos_per_kwh_h) if rule == "posted" else ask_nanos_per_kwh_h
    bought = _cheapest(relief_w, ordered_by, admissible, ties, need_w, amp_w)
    award_w = np.zeros_like(relief_w)
    for car, tranche, power_w in _without_needless(bought, need_w):
        award_w[car, tranche] = power_w
    asked = np.where(award_w > 0, ask_nanos_per_kwh_h, 0)
    if rule == "pay-as-bid":
        asked[:, :FEED] = asked[:, :FEED].max(axis=1, keepdims=True)
        return Clearing(award_w, np.where(award_w > 0, asked, 0))
    if rule == "vcg":
        offers = relief_w, ask_nanos_per_kwh_h, admissible
        return _paid(award_w, vcg.divisible_prices(*offers, award_w, reserve_nanos_per_kwh_h))
    if rule in ("posted", "none"):
        fixed = reserve_nanos_per_kwh_h if rule == "posted" else 0
        return Clearing(award_w, np.where(award_w > 0, fixed, 0))
    price = int(asked.max(initial=0))
    if rule == "next":
        lost = admissible & ~(award_w > 0).any(axis=1, keepdims=True) & (ask_nanos_per_kwh_h >= price)
        price = int(ask_nanos_per_kwh_h[lost].min(initial=reserve_nanos_per_kwh_h))
    return Clearing(award_w, np.where(award_w > 0, price, 0))


def _least_cost(
    relief_w: Ints, ask: Ints, admissible: NDArray[np.bool_], ties: NDArray[np.uint64], need_w: int, reserve: int
) -> Clearing:
    """Full stops alone, and few of them: the least cost of all ways to meet the need."""
    lumps = vcg.lumps_of(relief_w, ask, admissible, ties)
    chosen = vcg.cheapest_cover(lumps, need_w)
    award_w = np.zeros_like(relief_w)
    won = sorted(chosen.cars)
    award_w[won, TO_ZERO] = relief_w[won, TO_ZERO]
    return _paid(award_w, vcg.exact_prices(lumps, chosen, need_w, reserve))


def _paid(award_w: Ints, prices: dict[int, int]) -> Clearing:
    """Each car at a price of its own."""
    price = np.zeros(len(award_w), dtype=np.int64)
    price[list(prices)] = list(prices.values())
    return Clearing(award_w, np.where(award_w > 0, price[:, np.newaxis], 0))


def _cheapest(
    relief_w: Ints, ask: Ints, admissible: NDArray[np.bool_], ties: NDArray[np.uint64], need_w: int, amp_w: int
) -> list[_Bought]:
    """Tranches by (ask, tie, tranche) until the need is met; all but the full stop can be divided, by the ampere."""
    car, tranche = np.nonzero(admissible)
    order = np.lexsort((tranche, ties[car], ask[car, tranche]))
    bought: list[_Bought] = []
    missing_w = need_w
    for c, t, size_w in zip(
        car[order].tolist(), tranche[order].tolist(), relief_w[car, tranche][order].tolist(), strict=True
    ):
        if missing_w <= 0:
            break
        power_w = size_w if t == TO_ZERO else min(size_w, -(-missing_w // amp_w) * amp_w)
        bought.append(_Bought(c, t, power_w))
        missing_w -= power_w
    return bought


def _without_needless(bought: list[_Bought], need_w: int) -> list[_Bought]:
    """Give back, latest first, whole tranches the need does not require, never one below another still held."""
    spare_w = sum(item.power_w for item in bought) - need_w
    kept: list[_Bought] = []
    holding: set[int] = set()  # cars of which a tranche is kept: what comes now lies below it
    for item in reversed(bought):
        if item.power_w <= spare_w and item.car not in holding:
            spare_w -= item.power_w
        else:
            kept.append(item)
            holding.add(item.car)
    return kept[::-1]
