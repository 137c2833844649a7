"""The truthfulness audit: nothing to gain where theory says so, something where it says that too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.agents.test_clearing import KW, LUMPY, bought_w, four_bidders, market
from tests.agents.test_vcg import paid
from tests.streets import Stay, street_of

from wattswap.agents.rules import ClearingRule
from wattswap.agents.strategies import BUNDLED
from wattswap.agents.strategies.learning import LearningStrategy
from wattswap.agents.strategies.manipulators import AsksTimes
from wattswap.experiments.api import run
from wattswap.experiments.games.play import HONEST, run_played
from wattswap.experiments.games.played_street import PlayedStreet
from wattswap.experiments.truthfulness import DEVIATIONS, Audit, Deviation, audited, deviating, interval, played, tried
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.scenario import Street, load_street

WINDOW = 10
"""Ticks."""
ASKS = tuple(each for each in DEVIATIONS if each.name.startswith("asks"))


def one_round(clearing: str) -> Street:
    """Six cars that can only stop, and one window in which three must: the lumps of the auction toy, as a street."""
    ticks = 24 * WINDOW
    short = [16_000 if 5 * WINDOW <= tick < 6 * WINDOW else 100_000 for tick in range(ticks)]
    return street_of(
        [Stay(0, 10 * ticks, 4 * WS_PER_KWH) for _ in range(6)],
        ticks,
        limit_w=short,
        seed=3,
        transformer={"rating_va": 100_000, "limit_w": 100_000, "margin_pct": 0, "clearing": clearing},
        chargers={"max_w": 4_140},
        vehicles={"strategy": HONEST, "feed_w": 0},
    )


@pytest.mark.parametrize(("rule", "best"), [("vcg", 0.0), ("pay-as-bid", 1.0)])
def test_in_the_auction_toy_vcg_leaves_nothing_to_gain_and_pay_as_bid_does(rule: ClearingRule, best: float):
    """10 kW are needed, A to D offer 4 kW at 2, 3, 5 and 9: B, whose cost is 3, is asked for its lump."""

    def utility(ask: float) -> float:
        offers = four_bidders(LUMPY)
        offers[1][LUMPY] = (4 * KW, ask)
        cleared = market(offers, 10 * KW, rule=rule)
        return paid(cleared)[1] - 3 * bought_w(cleared)[1] / KW

    gains = [utility(3 * each.ask_permille / 1_000) - utility(3) for each in ASKS]
    assert max(0.0, *gains) == pytest.approx(4 * 3 * best), "paid twice its cost, for 4 kW"


def test_in_a_street_of_one_round_the_same_holds_of_every_car():
    vcg, bid = (tried(one_round(rule), 6) for rule in ("vcg", "pay-as-bid"))
    assert len(vcg.utility) == len(bid.utility) == 3
    assert (vcg.utility > 0).all()
    assert bid.utility == pytest.approx(0, abs=0.002), "each is paid just what waiting costs it, on the price's tick"
    assert bid.utility.max() < 0.05 * vcg.utility.min()
    assert vcg.gains.max() == pytest.approx(0, abs=1e-9)
    assert vcg.gains.min() < 0, "some deviations cost a car its sale"
    assert bid.gains.max() > 0


@pytest.fixture(scope="module")
def friday() -> dict[str, Audit]:
    found = audited(
        "c250stress", clearing=["vcg", "pay-as-bid", "posted"], cars=2, day=5, settings=["reading_s=300"], jobs=1
    )
    return {each.clearing: each for each in found}


def test_on_a_real_day_pay_as_bid_invites_to_ask_more_and_a_posted_price_does_not_care(friday: dict[str, Audit]):
    gain = {rule: {each.name: each.gain_iota for each in audit.gains} for rule, audit in friday.items()}
    assert gain["pay-as-bid"]["asks x 1.25"] > 0 > gain["pay-as-bid"]["asks x 0.8"]
    assert {gain["posted"][each.name] for each in ASKS} == {0}
    assert friday["vcg"].best.gain_iota < 0.1 * friday["vcg"].utility_iota
    assert friday["vcg"].hindsight_iota >= max(friday["vcg"].best.gain_iota, 0)


def test_who_offers_nothing_loses_all_it_would_have_earned(friday: dict[str, Audit]):
    for audit in friday.values():
        nothing = next(each for each in audit.gains if each.name == "offers nothing")
        assert nothing.gain_iota == pytest.approx(-audit.utility_iota, abs=0.02)


def test_a_deviation_comes_to_what_the_games_say_of_the_same_car():
    """Side by side and one by one, by two reckonings."""
    street = load_street("c250stress", day=5, strategy=HONEST, settings=["reading_s=150", "transformer.clearing=next"])
    asks_more = Deviation("asks x 1.5", 1_500)
    found = tried(street, 1, [asks_more])
    nobody = PlayedStreet.honest(street, np.zeros(len(street.sessions.session_id), dtype=bool))
    honest = run_played(nobody)
    keys = street.sessions.user_key
    utilities = {key: honest.utility_iota(keys == key, 1) for key in np.unique(keys[honest.earned_nanos > 0]).tolist()}
    (who,) = [key for key, utility in utilities.items() if utility == pytest.approx(found.utility[0], abs=1e-6)]
    lied = run_played(replace(nobody, asking=keys == np.uint64(who), asks=AsksTimes(1_500)))
    assert lied.utility_iota(keys == np.uint64(who), 1) - utilities[who] == pytest.approx(found.gains[0, 0], abs=1e-6)


def test_what_cars_gain_is_what_they_are_paid_less_what_waiting_and_feeding_cost_them():
    """By the figures of a run, of a street on which some feed and no battery stands."""
    coarse = ["reading_s=300", "vehicles.strategy=need:0.5+prosumer:0.5", "market.feed_h=6"]
    street = load_street("c250stress", day=5, settings=coarse)
    (honest,) = played(street, [()])
    known = run("c250stress", day=5, settings=coarse, engine="fleet").summary
    assert known["feeding_cost_nanos"] > 0
    costs = known["waiting_cost_nanos"] + known["feeding_cost_nanos"]
    assert honest.nanos.sum() == pytest.approx(known["paid_nanos"] + known["rent_open_nanos"] - costs, abs=10_000)


def test_a_strategy_that_learns_goes_on_learning():
    learner = BUNDLED["zip"]
    changed = deviating(learner, DEVIATIONS[0])
    assert isinstance(learner, LearningStrategy)
    assert isinstance(changed, LearningStrategy)
    assert (changed.learn, changed.columns) == (learner.learn, learner.columns)


def test_the_interval_is_students_and_wider_for_more_that_are_to_hold_together():
    """Five values of mean 3 and deviation 1.5811: 3 +- 2.7764 x 0.7071; for ten together 3 +- 5.5976 x 0.7071."""
    values = np.arange(1.0, 6.0)
    assert interval(values, 1) == pytest.approx((3, 3 - 1.9632, 3 + 1.9632), abs=1e-3)
    assert interval(values, 10) == pytest.approx((3, 3 - 3.958, 3 + 3.958), abs=1e-2)
    assert interval(np.zeros(4), 10) == (0, 0, 0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cars": 1}, "--cars 1: choose 2 to 200"),
        ({"clearing": ["vgc"]}, "there is no rule 'vgc'; did you mean vcg?"),
        ({"clearing": []}, "--clearing: name at least one of next"),
        ({"strategies": ["nobody"]}, "unknown strategy 'nobody'"),
        ({"strategies": ["keep"], "clearing": ["next"]}, "no car sells anything"),
        ({"settings": ["vehicles.curve=taper"]}, "which needs vehicles.curve = flat"),
    ],
)
def test_what_cannot_be_audited_is_said(changed: dict[str, list[str]], said: str):
    with pytest.raises(InputError, match=said):
        audited("b250", **{"day": 7, "jobs": 1, **changed})  # type: ignore[arg-type]
