"""A run's way to its ledger: written down at once, paid once, and equal to the book to the last nano at the end."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from wattswap.ledger.anchoring import Anchorer
from wattswap.ledger.anchors import Detail, MeterReading, Whose, prove, proves, verify
from wattswap.ledger.base import Payment
from wattswap.ledger.book import SITE, Book, Pays, wallet
from wattswap.ledger.crossing import Earnings, crossing, earnings, held_in, opening_in
from wattswap.ledger.iota_ledger import IotaLedger
from wattswap.ledger.ledger import Ledger
from wattswap.ledger.settlement import open_settlement
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import seeded_signer
from wattswap.protocol.units import NANOS_PER_IOTA

CARS = [f"car{number}" for number in range(6)]
SEEDS = iter(range(10**6, 10**9))


def new_book(pays: Pays = "departure") -> Book:
    book = Book(1_000 * NANOS_PER_IOTA, pays)
    for car in CARS:
        book.fund(f"opening/{car}", wallet(car), 5 * NANOS_PER_IOTA)
    return book


def live(book: Book, settlement: Ledger, sessions: int = 40) -> None:
    """Sessions come and go: some earn more than they charge, some owe more than they have, one round stays open."""
    luck = random.Random(1)
    for number in range(sessions):
        car = luck.choice(CARS)
        if book.reserve(f"{number}/{car}", 10**9):
            book.settle(f"{number}/{car}", car, luck.randrange(10**9))
        book.bill(f"session{number}", car, luck.randrange(-(10**8), 2 * 10**9))
        settlement.post(book)
    book.reserve("open", 777)
    book.reserve("late", 55)
    book.settle("late", CARS[0], 44)
    settlement.post(book)


@pytest.fixture(params=["memory", "sqlite", "iota"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each word that opens a ledger."""
    if request.param == "iota":
        return str(request.getfixturevalue("node_url"))
    return "memory" if request.param == "memory" else f"sqlite:{tmp_path / 'street.sqlite'}"


@pytest.mark.parametrize("pays", ["departure", "each"])
def test_after_a_run_the_ledger_agrees_with_the_book_to_the_last_nano(where: str, pays: Pays) -> None:
    book = new_book(pays)
    with open_settlement(where, opening_in(book.entries), wallets_seed=next(SEEDS)) as settlement:
        live(book, settlement)
        settled = settlement.drain()
        assert settled.ok, settled
        assert settlement.entries() == list(book.entries)
        opening = opening_in(book.entries)
        assert settlement.differences(held_in(book.balances()), opening) == []
        book.fund("more", SITE, 1)
        holds = settlement.held(opening)[SITE]
        said = [f"site holds {holds} nanos on the ledger, {holds + 1} in the book"]
        assert settlement.differences(held_in(book.balances()), opening) == said
        assert (settled.fees_nanos > 0) == where.startswith("http")
        split = sum(earnings(book.entries, settlement.paid_keys().__contains__).values(), Earnings())
        assert split.earned == split.netted + split.waiting + split.crossed > 0
        assert split.waiting == (44 if pays == "departure" else 0)
        assert (split.netted > 0) == (pays == "departure")


def test_records_are_anchored_beside_the_payments(where: str) -> None:
    signer, book = seeded_signer(1, "site"), new_book()
    with (
        open_settlement(where, opening_in(book.entries), wallets_seed=next(SEEDS)) as settlement,
        Anchorer(None, signer, Whose(site="street"), settlement, detail=Detail.FULL) as full,
        Anchorer(None, signer, Whose(site="meters"), settlement, detail=Detail.ROOT) as root,
    ):
        for slot in range(1, 6):
            readings = [
                MeterReading(meter=car, at_ms=slot * 30_000, import_w=1, export_w=0, import_ws=slot * 30, export_ws=0)
                for car in CARS * 40
            ]
            full.add([(slot * 30_000, readings)])
            root.add([(slot * 30_000, readings)])
        live(book, settlement, 5)
        assert settlement.drain().ok
        for site, anchorer in (("street", full), ("meters", root)):
            anchored = settlement.anchored(site)
            assert anchored == anchorer.records()
            assert verify(anchored, signer.public_key, last=len(anchored) - 1) == []
        proof = prove(root.salt_key(0), 0, root.readings(0), 3)
        assert proves(proof, settlement.anchored("meters", last=0)[0], signer.public_key)


