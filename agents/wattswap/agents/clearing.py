"""Clearing: which of the offered tranches are bought, and at what price, on all feeders at once.

Cheapest first until the need is met, no ask above the reserve; integers in, integers out, nothing is rounded but the
last divisible tranche, up to a whole ampere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from wattswap.agents import vcg
from wattswap.agents.offers import FEED, TO_FLOOR, TO_ZERO, TRANCHES, by_car

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from wattswap.agents.physics import Ints
    from wattswap.agents.rules import ClearingRule
    from wattswap.agents.segments import Segments


Cheapest: TypeAlias = "Callable[[Ints, Ints, NDArray[np.bool_], NDArray[np.uint64], Segments, Ints, int], Ints]"
"""What :func:`cheapest` takes and gives."""


class Clearing(NamedTuple):
    """What was bought: shape (cars, 3) each."""

    award_w: Ints
    price_nanos_per_kwh_h: Ints


def cheapest(
    relief_w: Ints,
    ask: Ints,
    admissible: NDArray[np.bool_],
    ties: NDArray[np.uint64],
    segments: Segments,
    need_w: Ints,
    amp_w: int,
) -> Ints:
    """Tranches by (ask, tie, tranche) until the need is met, less those it does not require; shape (cars, 3).

    All but the full stop can be divided, by the ampere.
    """
    car, tranche = np.nonzero(admissible)
    order = np.lexsort((tranche, ties[car], ask[car, tranche], segments.feeder[car]))
    car, tranche = car[order], tranche[order]
    feeder, size_w = segments.feeder[car], relief_w[car, tranche]
    upto_w = np.cumsum(size_w)
    first = np.searchsorted(feeder, feeder)
    missing_w = need_w[feeder] - (upto_w - size_w) + (upto_w - size_w)[first]
    bought = missing_w > 0
    car, tranche, feeder, size_w, missing_w = (x[bought] for x in (car, tranche, feeder, size_w, missing_w))
    divided_w = np.minimum(size_w, -(-missing_w // amp_w) * amp_w)
    power_w = np.where(tranche == TO_ZERO, size_w, divided_w)
    award_w = np.zeros_like(relief_w)
    award_w[car, tranche] = power_w
    spare_w = -need_w
    np.add.at(spare_w, feeder, power_w)
    loose = power_w <= spare_w[feeder]
    if np.count_nonzero(loose):
        _give_back(award_w, car[loose], tranche[loose], feeder[loose], spare_w)
    return award_w


def _give_back(award_w: Ints, car: Ints, tranche: Ints, feeder: Ints, spare_w: Ints) -> None:
    """Give back, latest first, whole tranches the need does not require, never one below another still held.

    The arguments name the tranches that are no larger than what their feeder can spare, in the order of acceptance.
    """
    left_w = spare_w.tolist()
    for c, t, f in zip(car[::-1].tolist(), tranche[::-1].tolist(), feeder[::-1].tolist(), strict=True):
        held_w = award_w[c].tolist()
        if held_w[t] <= left_w[f] and not any(held_w[t + 1 : TRANCHES]):
            left_w[f] -= held_w[t]
            award_w[c, t] = 0


def clear(
    relief_w: Ints,
    ask_nanos_per_kwh_h: Ints,
    ties: NDArray[np.uint64],
    segments: Segments,
    *,
    need_w: Ints,
    reserve_nanos_per_kwh_h: int,
    amp_w: int,
    rules: Sequence[ClearingRule],
    choose: Cheapest = cheapest,
) -> Clearing:
    """Buy ``need_w`` of relief on each feeder from the offered tranches, shape (cars, 3), whose asks never fall.

    Equal asks are ordered by ``ties``, one draw per car. What is paid says each feeder's rule: under ``next`` the
    lowest ask of a car that won nothing which is not below the highest accepted one, or the reserve where there is
    none; under ``uniform`` the highest accepted ask; under ``pay-as-bid`` a car's reductions its dearer accepted ask,
    and feeding its own; under ``vcg`` what the others would cost in its place; under ``posted`` the reserve, told to
    whoever takes it, of whom the ties choose; under ``none`` nothing, though the cheapest still give way first.
    ``choose`` finds the tranches, as :func:`cheapest` does.
    """
    admissible = (relief_w > 0) & (ask_nanos_per_kwh_h <= reserve_nanos_per_kwh_h)
    kinds = dict.fromkeys(rules)
    ordered_by = ask_nanos_per_kwh_h
    if "posted" in kinds:
        ordered_by = np.where(_under("posted", rules, segments), 0, ask_nanos_per_kwh_h)
    award_w = choose(relief_w, ordered_by, admissible, ties, segments, need_w, amp_w)
    price = np.zeros_like(award_w)
    for rule in kinds:
        here = _under(rule, rules, segments) if len(kinds) > 1 else np.True_
        if rule == "vcg":
            for feeder in np.flatnonzero(need_w > 0).tolist():
                if rules[feeder] == rule:
                    rows = segments.rows(feeder)
                    offers = relief_w[rows], ask_nanos_per_kwh_h[rows], admissible[rows]
                    award_w[rows], price[rows] = _vickrey(
                        *offers, ties[rows], award_w[rows], int(need_w[feeder]), reserve_nanos_per_kwh_h
                    )
        else:
            paid = _paid(rule, ask_nanos_per_kwh_h, admissible & here, award_w, segments, reserve_nanos_per_kwh_h)
            np.copyto(price, paid, where=here & (award_w > 0))
    return Clearing(award_w, price)


def _under(rule: ClearingRule, rules: Sequence[ClearingRule], segments: Segments) -> NDArray[np.bool_]:
    """Which cars are on feeders with this rule, shape (cars, 1)."""
    return np.array([each == rule for each in rules])[segments.feeder, np.newaxis]


def _paid(
    rule: ClearingRule, ask: Ints, admissible: NDArray[np.bool_], award_w: Ints, segments: Segments, reserve: int
) -> Ints:
    """What is paid for each tranche if it was bought, shape (cars, 3) or one that stretches to it."""
    if rule in ("posted", "none"):
        return np.array(reserve if rule == "posted" else 0)
    bought = award_w > 0
    asked = np.where(bought, ask, 0)
    if rule == "pay-as-bid":
        asked[:, :FEED] = np.maximum(asked[:, TO_FLOOR], asked[:, TO_ZERO])[:, np.newaxis]
        return asked
    price = segments.highest(by_car(np.maximum, asked))
    if rule == "next":
        at_least = price[segments.feeder, np.newaxis]
        lost = admissible & ~by_car(np.logical_or, bought)[:, np.newaxis] & (ask >= at_least)
        below_reserve = by_car(np.maximum, np.where(lost, reserve - ask, 0))
        price = reserve - segments.highest(below_reserve)
    return price[segments.feeder, np.newaxis]


def _vickrey(
    relief_w: Ints,
    ask: Ints,
    admissible: NDArray[np.bool_],
    ties: NDArray[np.uint64],
    cheapest_w: Ints,
    need_w: int,
    reserve: int,
) -> Clearing:
    """One feeder's. Full stops alone, and few of them: the least cost of all ways to meet the need."""
    award_w = cheapest_w
    if vcg.is_exact(relief_w, admissible):
        lumps = vcg.lumps_of(relief_w, ask, admissible, ties)
        chosen = vcg.cheapest_cover(lumps, need_w)
        award_w, won = np.zeros_like(relief_w), sorted(chosen.cars)
        award_w[won, TO_ZERO] = relief_w[won, TO_ZERO]
        prices = vcg.exact_prices(lumps, chosen, need_w, reserve)
    else:
        prices = vcg.divisible_prices(relief_w, ask, admissible, award_w, reserve)
    price = np.zeros(len(award_w), dtype=np.int64)
    price[list(prices)] = list(prices.values())
    return Clearing(award_w, np.where(award_w > 0, price[:, np.newaxis], 0))
