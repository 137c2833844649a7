"""The history of a run that another machine serves: its dashboard's stream, read into a history of one's own."""

from __future__ import annotations

import http.client
import re
import socket
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.protocol.errors import InputError
from wattswap.runners.watching.history import LISTS, Head, History, NewRows

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMEOUT_S: Final = 30
"""A stream that is still there says so every ten seconds."""
_AGAIN_S: Final = 2.0
_NO_LOOK_UP: Final = (
    "What was said and the signed readings are in the run's directory, on the machine where it runs: its own dashboard"
    " shows them."
)
_MOST_LINE_BYTES: Final = 64_000_000


@contextmanager
def remote_run(address: str) -> Iterator[History]:
    """What a dashboard at ``HOST:PORT`` or its URL tells, until the block is left; nothing is ordered through it.

    A connection that is lost is made again. If another run begins at the same address, that one is shown.

    Raises:
        InputError: that is no address, nobody answers there, or it is no dashboard.
    """
    stream = _Stream(address)
    stream.open()
    over = Event()
    thread = Thread(target=stream.follow, args=(over,), name="remote run", daemon=True)
    thread.start()
    try:
        yield stream.history
    finally:
        over.set()
        stream.end()
        thread.join(_TIMEOUT_S)
        stream.close()


class _Stream:
    """A stream of server-sent events being read."""

    def __init__(self, address: str) -> None:
        found = re.fullmatch(r"(?:http://)?(\[[0-9a-fA-F:]+\]|[^/:@#?\s]+):(\d{1,5})/?(?:#.*)?", address)
        if found is None or not 0 < int(found[2]) < 65_536:
            raise InputError(f"--connect {address}: no address of a dashboard; write HOST:PORT, as raspberrypi:8100")
        self._address, self._host, self._port = address, found[1].strip("[]"), int(found[2])
        self._event_id = ""
        self._answer: http.client.HTTPResponse | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self.history = History()

    def open(self) -> None:
        """Ask for the events, from where they were left off if there were some."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", "/stream", headers={"last-event-id": self._event_id} if self._event_id else {})
            self._socket = connection.sock
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            why = str(error) or type(error).__name__
            raise InputError(f"--connect {self._address}: nobody answers there ({why})") from None
        if answer.status != http.client.OK or "text/event-stream" not in (answer.getheader("content-type") or ""):
            why = answer.read(200).decode(errors="replace").strip()
            connection.close()
            raise InputError(f"--connect {self._address}: no dashboard answers there ({answer.status} {why})")
        self._connection, self._answer, self._events = connection, answer, _events(answer)

    def follow(self, over: Event) -> None:
        """Take in what comes, and connect again when it ends, until ``over``: another run may begin there."""
        while not over.is_set():
            try:
                for kind, event_id, data in self._events:
                    self._take(kind, event_id, data)
            except msgspec.DecodeError:
                self.history.end("interrupted")  # another version speaks there
                return
            except (OSError, ValueError, http.client.HTTPException, AttributeError):
                pass  # lost, or ended by the other thread while it was read
            self.close()
            if self.history.state == "running":
                self.history.end("lost")
            if over.wait(_AGAIN_S):
                return
            try:
                self.open()
            except InputError:
                continue

    def _take(self, kind: str, event_id: str, data: bytes) -> None:
        if kind == "head":
            head = msgspec.json.decode(data, type=Head)
            feeders = [msgspec.structs.replace(feeder, most_limit_w=None) for feeder in head.feeders]
            no_look_up = head.no_look_up or _NO_LOOK_UP
            self.history.begin(
                msgspec.structs.replace(head, feeders=feeders, hears_drivers=False, no_look_up=no_look_up)
            )
        elif kind == "part":
            part = msgspec.json.decode(data, type=NewRows)
            self.history.enter(part.cards)
            self.history.add(**{name: getattr(part, name) for name in LISTS if name != "cards"})
            self._event_id = event_id
            self.history.end(part.state)

    def end(self) -> None:
        """Whoever reads now reads no more."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection."""
        if self._answer is not None:
            self._answer.close()
        if self._connection is not None:
            self._connection.close()


def _events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str, bytes]]:
    """Kind, id and data of each event."""
    fields: dict[bytes, bytes] = {}
    while line := answer.readline(_MOST_LINE_BYTES):
        if line == b"\n":
            yield fields.get(b"event", b"").decode(), fields.get(b"id", b"").decode(), fields.get(b"data", b"null")
            fields = {}
        else:
            name, _, text = line.rstrip(b"\n").partition(b": ")
            fields[name] = text
