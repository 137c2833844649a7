"""The rules by which traders of the literature price: functions of arrays, one row a trader, in any unit of money.

A seller is meant throughout; a buyer is a seller in the mirror, with limits and prices negated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

ZIP_STEP: Final = 0.05
"""A target lies up to this share of the price, and this much of the unit, above or below it."""
GD_MEMORY: Final = 5
"""The trades that a Gjerstad-Dickhaut trader remembers."""
RECENCY: Final = 0.1
EXPERIMENTATION: Final = 0.2
"""Nicolaisen, Petrov and Tesfatsion's r and e."""


def zip_target(price: Floats, raises: NDArray[np.bool_], share: Floats, extra: Floats) -> Floats:
    """Where a zero-intelligence-plus trader moves to: R x price + A, both a little up or both a little down.

    Cliff, Minimal-intelligence agents for bargaining behaviors in market-based environments, HP Labs 97-91, 1997.
    ``share`` is uniform in [0, 1) and ``extra`` in [0, one unit of money).
    """
    up = np.where(raises, 1, -1)
    target: Floats = price * (1 + up * ZIP_STEP * share) + up * ZIP_STEP * extra
    return target


def zip_move(quote: Floats, target: Floats, drift: Floats, rate: Floats, momentum: Floats) -> Floats:
    """The next drift of a quote: Widrow-Hoff with momentum, m x drift + (1 - m) x rate x (target - quote)."""
    moved: Floats = momentum * drift + (1 - momentum) * rate * (target - quote)
    return moved


def gd_belief(ask: Floats, taken: Floats, refused: Floats) -> Floats:
    """How likely a Gjerstad-Dickhaut seller holds an ask to be taken: (TA + B) / (TA + B + RA).

    Gjerstad and Dickhaut, Price formation in double auctions, Games and Economic Behavior 22, 1998. ``taken`` are
    remembered asks that were taken and bids, ``refused`` asks that were not; shape (traders, remembered), -inf and inf
    where there is none. ``ask`` has shape (traders, asks).
    """
    yes = (taken[:, np.newaxis] >= ask[..., np.newaxis]).sum(axis=-1)
    no = (refused[:, np.newaxis] <= ask[..., np.newaxis]).sum(axis=-1)
    belief: Floats = yes / np.maximum(yes + no, 1)
    return belief


def gd_ask(limit: Floats, asks: Floats, taken: Floats, refused: Floats) -> Floats:
    """The ask, of these in rising order, with the most expected profit, (ask - limit) x belief; the lowest of equals.

    Where none of them promises any profit a seller asks its limit.
    """
    profit = (asks - limit[:, np.newaxis]) * gd_belief(asks, taken, refused)
    best = profit.argmax(axis=1)[:, np.newaxis]
    promised = np.take_along_axis(profit, best, axis=1)[:, 0]
    chosen: Floats = np.where(promised > 0, np.take_along_axis(asks, best, axis=1)[:, 0], limit)
    return chosen


def roth_erev(propensity: Floats, chosen: NDArray[np.int64], reward: Floats) -> Floats:
    """Propensities after a round: (1 - r) q + E, with E = reward (1 - e) for what was chosen, e q / (K - 1) else.

    The modified form, in which a reward of 0 still teaches: Nicolaisen, Petrov and Tesfatsion, Market power and
    efficiency in a computational electricity market with discriminatory double-auction pricing, IEEE Transactions on
    Evolutionary Computation 5(5), 2001.
    """
    actions = propensity.shape[1]
    learned = propensity * EXPERIMENTATION / (actions - 1)
    np.put_along_axis(learned, chosen[:, np.newaxis], (reward * (1 - EXPERIMENTATION))[:, np.newaxis], axis=1)
    after: Floats = (1 - RECENCY) * propensity + learned
    return after


def pick(propensity: Floats, place: Floats) -> NDArray[np.int64]:
    """The action that a draw in [0, 1) falls on, each as likely as its share of the propensities."""
    shares = np.cumsum(propensity, axis=1)
    below = shares[:, :-1] <= place[:, np.newaxis] * shares[:, -1:]
    action: NDArray[np.int64] = below.sum(axis=1)
    return action
