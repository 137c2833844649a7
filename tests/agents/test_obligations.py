"""What is owed is said until it is done: now, and once every interval, by one wake-up at a time."""

from __future__ import annotations

import pytest

from wattswap.agents.obligations import MOST, Obligations
from wattswap.protocol.effects import Send, WakeAt
from wattswap.protocol.messages import Departed

GONE = Departed(1, 2, 3)


def test_what_is_owed_is_said_at_once_and_again_until_it_is_done():
    owed = Obligations(30_000)
    assert owed.owe("a", "transformer", GONE, 0) == [Send("transformer", GONE), WakeAt(30_000)]
    assert owed.due(30_000) == [Send("transformer", GONE), WakeAt(60_000)]
    owed.done("a")
    assert owed.due(60_000) == []
    assert len(owed) == 0


def test_an_early_or_needless_wake_up_says_nothing():
    owed = Obligations(30_000)
    assert owed.due(5) == []
    owed.owe("a", "transformer", GONE, 0)
    assert owed.due(29_999) == []


def test_one_wake_up_serves_all():
    owed = Obligations(30_000)
    owed.owe("a", "x", GONE, 0)
    assert owed.owe("b", "y", GONE, 10_000) == [Send("y", GONE)]
    assert owed.due(30_000) == [Send("x", GONE), WakeAt(40_000)]
    assert owed.due(40_000) == [Send("y", GONE), WakeAt(60_000)]


def test_what_is_owed_later_is_not_said_now():
    owed = Obligations(30_000)
    assert owed.owe_from("a", "x", GONE, 500_000) == [WakeAt(500_000)]


def test_what_is_done_twice_or_was_never_owed_is_done():
    Obligations(1).done("nothing")


def test_a_peer_that_never_acknowledges_cannot_fill_the_memory():
    owed = Obligations(1)
    for number in range(MOST):
        owed.owe(number, "x", GONE, 0)
    with pytest.raises(AssertionError, match="nobody acknowledges"):
        owed.owe("one more", "x", GONE, 0)
