"""The node as a process: takes the database and the port, says when it is ready, and leaves in good order."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.h11_impl import H11Protocol

from wattswap.ledger.devnet.api import where
from wattswap.ledger.devnet.faucet import Faucet
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.server import app
from wattswap.ledger.devnet.store import ChainStore
from wattswap.protocol.errors import InputError

_MOST_CONNECTIONS: Final = 400
_MOST_WAITING: Final = 2_048
_KEEP_ALIVE_S: Final = 120  # longer than the SDK keeps an idle connection, so it never writes into one just closed
_SAID_S: Final = 60
_log = logging.getLogger(__name__)


class Settings(Struct, frozen=True, kw_only=True):
    """How a node is started."""

    host: str = "127.0.0.1"
    port: int = 9125
    """0 takes a free one."""
    db: str | None = None
    """A file; None: in memory, gone with the process."""
    epoch_s: float = 0
    """How long an epoch lasts; 0: for ever."""
    lag_s: float = 0
    """So long what was done is not listed."""
    as_json: bool = False
    """Say in JSON that it is ready."""
    tied: bool = False
    """End with whoever started it, however that one ends: its standard input ends then."""


class DevnetReady(Struct, frozen=True, kw_only=True):
    """What a node says in JSON as soon as it listens."""

    url: str
    """Of GraphQL."""
    chain_id: str
    port: int
    pid: int


def serve(settings: Settings, say: Callable[[str], None]) -> int:
    """Serve until a signal comes. The exit code is 0 after SIGTERM, 130 after Ctrl-C; ``InputError`` if it cannot."""
    with (
        closing(ChainStore(Path(settings.db) if settings.db else None)) as store,
        closing(_listen(settings)) as listening,
    ):
        node = DevnetNode(store, _now_ms, epoch_s=settings.epoch_s, lag_s=settings.lag_s)
        config = uvicorn.Config(
            app(node, Faucet(_now_ms)),
            http=_Connection,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            backlog=_most_connections() // 4,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=3,
        )
        logging.basicConfig(level=logging.ERROR, handlers=[_SingleLines()])
        if settings.tied:
            threading.Thread(target=_leave_with_stdin, daemon=True).start()
        try:
            # called when uvicorn has ended in good order; whoever starts it in the background has SIGINT ignored
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            signal.signal(signal.SIGINT, signal.default_int_handler)
            _Server(config, lambda: say(_ready(settings, node, listening))).run([listening])
        except KeyboardInterrupt:
            return 130
        return 0


def _most_connections() -> int:
    return min(_MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class _Server(uvicorn.Server):
    """Takes in few connections at once, so that each is counted before the files run out; many may wait for that."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(_MOST_WAITING)
        self._ready()  # not before: a signal would find no event loop to end


class _Connection(H11Protocol):
    """A connection; where there are too many, the one that has been silent for longest makes room for a new one."""

    silent_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in. Those that never say anything would else fill the table of open files."""
        self.silent_since = self.loop.time()
        if len(self.connections) >= _most_connections():
            silent = min(self.connections, key=lambda one: getattr(one, "silent_since", 0.0))
            silent.transport.abort()
            self.connections.discard(silent)
            _log.error("there are too many connections: the one that is silent for longest is closed")
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """It says something."""
        self.silent_since = self.loop.time()
        super().data_received(data)


class _SingleLines(logging.Handler):
    """Says an error in one line without a traceback, and the same in a minute only once: strangers could fill a log."""

    _said: tuple[object, float] = ("", 0.0)

    def emit(self, record: logging.LogRecord) -> None:
        said, at_s = self._said
        if (record.msg, record.args) == said and record.created < at_s + _SAID_S:
            return
        self._said = (record.msg, record.args), record.created
        error = record.exc_info[1] if record.exc_info else None
        print(*record.getMessage().split(), where(error) if error else "", file=sys.stderr)  # noqa: T201 - as a log does


def _ready(settings: Settings, node: DevnetNode, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    base = f"http://{settings.host}:{port}"
    if settings.as_json:
        about = DevnetReady(url=f"{base}/graphql", chain_id=node.chain_id, port=port, pid=os.getpid())
        return msgspec.json.encode(about).decode()
    kept = settings.db or "memory only: gone when it ends"
    return f"IOTA devnet {node.chain_id} is ready: {base}/graphql, faucet at /v1/gas, state in {kept}"


def _listen(settings: Settings) -> socket.socket:
    try:
        listening = socket.create_server((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot listen on {settings.host} port {settings.port}: {error}") from None
    # every connection inherits it: a small answer is sent at once, else it waits 40 ms for an acknowledgement
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _leave_with_stdin() -> None:
    """Leave when whoever started the node is gone."""
    while os.read(0, 4_096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":  # with settings in JSON: how benchmarks and tests start it
    try:
        sys.exit(serve(msgspec.json.decode(sys.argv[1], type=Settings), partial(print, flush=True)))
    except InputError as error:
        sys.exit(str(error))
