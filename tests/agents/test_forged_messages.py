"""Where keys are known, a relay can drop what others have sealed, but change nothing in it. Where nobody signs, what
cannot be is refused all the same.
"""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.charger.one_charger import charger
from tests.agents.two_chargers import (
    Wire,
    carries,
    street,
    whole_round,
)
from tests.agents.vehicle.one_car import awarded
from tests.agents.words import (
    award,
    happens,
    refused_as_unsigned,
    said_by,
)

from wattswap.protocol.effects import (
    Effect,
    Send,
)
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import (
    Event,
)
from wattswap.protocol.messages import (
    Award,
    CappedOffer,
    Mandate,
    Message,
    Receipt,
    ReliefCall,
    Sealed,
    WitnessedDelivery,
)
from wattswap.protocol.round import State


@pytest.mark.parametrize("altered", [CappedOffer, WitnessedDelivery, Mandate])
def test_what_a_charger_alters_on_the_way_is_refused(altered: type) -> None:
    """Where keys are known, a relay can drop what a car says but change nothing in it."""
    wire = forging(street(signed=True), "charger A", altered)
    with refused_as_unsigned():
        whole_round(wire)


@pytest.mark.parametrize("altered", [ReliefCall, Award, Receipt])
def test_what_is_forged_in_the_transformers_name_is_refused(altered: type) -> None:
    wire = forging(street(signed=True), "transformer", altered)
    with refused_as_unsigned():
        whole_round(wire)


@pytest.mark.parametrize("agent", ["charger", "car"])
def test_of_two_feeders_that_buy_from_a_car_at_one_tick_the_second_is_refused(agent: str) -> None:
    """One would be forged; a car that delivers to both would be in force twice."""
    of, speaker = (charger(award(7)), "transformer") if agent == "charger" else (awarded(), "charger")
    of_another = structs.replace(award(7), feeder=1)
    with pytest.raises(RemoteProtocolError, match="two feeders award session 7 something at tick 0"):
        of.handle(said_by(speaker, of_another), 30_000)
    happens(of, said_by(speaker, award(7)), 60_000)
    assert of.state(award(7).part) is State.AWARDED
    assert of.state(of_another.part) not in {State.AWARDED, State.ENDED}


def forging(wire: Wire, forger: str, kind: type) -> Wire:
    """The same wire, with an agent that alters what it says of this class."""
    carry_out = wire.carry_out

    def altered(agent: str, effect: Effect) -> list[tuple[str, Event]]:
        if agent == forger and isinstance(effect, Send) and carries(effect.message, kind):
            effect = Send(effect.to, forged(effect.message))
        return carry_out(agent, effect)

    wire.carry_out = altered  # type: ignore[method-assign]
    return wire


def forged(message: Message) -> Message:
    """The message with the last bit of what a vehicle or the transformer sealed turned over."""
    match message:
        case Sealed(kind, payload, signature):
            return Sealed(kind, payload[:-1] + bytes([payload[-1] ^ 1]), signature)
        case CappedOffer(session, cap_w, offer):
            sealed = forged(offer)
            assert isinstance(sealed, Sealed)
            return CappedOffer(session, cap_w, sealed)
        case WitnessedDelivery(session, charger, vehicle):
            sealed = forged(vehicle)
            assert isinstance(sealed, Sealed)
            return WitnessedDelivery(session, charger, sealed)
        case _:
            raise AssertionError(message)
