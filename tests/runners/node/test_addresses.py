"""Where a node looks for the one above it: anybody on the network may announce an address, and none takes one away."""

from __future__ import annotations

from typing import cast

import pytest
from tests.runners.node.people import Person

from wattswap.runners.node.frames import FRAME_VERSION, Welcome, encode_frame
from wattswap.runners.node.gate import Gate
from wattswap.runners.node.messenger import TICKS_A_BEAT, Messenger
from wattswap.runners.node.trust import TrustStore
from wattswap.runners.node.zeromq import Transport

BEAT_MS = 1_000
TRUE = "192.168.1.10", 9_700


class OneAddress:
    """The sockets of a node to whoever is at ``TRUE``, while somebody is there; at other addresses is nobody."""

    def __init__(self) -> None:
        self.there, self.at = True, ("", 0)
        self.arrived: list[tuple[bytes, bytes]] = []

    def connect(self, peer: bytes, host: str, port: int) -> None:
        self.at, self.arrived = (host, port), []
        self.answer(peer)

    def answer(self, peer: bytes) -> None:
        if self.there and self.at == TRUE:
            self.arrived.append((peer, encode_frame(Welcome(FRAME_VERSION, 1, BEAT_MS, ("transformer",)))))

    def send(self, peer: bytes, _frame: bytes) -> bool:
        self.answer(peer)
        return True

    def receive(self, _timeout_ms: int) -> list[tuple[bytes, bytes]]:
        arrived, self.arrived = self.arrived, []
        return arrived

    def is_refused(self, _peer: bytes) -> bool:
        return False

    def refused(self) -> list[tuple[bytes, str]]:
        return []


@pytest.mark.parametrize("configured", [True, False], ids=["written down", "found, and once connected to"])
def test_no_number_of_false_announcements_takes_the_true_address_away(configured):
    transformer, network, now_ms = Person("transformer", "transformer"), OneAddress(), 0
    trust = TrustStore([transformer.identity])
    gate = Gate({"charger/1": "charger"}, trust, epoch=1, beat_ms=BEAT_MS)
    messenger = Messenger(cast("Transport", network), gate, trust, beat_ms=BEAT_MS, clock=lambda: now_ms)
    peer = transformer.key.public

    def run(beats: int, *, until_open: bool = False, announcing: bool = False) -> None:
        nonlocal now_ms
        for _ in range(beats * TICKS_A_BEAT):
            if until_open and gate.is_open(peer):
                return
            if announcing:
                messenger.connect(transformer.identity, "10.66.6.6", 1 + now_ms % 60_000)
            messenger.tick()
            messenger.receive(0)
            now_ms += BEAT_MS // TICKS_A_BEAT
        assert gate.is_open(peer) or not until_open, network.at

    network.there = not configured
    messenger.connect(transformer.identity, *TRUE, configured=configured)
    if not configured:
        run(3, until_open=True)
        run(1)
    network.there = False
    run(30, announcing=True)
    gate.forget(peer)
    network.there = True
    run(60, until_open=True, announcing=True)
    assert network.at == TRUE
