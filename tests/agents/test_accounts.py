"""An award from its reserve to its receipt, and after a crash."""

from __future__ import annotations

import msgspec
from tests.agents.words import IOTA, LATER, of_kind, remembered, witnessed

from wattswap.agents.award_book import AwardBook, AwardRecord, Site
from wattswap.agents.parties import Party
from wattswap.agents.rules import Rules
from wattswap.protocol.codec import seal
from wattswap.protocol.effects import Bill, NoteAward, Pay, Remember, Reserve, Send, WakeAt
from wattswap.protocol.events import Paid
from wattswap.protocol.messages import Award, Departed, Receipt
from wattswap.protocol.round import State

AWARD = Award(0, 0, 5, 300_000, (6_860, 4_140, 0), (10**9, 10**9, 0), 86_400)
FUNDS, RESERVED = 10**10, 916_666_666
KEPT = "award/0.0/s5"
PARTY = Party("s5", "charger/5", "vehicle/5")
WORTH = 200_000_000
"""A tenth of a kWh that waits for two hours at 1 IOTA per kWh and hour."""
PAID = Paid(5, 0, WORTH, RESERVED - WORTH)


def accounts():
    return AwardBook(Rules(), Site(100_000, FUNDS, 3 * IOTA, 1), None, None)


def held():
    return AwardRecord(AWARD, PARTY, (6_860, 4_140, 0), (10**9,) * 3, RESERVED, 0)


def awarded():
    site = accounts()
    return site, site.award(held(), State.OFFERED, 0)


def restored(effects, site_nanos, now_ms):
    site = accounts()
    return site, site.restore(remembered(effects), site_nanos, now_ms)


def test_an_award_is_reserved_then_made_durable_then_said():
    _, effects = awarded()
    assert [type(effect) for effect in effects] == [Reserve, NoteAward, Remember, Send, WakeAt]
    assert effects[2].key == KEPT


def test_an_award_is_repeated_until_it_is_acknowledged():
    site, _ = awarded()
    assert len(of_kind(site.owed.due(30_000), Send)) == 1
    site.ack("charger/5", 5, 0)
    assert of_kind(site.owed.due(60_000), Send) == []


def test_an_award_asks_for_its_delivery_once_its_car_has_left_but_never_twice_at_once():
    site, _ = awarded()
    site.ack("charger/5", 5, 0)
    site.depart(PARTY, Departed(5, 0, 0), 300_000)
    assert len(of_kind(site.owed.due(330_000), Send)) == 1
    assert site.owed.due(330_000) == []


def test_the_lower_of_two_meters_is_paid_and_the_same_each_time():
    site, _ = awarded()
    first = of_kind(site.deliver("charger/5", witnessed(5, 360_000, 720_000), LATER), Pay)
    assert first == [Pay("0.0/s5", 5, 0, "s5", "vehicle/5", WORTH)]
    assert site.deliver("charger/5", witnessed(5, 720_000), LATER) == [], "it is being paid"


def test_a_receipt_is_given_as_often_as_it_is_asked_for():
    site, _ = awarded()
    site.deliver("charger/5", witnessed(5, 360_000), LATER)
    receipt = Send("charger/5", seal(Receipt(0, 0, 5, WORTH)))
    assert receipt in site.paid(PAID)
    assert site.deliver("charger/5", witnessed(5, 360_000), LATER) == [receipt]
    assert site.paid(PAID) == []
    assert site.uncommitted_nanos == FUNDS - WORTH


def test_a_bill_waits_for_its_awards():
    site, _ = awarded()
    assert of_kind(site.depart(PARTY, Departed(5, 3_600_000, 0), 0), Bill) == []
    site.deliver("charger/5", witnessed(5, 360_000), LATER)
    assert of_kind(site.paid(PAID), Bill) == [Bill(5, "s5", "vehicle/5", 3 * IOTA)]


def test_a_promise_survives_a_crash():
    _, effects = awarded()
    again, said = restored(effects, FUNDS - RESERVED, 100_000)
    assert of_kind(said, Send) == of_kind(effects, Send)
    assert 5 in again
    paid = of_kind(again.deliver("charger/5", witnessed(5, 360_000), LATER), Pay)
    assert paid == [Pay("0.0/s5", 5, 0, "s5", "vehicle/5", WORTH)]


def test_the_award_of_a_car_that_left_binds_nobody_after_a_crash():
    _, effects = awarded()
    gone = Remember("departed/5", msgspec.msgpack.encode((PARTY, Departed(5, 1, 0))))
    again, _ = restored([*effects, gone], FUNDS - RESERVED, 100_000)
    assert 5 not in again
    assert again.open == 2, "the award that is repeated, and a bill"


def test_a_receipt_survives_a_crash():
    site, effects = awarded()
    site.deliver("charger/5", witnessed(5, 360_000), LATER)
    again, said = restored([*effects, *site.paid(PAID)], FUNDS - WORTH, 400_000)
    assert said == []
    assert len(again.deliver("charger/5", witnessed(5, 360_000), LATER)) == 1
