"""Bidders of the literature as strategies of cars: what each asks starts from its own waiting cost c.

They learn from the rounds of one session, for a car that plugs in has no memory. Sources are named in ``traders``.
"""
# ruff: noqa: ARG001 - a strategy is handed all that a car may know and uses what it needs

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from wattswap.agents.offers import FEED, OfferBook
from wattswap.agents.strategies.learning import LearningStrategy
from wattswap.agents.strategies.traders import GD_MEMORY, gd_ask, pick, roth_erev, zip_move, zip_target
from wattswap.protocol.units import MS_PER_HOUR, Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from wattswap.agents.offers import Call, Memory, Outcome, Own, Strategy
    from wattswap.agents.strategies.traders import Floats
    from wattswap.protocol.draws import Draws

UNIT_NANOS: Final = 100_000_000
"""What a unit of money of ZIP's markets, with limits of 0.75 to 3.25, is here, where c is 0.05 to 0.5 IOTA."""
MARK_UPS: Final = np.arange(8) / 4
"""The mark-ups among which ``roth-erev`` learns to choose."""
GD_POINTS: Final = 21
"""So many asks, evenly from c to the highest price it heard, a ``gd`` car weighs."""
STAY_SIGMA_MS: Final = MS_PER_HOUR
RISK_Z: Final = 2
"""``risk-averse`` keeps two deviations of an hour each of its stay to itself, and asks a tenth more than c."""


