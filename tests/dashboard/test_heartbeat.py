"""A stream that has nothing new to tell says so now and then, and how long the street itself has told nothing."""

from __future__ import annotations

import json
from typing import Any

from tests.dashboard.histories import history_of

from wattswap.runners.watching.history import FEEDER_COLUMNS
from wattswap.runners.watching.stream import BEAT_S, LOOK_S, EventStream


def told(stream: EventStream) -> tuple[str, Any]:
    """Kind and content of the next event; an empty kind if there is none."""
    fields = dict(line.split(": ", 1) for line in stream.next().decode().splitlines() if line)
    return fields.get("event", ""), json.loads(fields.get("data", "null"))


def test_whoever_has_heard_all_is_told_at_once_where_the_streets_clock_stands_and_then_now_and_then():
    history = history_of(7)
    stream = EventStream(history)
    assert [told(stream)[0] for _ in range(2)] == ["head", "part"]
    kind, beat = told(stream)
    assert (kind, beat["ticks"]) == ("beat", 7)
    assert 0 <= beat["silent_s"] < BEAT_S
    kinds = [told(stream)[0] for _ in range(round(BEAT_S / LOOK_S) + 1)]
    assert (kinds.count("beat"), kinds.count("")) == (1, len(kinds) - 1)


def test_how_long_a_street_was_silent_ends_with_its_next_word(monkeypatch):
    history = history_of(7)
    monkeypatch.setattr("wattswap.runners.watching.history.monotonic", lambda: 10.0**9)
    stream = EventStream(history)
    assert [told(stream)[1] for _ in range(3)][-1]["silent_s"] > 10**8
    history.add(ticks=[[0] * len(FEEDER_COLUMNS)])
    assert history.silent_s == 0.0
