"""The outbox: what is owed is paid exactly once, wherever the process dies and whatever the ledger does."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from tests.ledger.crashing import Boundaries, LeapingClock, one_life
from tests.ledger.fake_chain import FEE, FakeAdapter, FakeChain, Faults
from tests.ledger.wrong_designs import PayFirst, Rebuild

from wattswap.ledger.account_adapter import BatchOutcome, CoinRef, Manifest, Signed, Verdict, open_manifest, tag
from wattswap.ledger.base import DamagedError, Payment
from wattswap.ledger.book import Book
from wattswap.ledger.outbox import Outbox
from wattswap.ledger.outbox_schema import GIVE_UP_AFTER, Batch, BatchState
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.ledger.submitter import Submitter, payment_item
from wattswap.protocol.errors import InputError, LocalProtocolError

OPENING = {"site": (10_000, 9_000, 8_000), "car": (500,)}
DEBTS = [
    Payment(key="a", payer="site", payee="bus", nanos=100),
    Payment(key="b", payer="site", payee="van", nanos=20),
    Payment(key="c", payer="car", payee="site", nanos=7),
    Payment(key="d", payer="site", payee="bus", nanos=3),
]
OWED = {"bus": 103, "van": 20}


class OutboxPlace:
    """An outbox, a chain and the lanes between them, for one test."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.chain = FakeChain(OPENING, faults=faults)
        self.outbox = Outbox(None)
        self.lanes: dict[str, FakeAdapter] = {}
        self.minted = self.chain.supply()

    def lane(self, name: str) -> FakeAdapter:
        return self.lanes.setdefault(name, FakeAdapter(self.chain, name))

    def state(self, key: str) -> BatchState | None:
        known = self.outbox.find(key)
        assert known is not None
        return known.state

    def sign(self, lane: str, signed: Signed, most_items: int = 1) -> Batch:
        items = self.outbox.chosen(lane, most_nanos=100, most_items=most_items, most_bytes=0)
        return self.outbox.sign(lane, items, signed, 0)

    def submitter(self, **options) -> Submitter:
        return Submitter(self.outbox, self.lane, clock=LeapingClock(), **options)

    def close(self) -> None:
        self.outbox.close()
        self.chain.database.close()


@pytest.fixture
def place():
    """A place without faults."""
    fresh = OutboxPlace()
    yield fresh
    fresh.close()


def live(submitter: Submitter) -> None:
    """Owe the debts in two steps and work until nothing is left."""
    submitter.owe(DEBTS[:2])
    submitter.work()
    submitter.owe(DEBTS)
    settle(submitter)


def settle(submitter: Submitter, passes: int = 200) -> None:
    for _ in range(passes):
        if not submitter.outbox.backlog.items:
            return
        submitter.work()


def audit(place: OutboxPlace, owed: dict[str, int] = OWED) -> list[str]:
    """What is wrong, seen from outside: what payees hold on the chain against what they were owed."""
    place.chain.execute_all()
    holds = place.chain.received()
    wrong = [
        f"{name} got {holds.get(name, 0)}, not {nanos}" for name, nanos in owed.items() if holds.get(name) != nanos
    ]
    if place.chain.supply() != place.minted:
        wrong.append("tokens were made or lost")
    fees = 10_000 + 9_000 + 8_000 + 500 - sum(holds.values())
    if place.outbox.fees_nanos != fees and not wrong:
        wrong.append(f"fees are {fees}, the outbox says {place.outbox.fees_nanos}")
    wrong += place.outbox.alarms
    return wrong


# -- the ordinary way -------------------------------------------------------------------------------------------------


def test_what_is_owed_is_paid_and_netted_per_payee(place: OutboxPlace) -> None:
    submitter = place.submitter()
    assert submitter.owe(DEBTS) == [True] * 4
    settle(submitter)
    assert audit(place) == []
    assert place.chain.received()["site"] == 27_000 - 123 - FEE + 7
    assert place.outbox.fees_nanos == 2 * FEE
    assert len(place.chain.database.rows("SELECT * FROM transactions")) == 2
    assert [payer + item.key for payer, item in place.outbox.paid("site")] == ["sitea", "siteb", "sited", "carc"]
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
    assert place.outbox.backlog.items == 1
    assert "less than it owes" in submitter.errors()["car"]
    submitter.owe([Payment(key="help", payer="site", payee="car", nanos=900)])
    settle(submitter)
    assert place.chain.received()["bus"] == 600


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
    assert place.outbox.backlog.items == 0
    assert audit(place) == []
    place.close()


def test_while_the_ledger_is_away_debts_are_taken_on_and_paid_when_it_is_back(place: OutboxPlace) -> None:
    for name in ("site", "car"):
        place.lane(name).down = True
    submitter = place.submitter()
    submitter.owe(DEBTS)
    for _ in range(10):
        submitter.work()
    assert place.outbox.backlog.items == 4
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


# -- strangers and copies ---------------------------------------------------------------------------------------------


def steal(place: OutboxPlace) -> None:
    """Somebody else spends the site's first coin with the site's key."""
    thief = FakeAdapter(place.chain, "site")
    purse = thief.read()
    loot = Payment(key="x", payer="site", payee="thief", nanos=1)
    thief.submit(thief.sign([payment_item(loot)], purse, b""))


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
    place.outbox.thaw("site")
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
        copy = sqlite3.connect(backup)
        outbox._database._connection.backup(copy)
        copy.close()
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
        copy = sqlite3.connect(backup)
        outbox._database._connection.backup(copy)
        copy.close()
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
        assert outbox.backlog.items == 0
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
    final = BatchOutcome(verdict=Verdict.FINAL)
    place.outbox.decide(batch, final, 0)
    with pytest.raises(DamagedError, match="is FINAL, not SIGNED"):
        place.outbox.decide(batch, final, 0)
    with pytest.raises(DamagedError, match="is FINAL, not SIGNED"):
        place.outbox.bury(batch, "", 0)
    with pytest.raises(DamagedError, match="is in another batch already"):
        place.outbox.sign("site", batch.items, Signed(raw=b"2", digest="2", coins=(), expires=1), 0)


