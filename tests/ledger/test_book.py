"""The book: tokens are promised once, earned once, paid once, and never made or lost."""

from __future__ import annotations

import numpy as np
import pytest

from wattswap.ledger.book import CLAIMS, FUNDING, RESERVED, SITE, Book, NettedBill, payable, receivable, wallet
from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.units import MOST_NANOS


def bill(billed: int, rewards: int, net: int, paid: int, owed: int) -> NettedBill:
    return NettedBill(billed_nanos=billed, rewards_nanos=rewards, net_nanos=net, paid_nanos=paid, receivable_nanos=owed)


def used(book: Book) -> dict[str, int]:
    """The balances that are not 0."""
    return {account: nanos for account, nanos in book.balances().items() if nanos}


@pytest.fixture
def book() -> Book:
    """A site with 1,000 nanos and a car with 100."""
    book = Book(1_000)
    book.fund("fund/car", wallet("car"), 100)
    return book


def earn(book: Book, nanos: int) -> None:
    """Let the car earn a reward."""
    assert book.reserve("round/car", nanos)
    book.settle("round/car", "car", nanos)


# -- funds and reserves -----------------------------------------------------------------------------------------------


def test_opening_funds_come_from_outside(book: Book) -> None:
    assert book.balances() == {SITE: 1_000, RESERVED: 0, FUNDING: -1_100, CLAIMS: 0, wallet("car"): 100}
    assert book.site_uncommitted_nanos == 1_000


def test_only_the_site_and_wallets_are_funded(book: Book) -> None:
    for account in (RESERVED, FUNDING, CLAIMS, payable("car"), receivable("car"), "car", ""):
        with pytest.raises(LocalProtocolError, match="only the site and wallets"):
            book.fund("more", account, 1)


def test_a_book_never_holds_more_than_an_int64_of_nanos() -> None:
    book = Book(MOST_NANOS - 5)
    book.fund("a", wallet("a"), 5)
    with pytest.raises(LocalProtocolError, match="in one book"):
        book.fund("b", wallet("b"), 1)
    book.audit()


def test_a_reserve_takes_tokens_out_of_what_can_be_promised(book: Book) -> None:
    assert book.reserve("k", 400) is True
    assert (book.site_uncommitted_nanos, book.balance(RESERVED), book.held("k")) == (600, 400, 400)


def test_everything_can_be_promised_but_not_one_nano_more(book: Book) -> None:
    assert book.reserve("all", 1_000) is True
    assert book.reserve("one more", 1) is False
    assert book.site_uncommitted_nanos == 0


def test_a_refused_reserve_moves_nothing_and_stays_refused(book: Book) -> None:
    assert book.reserve("big", 1_001) is False
    book.fund("more", SITE, 500)
    assert book.reserve("big", 1_001) is False
    assert book.reserve("big again", 1_001) is True
    assert book.held("big") == 0


def test_an_award_at_price_zero_needs_no_tokens() -> None:
    book = Book(0)
    assert book.reserve("k", 0) is True
    book.settle("k", "car", 0)
    assert used(book) == {}
    book.audit()


# -- settlement -------------------------------------------------------------------------------------------------------


def test_settlement_gives_the_car_its_reward_and_the_site_the_rest(book: Book) -> None:
    book.reserve("k", 400)
    book.settle("k", "car", 150)
    assert (book.site_uncommitted_nanos, book.balance(RESERVED), book.balance(payable("car"))) == (850, 0, 150)
    assert book.balance(wallet("car")) == 100
    assert book.held("k") == 0


def test_a_release_gives_everything_back(book: Book) -> None:
    before = used(book)
    book.reserve("k", 400)
    book.release("k")
    assert used(book) == before


def test_no_more_is_settled_than_was_reserved(book: Book) -> None:
    book.reserve("k", 400)
    with pytest.raises(LocalProtocolError, match="only 400 are reserved"):
        book.settle("k", "car", 401)
    assert book.held("k") == 400
    book.settle("k", "car", 400)
    assert book.balance(payable("car")) == 400


def test_nothing_is_settled_that_was_not_reserved(book: Book) -> None:
    assert not book.reserve("refused", 5_000)
    for key in ("refused", "unknown"):
        with pytest.raises(LocalProtocolError, match="nothing is reserved"):
            book.settle(key, "car", 0)
        with pytest.raises(LocalProtocolError, match="nothing is reserved"):
            book.release(key)


def test_rewards_of_several_rounds_add_up_until_departure(book: Book) -> None:
    for number, nanos in enumerate((10, 20, 30)):
        book.reserve(f"{number}/car", 50)
        book.settle(f"{number}/car", "car", nanos)
    assert book.balance(payable("car")) == 60
    assert book.bill("leave", "car", 60) == bill(60, 60, 0, 0, 0)


# -- departure --------------------------------------------------------------------------------------------------------


def test_a_car_without_rewards_pays_its_energy(book: Book) -> None:
    assert book.bill("leave", "car", 70) == bill(70, 0, 70, 70, 0)
    assert used(book) == {SITE: 1_070, wallet("car"): 30, FUNDING: -1_100}


def test_rewards_pay_the_energy_first_and_the_wallet_the_rest(book: Book) -> None:
    earn(book, 50)
    assert book.bill("leave", "car", 70) == bill(70, 50, 20, 20, 0)
    assert used(book) == {SITE: 1_020, wallet("car"): 80, FUNDING: -1_100}


def test_rewards_above_the_bill_are_paid_out(book: Book) -> None:
    earn(book, 50)
    assert book.bill("leave", "car", 20) == bill(20, 50, -30, -30, 0)
    assert used(book) == {SITE: 970, wallet("car"): 130, FUNDING: -1_100}


