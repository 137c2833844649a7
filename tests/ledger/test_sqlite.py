"""What only the ledger in a file can show: it survives, it is its owner's alone, and it believes no damaged file."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wattswap.ledger import database, sqlite
from wattswap.ledger.base import DamagedError, LedgerDownError, Payment
from wattswap.ledger.book import Book, wallet
from wattswap.ledger.crossing import held_in, opening_in
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError, LocalProtocolError

OPENING = {"site": 1_000, "car": 100}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger may go."""
    return tmp_path / "ledger.sqlite"


def payment(key: str, nanos: int = 10, payer: str = "site", payee: str = "car") -> Payment:
    return Payment(key=key, payer=payer, payee=payee, nanos=nanos)


# -- the file -------------------------------------------------------------------------------------------------------


def test_what_was_paid_is_there_when_the_file_is_opened_again(path: Path) -> None:
    with SqliteLedger(path, OPENING) as ledger:
        ledger.pay([payment("k")])
    with SqliteLedger(path, OPENING) as ledger:
        assert (ledger.balance("site"), ledger.balance("car")) == (990, 110)
        assert [status.state for status in ledger.pay([payment("k")])] == ["exists"]
    with SqliteLedger(path) as ledger:
        assert ledger.history("car") == [payment("k")]


def test_a_file_that_began_with_other_funds_is_refused(path: Path) -> None:
    SqliteLedger(path, OPENING).close()
    with pytest.raises(InputError, match="began with 1100 nanos in 2 accounts"):
        SqliteLedger(path, {"site": 1_000})


def test_a_file_has_one_writer(path: Path) -> None:
    with SqliteLedger(path, OPENING), pytest.raises(InputError, match="in use by process") as refusal:
        SqliteLedger(path)
    assert "\n" not in str(refusal.value)
    SqliteLedger(path).close()


