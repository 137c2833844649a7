"""Strangers, copies and attacks: an outbox that is not alone with its account or its file."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from tests.ledger.crashing import LeapingClock
from tests.ledger.fake_chain import FEE, FakeAdapter, FakeChain, Faults
from tests.ledger.outbox_place import DEBTS, OPENING, OWED, OutboxPlace, copy_to, live, settle

from wattswap.ledger.account_adapter import (
    BatchOutcome,
    CoinRef,
    Manifest,
    Purse,
    Sighting,
    Signed,
    Verdict,
    open_manifest,
    tag,
)
from wattswap.ledger.base import Anchor, DamagedError, Payment
from wattswap.ledger.book import Book
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_reading import BatchState
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.ledger.submitter import Submitter
from wattswap.protocol.errors import InputError


@pytest.fixture
def place():
    """A place without faults."""
    fresh = OutboxPlace()
    yield fresh
    fresh.close()


# -- strangers and copies ---------------------------------------------------------------------------------------------


def steal(place: OutboxPlace) -> None:
    """Somebody else spends the site's first coin with the site's key."""
    thief = FakeAdapter(place.chain, "site")
    purse = thief.read()
    loot = Payment(key="x", payer="site", payee="thief", nanos=1)
    thief.submit(thief.sign([loot], purse, b""))


def test_a_stranger_who_spends_our_coin_freezes_the_lane(place: OutboxPlace) -> None:
    place.chain.faults = Faults(lost=1.0)
    submitter = place.submitter()
    submitter.owe(DEBTS)
    submitter.work()
    place.chain.faults = Faults()
    steal(place)
    settle(submitter, 10)
    assert "the key is stolen" in place.outbox.frozen("site")
    assert place.outbox.frozen("car") == ""
    assert place.chain.received()["site"] >= 26_000
    assert [key for key in "abcd" if place.state(key) is BatchState.FINAL] == ["c"]


def test_a_strangers_transaction_is_noticed_at_the_next_start(place: OutboxPlace) -> None:
    first = place.submitter()
    first.owe(DEBTS[:1])
    settle(first)
    steal(place)
    second = place.submitter()
    second.owe(DEBTS[1:2])
    settle(second, 10)
    assert "the key is stolen" in place.outbox.frozen("site")
    assert place.chain.received().get("van") is None


def test_a_person_can_set_a_frozen_lane_free(place: OutboxPlace) -> None:
    test_a_strangers_transaction_is_noticed_at_the_next_start(place)
    place.outbox.thaw()
    settle(place.submitter())
    assert place.chain.received()["van"] == 20
    steal(place)
    settle(place.submitter(), 3)
    place.submitter().work()
    assert "is not in this outbox" in place.outbox.frozen("site")


def test_a_restored_backup_pays_nothing_twice(tmp_path: Path) -> None:
    """The card died after four payments; the backup knows one of them, and another was only a debt."""
    chain = FakeChain(OPENING)
    path, backup = tmp_path / "outbox.sqlite", tmp_path / "backup.sqlite"
    with Outbox(path) as outbox:
        submitter = Submitter(outbox, lambda name: FakeAdapter(chain, name), clock=LeapingClock())
        submitter.owe(DEBTS[:1])
        settle(submitter)
        submitter.owe(DEBTS[1:2])
        copy_to(outbox, backup)
        settle(submitter)
        submitter.owe(DEBTS[3:])
        settle(submitter)
    with Outbox(backup) as outbox:
        submitter = Submitter(outbox, lambda name: FakeAdapter(chain, name), clock=LeapingClock())
        submitter.work()
        assert [text for text in outbox.alarms if "2 of its transactions were not in the outbox" in text]
        assert outbox.fees_nanos == 3 * FEE
        submitter.owe(DEBTS)
        settle(submitter)
        assert {known.state for key in "abcd" if (known := outbox.find(key))} == {BatchState.FINAL}
    assert {payee: chain.received()[payee] for payee in OWED} == OWED
    chain.database.close()


def test_a_backup_whose_own_batch_was_overtaken_buries_it_and_pays_what_is_left(tmp_path: Path) -> None:
    """In the backup a batch was signed that the living outbox buried; its coin has long gone into another of ours."""
    chain = FakeChain(OPENING, faults=Faults(lost=1.0))
    path, backup = tmp_path / "outbox.sqlite", tmp_path / "backup.sqlite"
    with Outbox(path) as outbox:
        submitter = Submitter(outbox, lambda name: FakeAdapter(chain, name), clock=LeapingClock())
        submitter.owe(DEBTS[:1])
        submitter.work()
        copy_to(outbox, backup)
        for _ in range(3):
            chain.next_epoch()
        submitter.work()
        chain.faults = Faults()
        submitter.owe(DEBTS[1:2])
        settle(submitter)
    with Outbox(backup) as outbox:
        submitter = Submitter(outbox, lambda name: FakeAdapter(chain, name), clock=LeapingClock())
        submitter.owe(DEBTS)
        settle(submitter)
        assert outbox.unsettled == 0
        states = Counter(state for (state,) in outbox._database.rows("SELECT state FROM batches"))
        assert states == {BatchState.DEAD: 1, BatchState.FINAL: 3}
    assert {payee: chain.received()[payee] for payee in OWED} == OWED
    chain.database.close()


def test_an_outbox_that_was_lost_altogether_learns_from_the_ledger_what_is_paid(place: OutboxPlace) -> None:
    live(place.submitter())
    place.outbox.close()
    place.outbox = Outbox(None)
    live(place.submitter())
    assert {payee: place.chain.received()[payee] for payee in OWED} == OWED


def test_a_second_copy_that_lives_at_the_same_time_stops_instead_of_paying_twice() -> None:
    place, twin = OutboxPlace(), Outbox(None)
    first = place.submitter()
    second = Submitter(twin, place.lane, clock=LeapingClock())
    for submitter in (first, second):
        submitter.owe(DEBTS[:1])
    place.chain.faults = Faults(late=1.0)
    first.work()
    place.chain.faults = Faults()
    settle(second, 10)
    assert "If the key file was copied" in twin.frozen("site")
    assert place.chain.received().get("bus") is None
    place.chain.execute_all()
    settle(first)
    assert place.chain.received()["bus"] == 100
    twin.close()
    place.close()


# -- the file ---------------------------------------------------------------------------------------------------------


def test_there_is_one_undecided_batch_a_lane_and_one_spender_a_coin_version(place: OutboxPlace) -> None:
    """The rule that everything rests on is the database's, not the program's."""
    submitter = place.submitter()
    submitter.owe(DEBTS[:3])
    signed = Signed(raw=b"1", digest="1", coins=(CoinRef("coin", 1),), expires=1)
    place.sign("site", signed)
    with pytest.raises(sqlite3.IntegrityError):
        place.sign("site", Signed(raw=b"2", digest="2", coins=(), expires=1), most_items=9)
    with pytest.raises(sqlite3.IntegrityError):
        place.sign("car", Signed(raw=b"3", digest="3", coins=signed.coins, expires=1))
    place.outbox.check()


def test_no_step_is_taken_twice_or_out_of_turn(place: OutboxPlace) -> None:
    submitter = place.submitter()
    submitter.owe(DEBTS[:1])
    batch = place.sign("site", Signed(raw=b"1", digest="1", coins=(), expires=1))
    seen = Sighting(digest="1", outcome=BatchOutcome(verdict=Verdict.FINAL), memo=b"")
    paid = [tag(DEBTS[0], b"secret")]
    assert [place.outbox.learn("site", [(seen, paid)], 0) for _ in range(2)] == [[], []]
    with pytest.raises(DamagedError, match="batch 1 is not SIGNED"):
        place.outbox.bury(batch, "", 0)
    with pytest.raises(DamagedError, match="is in another batch already"):
        place.outbox.sign("site", DEBTS[:1], Signed(raw=b"2", digest="2", coins=(), expires=1), 0)


def test_an_outbox_has_one_writer_and_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    with Outbox(path), pytest.raises(InputError, match="in use"):
        Outbox(path)
    with pytest.raises(InputError, match="not a ledger of ours"):
        SqliteLedger(path)


def test_a_manifest_is_read_by_its_writer_alone() -> None:
    a, b, *_ = DEBTS
    manifest = Manifest(b"8 bytes!", 7, (tag(a, b"k"), tag(b, b"k")))
    memo = manifest.seal(b"k")
    assert open_manifest(memo, b"k") == manifest
    assert open_manifest(memo, b"other") is None
    for place in range(len(memo)):
        assert open_manifest(memo[:place] + bytes([memo[place] ^ 1]) + memo[place + 1 :], b"k") is None
    assert open_manifest(b"", b"k") is None
    assert tag(a, b"k") != tag(a, b"l")
    assert tag(a, b"k") != tag(msgspec.structs.replace(a, nanos=a.nanos + 1), b"k")


# -- attacks ----------------------------------------------------------------------------------------------------------


def test_a_flipped_bit_in_a_stored_batch_is_never_handed_in(place: OutboxPlace) -> None:
    place.chain.faults = Faults(lost=1.0)
    submitter = place.submitter()
    submitter.owe(DEBTS[:1])
    submitter.work()
    [(raw,)] = place.outbox._database.rows("SELECT raw FROM batches")
    for at in range(len(raw)):
        flipped = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with place.outbox._database.transaction() as sql:
            sql.execute("UPDATE batches SET raw = ?", (flipped,))
        found = place.outbox.undecided("site")
        assert found is not None
        assert found.damaged
    place.chain.faults = Faults()
    settle(submitter, 5)
    assert "damaged and was not handed in" in place.outbox.frozen("site")
    assert place.chain.database.rows("SELECT 1 FROM transactions") == []


def test_a_stolen_key_is_noticed_on_an_account_that_has_nothing_to_pay(place: OutboxPlace) -> None:
    """An alarm that rings only when the next payment is due rings too late."""
    first = place.submitter()
    first.owe(DEBTS[:1])
    settle(first)
    steal(place)
    idle = place.submitter()
    assert place.outbox.unsettled == 0
    idle.work()
    assert "the key is stolen" in place.outbox.frozen("site")


def test_what_was_given_up_is_tried_again_when_a_person_says_so() -> None:
    place = OutboxPlace(Faults(abort=1.0))
    submitter = place.submitter()
    submitter.owe(DEBTS[:2])
    for _ in range(60):
        submitter.work()
    place.chain.faults = Faults()
    submitter.work()
    assert place.outbox.stuck == ["a", "b"]
    assert place.outbox.retry() == 2
    settle(submitter)
    assert {payee: place.chain.received()[payee] for payee in ("bus", "van")} == {"bus": 100, "van": 20}
    place.close()


def test_alarms_are_told_until_a_person_has_read_them(place: OutboxPlace) -> None:
    test_a_strangers_transaction_is_noticed_at_the_next_start(place)
    assert len(place.outbox.alarms) == 1
    assert place.outbox.acknowledge() == 1
    assert place.outbox.alarms == []
    assert place.outbox.frozen("site")


def test_the_book_and_what_it_owes_are_one_write(place: OutboxPlace) -> None:
    book = Book(1_000, "each")
    for number in range(3):
        book.reserve(f"r{number}", 10)
        book.settle(f"r{number}", "ann", 10)
    submitter = place.submitter()
    assert submitter.post(book)
    assert not submitter.post(book)
    assert place.outbox.entries() == list(book.entries)
    assert place.outbox.unsettled == 3
    settle(submitter)
    assert place.chain.received()["wallet/ann"] == 30
    assert place.outbox.paid_keys() == {"reward/r0", "reward/r1", "reward/r2"}


def test_an_outbox_of_another_run_or_book_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    with Outbox(path, run="monday") as outbox:
        outbox.post(Book(5), lambda _account, _key: b"", 0)
    with pytest.raises(InputError, match="outbox of run monday, not of run tuesday"):
        Outbox(path, run="tuesday")
    with Outbox(path, run="monday") as outbox, pytest.raises(DamagedError, match="another book"):
        outbox.post(Book(6), lambda _account, _key: b"", 0)


def test_an_outbox_compares_a_book_with_all_that_is_written_down() -> None:
    books = [Book(50), Book(50)]
    for number, book in enumerate(books):
        book.reserve(f"r{number}", 10)
        book.reserve("last", 1)
    with Outbox(None) as outbox:
        outbox.post(books[0], lambda _account, _key: b"", 0)
        with pytest.raises(DamagedError, match="another book"):
            outbox.post(books[1], lambda _account, _key: b"", 0)
        assert outbox.entries() == list(books[0].entries)


@pytest.mark.parametrize(
    "flip",
    ["nanos = nanos + 64", "payee = 'buS'", "key = key || 'x'", "tag = zeroblob(16)"],
)
def test_a_debt_that_was_altered_in_the_file_is_not_paid(place: OutboxPlace, flip: str) -> None:
    submitter = place.submitter()
    submitter.owe(DEBTS[:1])
    with place.outbox._database.transaction() as sql:
        sql.execute(f"UPDATE items SET {flip}")
    settle(submitter, 5)
    assert "not what was written down" in place.outbox.frozen("site")
    assert place.chain.database.rows("SELECT 1 FROM transactions") == []


def test_a_record_that_was_altered_in_the_file_stops_its_account_in_one_line(place: OutboxPlace) -> None:
    with place.chain.database.transaction() as sql:
        sql.execute("INSERT INTO coins VALUES ('anchors/0', 1, 'anchors', 1000)")
    submitter = place.submitter()
    submitter.owe([Anchor(site="street", sequence=0, content=b"said " * 20)])
    with place.outbox._database.transaction() as sql:
        [(content,)] = sql.execute("SELECT content FROM items").fetchall()
        sql.execute("UPDATE items SET content = ?", (content[:5] + b"\xff" + content[6:],))
    settle(submitter, 5)
    assert "'anchor/street/0' is not what was written down" in place.outbox.frozen("anchors")


def test_debts_are_not_paid_with_another_key(place: OutboxPlace) -> None:
    place.submitter().owe(DEBTS[:1])
    place.lanes["site"] = FakeAdapter(place.chain, "site", secret=b"another")
    settle(place.submitter(), 5)
    assert "with this key" in place.outbox.frozen("site")
    assert place.chain.database.rows("SELECT 1 FROM transactions") == []


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_two_copies_that_pay_at_the_same_time_pay_nothing_twice(tmp_path: Path, ahead: int) -> None:
    """Both are compared with the ledger before either pays; one is then ``ahead`` batches ahead of the other."""
    chain = FakeChain({"site": (10_000,)})
    debts = [Payment(key=f"k{number}", payer="site", payee=f"bus{number}", nanos=10 + number) for number in range(4)]

    def adapter(_name: str) -> FakeAdapter:
        found = FakeAdapter(chain, "site")
        found.most_items = 1
        return found

    paths = tmp_path / "outbox.sqlite", tmp_path / "copy.sqlite"
    with Outbox(paths[0]) as outbox:
        Submitter(outbox, adapter, clock=LeapingClock()).owe(debts)
        copy_to(outbox, paths[1])
    with Outbox(paths[0]) as one, Outbox(paths[1]) as other:
        twins = [Submitter(outbox, adapter, clock=LeapingClock()) for outbox in (one, other)]
        for twin in twins:
            twin.payer("site")._reconcile()
        for _ in range(ahead):
            twins[0].work()
        for _ in range(60):
            for twin in twins:
                twin.work()
        assert [one.unsettled, other.unsettled] == [0, 0]
        assert any("not in the outbox" in text for text in other.alarms)
    received = chain.received()
    assert {debt.payee: received[debt.payee] for debt in debts} == {debt.payee: debt.nanos for debt in debts}
    chain.database.close()


def test_what_a_copy_has_paid_is_no_strangers_though_a_person_says_so(tmp_path: Path) -> None:
    """The copy was frozen for it, before the ledger listed it, and set free with --thaw."""
    chain = FakeChain({"site": (10_000,)})
    paths = tmp_path / "outbox.sqlite", tmp_path / "copy.sqlite"
    with Outbox(paths[0]) as outbox:
        submitter = Submitter(outbox, lambda name: FakeAdapter(chain, name), clock=LeapingClock())
        submitter.owe(DEBTS[:1])
        copy_to(outbox, paths[1])
        settle(submitter)
        [digest] = outbox.finals("site")
    with Outbox(paths[1]) as outbox:
        outbox.alarm("site", "strange", 0, freezes=True, stranger=digest)
        assert outbox.thaw() == ["site"]
        settle(Submitter(outbox, lambda name: FakeAdapter(chain, name), clock=LeapingClock()))
        assert outbox.unsettled == 0
        assert any("not in the outbox" in text for text in outbox.alarms)
    assert chain.received()["bus"] == 100
    chain.database.close()


def test_what_a_copied_key_has_paid_with_an_outbox_of_its_own_is_not_paid_again(place: OutboxPlace) -> None:
    """A person's key and its copy pay under the same settlement key: it is the same payment."""
    original = place.submitter()
    original.owe(DEBTS[1:2])
    settle(original)
    with Outbox(None) as other:
        copy = Submitter(other, place.lane, clock=LeapingClock())
        copy.owe(DEBTS[:1])
        settle(copy)
    again = place.submitter()
    again.owe(DEBTS[:1])
    settle(again, 10)
    assert (again.others(), place.outbox.alarms) == (1, [])
    assert (place.state("a"), place.chain.received()["bus"]) == (BatchState.FINAL, 100)


