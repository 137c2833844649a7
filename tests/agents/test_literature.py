"""Bidders of the literature as cars: what they ask at first, and which way a round moves them."""

from __future__ import annotations

import numpy as np
import pytest

from wattswap.agents.offers import Call, Memory, Outcome, Own
from wattswap.agents.strategies import BUNDLED
from wattswap.agents.strategies.elementwise import answer, sample_cars
from wattswap.agents.strategies.learning import LearningStrategy, learned, memory_columns
from wattswap.protocol.draws import Draws

IOTA = 1_000_000_000
C = 200_000_000


def car() -> Own:
    """At 11 kW, with 5 h of laxity; waiting costs it 0.2 IOTA per kWh and hour."""
    own = sample_cars(1)
    own.firm_w[:], own.floor_w[:], own.laxity_ms[:], own.waiting_nanos_per_kwh_h[:] = 11_000, 4_140, 18_000_000, C
    return own


class BiddingCar:
    """One car that answers and learns, window after window."""

    def __init__(self, name: str) -> None:
        self.strategy, self.own, self.window = BUNDLED[name], car(), 0
        self.memory: Memory = np.zeros((1, memory_columns(self.strategy)))

    def ask(self) -> int:
        call = Call(np.array([50_000]), from_ms=0, until_ms=300_000, feed_h=2)
        return int(answer(self.strategy, call, self.own, self.memory, self._draws()).ask_nanos_per_kwh_h[0, 0])

    def hears(self, price: int, wins: bool) -> None:
        assert isinstance(self.strategy, LearningStrategy)
        award = np.array([[6_860 * wins, 0, 0]])
        outcome = Outcome(award, np.array([price]), np.array([IOTA]), from_ms=0, until_ms=300_000)
        self.memory = learned(self.strategy, self.memory, self.own, outcome, self._draws())
        self.window += 1

    def _draws(self) -> Draws:
        return Draws(1, self.own.key, self.window)


def test_the_two_that_do_not_learn_ask_a_fixed_part_more_than_their_cost() -> None:
    assert (BiddingCar("mark-up").ask(), BiddingCar("risk-averse").ask()) == (250_000_000, 220_000_000)


def test_the_risk_averse_keep_charging_with_less_than_two_deviations_to_spare() -> None:
    cautious = BiddingCar("risk-averse")
    cautious.own.laxity_ms[:] = 7_200_000
    call = Call(np.array([50_000]), from_ms=0, until_ms=300_000, feed_h=2)
    assert not answer(
        cautious.strategy, call, cautious.own, cautious.memory, Draws(1, cautious.own.key, 0)
    ).relief_w.any()


@pytest.mark.parametrize("name", ["zi-c", "zip", "gd", "roth-erev"])
def test_none_of_them_sells_at_a_loss_whatever_it_hears(name: str) -> None:
    one = BiddingCar(name)
    for price, wins in ((IOTA, True), (C // 2, False), (0, False), (C, True), (C + 1, False)) * 5:
        assert one.ask() >= C
        one.hears(price, wins)


def test_zi_c_asks_up_to_the_reserve_once_it_knows_it() -> None:
    one, asks = BiddingCar("zi-c"), []
    assert one.ask() <= 2 * C
    for _ in range(50):
        one.hears(C, wins=False)
        asks.append(one.ask())
    assert max(asks) > 0.9 * IOTA


def test_zip_asks_more_after_it_sold_too_cheaply_and_less_after_it_lost() -> None:
    one = BiddingCar("zip")
    first = one.ask()
    one.hears(2 * C, wins=True)
    raised = one.ask()
    assert raised > first
    one.hears(first, wins=False)
    assert one.ask() < raised


def test_gd_asks_what_the_prices_it_heard_would_have_paid() -> None:
    one = BiddingCar("gd")
    assert one.ask() == C, "nothing heard, nothing believed"
    for _ in range(5):
        one.hears(2 * C, wins=True)
    assert one.ask() == 2 * C


def test_roth_erev_comes_to_the_mark_up_that_pays() -> None:
    """Only its cost wins anything in the end, so it asks little more than that."""
    one, asks = BiddingCar("roth-erev"), []
    for _ in range(400):
        asks.append(one.ask())
        one.hears(3 * C // 2, wins=asks[-1] <= 3 * C // 2)
    assert np.mean(asks[-100:]) < np.mean(asks[:20])
    assert sum(ask <= 3 * C // 2 for ask in asks[-100:]) > 80