def test_an_outbox_has_one_writer_and_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    with Outbox(path), pytest.raises(InputError, match="in use"):
        Outbox(path)
    with pytest.raises(InputError, match="not a ledger of ours"):
        SqliteLedger(path)


def test_a_manifest_is_read_by_its_writer_alone() -> None:
    manifest = Manifest(b"8 bytes!", 7, (tag("a", b"k"), tag("b", b"k")))
    memo = manifest.seal(b"k")
    assert open_manifest(memo, b"k") == manifest
    assert open_manifest(memo, b"other") is None
    for place in range(len(memo)):
        assert open_manifest(memo[:place] + bytes([memo[place] ^ 1]) + memo[place + 1 :], b"k") is None
    assert open_manifest(b"", b"k") is None
    assert tag("a", b"k") != tag("a", b"l")


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
    assert place.outbox.backlog.items == 0
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
    assert place.outbox.backlog.items == 3
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


# -- every crash point ------------------------------------------------------------------------------------------------


def lives(place: OutboxPlace, deaths: list[int], submitter: type[Submitter] = Submitter) -> list[str]:
    """Die at each of these boundaries, one life after the other, then live on; what the audit finds."""
    for fatal in deaths:
        if not one_life(place.outbox, place.lane, Boundaries(fatal), live, submitter):
            break
    assert not one_life(place.outbox, place.lane, Boundaries(), live, submitter)
    return audit(place)


def boundaries_of(faults: Faults | None = None) -> list[str]:
    """The names of all boundaries of one undisturbed life."""
    place, all_of_them = OutboxPlace(faults), Boundaries()
    one_life(place.outbox, place.lane, all_of_them, live)
    place.close()
    return all_of_them.names


def test_the_boundaries_cover_every_step() -> None:
    names = set(boundaries_of())
    inserts = {f"INSERT INTO {table}" for table in ("items", "batches", "coins")}
    for step in inserts | {"UPDATE items SET", "UPDATE batches SET", "COMMIT"}:
        assert {f"before {step}", f"after {step}"} <= names
    for call in ("read", "sign", "submit", "sent"):
        assert {f"before {call}", f"after {call}"} <= names


def test_a_death_at_any_boundary_costs_and_creates_nothing() -> None:
    for fatal in range(len(boundaries_of())):
        place = OutboxPlace()
        assert lives(place, [fatal]) == [], f"died at boundary {fatal}"
        place.close()


@pytest.mark.parametrize("seed", range(3))
def test_nor_does_one_while_answers_are_lost_and_transactions_late(seed: int) -> None:
    weather = {"lost": 0.2, "unheard": 0.3, "late": 0.1, "abort": 0.1}
    for fatal in range(0, len(boundaries_of(Faults(seed, **weather))), 2):
        place = OutboxPlace(Faults(seed, **weather))
        assert lives(place, [fatal + seed % 2]) == [], f"died at boundary {fatal + seed % 2}"
        place.close()


def two_deaths(chosen: list[tuple[int, int]]) -> None:
    for first, second in chosen:
        place = OutboxPlace(Faults(first, unheard=0.5))
        assert lives(place, [first, second]) == [], f"died at boundaries {first} and {second}"
        place.close()


def test_nor_do_two_deaths_the_second_perhaps_while_reconciling() -> None:
    count = len(boundaries_of())
    luck = random.Random(1)
    two_deaths([(luck.randrange(count), luck.randrange(40)) for _ in range(120)])


@pytest.mark.long
def test_nor_do_any_two_deaths() -> None:
    count = len(boundaries_of())
    two_deaths([(first, second) for first in range(count) for second in range(count)])


def restored(fatal: int | None) -> list[str]:
    """Restore a backup, die at a boundary while it is compared with the ledger, live on; the boundaries passed."""
    place, backup = OutboxPlace(), Outbox(None)
    submitter = place.submitter()
    submitter.owe(DEBTS[:1])
    settle(submitter)
    submitter.owe(DEBTS[1:2])
    place.outbox._database._connection.backup(backup._database._connection)
    live(submitter)
    place.outbox.close()
    place.outbox = backup
    boundaries = Boundaries(fatal)
    if one_life(backup, place.lane, boundaries, live):
        one_life(backup, place.lane, Boundaries(), live)
    assert {payee: place.chain.received()[payee] for payee in OWED} == OWED, f"died at boundary {fatal}"
    assert backup.backlog.items == 0
    assert len([text for text in backup.alarms if "were adopted" in text]) >= (fatal is None)
    place.close()
    return boundaries.names


def test_nor_does_one_while_a_restored_backup_is_compared_with_the_ledger() -> None:
    names = restored(None)
    assert "after INSERT INTO adopted" in names
    for fatal in range(len(names)):
        restored(fatal)


# -- designs that are wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", [PayFirst, Rebuild])
def test_the_same_audit_catches_designs_that_are_wrong(design: type[Submitter]) -> None:
    caught, count = 0, 40
    for fatal in range(count):
        place = OutboxPlace(Faults(fatal, unheard=0.3))
        caught += bool(lives(place, [fatal], design))
        place.close()
    assert caught > count // 10, f"{caught} of {count}"