def test_runs_with_a_persons_key_before_and_between_stop_none_of_its_payments(place: OutboxPlace) -> None:
    """Both runs have paid a bill of the same name: in the eyes of a third outbox that is no payment made twice."""
    for number, run in enumerate(("monday", "tuesday")):
        with Outbox(None, run=run) as outbox:
            submitter = Submitter(outbox, place.lane, clock=LeapingClock())
            submitter.owe([Payment(key="bill/a", payer="site", payee="bus", nanos=100)])
            settle(submitter)
        by_hand = place.submitter()
        by_hand.owe([Payment(key=f"pay/{number}", payer="site", payee="ann", nanos=5)])
        settle(by_hand, 10)
        assert (by_hand.others(), place.outbox.alarms, place.outbox.unsettled) == (number + 1, [], 0)
    assert (place.chain.received()["bus"], place.chain.received()["ann"]) == (200, 10)


def test_an_outbox_that_is_older_than_what_it_has_paid_says_so(tmp_path: Path) -> None:
    """What it owed since then stood in it alone, and nothing is left to compare the ledger with."""
    chain = FakeChain(OPENING)
    path, backup = tmp_path / "outbox.sqlite", tmp_path / "backup.sqlite"
    with Outbox(path) as outbox:
        submitter = Submitter(outbox, lambda name: FakeAdapter(chain, name), clock=LeapingClock())
        submitter.owe(DEBTS[:1])
        copy_to(outbox, backup)
        submitter.owe(DEBTS[:2])
        settle(submitter)
        assert submitter.forgotten() == 0
    with Outbox(backup) as outbox:
        submitter = Submitter(outbox, lambda name: FakeAdapter(chain, name), clock=LeapingClock())
        submitter.work()
        assert (submitter.forgotten(), outbox.unsettled) == (1, 0)
        submitter.owe(DEBTS[:2])
        assert submitter.forgotten() == 0
    chain.database.close()


