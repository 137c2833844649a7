"""The outbox: what is owed is paid exactly once, whatever the ledger does."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from tests.ledger.fake_chain import FEE, Faults
from tests.ledger.outbox_place import DEBTS, OutboxPlace, audit, live, settle

from wattswap.ledger.base import Payment
from wattswap.ledger.outbox_reading import GIVE_UP_AFTER, BatchState
from wattswap.ledger.submitter import Submitter
from wattswap.protocol.errors import LocalProtocolError


@pytest.fixture
def place():
    """A place without faults."""
    fresh = OutboxPlace()
    yield fresh
    fresh.close()


# -- the ordinary way -------------------------------------------------------------------------------------------------


def test_what_is_owed_is_paid_and_netted_per_payee(place: OutboxPlace) -> None:
    submitter = place.submitter()
    assert submitter.owe(DEBTS) == [True] * 4
    settle(submitter)
    assert audit(place) == []
    assert place.chain.received()["site"] == 27_000 - 123 - FEE + 7
    assert place.outbox.fees_nanos == 2 * FEE
    assert len(place.chain.database.rows("SELECT * FROM transactions")) == 2
    assert [one.item for one in place.outbox.receipts("site")] == [DEBTS[place] for place in (0, 1, 3, 2)]
    assert {place.state(key) for key in "abcd"} == {BatchState.FINAL}


def test_a_debt_repeated_is_owed_once_and_a_key_never_changes_its_meaning(place: OutboxPlace) -> None:
    submitter = place.submitter()
    submitter.owe(DEBTS)
    assert submitter.owe(DEBTS) == [False] * 4
    settle(submitter)
    assert submitter.owe(DEBTS) == [False] * 4
    for other in (("site", "bus", 101), ("site", "van", 100), ("car", "bus", 100)):
        with pytest.raises(LocalProtocolError, match="came first as"):
            submitter.owe([Payment(key="a", payer=other[0], payee=other[1], nanos=other[2])])
    settle(submitter)
    assert audit(place) == []


def test_what_does_not_fit_is_carried_to_the_next_batch(place: OutboxPlace) -> None:
    submitter = place.submitter()
    submitter.owe([Payment(key=f"k{n}", payer="site", payee=f"p{n % 7}", nanos=1) for n in range(120)])
    settle(submitter)
    sizes = place.outbox._database.rows("SELECT count(*) FROM items GROUP BY batch")
    assert sizes == [(50,), (50,), (20,)]
    assert sum(place.chain.received()[f"p{n}"] for n in range(7)) == 120


def test_who_lacks_tokens_pays_what_it_can_and_the_rest_when_it_has_been_paid(place: OutboxPlace) -> None:
    submitter = place.submitter()
    big, small = ("big", "bus", 600), ("small", "van", 9)
    submitter.owe([Payment(key=key, payer="car", payee=payee, nanos=nanos) for key, payee, nanos in (big, small)])
    for _ in range(5):
        submitter.work()
    assert place.chain.received().get("van") == 9
    assert place.outbox.unsettled == 1
    assert "less than it owes" in submitter.errors()["car"]
    submitter.owe([Payment(key="help", payer="site", payee="car", nanos=900)])
    settle(submitter)
    assert place.chain.received()["bus"] == 600


def test_who_cannot_be_paid_is_held_back_alone_and_all_others_go_on(place: OutboxPlace) -> None:
    place.lane("site").unknown.add("bus")
    submitter = place.submitter()
    submitter.owe(DEBTS)
    for _ in range(5):
        submitter.work()
    assert (place.state("a"), place.state("d")) == (None, None)
    assert (place.state("b"), place.state("c")) == (BatchState.FINAL, BatchState.FINAL)
    assert submitter.held() == dict.fromkeys("ad", "held back, nobody knows bus")
    assert not submitter.errors(), "the account itself waits for nothing"
    place.lane("site").unknown.clear()
    settle(submitter)
    assert (submitter.held(), audit(place)) == ({}, [])


def test_a_batch_that_came_to_nothing_gives_its_items_back_and_its_fee_is_booked() -> None:
    place = OutboxPlace(Faults(1, abort=0.5))
    live(place.submitter())
    assert audit(place) == []
    states = Counter(state for (state,) in place.outbox._database.rows("SELECT state FROM batches"))
    assert states[BatchState.FAILED] >= 1
    place.close()


def test_an_item_that_always_fails_stops_no_other_and_is_given_up() -> None:
    place = OutboxPlace(Faults(abort=1.0))
    submitter = place.submitter()
    submitter.owe(DEBTS[:2])
    for _ in range(60):
        submitter.work()
    assert place.outbox.stuck == ["a", "b"]
    assert len(place.chain.database.rows("SELECT 1 FROM transactions")) < 2 * GIVE_UP_AFTER + 1
    place.close()


# -- weather ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_lost_unheard_late_and_aborted_transactions_pay_once_all_the_same(seed: int) -> None:
    place = OutboxPlace(Faults(seed, lost=0.25, unheard=0.25, late=0.15, abort=0.1))
    submitter = place.submitter()
    submitter.owe(DEBTS)
    luck = random.Random(seed)
    for _ in range(300):
        submitter.work()
        if luck.random() < 0.2:
            place.chain.execute_all()
    assert place.outbox.unsettled == 0
    assert audit(place) == []
    place.close()


def test_while_the_ledger_is_away_debts_are_taken_on_and_paid_when_it_is_back(place: OutboxPlace) -> None:
    for name in ("site", "car"):
        place.lane(name).down = True
    submitter = place.submitter()
    submitter.owe(DEBTS)
    for _ in range(10):
        submitter.work()
    assert place.outbox.unsettled == 4
    assert submitter.errors() == {"site": "no route", "car": "no route"}
    for name in ("site", "car"):
        place.lane(name).down = False
    settle(submitter)
    assert audit(place) == []
    assert submitter.errors() == {}


def test_tries_grow_rarer_but_never_too_rare() -> None:
    place = OutboxPlace()
    place.lane("site").down = True
    now = [0]
    submitter = Submitter(place.outbox, place.lane, clock=lambda: now[0])
    submitter.owe(DEBTS[:1])
    waits = []
    for _ in range(14):
        submitter.work()
        waits.append(submitter.wait_ms())
        now[0] += waits[-1]
    assert 100 <= waits[0] <= 200
    assert all(15_000 <= wait <= 30_000 for wait in waits[8:])
    place.close()


def test_a_transaction_is_rebuilt_only_with_proof_that_it_can_never_happen(place: OutboxPlace) -> None:
    """Absent is not dead: it must have expired, and its coin must lie where it lay."""
    place.chain.faults = Faults(lost=1.0)
    submitter = place.submitter()
    submitter.owe(DEBTS[:1])
    for _ in range(20):
        submitter.work()
    first = place.outbox.undecided("site")
    assert first is not None
    assert len(place.outbox._database.rows("SELECT 1 FROM batches")) == 1
    for _ in range(3):
        place.chain.next_epoch()
    submitter.work()
    assert place.outbox.state_of(first.signed.digest) is BatchState.DEAD
    place.chain.faults = Faults()
    settle(submitter)
    assert audit(place, {"bus": 100}) == []


def test_a_late_transaction_is_waited_for_and_never_replaced(place: OutboxPlace) -> None:
    place.chain.faults = Faults(late=1.0)
    submitter = place.submitter()
    submitter.owe(DEBTS[:1])
    for _ in range(20):
        submitter.work()
    place.chain.execute_all()
    settle(submitter)
    assert audit(place, {"bus": 100}) == []
    assert len(place.chain.database.rows("SELECT 1 FROM transactions")) == 1
