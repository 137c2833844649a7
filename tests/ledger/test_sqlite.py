"""What only the ledger in a file can show: it survives, it is its owner's alone, and it believes no damaged file."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wattswap.ledger import database
from wattswap.ledger.base import LedgerDownError, Payment
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.ledger.transactions import Ending, LocalTransaction, SupersededError, encode
from wattswap.protocol.errors import InputError, LocalProtocolError

OPENING = {"site": 1_000, "car": 100}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger may go."""
    return tmp_path / "ledger.sqlite"


def payment(key: str, nanos: int = 10, payer: str = "site", payee: str = "car") -> Payment:
    return Payment(key=key, payer=payer, payee=payee, nanos=nanos)


def transaction(sequence: int, *orders: tuple[str, str, int]) -> bytes:
    return encode(LocalTransaction("site", sequence, orders, (), b""))


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
    with SqliteLedger(path, OPENING), pytest.raises(InputError, match="in use by another program") as refusal:
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
            sql.execute("INSERT INTO payments VALUES (NULL, 'k', 'nobody', 'site', 1, NULL, 0)")
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
        (break_version, "version 7, this program reads version 1"),
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


# -- transactions -----------------------------------------------------------------------------------------------------


def test_a_transaction_happens_once_however_often_it_is_handed_in() -> None:
    ledger = SqliteLedger(None, OPENING)
    raw = transaction(0, ("a", "car", 5), ("b", "bus", 6))
    first = ledger.execute(raw)
    assert first.ending is Ending.DONE
    assert ledger.execute(raw) == first == ledger.executed(first.digest)
    assert (ledger.balance("site"), ledger.balance("car"), ledger.balance("bus")) == (989, 105, 6)
    assert (ledger.next_sequence("site"), ledger.sent("site"), ledger.sent("site", 1)) == (1, [raw], [])
    ledger.close()


def test_a_transaction_that_cannot_be_done_whole_moves_nothing_but_has_had_its_turn() -> None:
    ledger = SqliteLedger(None, OPENING)
    ledger.pay([payment("taken")])
    for number, order in enumerate((("b", "car", 10_000), ("taken", "car", 11))):
        ended = ledger.execute(transaction(number, (f"a{number}", "car", 5), order))
        assert ended.ending is Ending.FAILED
        assert ended.error
    assert (ledger.balance("car"), ledger.next_sequence("site")) == (110, 2)
    ledger.check()
    ledger.close()


def test_only_one_transaction_ever_stands_in_a_place() -> None:
    ledger = SqliteLedger(None, OPENING)
    first = ledger.execute(transaction(0, ("a", "car", 5)))
    with pytest.raises(SupersededError) as late:
        ledger.execute(transaction(0, ("b", "car", 5)))
    assert late.value.digest == first.digest
    with pytest.raises(SupersededError) as early:
        ledger.execute(transaction(2, ("b", "car", 5)))
    assert early.value.digest == ""
    assert ledger.balance("car") == 105
    ledger.close()


def test_bytes_in_another_form_are_no_transaction() -> None:
    ledger = SqliteLedger(None, OPENING)
    for raw in (b"", b"\xc1", transaction(0) + b"\0", b"\xdc\x00\x05" + transaction(0)[1:]):
        with pytest.raises(LocalProtocolError, match="not a transaction"):
            ledger.execute(raw)
    ledger.close()
