"""How long it takes until all peers of a transformer are back after it was killed: sockets of their own, a key each.

    python -m wattswap.experiments.bench.node_restart                  # 1,000 peers, five seconds without a transformer
    python -m wattswap.experiments.bench.node_restart --peers 200 --down 0

The transformer is a process of its own, with the gate and the sockets of every node; a peer is back when its hello was
accepted. The peers are sockets as every node makes them, all in this process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

import msgspec

from wattswap.runners.node.gate import Gate
from wattswap.runners.node.key_directory import PublicIdentity, TransportKey
from wattswap.runners.node.many_peers import LOCALHOST, ManyPeers
from wattswap.runners.node.trust import TrustStore
from wattswap.runners.node.zeromq import SocketOptions, Transport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_PATIENCE_S: Final = 120.0
_OPTIONS: Final = SocketOptions()


class RestartRow(msgspec.Struct, frozen=True):
    """One measurement."""

    peers: int
    down_s: float
    """How long there was no transformer."""
    first_s: float
    """Until all were in for the first time."""
    back_s: float
    """From the restart until all were in again."""
    busy_s: float
    """Processor seconds of both processes meanwhile."""


def a_restart(peers: int, down_s: float) -> RestartRow:
    """Kill a transformer with so many peers, start it again after ``down_s``, and measure until all are back."""
    server, keys = TransportKey.new(), [TransportKey.new() for _ in range(peers)]
    people = [_identity(number, key) for number, key in enumerate(keys)]
    process, port = _started(server.secret, people, 1, 0)
    try:
        began_s = time.monotonic()
        with closing(ManyPeers(zip(keys, (one.name for one in people), strict=True), server.public, port)) as sockets:
            sockets.all_welcome(_PATIENCE_S)
            first_s = time.monotonic() - began_s
            _kill(process)
            time.sleep(down_s)
            began_s, busy_before_s = time.monotonic(), _busy_s()
            process, _ = _started(server.secret, people, 2, port)
            sockets.all_welcome(_PATIENCE_S)
            back_s = time.monotonic() - began_s
            _kill(process)
            return RestartRow(peers, down_s, first_s, back_s, _busy_s() - busy_before_s)
    finally:
        _kill(process)


def _identity(number: int, key: TransportKey) -> PublicIdentity:
    return PublicIdentity(
        name=f"charger/{number}", role="charger", transport_key=key.public.hex(), signing_key=key.public.hex()
    )


def _started(secret: bytes, people: Sequence[PublicIdentity], epoch: int, port: int) -> tuple[BaseProcess, int]:
    """A transformer that listens, and its port. Its secret goes by the fork."""
    here, there = multiprocessing.Pipe(duplex=False)
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=_serve, args=(secret, people, epoch, port, there), daemon=True)
    process.start()
    return process, here.recv()


def _serve(secret: bytes, people: Sequence[PublicIdentity], epoch: int, port: int, listening: Connection) -> None:
    """Be a transformer's node: sockets and gate, whose hellos are answered, without an agent."""
    trust = TrustStore(people)
    gate = Gate({"transformer": "transformer"}, trust, epoch=epoch, beat_ms=_OPTIONS.beat_ms)
    with closing(Transport(TransportKey.of(secret), trust.allows, _OPTIONS)) as transport:
        listening.send(transport.listen(LOCALHOST, port))
        while True:
            for peer, data in transport.receive(1_000):
                judgement = gate.judge(peer, data, time.monotonic_ns() // 1_000_000)
                if judgement.answer is not None:
                    transport.send(peer, judgement.answer)


def _busy_s() -> float:
    """Processor seconds of this process and of those that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _kill(process: BaseProcess) -> None:
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join()


def main() -> None:
    """Print the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=int, default=1_000)
    parser.add_argument("--down", type=float, default=5.0, help="seconds without a transformer")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    for _ in range(asked.repeats):
        row = a_restart(asked.peers, asked.down)
        print(
            f"{row.peers} peers: in after {row.first_s:.2f} s; after {row.down_s:g} s without it back after"
            f" {row.back_s:.2f} s, with {row.busy_s:.2f} s of a processor's work"
        )


if __name__ == "__main__":
    main()
