"""The node as a process: takes the database and the port, says when it is ready, and leaves in good order."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from wattswap.ledger.devnet.faucet import Faucet, FaucetLimits
from wattswap.ledger.devnet.model import Refused
from wattswap.ledger.devnet.node import DevnetNode
from wattswap.ledger.devnet.server import app
from wattswap.ledger.devnet.store import ChainStore
from wattswap.protocol.errors import InputError

_INTERRUPTED: Final = 130
_GRACE_S: Final = 3
_MOST_CONNECTIONS: Final = 400
_KEEP_ALIVE_S: Final = 120  # longer than the SDK keeps an idle connection, so it never writes into one just closed


class Settings(Struct, frozen=True, kw_only=True):
    """How a node is started."""

    host: str = "127.0.0.1"
    port: int = 9125
    """0 takes a free one."""
    db: str | None = None
    """A file; None: in memory, gone with the process."""
    limits: FaucetLimits = FaucetLimits()
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
    faucet: str
    """The base, for ``FaucetClient``."""
    chain_id: str
    port: int
    pid: int


def serve(settings: Settings, say: Callable[[str], None]) -> int:
    """Serve until a signal comes. The exit code is 0 after SIGTERM, 130 after Ctrl-C; ``InputError`` if it cannot."""
    file = Path(settings.db) if settings.db else None
    with closing(ChainStore(file)) as store, closing(_listen(settings)) as listening:
        try:
            node = DevnetNode(
                store, _now_ms, epoch_ms=int(settings.epoch_s * 1_000), lag_ms=int(settings.lag_s * 1_000)
            )
        except Refused as refused:
            raise InputError(f"cannot use database {settings.db}: {refused}") from None
        web = app(node, Faucet(settings.limits, _now_ms))
        server = _Server(_config(web), lambda: say(_ready(settings, node, listening)), tied=settings.tied)
        return asyncio.run(server.run_until_signal(listening))


class _Server(uvicorn.Server):
    """Uvicorn, but signals end it with an exit code of ours, and it says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], *, tied: bool) -> None:
        super().__init__(config)
        self._tied = tied
        self._ready = ready
        self._code = 0

    async def run_until_signal(self, listening: socket.socket) -> int:
        """Serve; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._leave, number)
        if self._tied:
            loop.add_reader(sys.stdin, self._left_alone)
        await self.serve([listening])
        return self._code

    def _left_alone(self) -> None:
        asyncio.get_running_loop().remove_reader(sys.stdin)
        self._leave(signal.SIGTERM)

    def _leave(self, number: int) -> None:
        self.force_exit = self.should_exit  # the second signal does not wait for anybody
        self.should_exit = True
        self._code = _INTERRUPTED if number == signal.SIGINT else 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Ours are installed already; uvicorn's would be raised again at the end."""
        yield


class _Connection(H11Protocol):
    """A connection; where there are too many, the one that has been silent for longest makes room for a new one."""

    silent_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in. Those that never say anything would else fill the table of open files."""
        self.silent_since = self.loop.time()
        most = min(_MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        if len(self.connections) >= most:
            silent = min(self.connections, key=lambda one: getattr(one, "silent_since", 0.0))
            silent.transport.abort()
            self.connections.discard(silent)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """It says something."""
        self.silent_since = self.loop.time()
        super().data_received(data)


def _config(web: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        web,
        http=_Connection,
        access_log=False,
        log_level="error",  # a warning for each broken request would let strangers fill the log
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _ready(settings: Settings, node: DevnetNode, listening: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    port = listening.getsockname()[1]
    url = f"http://{host}:{port}/graphql"
    if settings.as_json:
        ready = DevnetReady(url=url, faucet=f"http://{host}:{port}", chain_id=node.chain_id, port=port, pid=os.getpid())
        return msgspec.json.encode(ready).decode()
    kept = settings.db or "memory only: gone when it ends"
    return f"IOTA devnet {node.chain_id} is ready: {url}, faucet at /v1/gas, state in {kept}"


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # with the protocol named asyncio sends small answers at once; without, each waits 40 ms for an acknowledgement
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(f"cannot listen on {settings.host} port {settings.port}: {error}") from None
    return listening


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
