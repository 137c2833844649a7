"""The journal of a book: what stands in it, what is noticed, and that a book follows from it after anything."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.ledger.test_book import bill

from wattswap.ledger.base import DamagedError
from wattswap.ledger.book import CLAIMS, FUNDING, RESERVED, SITE, Book, NettedBill, payable, receivable, wallet
from wattswap.protocol.errors import InputError, LocalProtocolError


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


# -- the journal ------------------------------------------------------------------------------------------------------


def test_each_operation_is_one_entry_with_its_postings(book: Book) -> None:
    book.reserve("1/car", 400)
    book.reserve("2/car", 601)
    book.settle("1/car", "car", 150)
    book.bill("leave", "car", 500)
    assert book.entries == (
        ("fund", "opening", SITE, 1_000, ((FUNDING, SITE, 1_000),)),
        ("fund", "fund/car", "wallet/car", 100, ((FUNDING, "wallet/car", 100),)),
        ("reserve", "1/car", "", 400, ((SITE, RESERVED, 400),)),
        ("refuse", "2/car", "", 601, ()),
        ("settle", "1/car", "car", 150, ((RESERVED, "payable/car", 150), (RESERVED, SITE, 250))),
        (
            "bill",
            "leave",
            "car",
            500,
            (("payable/car", SITE, 150), ("wallet/car", SITE, 100), (CLAIMS, "receivable/car", 250)),
        ),
    )


def test_what_was_read_from_a_book_cannot_change_it(book: Book) -> None:
    book.balances()[SITE] += 1
    book.entries_since(0).clear()
    book.audit()
    assert (book.site_uncommitted_nanos, len(book.entries)) == (1_000, 2)


def test_a_writer_goes_on_where_it_stopped(book: Book) -> None:
    written = list(book.entries)
    book.reserve("k", 1)
    book.release("k")
    written += book.entries_since(len(written))
    assert tuple(written) == book.entries


def test_check_notices_a_balance_that_was_tampered_with(book: Book) -> None:
    book.check()
    book._balances[SITE] += 1
    with pytest.raises(DamagedError, match="made or lost"):
        book.check()


def test_audit_notices_a_journal_that_lost_an_entry(book: Book) -> None:
    book.reserve("k", 5)
    book.audit()
    book._entries.pop()
    book.check()
    with pytest.raises(DamagedError, match="journal"):
        book.audit()


# -- anything, in any order -------------------------------------------------------------------------------------------

VEHICLES = ("a", "b", "c")
amounts = st.integers(min_value=0, max_value=300)
vehicles = st.sampled_from(VEHICLES)
numbers = st.integers(min_value=0, max_value=15)


def test_a_book_is_not_restored_from_what_no_book_wrote(book: Book) -> None:
    earn(book, 40)
    book.bill("session", "car", 90)
    entries = list(book.entries)
    for number in range(len(entries)):
        operation, key, subject, nanos, legs = entries[number]
        changed = (operation, key, subject, nanos + 1, legs)
        with pytest.raises(InputError, match=f"entry {number} of the book"):
            Book.restore([*entries[:number], changed, *entries[number + 1 :]])
    for number in range(2, len(entries) - 1):
        with pytest.raises(InputError, match="of the book cannot be"):
            Book.restore(entries[:number] + entries[number + 1 :])


def test_an_entry_that_stands_twice_is_no_book(book: Book) -> None:
    with pytest.raises(InputError, match="entry 2 of the book"):
        Book.restore([*book.entries, book.entries[-1]])


class AnythingInAnyOrder(RuleBasedStateMachine):
    """A book driven at random beside a model that only knows purses, promises and debts, not accounts or postings.

    Keys come from a small set, so that repeats, conflicts and unknown keys all happen often.
    """

    @initialize(site=st.integers(min_value=0, max_value=1_500), purse=amounts)
    def opens(self, site: int, purse: int) -> None:
        """The site and one of the three cars are given tokens."""
        self.book = Book(site)
        self.book.fund("a", wallet("a"), purse)
        self.tokens = site + purse
        self.site = site
        self.purses = defaultdict(int, a=purse)
        self.earned: defaultdict[str, int] = defaultdict(int)
        self.owes: defaultdict[str, int] = defaultdict(int)
        self.asked: dict[str, tuple[int, bool]] = {}
        self.settled: dict[str, tuple[str, int]] = {}
        self.bills: dict[str, tuple[str, int, NettedBill]] = {}

    @rule(number=numbers, nanos=amounts)
    def reserves(self, number: int, nanos: int) -> None:
        """An award is about to be sent, perhaps once more, perhaps by mistake with another amount."""
        key = f"k{number}"
        if key not in self.asked:
            self.asked[key] = (nanos, nanos <= self.site)
            self.site -= nanos if nanos <= self.site else 0
        first, granted = self.asked[key]
        if first == nanos:
            assert self.book.reserve(key, nanos) is granted
        else:
            self.is_refused(lambda: self.book.reserve(key, nanos))

    @rule(number=numbers, vehicle=vehicles, nanos=amounts)
    def settles(self, number: int, vehicle: str, nanos: int) -> None:
        """A delivery is in, perhaps for an award that never was, or is settled already."""
        key = f"k{number}"
        asked, granted = self.asked.get(key, (0, False))
        if key in self.settled:
            first_vehicle, first = self.settled[key]
            if (first == nanos == 0) or (first_vehicle, first) == (vehicle, nanos):
                self.book.settle(key, vehicle, nanos)
            else:
                self.is_refused(lambda: self.book.settle(key, vehicle, nanos))
        elif granted and nanos <= asked:
            self.book.settle(key, vehicle, nanos)
            self.settled[key] = (vehicle, nanos)
            self.earned[vehicle] += nanos
            self.site += asked - nanos
        else:
            self.is_refused(lambda: self.book.settle(key, vehicle, nanos))

    @rule(number=numbers)
    def releases(self, number: int) -> None:
        """An award fell through."""
        key = f"k{number}"
        asked, granted = self.asked.get(key, (0, False))
        if not granted or self.settled.get(key, ("", 0))[1]:
            self.is_refused(lambda: self.book.release(key))
            return
        self.book.release(key)
        if key not in self.settled:
            self.settled[key] = ("", 0)
            self.site += asked

    @rule(number=numbers, vehicle=vehicles, nanos=st.integers(min_value=-300, max_value=600))
    def bills_a_car(self, number: int, vehicle: str, nanos: int) -> None:
        """A car departs, or departs once more."""
        key = f"b{number}"
        if key in self.bills:
            first_vehicle, first, result = self.bills[key]
            if (first_vehicle, first) == (vehicle, nanos):
                assert self.book.bill(key, vehicle, nanos) == result
            else:
                self.is_refused(lambda: self.book.bill(key, vehicle, nanos))
            return
        result = self.book.bill(key, vehicle, nanos)
        self.bills[key] = (vehicle, nanos, result)
        net = nanos - self.earned[vehicle]
        # The rewards' tokens join the site's, then the net is paid by whoever owes it, as far as the tokens go.
        available = self.purses[vehicle] if net > 0 else self.site + self.earned[vehicle]
        paid = min(abs(net), available) * (1 if net > 0 else -1)
        assert result == bill(nanos, self.earned[vehicle], net, paid, net - paid)
        self.site += self.earned[vehicle] + paid
        self.purses[vehicle] -= paid
        self.owes[vehicle] += net - paid
        self.earned[vehicle] = 0

    @rule(choice=st.data())
    def repeats_anything_that_went_well(self, choice: st.DataObject) -> None:
        """A message came twice: same key, same arguments, and therefore nothing at all."""
        balances, entries = self.book.balances(), self.book.entries
        for key, (nanos, granted) in self.asked.items():
            assert self.book.reserve(key, nanos) is granted
        for key, (vehicle, nanos) in self.settled.items():
            self.book.settle(key, vehicle, nanos)
        if self.bills:
            key = choice.draw(st.sampled_from(sorted(self.bills)))
            vehicle, nanos, result = self.bills[key]
            assert self.book.bill(key, vehicle, nanos) == result
        assert (self.book.balances(), self.book.entries) == (balances, entries)

    @rule()
    def is_restored_from_its_entries(self) -> None:
        """The process died: from here on a restored book answers, and must answer as the first would have."""
        first, self.book = self.book, Book.restore(self.book.entries)
        assert self.book.entries == first.entries
        assert self.book.balances() == first.balances()
        keys = self.asked.keys()
        assert [self.book.held(key) for key in keys] == [first.held(key) for key in keys]
        assert [self.book.settled_nanos(key) for key in keys] == [first.settled_nanos(key) for key in keys]

    @invariant()
    def the_book_agrees_with_the_model(self) -> None:
        """Every account, and every token, is where the model says."""
        held = {key: asked for key, (asked, granted) in self.asked.items() if granted and key not in self.settled}
        assert self.book.site_uncommitted_nanos == self.site
        assert {key: self.book.held(key) for key in self.asked} == {key: held.get(key, 0) for key in self.asked}
        assert self.book.balance(RESERVED) == sum(held.values())
        for vehicle in VEHICLES:
            assert self.book.balance(wallet(vehicle)) == self.purses[vehicle]
            assert self.book.balance(payable(vehicle)) == self.earned[vehicle]
            assert self.book.balance(receivable(vehicle)) == self.owes[vehicle]
        assert self.tokens == self.site + sum(held.values()) + sum(self.purses.values()) + sum(self.earned.values())
        assert sum(self.book.balances().values()) == 0

    @invariant()
    def the_book_checks_itself(self) -> None:
        """All of it holds after every step, failed ones included."""
        self.book.audit()

    def is_refused(self, call: object) -> None:
        """It raises our own error, and leaves no trace."""
        assert callable(call)
        balances, entries = self.book.balances(), self.book.entries
        with pytest.raises(LocalProtocolError):
            call()
        assert (self.book.balances(), self.book.entries) == (balances, entries)


AnythingInAnyOrder.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestAnythingInAnyOrder = AnythingInAnyOrder.TestCase
