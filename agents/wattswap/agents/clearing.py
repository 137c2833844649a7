"""Clearing: which of the offered tranches are bought, and at what price.

Cheapest first until the need is met; prices and powers are integers in, integers out, nothing is rounded but the
last divisible tranche, up to a whole ampere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wattswap.agents.offers import TO_FLOOR

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
    ceiling_nanos_per_kwh: int,
    amp_w: int,
    rule: ClearingRule = "uniform",
) -> Clearing:
    """Buy ``need_w`` of relief from the offered tranches, shape (cars, 3), whose asks never fall within a car.

    Equal asks are ordered by ``ties``, one draw per car. Under ``uniform`` every tranche is paid the highest
    accepted ask, under ``pay-as-bid`` its own.
    """
    bought = _cheapest(relief_w, ask_nanos_per_kwh_h, ties, need_w, ceiling_nanos_per_kwh, amp_w)
    bought = _without_needless(bought, need_w)
    award_w = np.zeros_like(relief_w)
    for car, tranche, power_w in bought:
        award_w[car, tranche] = power_w
    prices = np.where(award_w > 0, ask_nanos_per_kwh_h, 0)
    if rule == "uniform":
        prices = np.where(award_w > 0, prices.max(initial=0), 0)
    return Clearing(award_w, prices)


def _cheapest(
    relief_w: Ints, ask: Ints, ties: NDArray[np.uint64], need_w: int, ceiling: int, amp_w: int
) -> list[_Bought]:
    """Tranches by (ask, tie, tranche) until the need is met; only the first tranche of a car can be divided."""
    car, tranche = np.nonzero((relief_w > 0) & (ask <= ceiling))
    order = np.lexsort((tranche, ties[car], ask[car, tranche]))
    bought: list[_Bought] = []
    missing_w = need_w
    for c, t, size_w in zip(
        car[order].tolist(), tranche[order].tolist(), relief_w[car, tranche][order].tolist(), strict=True
    ):
        if missing_w <= 0:
            break
        power_w = min(size_w, -(-missing_w // amp_w) * amp_w) if t == TO_FLOOR else size_w
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
