"""The traders of the literature: their rules by hand, and how near to equilibrium they trade in Smith's market.

Reference, a run of our own of the same market (no published table was found): mean alpha in percent on days 1 to 5
ZIP 18.3 7.3 4.5 3.2 2.3, GD 14.7 5.1 4.6 3.7 4.3, ZI-C about 24 on every day.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.agents.double_auction import Gd, ZeroIntelligence, Zip, mean_alpha_pct

from wattswap.agents.strategies.traders import gd_ask, gd_belief, pick, roth_erev, zip_move, zip_target


def test_zip_aims_a_little_beyond_the_price_it_heard() -> None:
    price, share, extra = np.array([2.0, 2.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0])
    assert zip_target(price, np.array([True, False]), share, extra) == pytest.approx([2.15, 1.85])


def test_zip_goes_part_of_the_way_and_keeps_some_of_its_drift() -> None:
    """0.25 x 0.4 + 0.75 x 0.2 x (3 - 2)."""
    moved = zip_move(np.array([2.0]), np.array([3.0]), np.array([0.4]), np.array([0.2]), np.array([0.25]))
    assert moved == pytest.approx([0.25])


def test_gd_believes_what_was_taken_above_and_refused_below() -> None:
    """At 2: 2 and 3 taken at or above it, 2 refused at or below it: 2/3. At 4 nothing was ever taken."""
    belief = gd_belief(np.array([[1.0, 2.0, 4.0]]), np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 5.0, np.inf]]))
    assert belief == pytest.approx(np.array([[1.0, 2 / 3, 0.0]]))


def test_gd_asks_what_promises_most() -> None:
    """0 x 1, 1 x 2/3, 2 x 1/2, 3 x 0."""
    asks, taken, refused = np.array([[1.0, 2, 3, 4]]), np.array([[1.0, 2, 3]]), np.array([[2.0, 5, np.inf]])
    assert gd_ask(np.array([1.0]), asks, taken, refused).tolist() == [3.0]
    assert gd_ask(np.array([9.0]), asks, taken, refused).tolist() == [9.0], "no profit in sight: its limit"


def test_roth_erev_s_propensities_by_hand() -> None:
    """r = 0.1, e = 0.2: 0.9 + 0.8 x 5 for what was chosen, 0.9 + 0.2 / 2 for each other."""
    assert roth_erev(np.ones((1, 3)), np.array([1]), np.array([5.0])) == pytest.approx(np.array([[1.0, 4.9, 1.0]]))


def test_an_action_is_picked_by_its_share() -> None:
    propensity = np.array([[1.0, 3.0]] * 3)
    assert pick(propensity, np.array([0.24, 0.25, 0.99])).tolist() == [0, 1, 1]


@pytest.mark.parametrize("seeds", [15, pytest.param(50, marks=pytest.mark.long)])
def test_zip_and_gd_trade_at_equilibrium_by_the_fifth_day_and_zero_intelligence_does_not(seeds: int) -> None:
    """Over 50 seeds Smith's alpha of the fifth day is 2.4, 7.9 and 21.5 %."""
    zip_pct, gd_pct = mean_alpha_pct(Zip, seeds=seeds), mean_alpha_pct(Gd, seeds=seeds)
    random_pct = mean_alpha_pct(ZeroIntelligence, seeds=seeds)
    assert zip_pct[-1] <= 10
    assert gd_pct[-1] <= 10
    assert random_pct[-1] > 15
    assert zip_pct[0] > 2 * zip_pct[-1], "it learns"
