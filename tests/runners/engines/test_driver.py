"""The driver: what must survive is durable before anything is said, whenever the process dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, count, repeat
from pathlib import Path

import pytest

from wattswap.ledger.book import Book, Entry
from wattswap.protocol.effects import (
    Bill,
    Effect,
    Forget,
    NoteAward,
    Pay,
    Remember,
    Reserve,
    Send,
    SetPower,
    WakeAt,
)
from wattswap.protocol.errors import LocalProtocolError
from wattswap.protocol.events import Billed, Event, Paid, Restarted, Woken
from wattswap.protocol.messages import AWARD, Ack, Message
from wattswap.runners.engines.driver import Driver
from wattswap.runners.engines.node import Node, Running, torn
from wattswap.runners.engines.observer import Note
from wattswap.runners.engines.sqlite_store import SqliteStore
from wattswap.runners.engines.store import MemoryStore

SAID = Send("car", Ack(AWARD, 7, 1))
NOTE = NoteAward(1, 7, "0.1/s7", (4_000, 0, 0), (10**9, 0, 0), (4_000, 0, 0), (10**9, 0, 0))
ROUND: list[Effect] = [
    Reserve("0.1/s7", 700),
    NOTE,
    SAID,
    WakeAt(60_000),
    Remember("award/0.1/s7", b"kept"),
    SetPower(7, 0, 0),
]
"""The transformer's part of a round, in an order in which the promise is said before it is kept."""


@dataclass
class Notebook:
    """A host, and a store, that write down what they are asked, in its order."""

    asked: list[object] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)

    def post(self, sender: str, to: str, message: Message) -> None:
        self.asked.append(("post", sender, to, message))

    def tell(self, agent: str, event: Event) -> None:
        self.asked.append(("tell", agent, event))

    def wake_at(self, agent: str, at_ms: int) -> None:
        self.asked.append(("wake", agent, at_ms))

    def set_power(self, session: int, import_w: int, export_w: int) -> None:
        self.asked.append(("power", session, import_w, export_w))

    def note(self, agent: str, note: Note) -> None:
        self.asked.append(("note", agent, note))

    def billed(self, session: int, billed_nanos: int, receivable_nanos: int) -> None:
        self.asked.append(("billed", session, billed_nanos, receivable_nanos))

    def refused(self, agent: str, error: LocalProtocolError) -> None:
        self.asked.append(("refused", agent, str(error)))

    def commit(self, memories: Sequence[tuple[str, bytes | None]], entries: Sequence[Entry]) -> None:
        self.asked.append(("commit", [key for key, _ in memories], [entry[0] for entry in entries]))
        self.store.commit(memories, entries)

    def next_epoch(self, least: int = 1) -> int:
        self.asked.append("epoch")
        return self.store.next_epoch(least)

    def remembered(self) -> dict[str, bytes]:
        return self.store.remembered()

    def entries(self) -> list[Entry]:
        return self.store.entries()


def test_everything_durable_is_one_transaction_before_anything_is_said():
    place = Notebook()
    Driver(place, place, Book(1_000)).carry_out("transformer", ROUND)
    assert place.asked == [
        ("note", "transformer", NOTE),
        ("commit", ["award/0.1/s7"], ["reserve"]),
        ("post", "transformer", "car", SAID.message),
        ("wake", "transformer", 60_000),
        ("power", 7, 0, 0),
    ]


def test_effects_of_several_events_can_share_a_transaction():
    """A poll loop handles what has arrived together: one flush of the disk for all of it."""
    place = Notebook()
    Driver(place, place, Book(1_000)).carry_out("transformer", [*ROUND, SAID, Forget("session/3")])
    assert place.asked[1] == ("commit", ["award/0.1/s7", "session/3"], ["reserve"])
    assert sum(isinstance(what, tuple) and what[0] == "post" for what in place.asked) == 2


def test_what_changes_nothing_durable_commits_nothing():
    place = Notebook()
    Driver(place, place).carry_out("car", [SAID, WakeAt(5)])
    assert [what[0] for what in place.asked if isinstance(what, tuple)] == ["post", "wake"]


