"""Who may connect: the answer to libzmq's question about a CURVE key (ZAP, ZeroMQ RFC 27), in a thread of its own.

Without a running handler libzmq lets any key in, so the handler runs before a socket is bound, and sockets enforce its
domain. A key that is let in becomes the ``User-Id`` of all that its connection sends: 64 hexadecimal digits. The
routing identity that a peer may choose freely is never looked at.
"""

from __future__ import annotations

from collections import deque
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import zmq

if TYPE_CHECKING:
    from collections.abc import Callable

DOMAIN: Final = "wattswap"
_ENDPOINT: Final = "inproc://zeromq.zap.01"
_CONTROL: Final = "inproc://wattswap.zap.stop"
_REQUEST_PARTS: Final = 7
_START_S: Final = 5.0
_REMEMBERED: Final = 32
KEY_BYTES: Final = 32


class Authenticator:
    """The ZAP handler of one ZeroMQ context."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], allows: Callable[[bytes], bool]) -> None:
        """``allows`` says whether a public key may connect; it is called in the handler's thread."""
        self._context, self._allows = context, allows
        self.refused: deque[tuple[bytes, str]] = deque(maxlen=_REMEMBERED)
        """(key, address) of those turned away last; whoever looks takes them out."""
        self._ready = Event()
        self._failure: zmq.ZMQError | None = None
        self._control = context.socket(zmq.PAIR)
        self._control.bind(_CONTROL)
        self._thread = Thread(target=self._serve, name="wattswap-zap", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_S) or self._failure is not None:
            raise RuntimeError(f"the handler that checks keys did not start: {self._failure}")

    def close(self) -> None:
        """Stop answering; sockets of the context let nobody in from now on."""
        self._control.send(b"")
        self._thread.join()
        self._control.close(0)

    def _serve(self) -> None:
        handler, control = self._context.socket(zmq.REP), self._context.socket(zmq.PAIR)
        try:
            handler.bind(_ENDPOINT)
            control.connect(_CONTROL)
        except zmq.ZMQError as error:
            self._failure = error
        self._ready.set()
        poller = zmq.Poller()
        poller.register(handler, zmq.POLLIN)
        poller.register(control, zmq.POLLIN)
        while self._failure is None:
            ready = dict(poller.poll())
            if control in ready:
                break
            handler.send_multipart(self._answer(handler.recv_multipart()))
        handler.close(0)
        control.close(0)

    def _answer(self, request: list[bytes]) -> list[bytes]:
        version, number = (*request, b"", b"")[:2]
        user = self._user(request)
        if user is None:
            return [version, number, b"400", b"this key is not known here", b"", b""]
        return [version, number, b"200", b"OK", user, b""]

    def _user(self, request: list[bytes]) -> bytes | None:
        """The User-Id of whoever asks, or None if it may not come in."""
        if len(request) != _REQUEST_PARTS:
            return None
        _, _, domain, address, _, mechanism, key = request
        if domain != DOMAIN.encode() or mechanism != b"CURVE" or len(key) != KEY_BYTES:
            return None
        if not self._allows(key):
            self.refused.append((key, address.decode("ascii", "replace")))
            return None
        return key.hex().encode()
