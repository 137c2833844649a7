"""Serves a dashboard from a thread of its own, beside whatever the process does."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from wattswap.experiments.dashboard.server import dashboard_app
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wattswap.experiments.dashboard.rights import Rights
    from wattswap.runners.watching.history import History

_GRACE_S: Final = 2
_REQUEST_S = 10.0
"""So long a connection may take, and half as long again, until it has asked for something."""
_TAKEN_S = 30.0
"""So long a watcher may take to read what is ready for it; what it has not read by then is sent no more."""
_SENT_AHEAD_BYTES: Final = 65_536
"""What the system may keep for a connection that has not taken it yet: beyond that one sees that nobody reads."""
_MOST_CONNECTIONS: Final = 256


class _ImpatientProtocol(H11Protocol):
    """Hangs up on who connects and does not ask, asks byte by byte, or reads so: nobody may use up the run's files."""

    _waited = False
    """Whether it was waiting for its other side when it was looked at last."""
    _hang_up: asyncio.TimerHandle | None = None
    """What ends it unless its other side takes what it was sent in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, if there are not too many."""
        super().connection_made(transport)
        if (taken := transport.get_extra_info("socket")) is not None:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_AHEAD_BYTES)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, and nothing of it stays behind."""
        self._timer.cancel()
        self._stay()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Its other side does not take what it is sent."""
        self._hang_up = self.loop.call_later(_TAKEN_S, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has read."""
        self._stay()
        super().resume_writing()

    def _stay(self) -> None:
        if self._hang_up is not None:
            self._hang_up.cancel()
            self._hang_up = None

    def _look_later(self) -> None:
        self._timer = self.loop.call_later(_REQUEST_S, self._look)

    def _look(self) -> None:
        cycle = getattr(self, "cycle", None)  # none before the first request
        waits = cycle is None or cycle.response_complete or cycle.more_body
        if waits and self._waited:
            self.transport.abort()
            return
        self._waited = waits
        self._look_later()


@contextmanager
def served(
    history: History, host: str, port: int, rights: Rights | None = None, run_dir: Path | None = None
) -> Iterator[str]:
    """Serve until the block is left; gives the page's address.

    Raises:
        InputError: the port is taken, or the host is none of this machine's.
    """
    over = Event()
    listening = _listen(host, port)
    config = uvicorn.Config(
        dashboard_app(history, over.is_set, rights, run_dir),
        log_level="critical",
        access_log=False,
        lifespan="off",
        http=_ImpatientProtocol,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, name="dashboard", daemon=True)
    thread.start()
    try:
        yield _address(listening)
    finally:
        over.set()
        server.should_exit = True
        thread.join()
        listening.close()


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - that is what somebody asked for
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise InputError(f"--host {host}: no such address; leave it out to serve this machine alone") from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} is taken; choose another one with --port, or --port 0 for a free one"
            ) from None
        raise InputError(f"cannot listen at {host} port {port}: {error.strerror}") from None
    return listening
