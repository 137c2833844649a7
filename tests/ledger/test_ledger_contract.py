"""What every ledger promises, whichever backend it is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattswap.ledger.base import Payment, PaymentState, PaymentStatus
from wattswap.ledger.ledger import Ledger
from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.units import MOST_NANOS


def payment(key: str, payer: str, payee: str, nanos: int) -> Payment:
    return Payment(key=key, payer=payer, payee=payee, nanos=nanos)


def paid(key: str) -> PaymentStatus:
    return PaymentStatus(key=key, state=PaymentState.PAID)


def exists(key: str) -> PaymentStatus:
    return PaymentStatus(key=key, state=PaymentState.EXISTS)


def pay(ledger: Ledger, payments: list[Payment]) -> list[PaymentStatus]:
    """The answers, without what a network knows beside them: by which transaction, and when."""
    return [msgspec.structs.replace(status, digest="", at_ms=None) for status in ledger.pay(payments)]


def holdings(ledger: Ledger) -> tuple[int, int, int]:
    return ledger.balance("alice"), ledger.balance("bob"), ledger.balance("carol")


def test_an_account_nobody_heard_of_holds_nothing_and_has_no_history(ledger: Ledger) -> None:
    assert ledger.balance("nobody") == 0
    assert ledger.history("nobody") == []


def test_a_payment_moves_exactly_its_nanos(ledger: Ledger) -> None:
    assert pay(ledger, [payment("k", "alice", "carol", 7)]) == [paid("k")]
    assert holdings(ledger) == (993, 500, 7)


def test_all_of_a_balance_can_be_paid(ledger: Ledger) -> None:
    assert pay(ledger, [payment("k", "alice", "bob", 1_000)]) == [paid("k")]
    assert holdings(ledger) == (0, 1_500, 0)


def test_large_amounts_stay_exact(ledger: Ledger) -> None:
    before = ledger.balance("site")
    nanos = before - 1
    assert pay(ledger, [payment("k", "site", "carol", nanos)]) == [paid("k")]
    assert (ledger.balance("site"), ledger.balance("carol")) == (before - nanos, nanos)


def test_many_payments_are_answered_each_in_their_order(ledger: Ledger) -> None:
    batch = [payment(f"k{i}", "alice", "carol", i + 1) for i in range(20)]
    assert pay(ledger, batch) == [paid(f"k{i}") for i in range(20)]
    assert holdings(ledger) == (790, 500, 210)


def test_nothing_to_pay_is_answered_with_nothing(ledger: Ledger) -> None:
    assert pay(ledger, []) == []
    assert holdings(ledger) == (1_000, 500, 0)


def test_the_same_payment_again_exists_and_moves_nothing(ledger: Ledger) -> None:
    ledger.pay([payment("k", "alice", "bob", 10)])
    assert pay(ledger, [payment("k", "alice", "bob", 10)]) == [exists("k")]
    assert exists("k").ok
    assert holdings(ledger) == (990, 510, 0)


def test_the_same_payment_twice_in_one_call_is_made_once(ledger: Ledger) -> None:
    once = payment("k", "alice", "bob", 10)
    assert pay(ledger, [once, once]) == [paid("k"), exists("k")]
    assert holdings(ledger) == (990, 510, 0)


def test_a_payment_exists_even_when_its_payer_has_nothing_left(ledger: Ledger) -> None:
    """Idempotence comes before funds: whoever repeats a payment that emptied the account must not be told it failed."""
    everything = payment("k", "alice", "bob", 1_000)
    assert pay(ledger, [everything]) == [paid("k")]
    assert pay(ledger, [everything]) == [exists("k")]


@pytest.mark.parametrize(
    "other",
    [payment("k", "alice", "bob", 11), payment("k", "alice", "carol", 10), payment("k", "bob", "carol", 10)],
    ids=["amount", "payee", "payer and payee"],
)
def test_a_taken_key_with_other_content_is_refused(ledger: Ledger, other: Payment) -> None:
    first = payment("k", "alice", "bob", 10)
    ledger.pay([first])
    [status] = ledger.pay([other])
    assert (status.key, status.state, status.ok) == ("k", PaymentState.REFUSED, False)
    assert status.error
    assert holdings(ledger) == (990, 510, 0)
    assert pay(ledger, [first]) == [exists("k")]


def test_who_does_not_hold_enough_is_refused(ledger: Ledger) -> None:
    [status] = ledger.pay([payment("k", "alice", "bob", 1_001)])
    assert (status.state, status.ok) == (PaymentState.REFUSED, False)
    assert status.error
    assert holdings(ledger) == (1_000, 500, 0)


def test_a_refused_payment_stops_no_other(ledger: Ledger) -> None:
    batch = [payment("a", "alice", "carol", 5), payment("b", "bob", "carol", 501), payment("c", "bob", "carol", 500)]
    assert [status.state for status in ledger.pay(batch)] == ["paid", "refused", "paid"]
    assert holdings(ledger) == (995, 0, 505)


def test_a_refused_payment_can_be_made_once_there_are_tokens(ledger: Ledger) -> None:
    wanted = payment("k", "bob", "carol", 600)
    assert not ledger.pay([wanted])[0].ok
    ledger.pay([payment("top-up", "alice", "bob", 100)])
    assert pay(ledger, [wanted]) == [paid("k")]
    assert holdings(ledger) == (900, 0, 600)


def test_a_refusal_leaves_the_key_free(ledger: Ledger) -> None:
    assert not ledger.pay([payment("k", "bob", "carol", 600)])[0].ok
    assert pay(ledger, [payment("k", "bob", "carol", 1)]) == [paid("k")]


def test_history_lists_what_was_paid_to_and_from_once_oldest_first(ledger: Ledger) -> None:
    first, second, third = (
        payment("z", "alice", "bob", 1),
        payment("a", "bob", "carol", 2),
        payment("m", "carol", "alice", 1),
    )
    for step in (first, second, first, payment("no", "carol", "bob", 10**6), third):
        ledger.pay([step])
    assert ledger.history("alice") == [first, third]
    assert ledger.history("bob") == [first, second]
    assert ledger.history("carol") == [second, third]


def test_a_history_that_was_read_is_not_changed_by_its_reader(ledger: Ledger) -> None:
    ledger.pay([payment("k", "alice", "bob", 1)])
    ledger.history("alice").clear()
    assert ledger.history("alice") == [payment("k", "alice", "bob", 1)]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.data())
def test_whatever_is_handed_in_tokens_are_conserved_and_keys_pay_once(ledger: Ledger, batches: st.DataObject) -> None:
    """One ledger lives through all examples: keys stay taken, and accounts run dry, as they do in life."""
    opening = sum(holdings(ledger))
    lists = st.lists(st.lists(_between_two(), max_size=5), max_size=6)
    for batch in batches.draw(lists):
        before = {account: ledger.balance(account) for account in ("alice", "bob", "carol")}
        answers = ledger.pay(batch)
        assert [answer.key for answer in answers] == [order.key for order in batch]
        for order, answer in zip(batch, answers, strict=True):
            assert bool(answer.error) == (answer.state is PaymentState.REFUSED)
            if answer.state is PaymentState.PAID:
                before[order.payer] -= order.nanos
                before[order.payee] += order.nanos
        assert before == {account: ledger.balance(account) for account in before}
        assert min(before.values()) >= 0
        assert sum(before.values()) == opening
    for account in ("alice", "bob", "carol"):
        keys = [order.key for order in ledger.history(account)]
        assert len(keys) == len(set(keys))


def _between_two() -> st.SearchStrategy[Payment]:
    pairs = st.sampled_from([(a, b) for a in ("alice", "bob", "carol") for b in ("alice", "bob", "carol") if a != b])
    keys = st.integers(min_value=0, max_value=200).map("k{}".format)
    amounts = st.integers(min_value=1, max_value=700)
    return st.builds(lambda key, pair, nanos: payment(key, pair[0], pair[1], nanos), keys, pairs, amounts)


@pytest.mark.parametrize("nanos", [0, -1, MOST_NANOS + 1, True, 1.0])
def test_an_amount_no_ledger_could_pay_makes_no_payment(nanos: int) -> None:
    with pytest.raises(LocalProtocolError, match="nanos"):
        payment("k", "alice", "bob", nanos)


def test_a_payment_to_oneself_or_without_a_key_is_none() -> None:
    with pytest.raises(LocalProtocolError, match="itself"):
        payment("k", "alice", "alice", 1)
    with pytest.raises(LocalProtocolError, match="key"):
        payment("", "alice", "bob", 1)


def test_a_payment_cannot_be_changed_and_survives_being_written() -> None:
    order = payment("k", "alice", "bob", 5)
    with pytest.raises(AttributeError):
        order.nanos = 6  # type: ignore[misc]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(order), type=Payment) == order
