"""Sockets under load: full queues, storms of connections, floods of frames, ports that are not free at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
import zmq
from tests.runners.node.people import Person, is_linked, link, node, until
from tests.runners.node.test_sockets import DEPARTED, RELEASE, REPORT, street

from wattswap.experiments.bench.node_restart import a_restart
from wattswap.protocol.errors import InputError
from wattswap.runners.node.auth import DOMAIN
from wattswap.runners.node.trust import TrustStore
from wattswap.runners.node.zeromq import SocketOptions, Transport


def test_a_peer_that_takes_nothing_fills_only_its_own_queue():
    """Frames to it are refused and counted; another peer is served all the while."""
    transformer, slow, quick = street()
    with (
        node(transformer, [slow, quick], listens=True, queue=4) as upper,
        node(slow, [transformer], queue=4) as idle,
        node(quick, [transformer]) as busy,
    ):
        link(upper, idle)
        link(upper, busy)
        frame = b"x" * 60_000
        end = time.monotonic() + 20
        while upper.transport.counts.full < 100 and time.monotonic() < end:
            upper.transport.send(slow.key.public, frame)
        assert upper.transport.counts.full >= 100
        upper.messenger.send("transformer", "charger/2", RELEASE)
        until(lambda: busy.heard, upper, busy)


def test_options_stand_before_the_socket_is_bound():
    transport = Transport(Person("t", "transformer").key, lambda _key: True, SocketOptions(beat_ms=900, queue=7))
    try:
        transport.listen("127.0.0.1", 0)
        router = transport._router
        assert router is not None
        assert router.getsockopt(zmq.HEARTBEAT_IVL) == 300
        assert router.getsockopt(zmq.HEARTBEAT_TIMEOUT) == 2_700
        assert router.getsockopt(zmq.SNDHWM) == router.getsockopt(zmq.RCVHWM) == 7
        assert router.getsockopt(zmq.MAXMSGSIZE) == 65_536
        assert router.getsockopt_string(zmq.ZAP_DOMAIN) == DOMAIN
    finally:
        transport.close()


@pytest.mark.parametrize("peers", [200, pytest.param(1_000, marks=pytest.mark.long)])
def test_all_are_back_after_the_transformer_was_killed_and_started_again(peers):
    """How long it takes is measured by `python -m wattswap.experiments.bench.node_restart`."""
    row = a_restart(peers, down_s=0.0)
    assert row.back_s > 0


def test_ten_thousand_malformed_frames_over_a_trusted_connection_disturb_nobody():
    """The hostile one holds a key that is let in; it floods, cuts frames into parts and sends one that is too long."""
    transformer, hostile, honest = street()
    luck = random.Random(10_000)
    with (
        node(transformer, [hostile, honest], listens=True) as upper,
        node(hostile, [transformer]) as liar,
        node(honest, [transformer]) as friend,
    ):
        link(upper, liar)
        link(upper, friend)
        [dealer] = liar.transport._dealers.values()
        sent = 0
        while sent < 10_000:
            for _ in range(100):
                parts = [luck.randbytes(luck.randrange(1, 200)) for _ in range(luck.choice((1, 1, 1, 3)))]
                try:
                    dealer.send_multipart(parts, zmq.NOBLOCK)
                except zmq.Again:
                    break
                sent += 1
            friend.messenger.send("charger/2", "transformer", REPORT)
            friend.turn(0)
            upper.turn(0)
        until(lambda: upper.heard, upper, friend)
        assert {sender for sender, _, _ in upper.heard} == {"charger/2"}
        counts = upper.gate.counts
        assert counts.malformed + counts.muted + counts.over_allowance + upper.transport.counts.misshapen > 5_000
        assert is_linked(upper, friend)
        until(lambda: dealer.poll(0, zmq.POLLOUT), upper, friend)
        dealer.send(b"\x94" + bytes(70_000), zmq.NOBLOCK)  # longer than any frame: the connection is dropped
        friend.messenger.send("charger/2", "transformer", DEPARTED)
        until(lambda: any(message == DEPARTED for _, _, message in upper.heard), upper, friend)


def test_a_port_that_cannot_be_had_again_at_once_is_tried_until_it_can(monkeypatch):
    """Somebody else holds the port when a revoked key is cut: the node runs on, and listens as soon as it is free."""
    transformer, charger, other = street()
    with node(transformer, [charger, other], listens=True) as upper, node(other, [transformer]) as good:
        link(upper, good)
        with node(charger, [transformer]) as bad:
            link(upper, bad)
        refusals = iter([True] * 5)
        listen: Callable[[str, int], int] = upper.transport.listen

        def taken(host: str, port: int) -> int:
            if next(refusals, False):
                raise InputError(f"port {port} is taken")
            return listen(host, port)

        monkeypatch.setattr(upper.transport, "listen", taken)
        upper.messenger.trust(TrustStore([other.identity], [charger.identity]))
        until(lambda: upper.heard or good.messenger.send("charger/2", "transformer", REPORT), upper, good)
        assert next(refusals, None) is None
