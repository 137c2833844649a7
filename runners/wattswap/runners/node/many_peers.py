"""Many peers of one node in one process, each with a socket and a key of its own: what a restart is measured with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import zmq

from wattswap.runners.node.frames import FRAME_VERSION, Hello, encode_frame
from wattswap.runners.node.zeromq import SocketOptions, new_dealer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wattswap.runners.node.key_directory import TransportKey

LOCALHOST: Final = "127.0.0.1"
_OPTIONS: Final = SocketOptions()
_POLL_MS: Final = 20


class ManyPeers:
    """Sockets as every node makes them, without the node."""

    def __init__(self, peers: Iterable[tuple[TransportKey, str]], server: bytes, port: int) -> None:
        """Connect each peer (key, name) to the node with the key ``server`` at a port of this machine."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, _OPTIONS.most_sockets)
        self._hellos: dict[zmq.Socket[bytes], bytes] = {}
        for key, name in peers:
            dealer = new_dealer(self._context, key, server, _OPTIONS)
            dealer.connect(f"tcp://{LOCALHOST}:{port}")
            self._hellos[dealer] = encode_frame(Hello(FRAME_VERSION, 1, _OPTIONS.beat_ms, (name,)))

    def all_welcome(self, patience_s: float) -> None:
        """Say hello as soon as there is a connection, and again every beat, until all were answered.

        Raises:
            TimeoutError: they were not, for so long.
        """
        waiting, told_s = set(self._hellos), dict[zmq.Socket[bytes], float]()
        poller = zmq.Poller()
        for dealer in waiting:
            poller.register(dealer, zmq.POLLIN | zmq.POLLOUT)
        ends_s = time.monotonic() + patience_s
        while waiting:
            if (now_s := time.monotonic()) > ends_s:
                raise TimeoutError(f"{len(waiting)} of {len(self._hellos)} peers are not welcome after {patience_s} s")
            for dealer, state in poller.poll(_POLL_MS):
                if state & zmq.POLLIN:
                    dealer.recv(zmq.NOBLOCK)
                    waiting.discard(dealer)
                    poller.unregister(dealer)
                else:
                    dealer.send(self._hellos[dealer], zmq.NOBLOCK)
                    told_s[dealer] = now_s
                    poller.register(dealer, zmq.POLLIN)
            for dealer in [dealer for dealer, at_s in told_s.items() if now_s - at_s >= _OPTIONS.beat_ms / 1_000]:
                del told_s[dealer]
                if dealer in waiting:
                    poller.register(dealer, zmq.POLLIN | zmq.POLLOUT)

    def close(self) -> None:
        """Close all sockets."""
        for dealer in self._hellos:
            dealer.close(0)
        self._context.term()