def test_who_the_mandate_names_is_paid_and_the_agent_is_told_what_came_back():
    place, book = Notebook(), Book(1_000)
    driver = Driver(place, place, book)
    pay = Pay("0.1/s7", 7, 1, "s7", "vehicle/zoe", 300)
    driver.carry_out("transformer", [Reserve("0.1/s7", 700), pay])
    assert place.asked[-1] == ("tell", "transformer", Paid(7, 1, 300, 400))
    assert book.balance("payable/vehicle/zoe") == 300
    driver.carry_out("transformer", [pay])
    assert place.asked[-1] == ("tell", "transformer", Paid(7, 1, 300, 0)), "a repeat moves nothing"
    assert book.balance("payable/vehicle/zoe") == 300


def test_a_bill_is_netted_under_its_session_id_for_whom_the_mandate_names():
    place, book = Notebook(), Book(1_000)
    book.fund("opening/zoe", "wallet/zoe", 40)
    Driver(place, place, book).carry_out("transformer", [Bill(7, "s7", "zoe", 100)])
    assert place.asked == [
        ("billed", 7, 100, 60),
        ("commit", [], ["bill"]),
        ("tell", "transformer", Billed(7, 40)),
    ]
    assert book.entries[-1][:3] == ("bill", "s7", "zoe")


def test_what_the_book_refuses_its_host_is_told_of_and_all_else_is_carried_out():
    """On a node that goes on: a bill that cannot be must not come back with every start, and stop all others."""
    place, book = Notebook(), Book(1_000)
    book.bill("s7", "zoe", 100)
    driver = Driver(place, place, book)
    driver.carry_out(
        "transformer", [Bill(7, "s7", "max", 5), Remember("billed/s7", b""), SAID, Bill(8, "s8", "max", 5)]
    )
    assert place.asked == [
        ("refused", "transformer", "bill 's7' came first as ('zoe', 100), now as ('max', 5)"),
        ("billed", 8, 5, 5),
        ("commit", ["billed/s7"], ["bill"]),
        ("tell", "transformer", Billed(8, 0)),
        ("post", "transformer", "car", SAID.message),
    ]


def test_agents_of_two_kinds_with_one_number_have_two_wallets():
    book = Book(1_000)
    bills = [Bill(7, "s7", "vehicle/1", 100), Bill(8, "s8", "charger/1", 100)]
    Driver(Notebook(), MemoryStore(), book).carry_out("transformer", bills)
    assert [entry[:3] for entry in book.entries[1:]] == [("bill", "s7", "vehicle/1"), ("bill", "s8", "charger/1")]


def test_a_wallet_may_have_another_name_than_its_agent():
    book = Book(1_000)
    driver = Driver(Notebook(), MemoryStore(), book, {"vehicle/north/zoe": "zoe"})
    driver.carry_out("transformer", [Bill(7, "s7", "vehicle/north/zoe", 100)])
    assert book.entries[-1][:3] == ("bill", "s7", "zoe")


def test_only_a_transformer_moves_money():
    with pytest.raises(LocalProtocolError, match="car moves money and has no book"):
        Driver(Notebook(), MemoryStore()).carry_out("car", [Reserve("k", 1)])


# -- crashes in the middle --------------------------------------------------------------------------------------------


def test_a_crash_may_cut_before_the_transaction_or_after_any_number_of_steps():
    kept = [ROUND[0], ROUND[1], ROUND[4]]
    assert [torn(ROUND, partial(min, done)) for done in range(5)] == [
        [],
        kept,
        [ROUND[0], ROUND[1], SAID, ROUND[4]],
        [ROUND[0], ROUND[1], SAID, ROUND[3], ROUND[4]],
        ROUND,
    ]
    assert torn([SAID] * 20, lambda steps: steps) == [SAID] * 20, "anywhere, not among the first few only"
    assert torn([SAID] * 20, lambda steps: steps - 1) == [SAID] * 19


