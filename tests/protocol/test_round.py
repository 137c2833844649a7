"""The table of a round's states: where it can go, where it ends, and that a repeat never moves it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.protocol import round as round_of
from wattswap.protocol.errors import ProtocolError
from wattswap.protocol.round import FINAL, TABLE, Input, State, advance

states = st.sampled_from(State)
inputs = st.sampled_from(Input)

CHANGES = {(state, said, to) for state, row in TABLE.items() for said, to in row.items() if to is not state}
"""Every line of the table that leads elsewhere."""


def walked(said: Iterable[Input]) -> State:
    state = State.IDLE
    for one in said:
        state = advance(state, one)
    return state


@given(states, inputs)
def test_any_input_in_any_state_leads_to_a_known_state_or_is_refused(state: State, said: Input) -> None:
    if said in TABLE[state]:
        assert advance(state, said) in State
        return
    with pytest.raises(ProtocolError, match=f"^{said.name} is not possible in a round that is {state.name}$"):
        advance(state, said)


def test_every_state_has_its_row() -> None:
    assert set(TABLE) == set(State)


@given(st.sampled_from([state for state in State if state in FINAL]), inputs)
def test_nothing_leads_out_of_a_final_state(state: State, said: Input) -> None:
    with suppress(ProtocolError):
        assert advance(state, said) is state


def test_only_final_states_have_no_way_out() -> None:
    assert {state for state, _, _ in CHANGES} == set(State) - FINAL


def test_every_state_can_be_reached_from_idle() -> None:
    assert reached_from(State.IDLE) == set(State)


@pytest.mark.parametrize("state", [state for state in State if state not in FINAL])
def test_every_open_state_can_come_to_an_end(state: State) -> None:
    assert reached_from(state) & FINAL


@pytest.mark.parametrize(("state", "said", "to"), sorted(CHANGES, key=str))
def test_a_repeat_of_what_led_here_stays_here(state: State, said: Input, to: State) -> None:
    assert advance(state, said) is to
    assert advance(to, said) is to


@given(st.lists(inputs, max_size=12), st.data())
def test_however_often_things_are_said_again_at_once_the_round_ends_the_same(
    said: list[Input], data: st.DataObject
) -> None:
    """Any honest walk, with every step doubled, tripled, ..., ends where the plain walk ends."""
    honest: list[Input] = []
    for one in said:
        if one in TABLE[walked(honest)]:
            honest.append(one)
    repeated = [one for one in honest for _ in range(data.draw(st.integers(1, 3)))]
    assert walked(repeated) is walked(honest)


@given(st.lists(inputs, max_size=20))
def test_a_call_may_come_late_to_any_round(said: list[Input]) -> None:
    """A call that the network held back finds its round wherever it is, and moves only one that is idle."""
    state = State.IDLE
    for one in said:
        state = TABLE[state].get(one, state)
        assert advance(state, Input.CALL) is (State.CALLED if state is State.IDLE else state)


@pytest.mark.parametrize("state", State)
def test_a_window_may_end_in_any_state(state: State) -> None:
    assert advance(state, Input.END) in FINAL | {State.ENDED, State.DELIVERED}


@pytest.mark.parametrize(
    "said", [Input.CALL, Input.OFFER, Input.KEEP, Input.AWARD, Input.PASS, Input.DEADLINE, Input.END]
)
def test_what_comes_after_the_deadline_finds_the_round_lapsed_and_binds_nobody(said: Input) -> None:
    assert advance(State.LAPSED, said) is State.LAPSED


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.IDLE, Input.OFFER),
        (State.IDLE, Input.AWARD),
        (State.CALLED, Input.AWARD),
        (State.KEPT, Input.AWARD),
        (State.KEPT, Input.OFFER),
        (State.OFFERED, Input.KEEP),
        (State.OFFERED, Input.DELIVERY),
        (State.AWARDED, Input.RECEIPT),
        (State.ENDED, Input.RECEIPT),
        (State.LAPSED, Input.DELIVERY),
        (State.LAPSED, Input.RECEIPT),
    ],
)
def test_what_no_honest_peer_says_is_refused(state: State, said: Input) -> None:
    with pytest.raises(ProtocolError, match=f"{said.name} is not possible in a round that is {state.name}"):
        advance(state, said)


def test_the_straight_way_of_a_round() -> None:
    said = (Input.CALL, Input.OFFER, Input.AWARD, Input.END, Input.DELIVERY, Input.RECEIPT)
    assert [walked(said[: n + 1]) for n in range(len(said))] == [
        State.CALLED,
        State.OFFERED,
        State.AWARDED,
        State.ENDED,
        State.DELIVERED,
        State.SETTLED,
    ]


def test_the_picture_shows_the_table() -> None:
    """Every arrow drawn is in the table; of what is in the table, the picture leaves out only lapsing by END."""
    lapses = {(state, Input.END, State.LAPSED) for state in (State.IDLE, State.CALLED, State.OFFERED)}
    assert drawn() | lapses == CHANGES
    assert not drawn() & lapses


def reached_from(state: State) -> set[State]:
    reached, todo = {state}, [state]
    while todo:
        more = set(TABLE[todo.pop()].values()) - reached
        reached |= more
        todo.extend(more)
    return reached


def drawn() -> set[tuple[State, Input, State]]:
    """The arrows of the docstring's picture: along its first line, and branching off below a state."""
    assert round_of.__doc__ is not None
    top, *below = [line for line in round_of.__doc__.splitlines() if "─" in line]
    places = [(match.start(), match.end(), State[match[0]]) for match in re.finditer("[A-Z]+", top)]
    labels = [Input[match[1].upper()] for match in re.finditer("─([a-z]+)→", top)]
    arrows = {
        (here, label, there) for (_, _, here), label, (_, _, there) in zip(places, labels, places[1:], strict=False)
    }
    for line in below:
        for branch in re.finditer("[├└]─+([a-z]+)─*(?:→ ([A-Z]+)|(↗))", line):
            into = State[branch[2]] if branch[2] else nearest(places, branch.end() - 1)
            arrows.add((nearest(places, branch.start()), Input[branch[1].upper()], into))
    return arrows


def nearest(places: list[tuple[int, int, State]], column: int) -> State:
    """The state of the first line that stands over this column, or closest to it."""
    return min(places, key=lambda place: max(place[0] - column, column - place[1] + 1, 0))[2]
