"""Who may say what to a transformer: each for itself, in its own hand where keys are known."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.agents.transformer.two_cars import (
    AWARD,
    CLEARED,
    FULL_STOP,
    awarded,
    called,
    grant,
    offer,
    opened,
    plug_in,
    report,
    street,
    tell,
)
from tests.agents.words import (
    CALL,
    LATER,
    ROSTER,
    RULES,
    SITE,
    SOON,
    WAITED,
    WORTH,
    happens,
    mandate,
    refused_as_unsigned,
    witnessed,
)

from wattswap.agents.transformer import Transformer
from wattswap.protocol import messages
from wattswap.protocol.codec import seal, unseal
from wattswap.protocol.effects import Pay, Send, WakeAt
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Paid, Woken
from wattswap.protocol.identity import Signer
from wattswap.protocol.messages import (
    MANDATE,
    Ack,
    BaseReport,
    CappedOffer,
    Delivery,
    Departed,
    Inner,
    Mandate,
    Message,
    Receipt,
    Release,
    Sealed,
    WitnessedDelivery,
)
from wattswap.protocol.round import Part, State

KEYS = {name: Signer(bytes([number] * 32)) for number, name in enumerate(("transformer", "A", "B", "car 1", "car 2"))}


@pytest.mark.parametrize(
    "message",
    [report(1, 0, seq=9), offer(1, *FULL_STOP), witnessed(1, 5), Departed(1, 0, 0), Ack(messages.AWARD, 1, 0)],
    ids=lambda m: type(m).__name__,
)
def test_a_charger_speaks_for_its_own_car_only(message: Message) -> None:
    of = called()
    with pytest.raises(RemoteProtocolError, match="B speaks for session 1 at A"):
        tell(of, "B", message)
    for stranger in ("homes", "car 1", "nobody"):
        with pytest.raises(RemoteProtocolError, match=f"{stranger} is no charger of transformer"):
            tell(of, stranger, message)
    tell(of, "A", offer(1, *FULL_STOP))
    assert opened(tell(of, "B", offer(2))) == CLEARED


@pytest.mark.parametrize(
    "message",
    [report(9), offer(9, *FULL_STOP), witnessed(9, 5), Ack(messages.AWARD, 9, 0)],
    ids=lambda m: type(m).__name__,
)
def test_of_a_car_that_is_not_plugged_in_any_more_nothing_counts(message: Message) -> None:
    assert tell(called(), "A", message) == []


def test_homes_that_are_not_its_own_do_not_count() -> None:
    """Otherwise a stranger that speaks once and falls silent would stop all grants for good."""
    of = street()
    tell(of, "stranger", BaseReport(20_000))
    assert opened(happens(of, Woken())) == [("A", CALL), ("B", CALL)]
    tell(of, "homes", BaseReport(3_000), 120_000)
    for charger, session in (("A", 1), ("B", 2)):
        tell(of, charger, report(session, 0, seq=9, stamp_ms=120_000), 120_000)
    assert of.state(Part(0, 0, 1)) is State.CALLED
    happens(of, Woken(), 120_000)
    assert of.state(Part(0, 0, 1)) is State.IDLE


def test_a_stranger_cannot_report_a_departure_before_the_car_comes() -> None:
    of = Transformer("transformer", SITE, RULES, ROSTER)
    for session in range(5_000):
        tell(of, "C", Departed(session, 0, 0))
    tell(of, "A", seal(mandate(1)))
    assert of.worst_import_w(1, 0) == 0


def test_of_a_car_that_has_left_only_its_charger_still_speaks() -> None:
    of = awarded()
    tell(of, "A", Departed(1, 0, 0), 60_000)
    for message in (witnessed(1, 1_863_000), Ack(messages.AWARD, 1, 0)):
        with pytest.raises(RemoteProtocolError, match="B speaks for an award of session 1 at A"):
            tell(of, "B", message, 60_000)
    claimed = tell(of, "A", witnessed(1, 372_600), 60_000)
    assert claimed[1] == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", SOON)
    happens(of, Paid(1, 0, SOON, 0), 60_000)
    assert tell(of, "B", witnessed(1, 372_600), 90_000) == []


def test_a_wake_up_that_comes_early_is_asked_for_again() -> None:
    of = street()
    assert happens(of, Woken(30_000), 29_999) == [WakeAt(30_000)]


def test_a_charger_cannot_pass_on_another_cars_offer_as_its_own() -> None:
    with pytest.raises(RemoteProtocolError, match="holds no offer of its car"):
        tell(called(), "B", CappedOffer(2, 11_000, offer(1, *FULL_STOP).offer))


@pytest.mark.parametrize("inside", [mandate(1), Delivery(0, 0, 1, (5, 0, 0), 5, 0, 0)], ids=repr)
def test_what_is_no_offer_is_not_taken_for_one(inside: Inner) -> None:
    with pytest.raises(RemoteProtocolError, match="holds no offer of its car"):
        tell(called(), "A", CappedOffer(1, 11_000, seal(inside)))


def test_a_mandate_said_again_is_acknowledged_again_and_changes_nothing() -> None:
    of = awarded()
    assert tell(of, "A", seal(mandate(1))) == [Send("A", Ack(MANDATE, 1))]
    assert tell(of, "A", witnessed(1, 1_863_000), LATER)[-1] == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", WORTH)


@pytest.mark.parametrize("message", [grant(1, 1, 1), Release(0, 0, 1), seal(Receipt(0, 0, 1, 5)), seal(CALL)], ids=repr)
def test_what_only_it_says_itself_is_not_for_it(message: Message) -> None:
    of = street()
    assert tell(of, "A", message) == []
    assert opened(happens(of, Woken()))[0] == ("A", CALL)


def trusting() -> Transformer:
    """The same street where everyone signs and every key is known."""
    keys = {name: signer.public_key for name, signer in KEYS.items()}
    of = Transformer("transformer", SITE, RULES, ROSTER, signer=KEYS["transformer"], trusted=keys)
    plug_in(of, KEYS)
    tell(of, "homes", BaseReport(3_000))
    happens(of, Woken())
    return of


def signed_offer(session: int, signer: Signer | None, *tranches: tuple[int, int]) -> CappedOffer:
    plain = unseal(offer(session, *tranches).offer)
    return CappedOffer(session, 11_000, seal(plain, signer))


def test_signed_offers_are_taken_and_the_award_is_signed() -> None:
    of = trusting()
    tell(of, "A", signed_offer(1, KEYS["car 1"], *FULL_STOP))
    effects = tell(of, "B", signed_offer(2, KEYS["car 2"]))
    assert opened(effects) == CLEARED
    sent = [effect.message for effect in effects if isinstance(effect, Send) and isinstance(effect.message, Sealed)]
    assert [unseal(sealed, KEYS["transformer"].public_key) for sealed in sent] == [AWARD]


@pytest.mark.parametrize("signer", [None, KEYS["car 2"], KEYS["A"], KEYS["transformer"]], ids=repr)
def test_an_offer_its_car_did_not_sign_is_refused_and_the_real_one_still_counts(signer: Signer | None) -> None:
    of = trusting()
    with refused_as_unsigned():
        tell(of, "A", signed_offer(1, signer, (6_860, 0), (4_140, 0)))
    tell(of, "A", signed_offer(1, KEYS["car 1"], *FULL_STOP))
    assert opened(tell(of, "B", signed_offer(2, KEYS["car 2"]))) == CLEARED


def test_an_offer_altered_on_the_way_is_refused() -> None:
    real = signed_offer(1, KEYS["car 1"], *FULL_STOP).offer
    cheaper = Sealed(real.kind, offer(1, (6_860, 0), (4_140, 0)).offer.payload, real.signature)
    with refused_as_unsigned():
        tell(trusting(), "A", CappedOffer(1, 11_000, cheaper))


def test_both_the_charger_and_the_car_sign_what_was_delivered() -> None:
    def claim(charger: Signer | None, car: Signer | None) -> WitnessedDelivery:
        plain = Delivery(0, 0, 1, (1_863_000, 0, 0), 3_300_000, 1_863_000, 1_863_000 * WAITED)
        return WitnessedDelivery(1, seal(plain, charger), seal(plain, car))

    of = trusting()
    tell(of, "A", signed_offer(1, KEYS["car 1"], *FULL_STOP))
    tell(of, "B", signed_offer(2, KEYS["car 2"]))
    for charger, car in ((None, "car 1"), ("A", None), ("car 1", "car 1"), ("A", "A"), ("B", "car 1")):
        with refused_as_unsigned():
            tell(of, "A", claim(KEYS[charger] if charger else None, KEYS[car] if car else None), 300_000)
    assert tell(of, "A", claim(KEYS["A"], KEYS["car 1"]), LATER)[-1] == Pay(
        "0.0/stay 1", 1, 0, "stay 1", "car 1", WORTH
    )


@pytest.mark.parametrize("signer", [None, KEYS["car 2"], KEYS["A"]], ids=repr)
def test_a_car_is_plugged_in_by_its_own_signature_only(signer: Signer | None) -> None:
    stranger = mandate(3, "car 1")
    of = trusting()
    with refused_as_unsigned():
        tell(of, "C", seal(stranger, signer))
    assert tell(of, "C", report(3)) == []
    assert of.worst_import_w(3, 0) is None


@pytest.mark.parametrize(
    ("charger", "forged", "match"),
    [
        ("car 3", mandate(3), "car 3 is no charger of transformer"),
        ("C", mandate(3, "C"), "a mandate of C, which is no vehicle of transformer"),
        ("C", mandate(3, "transformer"), "a mandate of transformer, which is no vehicle"),
        ("B", mandate(1), "B and car 1 speak for session 1 of car 1 at A"),
        ("A", mandate(1, "car 3"), "A and car 3 speak for session 1 of car 1 at A"),
        ("C", structs.replace(mandate(3), session_id="stay 1"), "session 3 and its id stay 1 are of two sessions"),
        ("A", structs.replace(mandate(1), session_id="stay 9"), "session 1 and its id stay 9 are of two sessions"),
    ],
)
def test_a_mandate_counts_from_a_charger_for_its_own_session_and_for_the_account_of_its_car(
    charger: str, forged: Mandate, match: str
) -> None:
    of = awarded()
    with pytest.raises(RemoteProtocolError, match=match):
        tell(of, charger, seal(forged))
    assert of.worst_import_w(3, 0) is None
    assert tell(of, "A", witnessed(1, 1_863_000), LATER)[-1] == Pay("0.0/stay 1", 1, 0, "stay 1", "car 1", WORTH)


def test_what_only_a_charger_signed_binds_no_car_and_pays_no_charger() -> None:
    of = trusting()
    with pytest.raises(RemoteProtocolError, match="a mandate of A, which is no vehicle"):
        tell(of, "A", seal(mandate(3, "A"), KEYS["A"]))
    assert of.worst_import_w(3, 0) is None


def test_a_car_whose_key_nobody_knows_is_not_plugged_in() -> None:
    with refused_as_unsigned():
        tell(trusting(), "C", seal(mandate(3), Signer(bytes([99] * 32))))
