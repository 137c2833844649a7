"""The shape of the table of a round. That the agents keep to it is tested in ``tests/agents/test_the_table.py``."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattswap.protocol import round as round_of
from wattswap.protocol.errors import ProtocolError, RemoteProtocolError
from wattswap.protocol.round import TABLE, Input, Part, State, advance, hear

CHANGES = {(state, said, to) for state, row in TABLE.items() for said, to in row.items() if to is not state}
"""Every line of the table that leads elsewhere."""

LATE = {(state, Input.AWARD, State.ENDED) for state in (State.IDLE, State.KEPT, State.LAPSED)}
"""The awards that find no open offer."""


def test_every_state_has_its_row() -> None:
    assert set(TABLE) == set(State)


@given(st.sampled_from(State), st.sampled_from(Input))
def test_what_is_not_in_the_table_is_refused_as_ours_or_as_a_peers(state: State, said: Input) -> None:
    if said in TABLE[state]:
        assert advance(state, said) is hear(state, said) is TABLE[state][said]
        return
    problem = f"^{said.name} is not possible in a round that is {state.name}$"
    with pytest.raises(ProtocolError, match=problem) as ours:
        advance(state, said)
    assert not isinstance(ours.value, RemoteProtocolError)
    with pytest.raises(RemoteProtocolError, match=problem):
        hear(state, said)


def test_only_a_settled_part_has_no_way_out() -> None:
    assert {state for state, _, _ in CHANGES} == set(State) - {State.SETTLED}


@pytest.mark.parametrize("state", State)
def test_every_part_can_still_be_settled(state: State) -> None:
    """So no award, however late, keeps its tokens reserved for ever."""
    reached, todo = {state}, [state]
    while todo:
        more = set(TABLE[todo.pop()].values()) - reached
        reached |= more
        todo.extend(more)
    assert State.SETTLED in reached


@pytest.mark.parametrize(("state", "said", "to"), sorted(CHANGES, key=str))
def test_a_repeat_of_what_led_here_stays_here(state: State, said: Input, to: State) -> None:
    assert TABLE[state][said] is to
    assert TABLE[to].get(said, to) is to


def test_the_picture_shows_the_table() -> None:
    """Every arrow drawn is in the table, which holds beside them the awards that find no open offer, and repeats."""
    assert drawn() | LATE == CHANGES
    assert not drawn() & LATE


def test_a_part_is_written_as_its_round_and_session() -> None:
    assert str(Part(0, 5, 7)) == "0.5/7"


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
