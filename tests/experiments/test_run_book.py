"""The book of a run read back: which rounds a bill was netted with, and who holds what."""

from __future__ import annotations

from pathlib import Path

import pytest

from wattswap.experiments.run_book import Earned, RunBook, read_book
from wattswap.ledger.book import SITE, Book, wallet
from wattswap.protocol.errors import InputError
from wattswap.runners.recording.rundir import RunDir


@pytest.fixture
def book() -> Book:
    """Two cars: Ann sells relief in two rounds and leaves, Bob sells in one and stays."""
    book = Book(1_000)
    book.fund("Ann", wallet("Ann"), 300)
    book.fund("Bob", wallet("Bob"), 300)
    for key, vehicle, reserved, paid in (
        ("0.1/S1", "Ann", 90, 60),
        ("0.2/S1", "Ann", 50, 0),
        ("0.2/S2", "Bob", 80, 80),
    ):
        assert book.reserve(key, reserved)
        book.settle(key, vehicle, paid)
    assert book.reserve("0.3/S1", 40)
    book.settle("0.3/S1", "Ann", 40)
    book.bill("S1", "Ann", 250)
    return book


@pytest.fixture
def read(book: Book, tmp_path: Path) -> RunBook:
    RunDir(tmp_path).write_ledger(book)
    return read_book(tmp_path)


def test_a_book_is_read_back_as_it_was_written(book: Book, read: RunBook):
    assert read.entries_of == {"": book.entries}
    assert read.balances_of == {"": book.balances()}
    assert read.vehicles == ["Ann", "Bob"]


def test_a_bill_names_the_rounds_whose_rewards_it_was_netted_with(read: RunBook):
    assert set(read.bills) == {"S1"}
    bill = read.bills["S1"]
    assert (bill.session, bill.vehicle, bill.nanos) == ("S1", "Ann", 250)
    assert bill.rounds == (Earned("0.1", "S1", 60), Earned("0.3", "S1", 40)), "a round that earned nothing is left out"


def test_rewards_that_crossed_the_ledger_at_once_were_netted_with_no_bill(tmp_path: Path):
    book = Book(1_000, "each")
    book.fund("Ann", wallet("Ann"), 300)
    assert book.reserve("0.1/S1", 90)
    book.settle("0.1/S1", "Ann", 60)
    book.bill("S1", "Ann", 250)
    RunDir(tmp_path).write_ledger(book)
    read = read_book(tmp_path)
    assert read.bills["S1"].rounds == ()
    assert sorted(payment.nanos for payment in read.payments) == [60, 250]


def test_rewards_that_no_bill_has_netted_wait_and_lie_in_the_site_s_wallet(book: Book, read: RunBook):
    assert read.earned("Bob") == 80
    assert read.earned("Ann") == 0
    assert read.promised() == 80
    assert read.holds(SITE) == book.balance(SITE) + 80
    assert read.holds(wallet("Bob")) == 300


def test_what_a_car_cannot_pay_it_owes(book: Book, tmp_path: Path):
    book.bill("S3", "Bob", 1_000)
    RunDir(tmp_path).write_ledger(book)
    read = read_book(tmp_path)
    assert read.owes("Bob") == 1_000 - 80 - 300
    assert read.owes("Ann") == 0
    assert read.bills["S3"].rounds == (Earned("0.2", "S2", 80),)


def test_every_token_lies_in_somebody_s_wallet(read: RunBook):
    assert sum(read.openings.values()) == 1_600
    assert read.holds(SITE) + sum(read.holds(wallet(vehicle)) for vehicle in read.vehicles) == 1_600


def test_a_run_without_a_book_says_what_rebuilds_it(tmp_path: Path):
    """A run of the fleet engine keeps no journal, and must not be sent to one."""
    with pytest.raises(InputError, match=r"kept no journal to rebuild it from, so run its scenario\.toml again"):
        read_book(tmp_path)
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "street.msgpack").touch()
    with pytest.raises(InputError, match=r"`wattswap replay .* rebuilds it"):
        read_book(tmp_path)
