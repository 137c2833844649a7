"""Serves a dashboard from a thread of its own, beside whatever the process does."""

from __future__ import annotations

import errno
import socket
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import uvicorn

from wattswap.experiments.dashboard.server import dashboard_app
from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wattswap.experiments.dashboard.history import History
    from wattswap.experiments.dashboard.rights import Rights

_GRACE_S: Final = 2


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