def test_an_outbox_is_not_opened_with_the_keys_of_another(place: OutboxPlace) -> None:
    """Also of an account that is only paid: its tokens would go to somebody else."""
    lie = {"site": "0x51", "car": "0xca"}
    place.outbox.bind_addresses(lie)
    place.outbox.bind_addresses({"site": "0x00"})
    place.outbox.require_addresses({**lie, "another": "0x1"}.__getitem__)
    with pytest.raises(InputError, match="the wallet of 'car' is 0xcb, and in this run it was 0xca"):
        place.outbox.require_addresses({**lie, "car": "0xcb"}.__getitem__)


def test_what_a_person_pays_is_paid_once_whichever_outbox_of_the_key_it_is_written_into(place: OutboxPlace) -> None:
    """First by hand with the key's own outbox, then through a run's with the same wallet, then the first was lost."""
    for run in ("", "monday", ""):
        with Outbox(None, run=run) as outbox:
            submitter = Submitter(outbox, place.lane, clock=LeapingClock())
            submitter.owe(DEBTS[:1])
            settle(submitter, 10)
            assert outbox.unsettled == 0
            assert (known := outbox.find("a")) is not None
            assert known.is_final
            again = Submitter(outbox, place.lane, clock=LeapingClock())
            again.work()
            assert (outbox.alarms, again.forgotten()) == ([], 0)
    assert place.chain.received()["bus"] == 100


