"""Draws: luck is a pure function of (seed, agent, purpose, window), so that order and company mean nothing."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.protocol.draws import Draws, _mixed, agent_key, agent_keys, draw, uniform
from wattswap.protocol.units import Purpose

words = st.integers(0, (1 << 64) - 1)
seeds = st.integers()
windows = st.integers(0, 1 << 40)


def test_the_mixing_is_splitmix64() -> None:
    """The first outputs of the reference implementation seeded with 0 and with 1234567."""
    golden, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1
    for seed, outputs in (
        (0, (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)),
        (1234567, (6457827717110365317, 3203168211198807973, 9817491932198370423)),
    ):
        states = np.array([(seed + n * golden) & mask for n in range(3)], dtype=np.uint64)
        assert _mixed(states).tolist() == list(outputs)


@given(seeds, st.lists(words, min_size=1, max_size=5), windows, st.integers(0, 100))
def test_a_draw_is_the_same_for_plain_integers_by_hand(seed: int, agents: list[int], window: int, index: int) -> None:
    """The same four mixings in Python's own integers, which cannot overflow."""
    mask = (1 << 64) - 1

    def mixed(state: int) -> int:
        state = (state + 0x9E3779B97F4A7C15) & mask
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
        state = (state ^ state >> 27) * 0x94D049BB133111EB & mask
        return state ^ state >> 31

    drawn = draw(seed, agents, Purpose.TIE, window, index)
    for agent, bits in zip(agents, drawn.tolist(), strict=True):
        assert bits == mixed(mixed(mixed(mixed(seed & mask) ^ agent) ^ (Purpose.TIE << 32 | index)) ^ window)


@given(seeds, st.lists(words, min_size=2, max_size=20), windows, st.data())
def test_one_more_car_changes_nobodys_luck(seed: int, agents: list[int], window: int, data: st.DataObject) -> None:
    some = data.draw(st.lists(st.sampled_from(range(len(agents))), min_size=1))
    together = draw(seed, agents, Purpose.ASK, window)
    assert draw(seed, [agents[i] for i in some], Purpose.ASK, window).tolist() == together[some].tolist()


@given(seeds, st.lists(words, min_size=1, max_size=4), st.lists(windows, min_size=1, max_size=4))
def test_agents_and_windows_are_drawn_in_one_call_or_one_by_one(
    seed: int, agents: list[int], moments: list[int]
) -> None:
    together = draw(seed, np.array(agents, dtype=np.uint64)[:, None], Purpose.NOISE, np.array(moments))
    assert together.tolist() == [
        [int(draw(seed, agent, Purpose.NOISE, window)) for window in moments] for agent in agents
    ]


def test_seed_agent_purpose_window_and_index_each_make_a_difference() -> None:
    base = (1, 2, Purpose.TIE, 3, 4)
    others = [(5, 2, Purpose.TIE, 3, 4), (1, 5, Purpose.TIE, 3, 4), (1, 2, Purpose.ASK, 3, 4)]
    others += [(1, 2, Purpose.TIE, 5, 4), (1, 2, Purpose.TIE, 3, 5)]
    assert len({int(draw(*arguments)) for arguments in (base, *others)}) == 6


def test_seed_agent_and_window_cannot_change_places() -> None:
    assert len({int(draw(a, b, Purpose.TIE, c)) for a, b, c in ((1, 2, 3), (2, 1, 3), (3, 2, 1), (1, 3, 2))}) == 4


@pytest.mark.parametrize(("bits", "number"), [(0, 0.0), (1 << 63, 0.5), (3 << 62, 0.75), ((1 << 64) - 1, 1 - 2**-53)])
def test_bits_become_exact_numbers_below_one(bits: int, number: float) -> None:
    assert uniform(np.array([bits], dtype=np.uint64)).tolist() == [number]


def test_draws_are_spread_evenly() -> None:
    """20,000 draws in ten boxes of 2,000: a chi-square of 9 degrees of freedom passes 28 once in a thousand."""
    agents = np.arange(20_000, dtype=np.uint64)
    for by in (draw(1, agents, Purpose.TIE), draw(1, 7, Purpose.TIE, np.arange(20_000))):
        boxes = np.bincount((uniform(by) * 10).astype(int), minlength=10)
        assert ((boxes - 2_000) ** 2 / 2_000).sum() < 28


def test_neighbouring_agents_and_windows_draw_independently() -> None:
    agents = np.arange(20_000, dtype=np.uint64)
    drawn = uniform(draw(1, agents, Purpose.TIE))
    for other in (uniform(draw(1, agents, Purpose.TIE, 1)), uniform(draw(1, agents, Purpose.ASK)), np.roll(drawn, 1)):
        assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.03


def test_an_agents_key_is_the_same_on_every_machine() -> None:
    assert agent_key("A400/17") == int.from_bytes(blake2b(b"A400/17", digest_size=8).digest(), "big")
    assert agent_key("a") != agent_key("b")


def test_keys_of_many_agents_are_those_of_each() -> None:
    names = ["vehicle/C021~2", "Zürich.C001", ""]
    assert agent_keys(names).tolist() == [agent_key(name) for name in names]
    assert agent_keys([]).shape == (0,)


def test_a_purpose_once_given_a_number_keeps_it() -> None:
    """The number is part of what a seed means: another one, and every recorded run changes."""
    numbers = {purpose.name: purpose.value for purpose in Purpose}
    first = {"NOISE": 1, "STRATEGY": 2, "TIE": 3, "ASK": 4, "WAITING_COST": 5, "DEPARTURE": 6}
    assert first.items() <= numbers.items()


# -- what a strategy is handed ----------------------------------------------------------------------------------------

KEYS = np.array([11, 22, 33], dtype=np.uint64)


def test_each_call_is_a_fresh_draw_of_the_window() -> None:
    draws = Draws(1, KEYS, window=5)
    first, second = draws.uniform(), draws.uniform()
    assert (first != second).all()
    again = Draws(1, KEYS, window=5)
    assert again.uniform().tolist() == first.tolist()
    assert again.uniform().tolist() == second.tolist()
    assert (Draws(1, KEYS, window=6).uniform() != first).all()


def test_a_trait_is_the_same_in_every_window_whatever_else_was_drawn() -> None:
    draws = Draws(1, KEYS, window=5)
    draws.uniform()
    trait = draws.constant(Purpose.WAITING_COST, 5, 50)
    assert trait.tolist() == Draws(1, KEYS, window=99).constant(Purpose.WAITING_COST, 5, 50).tolist()
    assert ((trait >= 5) & (trait < 50)).all()


@given(seeds, st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_a_draw_lies_between_its_bounds(seed: int, low: float, width: float) -> None:
    drawn = Draws(seed, KEYS, window=0).uniform(low, low + width)
    assert ((drawn >= low) & (drawn <= low + width)).all()


def test_a_car_draws_the_same_alone_as_in_company() -> None:
    together = Draws(1, KEYS, window=5).uniform(0.9, 1.1)
    alone = [Draws(1, KEYS[[i]], window=5).uniform(0.9, 1.1)[0] for i in range(3)]
    assert together.tolist() == alone