def test_a_process_that_died_goes_on_with_the_book_as_it_was_written_down(where: str, tmp_path: Path) -> None:
    """No replay, no run directory: entries and payments are in the same file."""
    if where == "memory":
        pytest.skip("what is in memory dies with the process")
    seed, box, book = next(SEEDS), tmp_path / "outbox.sqlite", new_book()
    settlement = open_settlement(where, opening_in(book.entries), wallets_seed=seed, outbox=box, run="r")
    live(book, settlement)
    settlement.close()
    with open_settlement(where, None, wallets_seed=seed, outbox=box, run="r") as settlement:
        restored = Book.restore(settlement.entries())
        assert restored.entries == book.entries
        settlement.post(restored)
        assert settlement.drain().ok
        assert settlement.differences(held_in(book.balances()), opening_in(book.entries)) == []


def test_what_nobody_can_pay_is_reported_instead_of_waited_for() -> None:
    book = new_book()
    with open_settlement("memory", {**opening_in(book.entries), "wallet/car1": 7}) as settlement:
        book.bill("dear", "car1", 10**9)
        settlement.post(book)
        settled = settlement.drain()
        assert (settled.ok, settled.payments) == (False, 0)
        assert "bill/dear: 'wallet/car1' holds 7 nanos" in settled.refused[0]


def test_waiting_costs_nothing(node_url: str) -> None:
    """A settlement with nothing to do looks at its outbox once, then waits for a signal; it used to look every 5 ms."""
    book = new_book()
    with open_settlement(node_url, opening_in(book.entries), wallets_seed=next(SEEDS)) as settlement:
        assert isinstance(settlement, IotaLedger)
        assert settlement.drain().ok
        looks: list[str] = []
        settlement.outbox._database._connection.set_trace_callback(looks.append)
        time.sleep(0.8)
        settlement.outbox._database._connection.set_trace_callback(None)
        assert len(looks) < 10


def test_a_failure_on_its_thread_is_raised_where_somebody_listens(node_url: str) -> None:
    book = new_book()
    with open_settlement(node_url, opening_in(book.entries), wallets_seed=next(SEEDS)) as settlement:
        assert isinstance(settlement, IotaLedger)
        settlement.outbox.due = None  # type: ignore[method-assign,assignment]
        book.bill("s", "car0", 5)
        settlement.post(book)
        with pytest.raises(TypeError):
            settlement.drain()


@pytest.mark.parametrize("word", ["", "sqlite", "sqlite:", "ftp://x", "momory"])
def test_a_word_that_names_no_ledger_is_refused_in_one_line(word: str) -> None:
    with pytest.raises(InputError, match="is no ledger"):
        open_settlement(word, {})


# -- what crosses -----------------------------------------------------------------------------------------------------


def test_only_the_net_of_a_bill_crosses_the_ledger() -> None:
    book = new_book()
    book.reserve("r", 10)
    book.settle("r", "car0", 10)
    assert [crossing(entry) for entry in book.entries] == [None] * len(book.entries)
    for key, billed, expected in (("a", 4, ("site", "wallet/car0", 6)), ("b", 9, ("wallet/car0", "site", 9))):
        book.bill(key, "car0", billed)
        payer, payee, nanos = expected
        assert crossing(book.entries[-1]) == Payment(key=f"bill/{key}", payer=payer, payee=payee, nanos=nanos)
    book.bill("nothing", "car1", 0)
    assert crossing(book.entries[-1]) is None


def test_a_book_that_pays_each_lets_every_reward_cross_as_soon_as_it_is_earned() -> None:
    book = new_book("each")
    book.reserve("r", 10)
    book.settle("r", "car0", 8)
    assert crossing(book.entries[-1]) == Payment(key="reward/r", payer="site", payee="wallet/car0", nanos=8)
    book.bill("a", "car0", 5)
    assert crossing(book.entries[-1]) == Payment(key="bill/a", payer="wallet/car0", payee="site", nanos=5)
    book.audit()


def test_what_is_earned_is_netted_waits_or_has_crossed_and_nothing_else() -> None:
    book = new_book()
    for number, nanos in enumerate((30, 20, 10)):
        book.reserve(f"r{number}", 100)
        book.settle(f"r{number}", "car0", nanos)
    waiting = Earnings(earned=30, waiting=30)
    assert earnings(book.entries, lambda _: True)["r0"] == waiting
    book.bill("s", "car0", 40)
    unpaid, paid = earnings(book.entries, lambda _: False), earnings(book.entries, lambda key: key == "bill/s")
    assert [paid[f"r{n}"].state for n in range(3)] == ["netted", "netted+crossed", "crossed"]
    assert [unpaid[f"r{n}"].state for n in range(3)] == ["netted", "netted+waiting", "waiting"]
    assert paid["r1"] == Earnings(earned=20, netted=10, crossed=10)
    assert sum(unpaid.values(), Earnings()) == Earnings(earned=60, netted=40, waiting=20)
