"""The sockets of a node: one ROUTER where it listens, one DEALER to each node it connects to. Frames in, frames out.

A peer is known by the public key of its connection and by nothing else: whether it connected to us or we to it is
nobody else's business. The options, and the order in which they are set before ``bind`` and ``connect``, were measured
on real sockets; what each is for stands beside it.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import zmq

from wattswap.protocol.errors import InputError
from wattswap.runners.node.auth import DOMAIN, Authenticator
from wattswap.runners.node.frames import MOST_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wattswap.runners.node.key_directory import TransportKey

_REFUSALS: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_LISTEN_AGAIN_MS: Final = 20
_GONE_BEATS: Final = 3


@dataclass(frozen=True, kw_only=True)
class SocketOptions:
    """Limits and times of a node's sockets."""

    beat_ms: int = 1_000
    """Signs of life go out three times as often; a peer without any for three beats is taken for gone.

    For less, a machine that is busy with the handshakes of a thousand peers drops those who are in, and has them again.
    """
    queue: int = 64
    """Frames that wait at most in each direction for one peer."""
    most_frame_bytes: int = MOST_FRAME_BYTES
    handshake_ms: int = 10_000
    """Whoever has not shown a key by then is hung up on; a thousand peers who come at once take less."""
    most_sockets: int = 4_096
    backlog: int = 1_024
    """Connections that may wait to be accepted: after a restart all peers come at once."""
    reconnect_ms: int = 100
    most_reconnect_ms: int = 1_000
    """Waits between attempts double up to here, with chance in it, so that not all attempts fall together."""
    connect_timeout_ms: int = 1_000


@dataclass
class TransportCounts:
    """Frames that did not get through, by cause."""

    unreachable: int = 0
    """Nobody with that key is connected."""
    full: int = 0
    """The peer does not take what is queued for it."""
    misshapen: int = 0
    """More or fewer parts than a frame has, or no key."""
    by_peer: Counter[bytes] = field(default_factory=Counter)
    """Unreachable and full, by the peer's key."""


