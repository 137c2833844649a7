"""Where keys are known, a relay can drop what others have sealed, but change nothing in it."""

from __future__ import annotations

import pytest
from tests.agents.two_chargers import (
    Wire,
    carries,
    street,
    whole_round,
)
from tests.agents.words import (
    refused_as_unsigned,
)

from wattswap.protocol.effects import (
    Effect,
    Send,
)
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