@dataclass
class Promises:
    """An agent that makes one promise at each wake-up, and knows after a restart which it has made."""

    name: str = "transformer"
    made: int = 0
    epoch: int = 1

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        match event:
            case Restarted():
                self.made, self.epoch = len(event.remembered), event.epoch
            case Woken():
                self.made += 1
                return [
                    Send("car", Ack(AWARD, self.made, now_ms)),
                    Reserve(f"0.0/{self.made}", 10),
                    Remember(f"award/{self.made}", b""),
                    Send("car", Ack(AWARD, self.made, now_ms)),
                ]
            case _:
                pass
        return []

    def check(self) -> None:
        pass


class _KilledAt(Notebook):
    """A host whose process is killed when it is asked for the last thing it may be asked."""

    def __init__(self, pipe: int, at: int) -> None:
        super().__init__()
        self._pipe, self._left = pipe, count(at - 1, -1)

    def post(self, sender: str, to: str, message: Message) -> None:
        if next(self._left) < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        assert isinstance(message, Ack)
        os.write(self._pipe, bytes([message.session]))


def killed_life(path: Path, at: int) -> list[int]:
    """One life of a node, in a process that is killed between two effects; the promises that it has said."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store = SqliteStore(path)
            node = Node(Promises, _KilledAt(writer, at), store, Book(1_000))
            for event in chain(node.start(), repeat(Woken())):
                node.feed(event, 0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = list(pipe.read())
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, "it ended by itself"
    return said


def test_whatever_a_killed_node_has_said_it_still_knows(tmp_path: Path):
    """kill -9 between any two effects, life after life: what was said is remembered, covered, and never said anew."""
    path = tmp_path / "node.sqlite"
    said: set[int] = set()
    for life in range(12):
        words = killed_life(path, at=life)
        assert not said & set(words), "a promise that was made before is not made again"
        said |= set(words)
        with SqliteStore(path) as store:
            remembered, book = store.remembered(), Book.restore(store.entries())
        assert {f"award/{number}" for number in said} <= remembered.keys()
        assert all(book.held(f"0.0/{key.removeprefix('award/')}") == 10 for key in remembered)
        assert book.balance("reserved") == 10 * len(remembered)
    assert len(said) > 20


def test_a_node_that_died_before_its_book_was_opened_opens_it(tmp_path: Path):
    store = MemoryStore()
    store.next_epoch()
    node = Node(Promises, Notebook(), store, Book(1_000))
    assert node.start() == [Restarted(2, {}, 1_000)]
    assert Book.restore(store.entries()).site_uncommitted_nanos == 1_000


# -- a node -----------------------------------------------------------------------------------------------------------


def test_a_node_that_starts_again_counts_that_first_and_learns_what_it_had_kept():
    place = Notebook()
    node = Node(Promises, place, place, Book(1_000))
    assert node.start() == []
    node.feed(Woken(), 5)
    before = node.agent
    node.crash()
    place.asked.clear()
    (restarted,) = node.start()
    assert place.asked == ["epoch"]
    assert restarted == Restarted(2, {"award/1": b""}, 990)
    assert node.agent is not before
    assert node.state is Running.RUNS
    assert node.driver.book is not None
    assert node.driver.book.entries == tuple(place.entries())


def test_a_node_that_fails_between_its_effects_is_down_and_has_kept_all_or_nothing():
    for done in range(4):
        place = Notebook()
        node = Node(Promises, place, place, Book(1_000))
        node.start()
        crashed: list[int] = []
        node.crash_in_next_event(partial(min, done), partial(crashed.append, done))
        carried_out = node.feed_in_part(Woken(), 5)
        assert node.is_down
        assert crashed == [done]
        assert sum(isinstance(effect, Send) for effect in carried_out) == max(done - 1, 0)
        assert place.remembered() == ({"award/1": b""} if done else {})
        assert Book.restore(place.entries()).held("0.0/1") == (10 if done else 0)


def test_cuts_add_up_and_one_way_ones_let_a_node_speak():
    node = Node(Promises, Notebook(), MemoryStore(), Book(1))
    node.cut(one_way=True)
    assert (node.hears, node.speaks) == (False, True)
    node.cut(one_way=False)
    node.heal(one_way=True)
    assert (node.hears, node.speaks) == (False, False)
    node.heal(one_way=False)
    assert (node.hears, node.speaks) == (True, True)