class Transport:
    """All sockets of one node. Used by one thread."""

    def __init__(
        self, key: TransportKey, allows: Callable[[bytes], bool], options: SocketOptions | None = None
    ) -> None:
        """``allows`` says which public keys may connect to this node; another thread calls it."""
        self._key = key
        self._options = SocketOptions() if options is None else options
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, self._options.most_sockets)
        self._authenticator = Authenticator(self._context, allows)
        self._poller = zmq.Poller()
        self._router: zmq.Socket[bytes] | None = None
        self._listens_at = ""
        self._listens_again: tuple[str, int] | None = None
        """The address to listen at as soon as it can be had."""
        self._route_of: dict[bytes, bytes] = {}
        self._dealers: dict[bytes, zmq.Socket[bytes]] = {}
        self._peer_of: dict[zmq.Socket[bytes], bytes] = {}
        self._monitors: dict[bytes, zmq.Socket[bytes]] = {}
        self.counts = TransportCounts()

    def listen(self, host: str, port: int) -> int:
        """Accept connections; the port, for ``port`` 0 takes a free one.

        Raises:
            InputError: the port is taken, or the address is not this machine's.
        """
        assert self._router is None, "a node listens in one place"
        router = self._context.socket(zmq.ROUTER)
        _set_limits(router, self._options)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # without it, frames to nobody vanish without an error
        router.setsockopt(zmq.ROUTER_HANDOVER, 0)  # a second peer never takes over the first one's place
        router.setsockopt(zmq.BACKLOG, self._options.backlog)
        router.setsockopt(zmq.HANDSHAKE_IVL, self._options.handshake_ms)
        router.setsockopt_string(zmq.ZAP_DOMAIN, DOMAIN)
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # no handler, nobody comes in
        router.curve_server = True
        router.curve_secretkey = self._key.secret
        try:
            router.bind(f"tcp://{_bracketed(host)}:{port or '*'}")
        except zmq.ZMQError as error:
            router.close(0)
            raise InputError(_cannot_listen(host, port, error)) from None
        self._listens_at = router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._router = router
        self._poller.register(router, zmq.POLLIN)
        return int(self._listens_at.rpartition(":")[2])

    def connect(self, peer: bytes, host: str, port: int) -> None:
        """Connect to whoever has this public key; a connection there is to it is given up first.

        Nothing is connected while this process has no socket left; whoever hears nothing connects again.

        Raises:
            InputError: this is no address.
        """
        self.disconnect(peer)
        try:
            dealer = new_dealer(self._context, self._key, peer, self._options)
        except zmq.ZMQError:
            return
        try:
            monitor = dealer.get_monitor_socket(_REFUSALS)
        except zmq.ZMQError:
            dealer.close(0)
            return
        try:
            dealer.connect(f"tcp://{_bracketed(host)}:{port}")
        except zmq.ZMQError as error:
            dealer.disable_monitor()
            monitor.close(0)
            dealer.close(0)
            raise InputError(f"{host}:{port} is no address to connect to ({error.strerror})") from None
        self._monitors[peer] = monitor
        self._dealers[peer] = dealer
        self._peer_of[dealer] = peer
        self._poller.register(dealer, zmq.POLLIN)

    def disconnect(self, peer: bytes) -> None:
        """Give up the connection that this node made to a peer, if there is one."""
        if peer in self._dealers:
            self._close_dealer(peer, 0)

    def _close_dealer(self, peer: bytes, linger_ms: int) -> None:
        dealer = self._dealers.pop(peer)
        self._poller.unregister(dealer)
        del self._peer_of[dealer]
        dealer.disable_monitor()
        self._monitors.pop(peer).close(0)
        dealer.close(linger_ms)

    def cut(self, peer: bytes) -> None:
        """End a peer's live connection to this node; all others connect again by themselves, within about 0.1 s.

        libzmq cannot close one connection of a ROUTER, so the socket is made anew. Keys that ``allows`` no longer
        knows stay outside then.
        """
        self.disconnect(peer)
        if self._router is None or peer not in self._route_of:
            return
        host, _, port = self._listens_at.removeprefix("tcp://").rpartition(":")
        self._poller.unregister(self._router)
        self._router.close(0)
        self._router = None
        self._route_of.clear()
        self._listens_again = host.strip("[]"), int(port)
        self._listen_again()

    def _listen_again(self) -> None:
        """Take the port again that was let go of; the I/O thread or another program may hold it for a while yet."""
        if self._listens_again is not None:
            with suppress(InputError, zmq.ZMQError):  # taken, or this process has no socket left for it
                self.listen(*self._listens_again)
                self._listens_again = None

    def send(self, peer: bytes, frame: bytes) -> bool:
        """Hand a frame over for a peer; False if there is no connection to it or its queue is full."""
        assert len(frame) <= self._options.most_frame_bytes
        try:
            if (dealer := self._dealers.get(peer)) is not None:
                dealer.send(frame, zmq.NOBLOCK)
            elif self._router is not None and (route := self._route_of.get(peer)) is not None:
                self._router.send_multipart((route, frame), zmq.NOBLOCK)
            else:
                return self._unsent(peer)
        except zmq.Again:
            self.counts.full += 1
            self.counts.by_peer[peer] += 1
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._route_of.pop(peer, None)
            return self._unsent(peer)
        return True

    def _unsent(self, peer: bytes) -> bool:
        self.counts.unreachable += 1
        self.counts.by_peer[peer] += 1
        return False

    def watch(self, descriptor: int) -> None:
        """Let :meth:`receive` return as soon as this file descriptor can be read."""
        self._poller.register(descriptor, zmq.POLLIN)

    def receive(self, timeout_ms: int, most: int = 1_000) -> list[tuple[bytes, bytes]]:
        """Wait until something arrives, at most so long; (peer's key, frame) in order of arrival, at ``most`` so many.

        Peers are asked in turn, so one that sends without end delays the others but cannot keep them out.
        """
        self._listen_again()
        if self._listens_again is not None:
            timeout_ms = min(timeout_ms, _LISTEN_AGAIN_MS)
        found: list[tuple[bytes, bytes]] = []
        for ready, _ in self._poller.poll(max(timeout_ms, 0)):
            if ready is self._router:
                found.extend(self._from_router(self._router, most))
            elif isinstance(ready, zmq.Socket):
                found.extend(self._from_dealer(ready, most))
        return found

    def _from_router(self, router: zmq.Socket[bytes], most: int) -> Iterator[tuple[bytes, bytes]]:
        for _ in range(most):
            try:
                arrived = router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            user = arrived[-1].get("User-Id") if len(arrived) == 2 else None
            if not isinstance(user, str) or not user:
                self.counts.misshapen += 1
                continue
            peer = bytes.fromhex(user)
            self._route_of[peer] = arrived[0].bytes
            yield peer, arrived[1].bytes

    def _from_dealer(self, dealer: zmq.Socket[bytes], most: int) -> Iterator[tuple[bytes, bytes]]:
        for _ in range(most):
            try:
                arrived = dealer.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(arrived) == 1:
                yield self._peer_of[dealer], arrived[0]
            else:
                self.counts.misshapen += 1

    def is_refused(self, peer: bytes) -> bool:
        """Whether a peer that we connect to has turned our key away, or had another key, since the last call."""
        monitor, refused = self._monitors.get(peer), False
        while monitor is not None and monitor.poll(0):
            monitor.recv_multipart()
            refused = True
        return refused

    def refused(self) -> list[tuple[bytes, str]]:
        """(key, address) of those that were turned away since the last call, the newest few."""
        found = []
        with suppress(IndexError):
            while True:
                found.append(self._authenticator.refused.popleft())
        return found

    def close(self, linger_ms: int = 0) -> None:
        """Close every socket and stop the handler of keys; what is queued has so long to go out."""
        for peer in list(self._dealers):
            self._close_dealer(peer, linger_ms)
        if self._router is not None:
            self._router.close(linger_ms)
        self._authenticator.close()
        self._context.term()


