"""Bare pyzmq, a frame a message: what rounds on the wire are measured against."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import zmq

if TYPE_CHECKING:
    from collections.abc import Sequence


def bare_ms(sizes: Sequence[int]) -> float:
    """How long bare pyzmq takes for messages of these sizes, a frame each, by the same two kinds of socket."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as here, context.socket(zmq.DEALER) as there:
        here.setsockopt(zmq.RCVHWM, 0)
        there.setsockopt(zmq.SNDHWM, 0)
        there.connect(f"tcp://127.0.0.1:{here.bind_to_random_port('tcp://127.0.0.1')}")
        there.send(b"")
        here.recv_multipart()
        frames = [bytes(size) for size in sizes]
        began = perf_counter()
        for frame in frames:
            there.send(frame)
        for _ in frames:
            here.recv_multipart()
        return (perf_counter() - began) * 1_000
