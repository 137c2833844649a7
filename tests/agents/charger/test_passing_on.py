"""What a charger passes on between its transformer and its car, and from whom it takes it."""

from __future__ import annotations

import pytest
from tests.agents.charger.one_charger import (
    AWARD,
    CLAIM,
    LEAVE,
    OFFER,
    REDUCED,
    charger,
    claim_after,
    claimed,
    does,
    from_car,
    grant,
    tell,
)
from tests.agents.words import (
    mandate,
    refused_as_unsigned,
)

from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Send
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Received
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import AWARD as AN_AWARD
from wattswap.protocol.messages import (
    DEPARTED,
    MANDATE,
    Ack,
    Award,
    BaseReport,
    CappedOffer,
    Delivery,
    Inner,
    Receipt,
    Release,
    ReliefCall,
    Sealed,
)


@pytest.mark.parametrize(
    "message", [ReliefCall(0, 0, 5_800, 5, 0, 300_000, 2_000), AWARD, Receipt(0, 0, 7, 5)], ids=repr
)
def test_calls_awards_and_receipts_reach_the_car_untouched(message: Inner) -> None:
    sealed = seal(message, Signer(bytes(32)))
    assert tell(charger(), sealed) == [Send("car", sealed)]


def test_an_award_for_a_car_that_left_is_not_for_the_next_one() -> None:
    assert tell(charger(), Award(0, 0, 6, 300_000, (1, 0, 0), (1, 0, 0))) == []


def test_a_mandate_reaches_the_transformer_untouched() -> None:
    sealed = seal(mandate(7, "car"), Signer(bytes(32)))
    assert from_car(charger(), sealed) == [Send("transformer", sealed)]


def test_an_offer_is_passed_on_untouched_beside_what_the_charger_can_carry() -> None:
    assert from_car(charger(), OFFER) == [Send("transformer", CappedOffer(7, 22_000, OFFER))]


def test_acknowledgements_are_passed_on() -> None:
    of = charger()
    assert tell(of, Ack(MANDATE, 7)) == [Send("car", Ack(MANDATE, 7))]
    assert tell(of, Received("car", Ack(AN_AWARD, 7, 5))) == [Send("transformer", Ack(AN_AWARD, 7, 5))]


def test_an_acknowledgement_of_a_car_that_was_never_here_concerns_nobody() -> None:
    of = charger()
    assert tell(of, Ack(MANDATE, 8)) == []
    assert tell(of, Received("car", Ack(AN_AWARD, 8, 5))) == []


@pytest.mark.parametrize("sender", ["stranger", "charger", ""])
def test_it_listens_to_its_transformer_and_its_car_only(sender: str) -> None:
    of = charger(AWARD, REDUCED)
    for message in (grant(0), Release(0, 0, 7), OFFER, seal(AWARD), seal(CLAIM), Ack(AN_AWARD, 7)):
        assert tell(of, Received(sender, message)) == []
    assert claimed(claim_after(of, CLAIM))[0] == CLAIM


def test_a_car_cannot_speak_as_the_transformer_nor_the_transformer_as_a_car() -> None:
    of = charger()
    assert tell(of, Received("car", grant(22_000))) == []
    assert from_car(of, AWARD) == []
    assert tell(of, OFFER) == []
    assert tell(of, BaseReport(1)) == []


@pytest.mark.parametrize("message", [AWARD, Receipt(0, 0, 7, 5), ReliefCall(0, 0, 1, 1, 0, 1, 1)], ids=repr)
def test_with_the_transformers_key_it_believes_nobody_else(message: Inner) -> None:
    transformer, other = Signer(bytes(32)), Signer(bytes([1] * 32))
    of = charger(transformer_key=transformer.public_key)
    for signer in (other, None):
        with refused_as_unsigned():
            tell(of, seal(message, signer))
    sealed = seal(ReliefCall(0, 0, 1, 1, 0, 1, 1), transformer)
    assert tell(of, sealed) == [Send("car", sealed)]


def test_bytes_that_are_no_message_are_refused_and_leave_it_as_it_was() -> None:
    of = charger(AWARD, REDUCED)
    for sender in ("car", "transformer"):
        with pytest.raises(RemoteProtocolError):
            tell(of, Received(sender, Sealed(5, b"\xc1")))
    assert claimed(claim_after(of, CLAIM))[0] == CLAIM


def test_nobody_claims_for_a_session_that_was_never_here() -> None:
    """Sixteen such claims once pushed the count of a car that had left out of the charger's memory."""
    of = charger(AWARD, REDUCED, LEAVE)
    for session in range(100, 200):
        assert does(of, Received("stranger", seal(Delivery(0, 0, session, (1, 0, 0), 1)))) == []
    assert does(of, Received("stranger", seal(CLAIM))) == []
    assert claimed(claim_after(of, CLAIM)) == (CLAIM, CLAIM)


def test_an_award_for_a_session_that_was_never_here_leaves_nothing_behind() -> None:
    assert does(charger(), Award(0, 0, 6, 300_000, (1, 0, 0), (1, 0, 0))) == []


def test_a_car_acknowledges_awards_and_nothing_else() -> None:
    """Above all not a departure in the transformer's place."""
    assert tell(charger(), Received("car", Ack(DEPARTED, 7))) == []
    assert tell(charger(), Received("car", Ack(MANDATE, 7))) == []
