"""What is owed is sent until it is done: now, and once every interval, by one wake-up at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.words import of_kind, sent

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


def test_an_acknowledgement_that_comes_a_million_times_leaves_a_short_queue():
    owed = Obligations(30_000)
    for _ in range(10_000):
        owed.owe_from("a", "x", GONE, 500_000)
    assert len(owed._queue) < 100


def test_owing_a_thousand_things_looks_at_each_of_them_a_few_times():
    """The earliest wake-up was once a minimum over all that is owed, each time that something was owed."""

    class Looked(int):
        """An instant that counts how often it is compared."""

        times = 0

        def __lt__(self, other):
            Looked.times += 1
            return int(self) < int(other)

        def __le__(self, other):
            Looked.times += 1
            return int(self) <= int(other)

        def __eq__(self, other):
            return int(self) == int(other)

        __hash__ = int.__hash__

    owed = Obligations(30_000)
    for number in range(1_000):
        owed.owe_from(number, "x", GONE, Looked(1_000_000 - number))
    assert Looked.times < 30_000


steps = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["owe", "later", "done", "woken"]), st.integers(0, 3)), max_size=60
)


@given(steps)
def test_whatever_is_owed_is_sent_every_interval_until_it_is_done(taken):
    """Told as a model: for each key the instant at which it is sent next."""
    owed, now_ms = Obligations(10), 0
    model: dict[int, int] = {}
    asked: set[int] = set()
    for passed_ms, step, key in taken:
        now_ms += passed_ms
        if step == "owe":
            effects = owed.owe(key, "x", Departed(key, 0, 0), now_ms)
            model[key] = now_ms + 10
        elif step == "later":
            effects = owed.owe_from(key, "x", Departed(key, 0, 0), now_ms + 25)
            model[key] = now_ms + 25
        elif step == "done":
            owed.done(key)
            model.pop(key, None)
            effects = []
        else:
            effects = owed.due(now_ms)
            due = {key for key, at_ms in model.items() if at_ms <= now_ms}
            assert {message.session for message in of_kind(sent(effects), Departed)} == due
            model |= dict.fromkeys(due, now_ms + 10)
            asked = {at_ms for at_ms in asked if at_ms > now_ms}
        asked |= {effect.at_ms for effect in effects if isinstance(effect, WakeAt)}
        assert not model or min(asked) <= min(model.values()), "a wake-up is asked for in time"
        assert len(owed) == len(model)
