"""Tokens that buy nothing but turns: who gives way today comes first tomorrow."""

from __future__ import annotations

import numpy as np
import pytest
from tests.agents.controllers.parked import parked
from tests.streets import Stay, street_of

from wattswap.agents.controllers import informed
from wattswap.agents.controllers.karma import BID_PART, ENDOWMENT, Accounts, Karma
from wattswap.agents.rules import Rules
from wattswap.agents.strategies.waiting import MOST_NANOS_PER_KWH_H, waiting_cost
from wattswap.protocol.units import MS_PER_HOUR, WS_PER_KWH
from wattswap.runners.engines.fleet import FleetRun

KEYS = np.arange(3, dtype=np.uint64)


def test_what_is_paid_goes_in_equal_parts_to_those_who_wait():
    accounts = Accounts({0: 70, 1: 71, 2: 72})
    assert accounts.of(KEYS).tolist() == [ENDOWMENT] * 3
    accounts.move(KEYS, np.array([301, 0, 0]), np.array([False, True, True]))
    assert accounts.held == {70: ENDOWMENT - 301, 71: ENDOWMENT + 151, 72: ENDOWMENT + 150}


def test_where_nobody_waits_nobody_pays():
    accounts = Accounts({})
    accounts.of(KEYS)
    accounts.move(KEYS, np.array([5, 5, 5]), np.zeros(3, dtype=bool))
    assert set(accounts.held.values()) == {ENDOWMENT}


def test_the_highest_bid_is_served_and_pays_until_the_one_that_waited_holds_more():
    """Two cars alike but for what waiting costs; room for one. Karma is neither made nor lost."""
    karma = informed(Karma(), np.zeros(2, dtype=np.int64), 1)
    assert isinstance(karma, Karma)
    assert karma.accounts is not None
    turns = []
    for window in range(40):
        now_ms = window * Rules().window_ms
        street = parked(
            [11_000] * 2,
            departure=[now_ms + 9 * MS_PER_HOUR] * 2,
            laxity=[8 * MS_PER_HOUR] * 2,
            arrival=[-1, -1],
            now_ms=now_ms,
        )
        turns.append(int(karma(0, 11_000, *street, Rules()).import_w.argmax()))
        assert sum(karma.accounts.held.values()) == 2 * ENDOWMENT
    dear = int(waiting_cost(1, KEYS[:2]).argmax())
    assert turns[0] == dear
    assert 0 < turns.count(1 - dear) <= turns.count(dear), "both have turns, the dearer at least as many"


def test_a_bid_is_a_part_of_what_one_holds():
    """Whose waiting is dearest bids a twelfth; with one key the order of equals is theirs."""
    karma = informed(Karma(), np.zeros(2, dtype=np.int64), 1)
    assert isinstance(karma, Karma)
    street = parked([11_000] * 3, departure=[9 * MS_PER_HOUR] * 3, laxity=[8 * MS_PER_HOUR] * 3)
    karma(0, 22_000, *street, Rules())
    urgency = waiting_cost(1, KEYS)
    bids = ENDOWMENT * urgency // (MOST_NANOS_PER_KWH_H * BID_PART)
    assert karma.accounts is not None
    waits = int(bids.argmin())
    assert karma.accounts.held[waits] == ENDOWMENT + int(bids.sum() - bids[waits])


@pytest.mark.parametrize("disclose", ["departure"])
def test_nobody_is_late_for_want_of_karma(disclose: str):
    stays = [Stay(0, 480 + 20 * car, 11 * WS_PER_KWH, user=f"U{car}") for car in range(5)]
    street = street_of(stays, 640, transformer={"limit_w": 30_000}, vehicles={"disclose": disclose})
    record = FleetRun(street, Karma()).run()
    assert {row.status for row in record.sessions} == {"full"}
    assert max(int(tick.import_w.sum()) for tick in record.ticks) <= 30_000
