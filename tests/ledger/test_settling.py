"""A run's way to its ledger: handed over at once, paid elsewhere, and equal to the book to the last nano at the end."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from wattswap.ledger.anchoring import Anchorer
from wattswap.ledger.anchors import Detail, MeterReading, proves, verify
from wattswap.ledger.base import Payment
from wattswap.ledger.book import SITE, Book, wallet
from wattswap.ledger.outbox_schema import Flush
from wattswap.ledger.settlement_worker import (
    SettlementWorker,
    crossing,
    differences,
    open_ledger,
    open_worker,
    opening_of,
)
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import seeded_signer
from wattswap.protocol.units import NANOS_PER_IOTA

CARS = [f"car{number}" for number in range(6)]
SEEDS = iter(range(10**6, 10**9))


def new_book() -> Book:
    book = Book(1_000 * NANOS_PER_IOTA)
    for car in CARS:
        book.fund(f"opening/{car}", wallet(car), 5 * NANOS_PER_IOTA)
    return book


def live(book: Book, worker: SettlementWorker, sessions: int = 40) -> None:
    """Sessions come and go: some earn more than they charge, some owe more than they have, one round stays open."""
    luck, told = random.Random(1), len(book.entries)
    for number in range(sessions):
        car = luck.choice(CARS)
        if book.reserve(f"{number}/{car}", 10**9):
            book.settle(f"{number}/{car}", car, luck.randrange(10**9))
        book.bill(f"session{number}", car, luck.randrange(-(10**8), 2 * 10**9))
        worker.settle(book.entries_since(told))
        told = len(book.entries)
    book.reserve("open", 777)
    book.reserve("late", 55)
    book.settle("late", CARS[0], 44)


@pytest.fixture(params=["memory", "sqlite", "iota"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each word that opens a ledger."""
    if request.param == "iota":
        return str(request.getfixturevalue("node_url"))
    return "memory" if request.param == "memory" else f"sqlite:{tmp_path / 'street.sqlite'}"


def test_after_a_run_the_ledger_agrees_with_the_book_to_the_last_nano(where: str) -> None:
    book = new_book()
    with open_worker(where, opening_of(book), wallets_seed=next(SEEDS)) as worker:
        live(book, worker)
        settled = worker.drain()
        assert settled.ok, settled
        assert differences(book, worker.ledger) == []
        book.fund("more", SITE, 1)
        holds = worker.ledger.balance(SITE)
        assert differences(book, worker.ledger) == [f"site holds {holds} nanos on the ledger, {holds + 1} in the book"]
        assert (settled.fees_nanos > 0) == where.startswith("http")


def test_records_are_anchored_beside_the_payments(where: str) -> None:
    signer, book = seeded_signer(1, "site"), new_book()
    with (
        open_worker(where, opening_of(book), wallets_seed=next(SEEDS)) as worker,
        Anchorer(None, signer, "street", worker, detail=Detail.FULL) as full,
        Anchorer(None, signer, "meters", worker, detail=Detail.ROOT) as root,
    ):
        for slot in range(1, 6):
            readings = [
                MeterReading(meter=car, at_ms=slot * 30_000, import_w=1, export_w=0, import_ws=slot * 30, export_ws=0)
                for car in CARS * 40
            ]
            full.add(readings, slot * 30_000)
            root.add(readings, slot * 30_000)
        live(book, worker, 5)
        for anchorer in (full, root):
            anchorer.seal(150_000)
        assert worker.drain().ok
        for site, anchorer in (("street", full), ("meters", root)):
            anchored = worker.ledger.anchored(site)
            assert anchored == anchorer.records()
            assert verify(anchored, signer.public_key, last=len(anchored) - 1) == []
        proof = root.proofs(0, "car3")[0]
        assert proves(proof, worker.ledger.anchored("meters", last=0)[0], signer.public_key)


def test_the_agents_thread_never_waits_for_the_ledger() -> None:
    """Handing over 2,000 payments takes next to nothing, for another thread writes them down."""
    with open_worker("memory", {"site": 10**9}) as worker:
        payments = [Payment(key=f"k{number}", payer="site", payee="car", nanos=1) for number in range(2_000)]
        writers: set[str] = set()
        owe = worker._submitter.outbox.owe

        def ack(*arguments, **options):
            writers.add(threading.current_thread().name)
            return owe(*arguments, **options)

        worker._submitter.outbox.owe = ack  # type: ignore[method-assign]
        for payment in payments:
            worker.pay([payment])
        assert worker.drain().ok
        assert writers == {"worker"}
        assert worker.ledger.balance("car") == 2_000


def test_what_was_left_is_paid_when_the_same_files_are_opened_again(tmp_path: Path) -> None:
    where, opening = f"sqlite:{tmp_path / 'street.sqlite'}", {"site": 1_000}
    never = Flush(nanos=10**18, age_ms=10**12)
    with open_worker(where, opening, flush=never) as worker:
        worker.pay([Payment(key="k", payer="site", payee="car", nanos=5)], due=False)
        while worker._unheard:
            pass
        assert worker.backlog == 1
    with open_worker(where, opening, flush=never) as worker:
        assert worker.ledger.balance("car") == 0
        assert worker.drain().ok
        assert worker.ledger.balance("car") == 5


def test_what_nobody_can_pay_is_reported_instead_of_waited_for() -> None:
    with open_worker("memory", {"site": 10}) as worker:
        worker.pay([Payment(key="k", payer="site", payee="car", nanos=11)])
        settled = worker.drain(0.3)
        assert (settled.ok, settled.backlog.items, settled.backlog.nanos) == (False, 1, 11)
        assert "less than it owes" in settled.waiting[0]


def test_a_failure_on_its_thread_is_raised_where_somebody_listens() -> None:
    with open_worker("memory", {"site": 10}) as worker:
        worker.pay([Payment(key="k", payer="site", payee="car", nanos=1)])
        worker.pay([Payment(key="k", payer="site", payee="car", nanos=2)])
        with pytest.raises(Exception, match="came first as"):
            worker.drain()


@pytest.mark.parametrize("word", ["", "sqlite", "sqlite:", "ftp://x", "momory"])
def test_a_word_that_names_no_ledger_is_refused_in_one_line(word: str) -> None:
    with pytest.raises(InputError, match="is no ledger"):
        open_ledger(word, {})


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