def test_a_writer_in_another_process_counts_too_and_its_death_sets_the_file_free(path: Path) -> None:
    code = (
        "import sys, time, pathlib; from wattswap.ledger.sqlite import SqliteLedger;"
        "ledger = SqliteLedger(pathlib.Path(sys.argv[1]), {'site': 1}); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"\n"
        with pytest.raises(InputError, match="in use"):
            SqliteLedger(path)
        other.kill()
    with SqliteLedger(path) as ledger:
        assert ledger.balance("site") == 1


def test_anyone_may_read_while_it_is_in_use(path: Path) -> None:
    with SqliteLedger(path, OPENING, clock=lambda: 1_543_190_400_000) as ledger:
        ledger.pay([payment("k", 10)])
        reader = sqlite3.connect(path)
        assert reader.execute("SELECT * FROM balances").fetchall() == [("car", 110, 0.0), ("site", 990, 0.000001)]
        row = (1, "2018-11-26 00:00:00", "k", "site", "car", 10, 0.0)
        assert reader.execute("SELECT * FROM history").fetchall() == [row]
        reader.close()


def test_a_new_file_is_its_owners_alone_and_leaves_nothing_beside_it(path: Path) -> None:
    with SqliteLedger(path, OPENING) as ledger:
        ledger.pay([payment("k")])
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert list(path.parent.iterdir()) == [path]


def test_it_flushes_each_write_and_checks_what_rows_refer_to(path: Path) -> None:
    with SqliteLedger(path, OPENING) as ledger:
        database = ledger._database
        assert database.row("PRAGMA journal_mode") == ("wal",)
        assert database.row("PRAGMA synchronous") == (2,)
        assert database.row("PRAGMA foreign_keys") == (1,)
        with pytest.raises(sqlite3.IntegrityError), database.transaction() as sql:
            sql.execute("INSERT INTO payments VALUES (NULL, 'k', 'nobody', 'site', 1, 0)")
        ledger.check()


def test_tokens_out_of_nowhere_are_noticed_when_the_file_is_opened(path: Path) -> None:
    SqliteLedger(path, OPENING).close()
    meddler = sqlite3.connect(path)
    meddler.execute("UPDATE accounts SET nanos = nanos + 5 WHERE account = 'car'")
    meddler.commit()
    meddler.close()
    with pytest.raises(InputError, match="car differs by 5 nanos"):
        SqliteLedger(path)


def break_header(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to be one" * 100)


def break_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = bytes(range(256)) * 16
    path.write_bytes(content)


def break_version(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version=7")
    other.close()


def break_kind(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA application_id=7")
    other.close()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (break_header, "file is not a database"),
        (break_page, "malformed|damaged"),
        (break_version, "version 7, this program reads version 3"),
        (break_kind, "is not a ledger of ours"),
    ],
)
def test_a_file_that_is_not_a_sound_ledger_of_this_version_is_refused_in_one_line(path: Path, harm, said: str) -> None:
    SqliteLedger(path, OPENING).close()
    harm(path)
    with pytest.raises(InputError, match=said) as refusal:
        SqliteLedger(path)
    assert "\n" not in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert list(path.parent.iterdir()) == [path]


def test_a_place_where_no_file_can_be_is_refused_in_one_line(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing" / "ledger.sqlite"):
        with pytest.raises(InputError, match="cannot open ledger"):
            SqliteLedger(place)


@pytest.mark.parametrize("steps", [[], ["PRAGMA journal_mode=WAL"]])
def test_a_file_that_was_made_but_never_filled_is_begun_again(path: Path, steps: list[str]) -> None:
    """A death between making the file and filling it leaves it empty, or with one page that says no more than WAL."""
    path.touch(mode=0o600)
    maker = sqlite3.connect(path)
    for step in steps:
        maker.execute(step)
    maker.close()
    with SqliteLedger(path, OPENING) as ledger:
        assert ledger.balance("site") == 1_000


def test_after_a_failed_write_nothing_more_is_written(path: Path) -> None:
    """What a failed flush left on the disk is not known; going on as if nothing had been would be guessing."""
    with SqliteLedger(path, OPENING) as ledger:
        ledger._database._connection.execute("PRAGMA max_page_count=1")
        with pytest.raises(LedgerDownError, match="full"):
            ledger.pay([payment(f"k{number}", 1) for number in range(900)])
        ledger._database._connection.execute("PRAGMA max_page_count=100000")
        with pytest.raises(LedgerDownError, match="open it again"):
            ledger.pay([payment("k", 1)])
        assert ledger.balance("car") == 100
    with SqliteLedger(path) as ledger:
        assert ledger.pay([payment("k", 1)])[0].ok


def test_a_meddler_who_locks_the_file_is_waited_for_and_then_named_but_breaks_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_S", 0.01)
    with SqliteLedger(path, OPENING) as ledger:
        meddler = sqlite3.connect(path, isolation_level=None)
        meddler.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerDownError, match="locked"):
            ledger.pay([payment("k", 1)])
        meddler.close()
        assert ledger.pay([payment("k", 1)])[0].ok


@pytest.mark.parametrize("nanos", [-1, 1.5, True, 1 << 63])
def test_nobody_opens_with_what_is_no_amount(nanos: int) -> None:
    with pytest.raises(LocalProtocolError, match="alice"):
        SqliteLedger(None, {"alice": nanos})


def test_no_ledger_holds_more_than_its_integers_can() -> None:
    with pytest.raises(LocalProtocolError, match="in one ledger"):
        SqliteLedger(None, {"a": 1 << 62, "b": 1 << 62})


# -- the book beside it -----------------------------------------------------------------------------------------------


def a_book(rounds: int = 3) -> Book:
    """The site gives ann and bob 100 each; ann gives way and charges."""
    book = Book(1_000)
    for car in ("ann", "bob"):
        book.fund(f"opening/{car}", wallet(car), 100)
    for number in range(rounds):
        book.reserve(f"r{number}", 20)
        book.settle(f"r{number}", "ann", 10 + number)
    return book


def test_an_entry_and_its_payment_are_written_together_and_once(path: Path) -> None:
    book = a_book()
    with SqliteLedger(path, opening_in(book.entries)) as ledger:
        for billed in (0, 50):
            book.bill(f"s{billed}", "ann", billed)
            ledger.post(book)
            ledger.post(book)
        assert ledger.entries() == list(book.entries)
        assert ledger.paid_keys() == {"bill/s0", "bill/s50"}
        assert ledger.differences(held_in(book.balances()), {}) == []
        restored = Book.restore(ledger.entries())
        assert (restored.entries, restored.balances()) == (book.entries, book.balances())


def test_a_write_that_fails_halfway_leaves_neither_entry_nor_payment(path: Path) -> None:
    book = a_book()
    with SqliteLedger(path, opening_in(book.entries)) as ledger:
        ledger.post(book)
        book.bill("s", "ann", 0)
        breaker = sqlite3.connect(path)
        breaker.execute(
            "CREATE TRIGGER no BEFORE INSERT ON payments BEGIN SELECT RAISE(ABORT, 'the power failed'); END"
        )
        breaker.close()
        with pytest.raises(sqlite3.IntegrityError, match="the power failed"):
            ledger.post(book)
        assert len(ledger.entries()) == len(book.entries) - 1
        assert ledger.balance("wallet/ann") == 100


def test_another_books_entries_are_refused_and_nothing_is_paid(path: Path) -> None:
    book = a_book()
    book.bill("s", "ann", 0)
    with SqliteLedger(path, opening_in(book.entries)) as ledger:
        ledger.post(book)
        other = a_book(4)
        other.bill("other", "ann", 0)
        with pytest.raises(DamagedError, match="another book"):
            ledger.post(other)
        assert ledger.paid_keys() == {"bill/s"}


def test_a_book_is_compared_with_all_that_is_written_down_and_not_with_the_last_entry_alone(path: Path) -> None:
    book, other = a_book(), a_book()
    for one, key in ((book, "s"), (other, "t")):
        one.bill(key, "ann", 0)
        one.reserve("last", 1)
    with SqliteLedger(path, opening_in(book.entries)) as ledger:
        ledger.post(book)
        with pytest.raises(DamagedError, match="another book"):
            ledger.post(other)
        assert ledger.paid_keys() == {"bill/s"}


def test_a_file_of_another_run_is_refused(path: Path) -> None:
    """Monday's run once paid 403 IOTA out of Tuesday's file of the same name."""
    SqliteLedger(path, OPENING, run="monday").close()
    with pytest.raises(InputError, match="is the ledger of run monday, not of run tuesday"):
        SqliteLedger(path, OPENING, run="tuesday")
    with SqliteLedger(path) as ledger:
        first = ledger.identity
    path.unlink()
    with SqliteLedger(path, OPENING) as ledger:
        assert ledger.identity != first


def test_money_is_guarded_where_asserts_are_left_out(path: Path) -> None:
    """``python -O`` runs no assert."""
    SqliteLedger(path, OPENING).close()
    meddler = sqlite3.connect(path)
    meddler.execute("UPDATE accounts SET nanos = nanos + 5 WHERE account = 'car'")
    meddler.commit()
    meddler.close()
    code = f"import pathlib; from wattswap.ledger.sqlite import SqliteLedger; SqliteLedger(pathlib.Path({str(path)!r}))"
    ended = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=False)
    assert "car differs by 5 nanos" in ended.stderr
    sources = [file.read_text() for file in Path(sqlite.__file__).parent.glob("*.py")]
    assert not [text for text in sources if "\n        assert " in text or "\n    assert " in text]
