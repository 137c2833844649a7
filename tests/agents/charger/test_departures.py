"""What a charger does when its car leaves, and what it still does for cars that have left."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.charger.one_charger import (
    AWARD,
    CLAIM,
    LEAVE,
    LEFT,
    NEXT,
    OFFER,
    PLUG,
    REDUCED,
    STATUS,
    charger,
    claim_after,
    claimed,
    does,
    empty,
    grant,
    tell,
)
from tests.agents.words import remembered

from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Forget, Send, SetPower
from wattswap.protocol.events import Event, Metered, Received, Unplugged, Woken
from wattswap.protocol.messages import (
    DEPARTED,
    MANDATE,
    Ack,
    Departed,
    Message,
    Release,
)


def test_when_the_car_leaves_the_power_is_off_and_its_energy_told() -> None:
    assert tell(charger(grant(4_790)), LEAVE) == [SetPower(7, 0, 0), Send("transformer", LEFT)]


def test_a_departure_is_said_again_until_it_is_acknowledged() -> None:
    of = charger(LEAVE)
    assert tell(of, Woken(), 59_999) == []
    assert tell(of, Woken(), 60_000) == tell(of, Woken(), 90_000) == [Send("transformer", LEFT)]
    assert of.owes == 1
    assert does(of, Ack(DEPARTED, 7), 90_000) == [Forget("departed/7")]
    assert tell(of, Woken(), 120_000) == []
    assert of.owes == 0


@pytest.mark.parametrize("other", [Ack(DEPARTED, 8), Ack(MANDATE, 7)], ids=repr)
def test_an_acknowledgement_of_something_else_is_not_its_departure(other: Ack) -> None:
    of = charger(LEAVE, other)
    assert tell(of, Received("car", Ack(DEPARTED, 7))) == []
    assert tell(of, Woken(), 60_000) == [Send("transformer", LEFT)]


def test_the_next_car_has_no_part_in_what_the_last_one_delivered() -> None:
    of = charger(AWARD, REDUCED, LEAVE, NEXT)
    assert tell(of, Received("other", seal(CLAIM))) == []
    tell(of, Metered(8, 0, 0, 11_000, 0, 0))
    assert claimed(claim_after(of, CLAIM))[0] == CLAIM
    assert tell(of, Unplugged(8, 5, 6))[1:] == [Send("transformer", Departed(8, 5, 6))]


@pytest.mark.parametrize("event", [grant(1, 1), REDUCED, Woken(), STATUS, OFFER], ids=repr)
def test_without_a_car_nothing_happens(event: Event | Message) -> None:
    assert does(empty(), event) == []
    assert does(charger(LEAVE), event) == []


@pytest.mark.parametrize("message", [Release(0, 0, 7), seal(AWARD), Ack(MANDATE, 7)], ids=repr)
def test_a_car_that_left_still_hears_what_concerns_it(message: Message) -> None:
    assert does(empty(), message) == []
    assert tell(charger(LEAVE), message) == [Send("car", message)]


def test_of_the_cars_that_left_it_knows_the_last_few_and_those_with_an_award_to_settle() -> None:
    of, steps = charger(AWARD, REDUCED, LEAVE), []
    for session in range(100, 140):
        steps.append(does(of, structs.replace(PLUG, session=session, peer=f"car {session}")))
        does(of, structs.replace(LEAVE, session=session))
    assert [key for key in remembered(*steps) if key.startswith("peer/")] == [f"peer/{n}" for n in range(124, 140)]
    assert tell(of, Ack(MANDATE, 123)) == []
    assert tell(of, Ack(MANDATE, 124)) == [Send("car 124", Ack(MANDATE, 124))]
    assert claimed(claim_after(of, CLAIM))[0] == CLAIM
