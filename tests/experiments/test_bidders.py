"""Vehicle bidders as a PettingZoo environment: PettingZoo's own test, and the very run of the strategy they act as."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.pages import blocks

pytest.importorskip("pettingzoo")

from pettingzoo.test import parallel_api_test, parallel_seed_test

from wattswap.agents.offers import OfferBook
from wattswap.experiments import run
from wattswap.experiments.bidders import OBSERVED, VehicleBidders
from wattswap.protocol.errors import InputError

PAGE = Path(__file__).parents[2] / "docs/learning.md"
COARSE = ["reading_s=300"]
HALF = np.array([0.5, 0.75], dtype=np.float32)


def half(call, own, memory, draws):
    """What a bidder offers that always acts ``HALF``."""
    book = OfferBook.keep(own).reduce(to_w=0, ask_nanos_per_kwh_h=500_000_000)
    return book.feed(own.feed_w, ask_nanos_per_kwh_h=750_000_000)


@pytest.mark.filterwarnings("ignore")  # PettingZoo's own
def test_pettingzoos_own_tests_pass():
    parallel_api_test(VehicleBidders("demo", settings=COARSE), num_cycles=500)
    parallel_seed_test(lambda: VehicleBidders("demo", settings=COARSE), num_cycles=20)


def test_who_acts_as_a_strategy_trades_and_gains_as_it():
    """The environment is another door to the same run: trades to the last nano, and rewards that add up to its gain."""
    expected = run("demo", engine="fleet", strategy=half, settings=COARSE).summary
    env = VehicleBidders("demo", settings=COARSE)
    observations, _ = env.reset()
    rewards, called = dict.fromkeys(env.possible_agents, 0.0), set()
    while env.agents:
        called |= {car for car in env.agents if observations[car][OBSERVED.index("called")]}
        observations, gained, *_ = env.step(dict.fromkeys(env.agents, HALF))
        rewards = {car: rewards[car] + gained.get(car, 0.0) for car in rewards}
    assert env.run.record.trace_hash() == expected["trace_hash"]
    (figures,) = expected["by_strategy"].values()
    assert len(called) == figures["called"]
    assert sum(rewards[car] for car in called) / len(called) == pytest.approx(figures["gain_iota"], abs=1e-5)
    assert figures["gain_iota"] > 0


def test_who_does_not_act_or_asks_too_much_keeps_charging():
    """Two rewards of one car: nobody pays it, and it has no cost of waiting either."""
    for action in (None, np.array([2, 2], dtype=np.float32), np.array([1e30, np.inf])):
        env = VehicleBidders("demo", settings=COARSE)
        env.reset()
        gained: list[float] = []
        while env.agents:
            actions = {} if action is None else dict.fromkeys(env.agents, action)
            gained += env.step(actions)[1].values()
        assert {trade.kind for trade in env.run.record.trades} <= {"forced"}
        assert max(gained) == 0


def test_some_cars_bid_and_the_others_follow_the_scenario():
    some = VehicleBidders("demo").possible_agents[:3]
    env = VehicleBidders("demo", settings=COARSE, cars=some)
    env.reset(seed=3)
    assert env.agents == some
    env.step({})
    followed = {env.run.assignment.names[number] for number in env.run.assignment.number.tolist()}
    assert followed > {"bidder"}
    env.close()


def test_episodes_count_up_from_the_scenarios_seed():
    env = VehicleBidders("demo", settings=COARSE)
    seeds = []
    for _ in range(2):
        env.reset()
        seeds.append(env.run.seed)
    env.close()
    assert seeds == [1, 2]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"cars": ["nobody"]}, "has no session 'nobody'"),
        ({"scenario": "demmo"}, "did you mean demo"),
    ],
)
def test_what_cannot_be_is_named(options, what: str):
    with pytest.raises(InputError, match=what):
        VehicleBidders(**options)


@pytest.mark.parametrize("action", [[np.nan, 0], [-1, 0], [-np.inf, 1], [0.5], "x", None, [[0.1, 0.1]]])
def test_an_action_that_is_no_price_is_named_and_the_call_stays_open(half_way: VehicleBidders, action: object):
    car, tick = half_way.agents[0], half_way.run.tick
    with pytest.raises(InputError, match=f"the action of {car} is .*; it must be two prices"):
        half_way.step({car: action})  # type: ignore[dict-item]
    assert half_way.run.tick == tick


@pytest.mark.parametrize("seed", ["a", 1.5, -1, 2**70])
def test_a_seed_that_is_none_is_named_and_the_episode_goes_on(half_way: VehicleBidders, seed: object):
    run = half_way.run
    with pytest.raises(InputError, match="seed"):
        half_way.reset(seed=seed)  # type: ignore[arg-type]
    assert half_way.run is run
    half_way.step({})


def test_before_reset_there_is_no_episode():
    env = VehicleBidders("demo", settings=COARSE)
    for asks in (lambda: env.step({}), lambda: env.run):
        with pytest.raises(InputError, match=r"call reset\(\) first"):
            asks()


@pytest.fixture(scope="module")
def half_way() -> Iterator[VehicleBidders]:
    """An episode with its first call open; nobody ends it."""
    env = VehicleBidders("demo", settings=COARSE)
    env.reset()
    yield env
    env.close()


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = [block.text for block in blocks(PAGE) if block.kind == "python"]
    assert len(example.splitlines()) <= 20
    exec(compile(example, PAGE.name, "exec"), {})
