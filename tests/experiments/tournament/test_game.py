"""What game theory reads from a table of payoffs, against games whose answers are in every textbook."""

from __future__ import annotations

from math import exp, isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.experiments.tournament.game import Game, alpha_rank, compositions, fixation


def pairwise(matrix: list[list[float]], players: int = 2) -> Game:
    """Players who meet each other in pairs: each earns the mean of its meetings."""
    kinds = len(matrix)
    payoff = {}
    for counts in compositions(players, kinds):
        row = []
        for mine in range(kinds):
            others = [count - (at == mine) for at, count in enumerate(counts)]
            met = sum(matrix[mine][at] * count for at, count in enumerate(others))
            row.append(met / (players - 1) if counts[mine] else float("nan"))
        payoff[counts] = row
    return Game([f"s{at}" for at in range(kinds)], players, payoff)


HAWK_DOVE = pairwise([[-1.0, 2.0], [0.0, 1.0]])
"""V = 2, C = 4 (Maynard Smith, Evolution and the Theory of Games, 1982): half hawks."""
DILEMMA = pairwise([[3.0, 0.0], [5.0, 1.0]], players=6)
"""Cooperate, defect."""
COORDINATION = pairwise([[2.0, 0.0], [0.0, 1.0]])
ROCK_PAPER_SCISSORS = pairwise([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], players=5)


def test_compositions_are_all_ways_to_choose():
    assert sorted(compositions(2, 2)) == [(0, 2), (1, 1), (2, 0)]
    assert len(compositions(4, 3)) == 15
    assert all(sum(counts) == 4 for counts in compositions(4, 3))


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.integers(2, 6))
def test_in_pairwise_games_the_population_is_met_in_its_shares(weights: list[float], players: int):
    shares = np.array(weights) / sum(weights)
    matrix = [[1.0, 4.0, -2.0], [0.0, 3.0, 5.0], [2.0, 2.0, 1.0]]
    expected = pairwise(matrix, players).expected(shares)
    np.testing.assert_allclose(expected, np.array(matrix) @ shares, atol=1e-9)


def test_hawks_and_doves_come_to_rest_at_half_from_anywhere():
    assert HAWK_DOVE.basins() == {(0.5, 0.5): pytest.approx(1.0)}
    assert HAWK_DOVE.regret(np.array([0.5, 0.5])) == pytest.approx(0)
    assert HAWK_DOVE.regret(np.array([0.0, 1.0])) == pytest.approx(1), "a hawk among doves gains V - V/2"


def test_everybody_defects():
    assert list(DILEMMA.basins()) == [(0.0, 1.0)]
    assert DILEMMA.regret(np.array([0.0, 1.0])) == pytest.approx(0)
    assert DILEMMA.regret(np.array([1.0, 0.0])) == pytest.approx(2)
    assert alpha_rank(DILEMMA) == pytest.approx([0, 1], abs=1e-6)


def test_where_two_conventions_hold_the_better_one_attracts_more():
    """The better one wins from where more than a third follow it; a third itself stays where it is."""
    basins = COORDINATION.basins(grid=12)
    assert basins[1.0, 0.0] == pytest.approx(7 / 11)
    assert basins[0.0, 1.0] == pytest.approx(3 / 11)


def test_rock_paper_and_scissors_hold_a_third_each():
    assert alpha_rank(ROCK_PAPER_SCISSORS) == pytest.approx([1 / 3] * 3)
    assert ROCK_PAPER_SCISSORS.regret(np.full(3, 1 / 3)) == pytest.approx(0)


@pytest.mark.parametrize("players", [2, 5, 10])
def test_a_mutant_without_a_gain_takes_over_by_chance_alone(players: int):
    assert fixation([0.0] * (players - 1)) == pytest.approx(1 / players)


@given(st.floats(-3, 3), st.integers(2, 12))
def test_a_constant_gain_has_a_closed_form(gain: float, players: int):
    """(1 - exp(-g)) / (1 - exp(-N g)), as Kimura's for weak selection (Nowak, Evolutionary Dynamics, 2006)."""
    if abs(gain) < 1e-3:
        return
    closed = (1 - exp(-gain)) / (1 - exp(-players * gain))
    assert isclose(fixation([gain] * (players - 1)), closed, rel_tol=1e-6)


def test_equal_strategies_share_the_time():
    same = pairwise([[1.0, 1.0, 1.0]] * 3, players=4)
    assert alpha_rank(same) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]],
        [[3.0, 0.0, 1.0], [5.0, 1.0, 0.0], [2.0, 2.5, 2.0]],
        [[-1.0, 2.0], [0.0, 1.0]],
    ],
)
def test_alpha_rank_is_what_open_spiel_finds(matrix: list[list[float]]):
    """A population of 10 that meets in pairs, by the alpha-rank of its authors (runs where open_spiel is installed)."""
    alpharank = pytest.importorskip("open_spiel.python.egt.alpharank")
    alpha, game = 1.5, pairwise(matrix, players=10)
    _, _, expected, *_ = alpharank.compute([np.array(matrix)], m=10, alpha=alpha, use_local_selection_model=False)
    cells = [earned for counts, row in game.payoff.items() for earned, n in zip(row, counts, strict=True) if n]
    assert alpha_rank(game, alpha * (max(cells) - min(cells))) == pytest.approx(expected, abs=1e-9)
