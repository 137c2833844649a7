"""What an agent refuses is held against the one who said it, from the agent down to the gate."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.runners.node.people import Person

from wattswap.protocol.codec import encode
from wattswap.protocol.errors import RemoteProtocolError
from wattswap.protocol.events import Received
from wattswap.protocol.messages import Departed
from wattswap.runners.node.frames import FRAME_VERSION, Bundle, Envelope, Hello, encode_frame
from wattswap.runners.node.gate import STRIKES, Gate
from wattswap.runners.node.hosted_agent import HostedAgent
from wattswap.runners.node.json_log import json_log
from wattswap.runners.node.messenger import Messenger
from wattswap.runners.node.node_host import NodeHost
from wattswap.runners.node.sensors import NoSensor
from wattswap.runners.node.sparing_log import LINES_A_WHILE
from wattswap.runners.node.trust import TrustStore

FORGED = Departed(7, 0, 0)


class Strict:
    """An agent that accepts nothing."""

    name = "transformer"

    def handle(self, event: Received, _now_ms: int) -> list[Any]:
        raise RemoteProtocolError(f"{event.sender} has not signed")


@pytest.fixture
def charger() -> Person:
    return Person("charger/1", "charger")


def test_whoever_is_refused_again_and_again_is_not_listened_to_and_takes_a_few_lines_of_the_log(charger):
    trust, stream = TrustStore([charger.identity]), io.StringIO()
    gate = Gate({"transformer": "transformer"}, trust, epoch=1, beat_ms=1_000)
    messenger = Messenger(cast("Any", None), gate, trust, beat_ms=1_000, clock=lambda: 0)
    log = json_log(stream)
    host = NodeHost(
        messenger,
        cast("Any", None),
        (),
        log,
        roles={"transformer": "transformer"},
        beat_ms=1_000,
        lease_ms=5_000,
        trust=cast("Any", None),
    )
    agent = HostedAgent(
        lambda _: cast("Any", SimpleNamespace(agent=Strict())),
        NoSensor(),
        log,
        post=host.post,
        refused=host.refused,
        beat_ms=1_000,
    )
    host.host(agent)
    peer = charger.key.public
    gate.judge(peer, encode_frame(Hello(FRAME_VERSION, 1, 1_000, (charger.name,))), 0)
    envelope = Envelope(charger.name, "transformer", encode(FORGED))
    heard = 0
    for seq in range(1, 2 * STRIKES // 5 + 1):
        frame = encode_frame(Bundle(FRAME_VERSION, 1, seq, (envelope,) * 5))
        for sender, _, said in gate.judge(peer, frame, 0).heard:
            heard += 1
            agent.hear(sender, said)
        agent.learn(0)
    assert heard == STRIKES
    assert stream.getvalue().count("charger/1 has not signed") == LINES_A_WHILE
