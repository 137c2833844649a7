"""A history as a stream of server-sent events, for one watcher: the head, then what is new, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.runners.watching.history import Cursor, Head, NewRows

if TYPE_CHECKING:
    from wattswap.runners.watching.history import History

MEDIA: Final = "text/event-stream; charset=utf-8"
LOOK_S: Final = 0.2
"""How often a watcher's stream looks for news."""
BEAT_S: Final = 10.0
"""A silent stream says so often that it is still there, and how long the street has told nothing."""
OVER: Final = b"event: over\ndata: {}\n\n"
"""Whoever serves the stream goes away."""


class StreamBeat(msgspec.Struct, frozen=True):
    """That the stream is there, and where the street's clock stands."""

    ticks: int
    """So many ticks are over."""
    silent_s: float
    """How long ago, on the wall's clock, the street told anything."""


class EventStream:
    """What one watcher has yet to be told."""

    def __init__(self, history: History, last_event_id: str = "") -> None:
        """``last_event_id`` is what a browser that comes back heard last."""
        self._history, self._cursor = history, Cursor.parse(last_event_id)
        self._silent_s = BEAT_S
        """As long as a beat at first: whoever comes to a street that stands still is told so at once."""
        self.has_more = False
        """Whether to ask again at once, and not after ``LOOK_S``: not all that was new fitted into the last event."""

    def next(self) -> bytes:
        """The next event; if there is none, a heartbeat now and then, else nothing."""
        news = self._history.since(self._cursor)
        self.has_more = False
        if news is None:
            self._silent_s += LOOK_S
            if self._silent_s < BEAT_S:
                return b""
            self._silent_s = 0.0
            return _event("beat", StreamBeat(self._history.ticks, self._history.silent_s))
        told, self._cursor = news
        if isinstance(told, Head):
            self.has_more = True
            return _event("head", told)
        self.has_more = told.is_full
        return _event("part", told, str(self._cursor))


def _event(kind: str, content: Head | NewRows | StreamBeat, event_id: str = "") -> bytes:
    """A server-sent event; JSON has no line breaks, so one line of data holds it."""
    named = f"id: {event_id}\n" if event_id else ""
    return f"event: {kind}\n{named}data: ".encode() + msgspec.json.encode(content) + b"\n\n"