def mark_up(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Asks c and a quarter: a fixed mark-up on cost.

    Friedman, A competitive-bidding strategy, Operations Research 4(1), 1956.
    """
    return _asks(own, own.waiting_nanos_per_kwh_h * 5 // 4)


def risk_averse(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Asks c and a tenth, and sells only with z sigma of laxity to spare: mean-variance caution about its stay.

    Markowitz, Portfolio selection, Journal of Finance 7(1), 1952; z = 2, sigma = 1 h (an assumption).
    """
    return _asks(own, own.waiting_nanos_per_kwh_h * 11 // 10).only(own.laxity_ms > RISK_Z * STAY_SIGMA_MS)


def _zi_c_offers(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Asks anything from c up to the bound of the market, the reserve; until it heard that, up to 2 c.

    Gode and Sunder, Allocative efficiency of markets with zero-intelligence traders, Journal of Political Economy
    101(1), 1993.
    """
    cost = own.waiting_nanos_per_kwh_h.astype(np.float64)
    bound = np.where(memory[:, 0] > 0, memory[:, 0], 2 * cost)
    return _asks(own, cost + np.maximum(bound - cost, 0) * draws.uniform())


def _hear_the_reserve(memory: Memory, own: Own, outcome: Outcome, draws: Draws) -> Memory:
    return outcome.reserve_nanos_per_kwh_h[:, np.newaxis].astype(np.float64)


def _zip_offers(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Asks c (1 + margin)."""
    return _asks(own, _zip_quote(own, memory, draws))


def _zip_quote(own: Own, memory: Memory, draws: Draws) -> Floats:
    """Column 0: the ask less c, 0 before the first round, when the margin is a trait of .05 to .35."""
    cost = own.waiting_nanos_per_kwh_h.astype(np.float64)
    first = cost * (1 + draws.constant(Purpose.FIRST_MARGIN, 0.05, 0.35))
    quote: Floats = np.where(memory[:, 2] > 0, cost + np.maximum(memory[:, 0], 0), first)
    return quote


def _zip_learns(memory: Memory, own: Own, outcome: Outcome, draws: Draws) -> Memory:
    """Raises an ask that the price shows to be too low; lowers one that lost at a price no higher than it.

    Where nothing was bought no price is heard, and an ask that was above the reserve comes down to it. Column 1: the
    drift; 2: 1 once it has learned.
    """
    quote = _zip_quote(own, memory, draws)
    price = outcome.price_nanos_per_kwh_h.astype(np.float64)
    reserve = outcome.reserve_nanos_per_kwh_h.astype(np.float64)
    sold = price > 0
    heard, raises = np.where(sold, price, reserve), sold & (quote <= price)
    moves = np.where(sold, raises | (_sold_w(outcome) == 0), quote > reserve)
    target = zip_target(heard, raises, draws.uniform(), draws.uniform() * UNIT_NANOS)
    rate = draws.constant(Purpose.LEARNING_RATE, 0.1, 0.5)
    momentum = draws.constant(Purpose.MOMENTUM, 0.0, 0.1)
    drift = np.where(moves, zip_move(quote, target, memory[:, 1], rate, momentum), memory[:, 1])
    above = np.maximum(np.where(moves, quote + drift, quote) - own.waiting_nanos_per_kwh_h, 0)
    return np.stack((above, drift, np.ones(len(own))), axis=1)


def _gd_offers(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Asks what promises most by the prices it heard and by its own asks that lost; c before it heard any."""
    return _asks(own, _gd_quote(own, memory))


def _gd_quote(own: Own, memory: Memory) -> Floats:
    """Columns: the last five prices, and the last five own asks that lost; 0 where there is none."""
    cost = own.waiting_nanos_per_kwh_h.astype(np.float64)
    prices, lost = memory[:, :GD_MEMORY], memory[:, GD_MEMORY:]
    highest = np.maximum(prices.max(axis=1), cost)
    asks = cost[:, np.newaxis] + (highest - cost)[:, np.newaxis] * np.linspace(0, 1, GD_POINTS)
    return gd_ask(cost, asks, np.where(prices > 0, prices, -np.inf), np.where(lost > 0, lost, np.inf))


def _gd_learns(memory: Memory, own: Own, outcome: Outcome, draws: Draws) -> Memory:
    """A price is a bid that an ask below it would have met; a round in which nothing was bought tells nothing."""
    price = outcome.price_nanos_per_kwh_h.astype(np.float64)[:, np.newaxis]
    lost = np.where(_sold_w(outcome) == 0, _gd_quote(own, memory), 0.0)[:, np.newaxis]
    after = np.concatenate((memory[:, 1:GD_MEMORY], price, memory[:, GD_MEMORY + 1 :], lost), axis=1)
    learned: Memory = np.where(price > 0, after, memory)
    return learned


def _roth_erev_offers(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
    """Asks c and a mark-up, the likelier the more it has earned."""
    return _asks(own, own.waiting_nanos_per_kwh_h * (1 + MARK_UPS[pick(memory + 1, draws.uniform())]))


def _roth_erev_learns(memory: Memory, own: Own, outcome: Outcome, draws: Draws) -> Memory:
    """Columns: the propensities less their beginning, 1. A reward is the profit as a share of c.

    What it chose it draws again: the first draw of the round is the same when it asks and when it learns.
    """
    cost = np.maximum(own.waiting_nanos_per_kwh_h, 1)
    profit = np.maximum(outcome.price_nanos_per_kwh_h - own.waiting_nanos_per_kwh_h, 0) / cost
    reward = np.where((_sold_w(outcome) > 0) & (own.waiting_nanos_per_kwh_h > 0), profit, 0.0)
    return roth_erev(memory + 1, pick(memory + 1, draws.uniform()), reward) - 1


def _asks(own: Own, ask: ArrayLike) -> OfferBook:
    return OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=ask)


def _sold_w(outcome: Outcome) -> NDArray[np.int64]:
    sold_w: NDArray[np.int64] = outcome.award_w[:, :FEED].sum(axis=1)
    return sold_w


zi_c: Final = LearningStrategy("zi-c", _zi_c_offers, _hear_the_reserve, columns=1)
"""Asks at random, never at a loss."""
zip_: Final = LearningStrategy("zip", _zip_offers, _zip_learns, columns=3)
"""Moves its margin after each price it hears."""
gd: Final = LearningStrategy("gd", _gd_offers, _gd_learns, columns=2 * GD_MEMORY)
"""Believes in the prices it remembers."""
roth_erev_: Final = LearningStrategy("roth-erev", _roth_erev_offers, _roth_erev_learns, columns=len(MARK_UPS))
"""Does more often what has paid."""

LITERATURE: Final[Mapping[str, Strategy]] = {
    "zi-c": zi_c,
    "zip": zip_,
    "gd": gd,
    "roth-erev": roth_erev_,
    "mark-up": mark_up,
    "risk-averse": risk_averse,
}