def test_a_gas_coin_that_others_spend_is_no_theft(place: OutboxPlace) -> None:
    """Two accounts of one folder of keys share the wallet that pays their gas."""
    place.chain.faults = Faults(lost=1.0)
    submitter = place.submitter()
    submitter.owe(DEBTS[:1])
    submitter.work()
    place.chain.faults = Faults()
    batch = place.outbox.undecided("site")
    assert batch is not None
    neighbour = FakeAdapter(place.chain, "neighbour")
    purse = Purse(coins=batch.signed.coins, nanos=100, epoch=0)
    assert neighbour.submit(neighbour.sign([], purse, b"")).verdict is Verdict.FINAL
    settle(place.submitter(), 10)
    assert (place.outbox.frozen("site"), place.outbox.unsettled, place.chain.received()["bus"]) == ("", 0, 100)


def test_a_ledger_that_was_set_back_is_said_to_be_and_nothing_is_paid_on_it(place: OutboxPlace) -> None:
    first = place.submitter()
    first.owe(DEBTS[:1])
    settle(first)
    place.chain.database.close()
    place.chain, place.lanes = FakeChain(OPENING), {}
    second = place.submitter()
    second.owe(DEBTS[1:2])
    settle(second, 5)
    assert "set back to an earlier state" in place.outbox.frozen("site")
    assert place.chain.database.rows("SELECT 1 FROM transactions") == []


def test_a_second_run_with_the_same_keys_pays_what_it_owes_itself() -> None:
    """Its bills have the names of the first one's: it is the same street, a day later or once more."""
    chain = FakeChain(OPENING)
    for run in ("monday", "tuesday"):
        with Outbox(None, run=run) as outbox:
            submitter = Submitter(outbox, lambda name: FakeAdapter(chain, name), clock=LeapingClock())
            submitter.owe([msgspec.structs.replace(debt, key=f"bill/{debt.key}") for debt in DEBTS[:2]])
            settle(submitter)
            assert outbox.alarms == []
            assert outbox.fees_nanos == FEE * len(outbox._database.rows("SELECT 1 FROM batches"))
    received = chain.received()
    assert (received["bus"], received["van"]) == (200, 40)
    chain.database.close()
