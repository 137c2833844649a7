"""The agents keep to the table of a round: each is brought into each state, and moved by what it is told.

A line says how an agent comes into a state, what happens then, and which inputs of the table that stands for. Together
the lines of the three agents use every entry of the table, so none of it is a promise that nobody keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import pytest
from msgspec import structs
from tests.agents.charger import one_charger
from tests.agents.transformer import two_cars
from tests.agents.vehicle import one_car
from tests.agents.words import CALL, WORTH, award, delivered, happens, said_by, witnessed

from wattswap.agents.charger import Charger
from wattswap.agents.strategies import BUNDLED
from wattswap.agents.transformer import Transformer
from wattswap.agents.vehicle import Vehicle
from wattswap.protocol.codec import seal
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Event, Metered, Paid, Received, Unplugged, Woken
from wattswap.protocol.messages import BaseReport, Departed, Inner, Message, Receipt, Release
from wattswap.protocol.round import TABLE, Input, Part, State

Party = Vehicle | Charger | Transformer
Step = tuple[int, Event]
"""When something happens, and what."""

_S, _I = State, Input


class Line(NamedTuple):
    """An agent, how it comes into a state, what happens then, and what that is in the words of the table."""

    make: Callable[[], Party]
    part: Part
    before: tuple[Step, ...]
    state: State
    happens: Step
    inputs: tuple[Input, ...]


# -- the vehicle: its own answer follows a call at once, and its delivery what it has drawn back ----------------------


def heard(message: Message | Inner, now_ms: int = 30_000) -> Step:
    """Its charger passes a message on."""
    return now_ms, said_by("charger", message)


CALLED, AWARDED, RELEASED = heard(CALL), heard(award(7)), heard(Release(0, 0, 7))
LATE, RECEIPTED = heard(award(7), 300_000), heard(Receipt(0, 0, 7, WORTH))
WINDOW_OVER: Step = (300_000, structs.replace(one_car.REDUCED, tick=9))
DRAWN_BACK: Step = (1_230_000, one_car.BACK)
LEFT: Step = (60_000, one_car.LEAVE)
AN_AWARD = (CALLED, AWARDED)


def keeping() -> Vehicle:
    return one_car.at_work(strategy=BUNDLED["keep"])


def car(state: State, before: tuple[Step, ...], happens: Step, *inputs: Input) -> Line:
    make = keeping if state is _S.KEPT or _I.KEEP in inputs else one_car.at_work
    return Line(make, Part(0, 0, 7), before, state, happens, inputs)


VEHICLE = [
    car(_S.IDLE, (), CALLED, _I.CALL, _I.OFFER),
    car(_S.IDLE, (), CALLED, _I.CALL, _I.KEEP),
    car(_S.IDLE, (), AWARDED, _I.AWARD, _I.DELIVERY),
    car(_S.OFFERED, (CALLED,), CALLED, _I.CALL),
    car(_S.OFFERED, (CALLED,), AWARDED, _I.AWARD),
    car(_S.OFFERED, (CALLED,), LATE, _I.END, _I.AWARD, _I.DELIVERY),
    car(_S.OFFERED, (CALLED,), RELEASED, _I.END),
    car(_S.OFFERED, (CALLED,), LEFT, _I.END),
    car(_S.KEPT, (CALLED,), CALLED, _I.CALL),
    car(_S.KEPT, (CALLED,), AWARDED, _I.AWARD, _I.DELIVERY),
    car(_S.KEPT, (CALLED,), LEFT, _I.END),
    car(_S.AWARDED, AN_AWARD, CALLED, _I.CALL),
    car(_S.AWARDED, AN_AWARD, AWARDED, _I.AWARD),
    car(_S.AWARDED, AN_AWARD, RELEASED, _I.END, _I.DELIVERY),
    car(_S.AWARDED, AN_AWARD, LEFT, _I.END, _I.DELIVERY),
    car(_S.AWARDED, AN_AWARD, WINDOW_OVER, _I.END),
    car(_S.ENDED, (*AN_AWARD, WINDOW_OVER), CALLED, _I.CALL),
    car(_S.ENDED, (*AN_AWARD, WINDOW_OVER), AWARDED, _I.AWARD),
    car(_S.ENDED, (*AN_AWARD, WINDOW_OVER), RELEASED, _I.END),
    car(_S.ENDED, (*AN_AWARD, WINDOW_OVER), DRAWN_BACK, _I.DELIVERY),
    car(_S.ENDED, (*AN_AWARD, WINDOW_OVER), LEFT, _I.DELIVERY),
    car(_S.DELIVERED, (*AN_AWARD, RELEASED), CALLED, _I.CALL),
    car(_S.DELIVERED, (*AN_AWARD, RELEASED), AWARDED, _I.AWARD),
    car(_S.DELIVERED, (*AN_AWARD, RELEASED), RELEASED, _I.END),
    car(_S.DELIVERED, (*AN_AWARD, RELEASED), RECEIPTED, _I.RECEIPT),
    car(_S.SETTLED, (*AN_AWARD, RELEASED, RECEIPTED), CALLED, _I.CALL),
    car(_S.SETTLED, (*AN_AWARD, RELEASED, RECEIPTED), AWARDED, _I.AWARD),
    car(_S.SETTLED, (*AN_AWARD, RELEASED, RECEIPTED), RELEASED, _I.END),
    car(_S.SETTLED, (*AN_AWARD, RELEASED, RECEIPTED), RECEIPTED, _I.RECEIPT),
    car(_S.LAPSED, (CALLED, RELEASED), CALLED, _I.CALL),
    car(_S.LAPSED, (CALLED, RELEASED), AWARDED, _I.AWARD, _I.DELIVERY),
    car(_S.LAPSED, (CALLED, RELEASED), LEFT, _I.END),
]

# -- the charger: for it every part begins OFFERED, and the delivery is the car's claim, which it witnesses -----------


def passed(message: Message | Inner, now_ms: int = 30_000) -> Step:
    """The transformer says something to the charger."""
    return now_ms, said_by("transformer", message)


GIVEN, GIVEN_LATE, TAKEN = passed(award(7)), passed(award(7), 300_000), passed(Release(0, 0, 7))
CLAIMED: Step = (300_000, Received("car", seal(delivered(7, 30))))
PAID = passed(Receipt(0, 0, 7, WORTH))
UNPLUGGED: Step = (60_000, Unplugged(7, 1, 1))
OVER: Step = (300_000, Metered(7, 4_790, 0, 11_000, 4_790, 9))


def station(state: State, before: tuple[Step, ...], happens: Step, *inputs: Input) -> Line:
    return Line(one_charger.charger, Part(0, 0, 7), before, state, happens, inputs)


CHARGER = [
    station(_S.OFFERED, (), GIVEN, _I.AWARD),
    station(_S.OFFERED, (), GIVEN_LATE, _I.END, _I.AWARD),
    station(_S.AWARDED, (GIVEN,), GIVEN, _I.AWARD),
    station(_S.AWARDED, (GIVEN,), TAKEN, _I.END),
    station(_S.AWARDED, (GIVEN,), UNPLUGGED, _I.END),
    station(_S.AWARDED, (GIVEN,), OVER, _I.END),
    station(_S.ENDED, (GIVEN, OVER), GIVEN, _I.AWARD),
    station(_S.ENDED, (GIVEN, OVER), TAKEN, _I.END),
    station(_S.ENDED, (GIVEN, OVER), CLAIMED, _I.DELIVERY),
    station(_S.DELIVERED, (GIVEN, OVER, CLAIMED), GIVEN, _I.AWARD),
    station(_S.DELIVERED, (GIVEN, OVER, CLAIMED), TAKEN, _I.END),
    station(_S.DELIVERED, (GIVEN, OVER, CLAIMED), CLAIMED, _I.DELIVERY),
    station(_S.DELIVERED, (GIVEN, OVER, CLAIMED), PAID, _I.RECEIPT),
    station(_S.SETTLED, (GIVEN, OVER, CLAIMED, PAID), GIVEN, _I.AWARD),
    station(_S.SETTLED, (GIVEN, OVER, CLAIMED, PAID), UNPLUGGED, _I.END),
    station(_S.SETTLED, (GIVEN, OVER, CLAIMED, PAID), CLAIMED, _I.DELIVERY),
    station(_S.SETTLED, (GIVEN, OVER, CLAIMED, PAID), PAID, _I.RECEIPT),
]

# -- the transformer: the award is its own, and the receipt what its ledger says --------------------------------------


def told(sender: str, message: Message, now_ms: int = 0) -> Step:
    """A charger or a household says something to the transformer."""
    return now_ms, Received(sender, message)


WOKEN: Step = (0, Woken())
OFFERS, KEEPS = told("A", two_cars.offer(1, *two_cars.FULL_STOP)), told("A", two_cars.offer(1))
THE_OTHER_KEEPS = told("B", two_cars.offer(2))
LEAVES = told("A", Departed(1, 1, 1))
DARK: Step = (30_000, Received("homes", BaseReport(-3_400)))
RELEASES: Step = (30_000, Woken())
WITNESSED = told("A", witnessed(1, 1_863_000), 30_000)
CONFIRMED: Step = (30_000, Paid(1, 0, WORTH, 0))
WON = (WOKEN, OFFERS, THE_OTHER_KEEPS)


def feeder(state: State, before: tuple[Step, ...], happens: Step, *inputs: Input) -> Line:
    return Line(two_cars.street, Part(0, 0, 1), before, state, happens, inputs)


TRANSFORMER = [
    feeder(_S.IDLE, (), WOKEN, _I.CALL),
    feeder(_S.CALLED, (WOKEN,), OFFERS, _I.OFFER),
    feeder(_S.CALLED, (WOKEN,), KEEPS, _I.KEEP),
    feeder(_S.CALLED, (WOKEN,), LEAVES, _I.END),
    feeder(_S.OFFERED, (WOKEN, OFFERS), OFFERS, _I.OFFER),
    feeder(_S.OFFERED, (WOKEN, OFFERS), KEEPS, _I.KEEP),
    feeder(_S.OFFERED, (WOKEN, OFFERS), LEAVES, _I.END),
    feeder(_S.OFFERED, (WOKEN, OFFERS), THE_OTHER_KEEPS, _I.AWARD),
    feeder(_S.KEPT, (WOKEN, KEEPS), OFFERS, _I.OFFER),
    feeder(_S.KEPT, (WOKEN, KEEPS), KEEPS, _I.KEEP),
    feeder(_S.KEPT, (WOKEN, KEEPS), LEAVES, _I.END),
    feeder(_S.AWARDED, WON, LEAVES, _I.END),
    feeder(_S.AWARDED, (*WON, DARK), RELEASES, _I.END),
    feeder(_S.AWARDED, WON, WITNESSED, _I.DELIVERY),
    feeder(_S.ENDED, (*WON, DARK, RELEASES), WITNESSED, _I.DELIVERY),
    feeder(_S.DELIVERED, (*WON, WITNESSED), CONFIRMED, _I.RECEIPT),
    feeder(_S.SETTLED, (*WON, WITNESSED, CONFIRMED), CONFIRMED, _I.RECEIPT),
]

LINES = VEHICLE + CHARGER + TRANSFORMER


def name(line: Line) -> str:
    said = "+".join(said.name for said in line.inputs)
    return f"{line.make.__name__} {line.state.name} {said} by {type(line.happens[1]).__name__}"


@pytest.mark.parametrize("line", LINES, ids=name)
def test_an_agent_moves_its_part_by_the_table(line: Line) -> None:
    agent = line.make()
    for now_ms, event in line.before:
        happens(agent, event, now_ms)
    assert agent.state(line.part) is line.state
    now_ms, event = line.happens
    happens(agent, event, now_ms)
    assert agent.state(line.part) is reduce(lambda state, said: TABLE[state][said], line.inputs, line.state)


def test_the_agents_use_every_entry_of_the_table() -> None:
    used = set()
    for line in LINES:
        state = line.state
        for said in line.inputs:
            used.add((state, said))
            state = TABLE[state][said]
    assert used == {(state, said) for state, row in TABLE.items() for said in row}


@pytest.mark.parametrize("state", State)
def test_a_receipt_that_the_table_does_not_know_moves_nobody(state: State) -> None:
    """The only input that a peer could say too early; who hears it refuses it, or knows nothing of the award."""
    for line in VEHICLE + CHARGER:
        if line.state is not state or _I.RECEIPT in TABLE[state]:
            continue
        agent = line.make()
        for now_ms, event in line.before:
            happens(agent, event, now_ms)
        now_ms, receipt = PAID if line in CHARGER else RECEIPTED
        if state in {_S.AWARDED, _S.ENDED}:
            with pytest.raises(RemoteProtocolError, match="RECEIPT is not possible"):
                agent.handle(receipt, now_ms)
        else:
            happens(agent, receipt, now_ms)
        assert agent.state(line.part) is state


@pytest.mark.parametrize("other", [Part(1, 0, 7), Part(0, 5, 7), Part(0, 0, 8)], ids=str)
def test_what_is_said_of_another_part_moves_nobody(other: Part) -> None:
    for agent, by in ((one_car.awarded(), "charger"), (one_charger.charger(award(7)), "transformer")):
        for message in (Release(*other), Receipt(*other, WORTH)):
            happens(agent, said_by(by, message), 30_000)
        assert agent.state(Part(0, 0, 7)) is _S.AWARDED


def test_an_award_of_an_older_round_has_ended_when_it_comes_after_a_newer_one() -> None:
    newer = structs.replace(CALL, tick=5)
    agent = one_car.at_work(CALL, newer, structs.replace(award(7), tick=5))
    assert agent.state(Part(0, 0, 7)) is _S.LAPSED
    happens(agent, said_by("charger", award(7)), 30_000)
    assert (agent.state(Part(0, 0, 7)), agent.state(Part(0, 5, 7))) == (_S.DELIVERED, _S.AWARDED)
