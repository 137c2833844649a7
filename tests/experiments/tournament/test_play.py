"""A tournament fills its table from real runs of every mix."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import smalltown

from wattswap.experiments import run
from wattswap.experiments.paired import holm
from wattswap.experiments.tournament.play import Tournament, tournament
from wattswap.protocol.errors import InputError

NAMES = ("need", "keep")


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return smalltown.found(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="module")
def played(scenario: Path) -> Tournament:
    return tournament(str(scenario), NAMES, players=3, seeds=2, jobs=1)


def test_the_table_has_what_cars_of_each_strategy_gain_in_runs_of_each_mix(scenario: Path, played: Tournament):
    assert set(played.game.payoff) == {(3, 0), (2, 1), (1, 2), (0, 3)}
    figures = [run(scenario, strategy="need:2+keep:1", seed=seed, engine="fleet").summary for seed in (1, 2)]
    gains = [each["by_strategy"][name]["gain_iota"] for name in NAMES for each in figures]
    assert played.game.payoff[2, 1] == pytest.approx([sum(gains[:2]) / 2, sum(gains[2:]) / 2])


def test_standings_say_what_each_gains_alone_and_among_others(played: Tournament):
    standing = {each.strategy: each for each in played.standings}
    assert standing["need"].alone_iota == played.game.payoff[3, 0][0]
    assert standing["keep"].first_iota == played.game.payoff[2, 1][1]
    assert sum(each.alpha for each in played.standings) == pytest.approx(1)
    assert [each.alpha for each in played.standings] == sorted((e.alpha for e in played.standings), reverse=True)
    assert all(each.regret_iota >= 0 for each in played.standings)


def test_what_it_gains_to_leave_a_strategy_is_taken_in_pairs_of_one_seed(scenario: Path, played: Tournament):
    leaves, back = played.deviations
    assert (leaves.resident, leaves.mutant, leaves.pairs) == ("need", "keep", 2)
    assert (back.resident, back.mutant, back.pairs) == ("keep", "need", 2)
    beside = [
        run(scenario, strategy="need:2+keep:1", seed=seed, engine="fleet").summary["by_strategy"]["keep"]["gain_iota"]
        - run(scenario, strategy="need", seed=seed, engine="fleet").summary["by_strategy"]["need"]["gain_iota"]
        for seed in (1, 2)
    ]
    assert leaves.mean_iota == pytest.approx(sum(beside) / 2)
    assert leaves.low_iota <= leaves.mean_iota <= leaves.high_iota
    assert [leaves.p_holm, back.p_holm] == holm([leaves.p, back.p])
    assert None not in (leaves.p, back.p)


@pytest.mark.parametrize(
    ("names", "players", "says"),
    [
        (["need"], 4, "a tournament is of 2 to 5 strategies, not of 1"),
        (["need", "need"], 4, "not of 1"),
        (["need", "keep:0.5+need:0.5"], 4, "is a mix, and a tournament makes all mixes itself"),
        (["need", "nede"], 4, "unknown strategy 'nede'; the nearest is 'need'"),
        (["need", "keep"], 1, "--players 1: choose 2 to 12"),
    ],
)
def test_what_cannot_meet_is_one_line(scenario: Path, names: list[str], players: int, says: str):
    with pytest.raises(InputError) as refused:
        tournament(str(scenario), names, players=players, jobs=1)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
