"""What a transformer's node records of its street is no more than can be true, and never stands in the node's way."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from tests.dashboard.histories import lists_of

from wattswap.agents.award_book import Site
from wattswap.agents.roster import Roster
from wattswap.agents.rules import Rules
from wattswap.agents.transformer import Transformer
from wattswap.ledger.book import Book
from wattswap.protocol.codec import seal
from wattswap.protocol.messages import BaseReport, CappedOffer, Mandate, Message, Offer, Report, Sealed, Tranche
from wattswap.runners.engines.node import Node
from wattswap.runners.engines.store import MemoryStore
from wattswap.runners.node.hosted_agent import HostedAgent
from wattswap.runners.node.json_log import json_log
from wattswap.runners.node.sensors import NoSensor
from wattswap.runners.node.street_recorder import StreetRecorder
from wattswap.runners.recording.activities import ACTIVITIES
from wattswap.runners.watching.history import FEEDER_COLUMNS, HOMES, UNKNOWN_COLUMNS

if TYPE_CHECKING:
    from wattswap.runners.engines.store import Store

RULES = Rules(tick_ms=1_000, window_ms=3_000, lease_ms=5_000, deadline_ms=400, margin_w=0)
CHARGER, CAR, HOME = "charger/1", "vehicle/1", "household/1"
SESSION, NEED_WS, MAX_W = 7, 36_000_000, 11_000


class RecordedTransformer:
    """A transformer in its host, with a recorder, on a clock that is set by hand."""

    def __init__(self, limit_w: int = 26_000, now_ms: int = 200_000_000_000, store: Store | None = None) -> None:
        """With a ``store`` that one before has left, it starts again."""
        self.store = store or MemoryStore()
        self.now_ms, self.log, self.recorder = now_ms, StringIO(), StreetRecorder("transformer", RULES)
        site, roster = Site(limit_w, 10**12, 3_000_000_000, 1), Roster({CHARGER: 22_000}, [CAR], [HOME])
        self.hosted = HostedAgent(
            lambda host: Node(
                lambda: Transformer("transformer", site, RULES, roster), host, self.store, Book(site.funds_nanos)
            ),
            NoSensor(),
            json_log(self.log),
            post=lambda *_: None,
            refused=lambda _: None,
            beat_ms=RULES.tick_ms,
            recorder=self.recorder,
        )
        self.hosted.start()
        self.turn()
        if store is None:
            self.hear(CHARGER, seal(Mandate(SESSION, f"{CHARGER}#{SESSION}", NEED_WS, MAX_W, CAR), None))

    def turn(self) -> None:
        self.hosted.wake(self.now_ms)
        self.hosted.learn(self.now_ms)
        self.hosted.show(self.now_ms)

    def hear(self, sender: str, message: Message) -> None:
        self.hosted.hear(sender, message)
        self.turn()

    def pass_ticks(
        self,
        count: int,
        *,
        firm_w: int = MAX_W,
        owed_ws: int = 0,
        home: bool = True,
        charger: bool = True,
        home_w: int = 8_000,
    ) -> None:
        """Ticks in which the home draws 8 kW or more and the car wants 11 kW; each says so, or not."""
        for _ in range(count):
            self.now_ms = (self.now_ms // 1_000 + 1) * 1_000
            seq = self.now_ms // 1_000 % 1_000_000
            if home:
                self.hosted.hear(HOME, BaseReport(home_w))
            if charger:
                self.hosted.hear(CHARGER, Report(SESSION, firm_w, MAX_W, True, owed_ws, 0, 1, seq, self.now_ms, 0, 0))
            self.turn()

    def offer(self, tick: int, relief_w: int) -> None:
        offer = Offer(0, tick, SESSION, (Tranche(relief_w, 1_000_000),))
        self.hear(CHARGER, CappedOffer(SESSION, MAX_W, seal(offer, None)))

    @property
    def told(self) -> dict[str, list[object]]:
        return lists_of(self.recorder.history)

    @property
    def unknown(self) -> list[tuple[str, str]]:
        """What was said not to be known, one after the other."""
        rows = [dict(zip(UNKNOWN_COLUMNS, row, strict=True)) for row in self.told["unknown"]]  # type: ignore[call-overload]
        return [("homes" if row["row"] == HOMES else "car", row["why"]) for row in rows]

    @property
    def doing(self) -> list[str]:
        """What the car was said to do, one after the other."""
        return [ACTIVITIES[row[2]] for row in self.told["cars"]]  # type: ignore[index]


@pytest.fixture
def street() -> RecordedTransformer:
    return RecordedTransformer()


def test_an_offer_that_nobody_can_read_ends_no_node(street):
    """With no call at hand the transformer does not open it; the recorder must not choke on it either."""
    street.pass_ticks(2)
    street.hear(CHARGER, CappedOffer(SESSION, MAX_W, Sealed(5, b"\xc1")))
    street.pass_ticks(2)
    assert len(street.told["ticks"]) == 4
    assert "dashboard stopped" not in street.log.getvalue()


def test_offers_that_answer_no_call_are_not_told(street):
    street.pass_ticks(2)
    for _ in range(10):
        street.offer(street.now_ms // 1_000, 5_000)
    assert street.told["offers"] == []


def test_the_first_answer_to_a_call_is_told_and_no_other():
    street = RecordedTransformer(limit_w=16_000)
    street.pass_ticks(1)
    call = street.now_ms // 1_000
    street.offer(call - 1, 4_000)
    street.offer(call, 5_000)
    street.offer(call, 6_000)
    assert [row[4] for row in street.told["offers"]] == [5_000]  # type: ignore[index]


def test_a_car_is_believed_no_more_than_it_can(street):
    street.pass_ticks(3, firm_w=90_000_000, owed_ws=10**12)
    figures = dict(zip(FEEDER_COLUMNS, street.told["ticks"][-1], strict=True))
    assert (figures["baseline_w"], figures["owed_ws"]) == (MAX_W, NEED_WS)


def test_no_car_is_shown_to_draw_more_than_it_may():
    """The home draws a little less in each tick, so power and grant change in steps too small to be told alone."""
    street = RecordedTransformer(limit_w=18_000)
    power_w = granted_w = 0
    found: list[tuple[int, int]] = []
    for tick in range(30):
        street.pass_ticks(1, home_w=8_000 - 70 * tick)
        cars, grants = street.told["cars"], street.told["grants"]
        power_w = cars[-1][3] if cars else power_w  # type: ignore[index]
        granted_w = grants[-1][2] if grants else granted_w  # type: ignore[index]
        found.append((power_w, granted_w))
    assert max(found)[0] == MAX_W
    assert [pair for pair in found if pair[0] > pair[1]] == []


def test_of_the_time_in_which_the_node_slept_nothing_is_made_up(street):
    street.pass_ticks(3)
    street.now_ms += 3_600_000
    street.pass_ticks(2)
    assert len(street.told["ticks"]) == 1
    assert len(street.told["cards"]) == 1


def test_a_car_is_not_known_until_its_charger_reports_and_never_full_for_that(street):
    street.pass_ticks(3, charger=False)
    assert ("car", "unheard") in street.unknown
    assert street.doing == []
    street.pass_ticks(2)
    assert street.unknown[-1] == ("car", "")
    assert "full" not in street.doing


def test_a_charger_that_falls_silent_takes_what_is_known_of_its_car_with_it(street):
    street.pass_ticks(3)
    street.pass_ticks(RULES.lease_ms // 1_000 + 1, charger=False)
    assert street.unknown[-1] == ("car", "silent")
    street.pass_ticks(1)
    assert street.unknown[-1] == ("car", "")


def test_what_homes_draw_is_not_known_before_they_report_nor_once_they_are_silent(street):
    street.pass_ticks(2, home=False)
    assert ("homes", "unheard") in street.unknown
    street.pass_ticks(2)
    assert street.unknown[-1] == ("homes", "")
    street.pass_ticks(RULES.lease_ms // 1_000 + 1, home=False)
    assert street.unknown[-1] == ("homes", "silent")


def test_a_transformer_that_starts_again_says_how_long_nobody_knows_what_its_cars_draw(street):
    street.pass_ticks(3)
    again = RecordedTransformer(now_ms=street.now_ms + 2_000, store=street.store)
    head, (card,) = again.recorder.history.head, again.told["cards"]
    assert head is not None
    assert head.quiet_ticks == -(-RULES.quiet_ms // 1_000)
    assert not card.is_whole  # type: ignore[attr-defined]
    again.pass_ticks(head.quiet_ticks)
    assert (again.unknown[-1], again.doing, again.told["grants"]) == (("car", "quiet"), [], [])
    again.pass_ticks(2)
    assert (again.unknown[-1], again.doing) == (("car", ""), ["charging"])


@pytest.mark.parametrize("fails", ["handled", "look", "billed"])
def test_a_recorder_that_fails_is_told_nothing_more_and_the_log_says_so_once(street, monkeypatch, fails):
    def broken(*_: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(street.recorder, fails, broken)
    street.pass_ticks(2)
    street.hosted.billed(SESSION, 1, 0)
    street.hosted.billed(SESSION, 1, 0)
    assert street.log.getvalue().count("dashboard stopped") == 1
    assert "ValueError: broken" in street.log.getvalue()