def test_what_the_wallet_cannot_pay_is_owed_and_is_no_money_to_spend(book: Book) -> None:
    earn(book, 50)
    assert book.bill("leave", "car", 200) == bill(200, 50, 150, 100, 50)
    assert used(book) == {SITE: 1_100, receivable("car"): 50, CLAIMS: -50, FUNDING: -1_100}
    assert book.reserve("more than there is", 1_101) is False


def test_a_car_that_fed_more_than_it_drew_is_paid_for_it(book: Book) -> None:
    earn(book, 50)
    assert book.bill("leave", "car", -25) == bill(-25, 50, -75, -75, 0)
    assert used(book) == {SITE: 925, wallet("car"): 175, FUNDING: -1_100}


def test_a_site_without_tokens_owes_the_car_what_it_fed_but_never_its_rewards() -> None:
    """A reward was reserved when it was promised. Fed energy was not: here alone a site can fall behind."""
    book = Book(60)
    book.reserve("round/car", 50)
    book.settle("round/car", "car", 50)
    assert book.bill("leave", "car", -25) == bill(-25, 50, -75, -60, -15)
    assert used(book) == {wallet("car"): 60, receivable("car"): -15, CLAIMS: 15, FUNDING: -60}
    book.audit()


def test_tokens_reserved_for_others_do_not_pay_a_bill() -> None:
    book = Book(60)
    book.reserve("round/other", 60)
    assert book.bill("leave", "car", -25) == bill(-25, 0, -25, 0, -25)
    assert book.held("round/other") == 60
    book.audit()


def test_a_reward_settled_after_departure_waits_for_the_next_bill(book: Book) -> None:
    book.reserve("late/car", 40)
    book.bill("leave", "car", 10)
    book.settle("late/car", "car", 40)
    assert book.balance(payable("car")) == 40
    assert book.bill("late", "car", 0) == bill(0, 40, -40, -40, 0)
    assert book.balance(wallet("car")) == 130


def test_a_bill_of_nothing_for_a_car_nobody_knows_moves_nothing(book: Book) -> None:
    before = used(book)
    assert book.bill("leave", "stranger", 0) == bill(0, 0, 0, 0, 0)
    assert used(book) == before


# -- repeats and mistakes ---------------------------------------------------------------------------------------------


def test_every_operation_repeated_gives_its_first_result_and_moves_nothing(book: Book) -> None:
    book.reserve("k", 400)
    book.settle("k", "car", 150)
    book.reserve("none", 10)
    book.release("none")
    first = book.bill("leave", "car", 500)
    entries = book.entries
    balances = book.balances()
    book.fund("fund/car", wallet("car"), 100)
    assert book.reserve("k", 400) is True
    book.settle("k", "car", 150)
    book.release("none")
    assert book.bill("leave", "car", 500) is first
    assert book.entries == entries
    assert book.balances() == balances


def test_a_key_that_comes_back_with_other_arguments_is_our_own_bug(book: Book) -> None:
    book.reserve("k", 400)
    book.settle("k", "car", 150)
    book.bill("leave", "car", 5)
    before = book.balances(), book.entries
    for again in (
        lambda: book.fund("fund/car", wallet("car"), 101),
        lambda: book.fund("fund/car", SITE, 100),
        lambda: book.reserve("k", 399),
        lambda: book.settle("k", "car", 149),
        lambda: book.settle("k", "other", 150),
        lambda: book.release("k"),
        lambda: book.bill("leave", "car", 6),
        lambda: book.bill("leave", "other", 5),
    ):
        with pytest.raises(LocalProtocolError, match="came first as"):
            again()
    assert (book.balances(), book.entries) == before


def test_nothing_delivered_is_a_release_whoever_did_not_deliver(book: Book) -> None:
    book.reserve("k", 400)
    book.settle("k", "car", 0)
    book.release("k")
    assert book.balance(payable("car")) == 0
    assert book.site_uncommitted_nanos == 1_000
    with pytest.raises(LocalProtocolError, match="came first as"):
        book.settle("k", "car", 1)


@pytest.mark.parametrize("nanos", [-1, MOST_NANOS + 1, True, 1.0, np.int64(1), None])
def test_what_is_no_plain_positive_int_is_no_amount(book: Book, nanos: int) -> None:
    """A numpy integer would slip in from the arrays and silently overflow when balances add up."""
    book.reserve("open", 10)
    before = book.balances(), book.entries
    for call in (
        lambda: book.fund("x", SITE, nanos),
        lambda: book.reserve("x", nanos),
        lambda: book.settle("open", "car", nanos),
        lambda: Book(nanos),
    ):
        with pytest.raises(LocalProtocolError, match="not an amount"):
            call()
    assert (book.balances(), book.entries) == before


@pytest.mark.parametrize("nanos", [-MOST_NANOS - 1, MOST_NANOS + 1, False, -1.0, np.int64(-1)])
def test_a_bill_is_a_plain_int_too_but_may_be_negative(book: Book, nanos: int) -> None:
    with pytest.raises(LocalProtocolError, match="not an amount"):
        book.bill("leave", "car", nanos)


@pytest.mark.parametrize("pays", ["departure", "each"])
def test_a_book_that_does_not_collect_leaves_wallets_alone_and_is_restored_as_one(pays):
    book = Book(1_000, pays, collects=False)
    for number in (1, 2):
        book.reserve(f"round/{number}", 100)
        book.settle(f"round/{number}", "car", 100)
        book.bill(f"stay/{number}", "car", 0 if number == 1 else 400)
        book.check()
    earned = 200 if pays == "each" else 100
    assert book.balance(wallet("car")) == earned
    assert book.balance(receivable("car")) == 200 + earned
    assert Book.restore(book.entries).collects is False
