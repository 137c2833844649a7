"""Mixes: who follows which strategy, and how a mix is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.agents.offers import Strategy
from wattswap.agents.strategies import BUNDLED, altruist, keep, need, parse_mix, prosumer
from wattswap.protocol.draws import agent_key
from wattswap.protocol.errors import InputError

PEOPLE = np.array([agent_key(f"person {number}") for number in range(10_000)], dtype=np.uint64)


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("need", {"need": 1.0}),
        ("need:0.8+prosumer:0.2", {"need": 0.8, "prosumer": 0.2}),
        ("need:0.6+prosumer:0.2+keep:0.2", {"need": 0.6, "prosumer": 0.2, "keep": 0.2}),
        ("need+keep", {"need": 0.5, "keep": 0.5}),
        ("need:3+keep:1", {"need": 0.75, "keep": 0.25}),
        (" need : 1 + keep : 1 ", {"need": 0.5, "keep": 0.5}),
        ("keep:1e-9+altruist:1", {"keep": 0.0, "altruist": 1.0}),
    ],
)
def test_shares_come_out_among_ten_thousand_people(text: str, shares: dict[str, float]) -> None:
    mix = parse_mix(text)
    counts = np.bincount(mix.assign(1, PEOPLE), minlength=len(shares)) / len(PEOPLE)
    assert mix.names == tuple(shares)
    assert counts == pytest.approx(list(shares.values()), abs=0.02)


def test_the_same_person_keeps_its_strategy_whoever_else_takes_part() -> None:
    mix = parse_mix("need:0.6+prosumer:0.2+keep:0.2")
    everyone = mix.assign(1, PEOPLE)
    assert mix.assign(1, PEOPLE[::-1]).tolist() == everyone[::-1].tolist()
    assert mix.assign(1, PEOPLE[40:50]).tolist() == everyone[40:50].tolist()


def test_another_seed_deals_anew() -> None:
    mix = parse_mix("need+keep")
    assert 4_700 < (mix.assign(1, PEOPLE) != mix.assign(2, PEOPLE)).sum() < 5_300


def test_a_strategy_joining_last_takes_over_some_and_moves_nobody_else() -> None:
    """People sit on a line from 0 to 1; a mix cuts it. Cutting the last piece in two leaves the first alone."""
    before = parse_mix("need:0.6+keep:0.4").assign(1, PEOPLE)
    after = parse_mix("need:0.6+keep:0.3+altruist:0.1").assign(1, PEOPLE)
    assert (after[before == 0] == 0).all()
    assert set(after[before == 1].tolist()) == {1, 2}


@given(
    st.lists(st.tuples(st.sampled_from(list(BUNDLED)), st.floats(1e-3, 1e3)), min_size=1, max_size=6),
    st.integers(),
)
def test_everyone_follows_one_of_the_mix(parts: list[tuple[str, float]], seed: int) -> None:
    mix = parse_mix("+".join(f"{name}:{share}" for name, share in parts))
    assert mix.names == tuple(name for name, _ in parts)
    assert mix.strategies == tuple(BUNDLED[name] for name, _ in parts)
    numbers = mix.assign(seed, PEOPLE[:200])
    assert numbers.min() >= 0
    assert numbers.max() < len(parts)


def test_a_strategy_may_come_from_a_file_with_or_without_a_share() -> None:
    asked: list[str] = []

    def from_file(name: str) -> Strategy:
        asked.append(name)
        return keep

    mix = parse_mix("mine.py:patient:0.5+need:0.5+other.py:rash", from_file)
    assert asked == ["mine.py:patient", "other.py:rash"]
    assert mix.strategies == (keep, need, keep)
    assert mix.cumulated.tolist() == [0.25, 0.5, 1.0]


@pytest.mark.parametrize("name", ["nan", "inf", "infinity"])
def test_a_function_may_be_called_like_a_number(name: str) -> None:
    mix = parse_mix(f"mine.py:{name}+mine.py:{name}:3", lambda _: keep)
    assert mix.names == (f"mine.py:{name}", f"mine.py:{name}")
    assert mix.cumulated.tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ned", "unknown strategy 'ned'; the nearest is 'need' (bundled: need, keep, altruist, truthful, prosumer"),
        ("need:0.8+prosumr:0.2", "unknown strategy 'prosumr'; the nearest is 'prosumer'"),
        ("Altruist", "unknown strategy 'Altruist'; the nearest is 'altruist'"),
        ("???", "unknown strategy '???'; the nearest is"),
        ("need:", "unknown strategy 'need:'; the nearest is 'need'"),
        ("need:half", "unknown strategy 'need:half'; the nearest is 'need'"),
        ("mine.py:patient", "unknown strategy 'mine.py:patient'"),
        ("", "a name is missing; write for example need:0.8+prosumer:0.2"),
        ("need+", "a name is missing"),
        ("need++keep", "a name is missing"),
        (":0.5", "a name is missing"),
        ("0.5", "a name is missing"),
        ("need:0,8+keep:0,2", "write a point before decimals, need:0.8"),
        ("need:50%+keep:12.5 %", "a share is a plain number, write need:0.5"),
        ("keep:12.5 %", "write keep:0.125"),
        ("need:0", "the share of need must be a positive number like 0.8, not 0"),
        ("need:-1+keep:2", "the share of need must be a positive number like 0.8, not -1"),
        ("need:nan", "the share of need must be a positive number like 0.8, not nan"),
        ("need:1+keep:inf", "the share of keep must be a positive number like 0.8, not inf"),
    ],
)
def test_a_mix_that_cannot_be_read_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        parse_mix(text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_names_stand_for_the_bundled_functions() -> None:
    assert parse_mix("altruist+prosumer").strategies == (altruist, prosumer)
