"""What the trial of a strategy lets pass as rounding, and what it does not: learners in rounds of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from wattswap.agents.offers import OfferBook, StrategyError
from wattswap.agents.strategies import check_elementwise, truthful
from wattswap.agents.strategies.elementwise import NEIGHBOURS, sample_cars
from wattswap.agents.strategies.learning import LearningStrategy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wattswap.agents.offers import Call, Memory, Outcome, Own, Strategy
    from wattswap.protocol.draws import Draws

RANDOM = np.random.default_rng(1)
INTO, OUT = RANDOM.normal(size=(4, 64)), RANDOM.normal(size=(64, 1))


def matmul(x: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.floating]:
    return x @ weights


def einsum(x: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.floating]:
    product: NDArray[np.floating] = np.einsum("ij,jk->ik", x, weights)
    return product


def net(kind: type, product: Callable[..., NDArray[np.floating]]) -> Strategy:
    """A small neural network, whose rows numpy may add up in another order when there are more of them."""
    into: NDArray[np.floating] = INTO.astype(kind)
    out: NDArray[np.floating] = OUT.astype(kind)

    def strategy(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        columns = own.wanted_w / 1e4, own.laxity_ms / 3e7, own.remaining_ws / 7e7, own.waiting_nanos_per_kwh_h / 5e8
        hidden = np.tanh(product(np.stack(columns, axis=1).astype(kind), into))
        return OfferBook.keep(own).reduce(0, 1e9 / (1 + np.exp(-product(hidden, out)[:, 0])))

    return strategy


def learner(learn: Callable[[Memory, Outcome], Memory], columns: int = 1) -> LearningStrategy:
    return LearningStrategy("mine", truthful, lambda memory, own, outcome, draws: learn(memory, outcome), columns)


def test_a_net_in_float64_passes_however_numpy_adds_up_its_rows() -> None:
    check_elementwise(net(np.float64, matmul), sample_cars(50))


def test_a_net_in_float32_passes_with_einsum() -> None:
    check_elementwise(net(np.float32, einsum), sample_cars(50))


@pytest.mark.parametrize("columns", [64, 200])
def test_a_learner_that_multiplies_its_memory_passes(columns: int) -> None:
    weights = RANDOM.normal(size=(columns, columns)) / columns
    check_elementwise(learner(lambda memory, outcome: np.tanh(memory @ weights), columns), sample_cars(50))


@pytest.mark.parametrize(
    ("more", "cure"), [(2, "; if by rounding alone, multiply with np.einsum or compute in float64"), (100_000, "")]
)
def test_an_ask_that_differs_by_more_than_float64_rounds_is_refused_with_the_cure_if_it_may_be_rounding(
    more: int, cure: str
) -> None:
    """Of 0.2 IOTA two nanos, as float32 may, or 100,000, which are no rounding."""

    def strategy(call: Call, own: Own, memory: Memory, draws: Draws) -> OfferBook:
        return OfferBook.keep(own).reduce(0, np.full(len(own), 200_000_000 + more * (len(own) > 1)))

    with pytest.raises(StrategyError) as caught:
        check_elementwise(strategy)
    assert caught.value.problem == f"answers {NEIGHBOURS}{cure}"


@pytest.mark.parametrize(
    "learn",
    [
        lambda memory, outcome: memory + outcome.award_w.sum() * (outcome.from_ms > 0),
        lambda memory, outcome: np.where(outcome.price_nanos_per_kwh_h[:, np.newaxis] == 0, memory.mean(), memory),
        lambda memory, outcome: np.where(outcome.award_w.any(axis=1, keepdims=True), memory, memory.max()),
    ],
    ids=["after the first round", "where nothing was paid", "where nothing was won"],
)
def test_a_learner_that_minds_its_neighbours_in_some_rounds_only_is_caught(
    learn: Callable[[Memory, Outcome], Memory],
) -> None:
    with pytest.raises(StrategyError, match="learns differently beside other cars"):
        check_elementwise(learner(learn))
