"""Games against the market: what is true is drawn and counted, what is only said is never paid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.streets import Stay, street_of

from wattswap.experiments.api import run
from wattswap.experiments.games.manipulations import MANIPULATIONS
from wattswap.experiments.games.play import HONEST, PlayedRun, play, play_games, run_played
from wattswap.experiments.games.played_street import PlayedStreet
from wattswap.experiments.games.played_world import PlayedWorld
from wattswap.protocol.errors import InputError
from wattswap.protocol.units import WS_PER_KWH
from wattswap.runners.scenario import Street, load_street

BY_NAME = {game.name: game for game in MANIPULATIONS}
COARSE = ["reading_s=150"]
SHARE = 0.3
"""More than usual, so that one day has enough of them."""


@pytest.fixture(scope="module")
def friday() -> Street:
    """A day on which the street is far too small."""
    return load_street("c250stress", day=5, strategy=HONEST, settings=COARSE)


@pytest.fixture(scope="module")
def honest(friday: Street) -> PlayedRun:
    """That day when everyone is honest."""
    return run_played(_nobody(friday))


def _nobody(street: Street) -> PlayedStreet:
    return PlayedStreet.honest(street, np.zeros(len(street.sessions.session_id), dtype=bool))


def test_the_honest_run_is_the_run_that_everybody_knows(honest):
    known = run("c250stress", day=5, strategy=HONEST, engine="fleet", settings=COARSE).summary
    assert honest.cost_nanos.sum() == known["waiting_cost_nanos"]
    assert honest.earned_nanos.sum() == pytest.approx(known["paid_nanos"] + known["rent_open_nanos"], abs=1_000)
    assert honest.short.sum() == known["sessions_short"]


def test_a_phantom_is_paid_exactly_nothing_though_it_sells(friday, honest):
    outcome = play(BY_NAME["phantom"], friday, honest, SHARE)
    assert outcome.cars > 10
    assert outcome.payments_ratio > 1.1, "it was called and bought from: others are paid more for it"
    assert outcome.invented_paid_iota == 0


@pytest.mark.parametrize("name", ["replug", "stall", "false urgency"])
def test_it_earns_a_car_less_than_being_honest(friday, honest, name):
    outcome = play(BY_NAME[name], friday, honest, SHARE)
    assert outcome.honest_iota > 0
    assert outcome.utility_iota < outcome.honest_iota
    assert outcome.short == 0


def test_all_at_the_reserve_cost_the_site_at_most_four_and_a_half_times_as_much(friday, honest):
    outcome = play(BY_NAME["ring"], friday, honest, 1.0)
    assert 1 < outcome.payments_ratio <= 4.5


def test_whoever_crawls_is_paid_longer_and_whoever_stalls_is_not(friday, honest):
    """The clock of a car that draws 6 A goes on; that of one that draws nothing stops."""
    crawls, stalls = (play(BY_NAME[name], friday, honest, 1.0) for name in ("crawl", "stall"))
    assert crawls.gain_iota > 0 > stalls.gain_iota
    assert crawls.payments_ratio > 1.05


@pytest.mark.parametrize("game", MANIPULATIONS, ids=lambda game: game.name)
def test_only_the_cars_that_play_say_what_is_not_true(friday, honest, game):
    sessions = friday.sessions
    plays = np.arange(len(sessions.session_id)) % 4 == 0
    played = game.play(PlayedStreet.honest(friday, plays), honest.peaks)
    after, rows = played.street.sessions, len(plays)
    for column in ("energy_ws", "arrival_tick", "departure_tick", "stated_departure_ms"):
        assert (getattr(after, column)[:rows] == getattr(sessions, column))[~plays].all(), column
    assert played.plays[rows:].all()
    assert not (played.stalls | played.crawls)[~played.plays].any()
    assert (after.arrival_tick < after.departure_tick).all()
    assert len(set(after.session_id)) == len(after.session_id)


def test_only_the_phantom_itself_asks_nothing(friday, honest):
    truth = PlayedStreet.honest(friday, np.ones(len(friday.sessions.session_id), dtype=bool))
    played = BY_NAME["phantom"].play(truth, honest.peaks)
    names = np.array(played.street.sessions.session_id)
    assert all(name.endswith("+phantom") for name in names[played.asking])
    assert played.asking.sum() == len(truth.plays)
    assert not played.real_ws[played.asking].any()


def test_a_car_draws_what_it_really_needs_and_no_more():
    street = street_of([Stay(0, 400, 20 * WS_PER_KWH)], 400)
    played = replace(_nobody(street), real_ws=np.array([5 * WS_PER_KWH]))
    world = PlayedWorld(played)
    world.arrive(0)
    for tick in range(400):
        charging = world.charging(tick)
        world.move(charging, charging.wanted_w, np.zeros(1, dtype=np.int64))
    assert world.imported_ws.tolist() == [5 * WS_PER_KWH]
    assert world.really_missing_ws.tolist() == [0]
    assert world.waited_ws.tolist() == [0], "it was never hindered"


def test_who_plugs_in_again_goes_on_from_its_battery_with_a_new_baseline():
    street = street_of([Stay(0, 10, 20 * WS_PER_KWH), Stay(10, 400, 20 * WS_PER_KWH)], 400)
    played = replace(_nobody(street), continues=np.array([-1, 0]))
    world = PlayedWorld(played)
    nothing = np.zeros(1, dtype=np.int64)
    world.arrive(0)
    for tick in range(10):
        world.move(world.charging(tick), nothing, nothing)
    world.leave(10)
    world.arrive(10)
    assert world.remaining_ws[1] == world.baseline_ws[1] == 20 * WS_PER_KWH
    world.move(world.charging(10), nothing, nothing)
    assert world.waited_ws[1] == 10 * 11_000 * 30, "its owner has waited since it first plugged in"


def test_a_street_of_several_feeders_and_odd_numbers_are_refused(tmp_path):
    with pytest.raises(InputError, match="--seeds 0"):
        play_games("demo", seeds=0)
    with pytest.raises(InputError, match=r"--share 1\.5: a share"):
        play_games("demo", seeds=1, share=1.5)


def test_asking_more_pays_where_each_is_paid_its_ask_and_nowhere_does_it_under_vcg():
    """Gain of a car in IOTA, on one day of one seed."""
    lies = [BY_NAME["asks more"], BY_NAME["asks less"]]

    def gains(clearing: str) -> list[float]:
        rule = [*COARSE, f"transformer.clearing={clearing}"]
        outcomes = play_games("c250stress", seeds=1, day=5, games=lies, settings=rule)
        return [outcome.gain_iota for outcome in outcomes]

    assert gains("pay-as-bid")[0] > 0.05
    assert max(gains("vcg")) < 0.01