def new_dealer(
    context: zmq.Context[zmq.Socket[bytes]], key: TransportKey, peer: bytes, options: SocketOptions
) -> zmq.Socket[bytes]:
    """A socket that will connect to whoever has the public key ``peer``, and connects again by itself."""
    dealer = context.socket(zmq.DEALER)
    _set_limits(dealer, options)
    dealer.setsockopt(zmq.IMMEDIATE, 1)  # nothing is queued while there is no connection: it would arrive stale
    dealer.setsockopt(zmq.RECONNECT_IVL, options.reconnect_ms)
    dealer.setsockopt(zmq.RECONNECT_IVL_MAX, options.most_reconnect_ms)
    dealer.setsockopt(zmq.CONNECT_TIMEOUT, options.connect_timeout_ms)
    dealer.curve_serverkey = peer
    dealer.curve_publickey = key.public
    dealer.curve_secretkey = key.secret
    return dealer


def _set_limits(socket: zmq.Socket[bytes], options: SocketOptions) -> None:
    """Heartbeats (a frozen or unplugged peer is noticed), bounded queues and sizes, no waiting at the end."""
    socket.setsockopt(zmq.HEARTBEAT_IVL, max(1, options.beat_ms // 3))
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _GONE_BEATS * options.beat_ms)
    socket.setsockopt(zmq.HEARTBEAT_TTL, _GONE_BEATS * options.beat_ms)
    socket.setsockopt(zmq.MAXMSGSIZE, options.most_frame_bytes)
    socket.setsockopt(zmq.SNDHWM, options.queue)
    socket.setsockopt(zmq.RCVHWM, options.queue)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.IPV6, 1)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _cannot_listen(host: str, port: int, error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return f"port {port} of {host} is taken by another program: stop it, or choose another port"
    return f"cannot listen at {host}:{port} ({error.strerror}): name an address of this machine, or 0.0.0.0 for all"
