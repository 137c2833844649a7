"""A small web server in a thread of its own, beside an agent that must not feel it."""

from __future__ import annotations

import errno
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Final

from wattswap.protocol.errors import InputError
from wattswap.runners.page_guard import POLICY

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_AT_ONCE: Final = 16
"""Requests that are answered at once, so nobody can fill the machine with threads; further ones wait in their order."""
_ROOM_S: Final = 1.0
"""So long the next one waits for room, and then is hung up on."""
REQUEST_S: Final = 5.0
"""A request and its answer are through by then, or hung up on: a byte now and then keeps no place."""
_LOOK_S: Final = 0.1
"""How often a server looks whether it is closed."""


class QuietRequest(BaseHTTPRequestHandler):
    """A request that nobody logs."""

    server_version, sys_version = "wattswap", ""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A plain line for what is no request, or asks for more than to read."""
        del explain
        self.close_connection = True
        status, why = code, message or HTTPStatus(code).phrase
        if code == HTTPStatus.NOT_IMPLEMENTED:
            status, why = HTTPStatus.METHOD_NOT_ALLOWED, "this method is not answered here"
        text = f"{why}\n".encode()
        self.answer(status, "text/plain; charset=utf-8", b"" if self.command == "HEAD" else text, POLICY)

    def answer(self, status: int, media: str, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        """The whole answer."""
        self.send_response(status)
        for name, text in {"content-type": media, "cache-control": "no-store", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    @property
    def is_gone(self) -> bool:
        """Whether whoever asked has hung up."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def log_message(self, *_: object) -> None:
        """Say nothing: programs ask every few seconds."""


class BoundedServer(ThreadingHTTPServer):
    """Serves until it is closed, so many requests at once and no more."""

    daemon_threads = True
    request_queue_size = 8 * MOST_AT_ONCE
    """Connections that wait to be taken up: beyond these the system lets a client try again, seconds later."""

    def __init__(self, host: str, port: int, request: type[BaseHTTPRequestHandler]) -> None:
        """Serve at once.

        Raises:
            InputError: the port is taken, or there is no address, or it is not this machine's.
        """
        if not host:  # to the system that is every network
            raise InputError("[page]: host is empty; leave it out for this machine alone, or name an address of it")
        self._room = BoundedSemaphore(MOST_AT_ONCE)
        self._is_closing = False
        self._due_s: dict[socket.socket, float] = {}
        """When each connection that is being answered is hung up on."""
        try:
            super().__init__((host, port), request)
        except OSError as error:
            other = "port" if error.errno == errno.EADDRINUSE else "host or port"
            raise InputError(
                f"[page]: cannot listen at {host}:{port} ({error.strerror}); choose another {other}"
            ) from None
        self._thread = Thread(target=self.serve_forever, args=(_LOOK_S,), name="page", daemon=True)
        self._thread.start()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Answer in a thread, once there is room."""
        if self._has_room():
            assert isinstance(request, socket.socket)
            self._due_s[request] = time.monotonic() + REQUEST_S
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def _has_room(self) -> bool:
        """Whether there is room within a moment; whoever comes meanwhile waits in line, behind this one."""
        until_s = time.monotonic() + _ROOM_S
        while not self._room.acquire(timeout=_LOOK_S):
            self.service_actions()
            if self._is_closing or time.monotonic() > until_s:
                return False
        return True

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Answer, then make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            assert isinstance(request, socket.socket)
            self._due_s.pop(request, None)
            self._room.release()

    def prolong(self, request: socket.socket) -> None:
        """Give an answer that goes on for long as much time again from now on."""
        self._due_s[request] = time.monotonic() + REQUEST_S

    def service_actions(self) -> None:
        """Hang up on whoever is overdue; the library calls this every time that it looks whether it is closed."""
        now_s = time.monotonic()
        for request, due_s in list(self._due_s.items()):
            if now_s >= due_s:
                with suppress(OSError):  # it is over already
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever hangs up in the middle is no trouble of ours."""

    def close(self) -> None:
        """Answer no more."""
        self._is_closing = True
        self.shutdown()
        self.server_close()
        self._thread.join()
