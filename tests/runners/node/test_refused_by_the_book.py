"""A payment that its book refuses is one line in a node's log, and the node goes on, now and after each start."""

from __future__ import annotations

from typing import cast

import structlog
from structlog.testing import capture_logs

from wattswap.ledger.book import Book
from wattswap.protocol.effects import Bill, Effect, Pay, Send
from wattswap.protocol.events import Event, Restarted, Woken
from wattswap.protocol.messages import AWARD, Ack, Message
from wattswap.runners.engines.node import Node
from wattswap.runners.engines.store import MemoryStore
from wattswap.runners.node.hosted_agent import HostedAgent
from wattswap.runners.node.sensors import Sensor

SAID = Ack(AWARD, 7, 1)
NEVER_RESERVED = Pay("0.3/s8", 8, 3, "s8", "kim", 4)


class Biller:
    """An agent that bills a session twice and pays what was never reserved, whenever it starts."""

    name = "transformer"
    owes = 0

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        bills: list[Effect] = [Bill(7, "s7", "zoe", 100), Bill(9, "s7", "max", 5), NEVER_RESERVED, Send("A", SAID)]
        return bills if isinstance(event, Woken | Restarted) else []

    def check(self) -> None:
        """It is always in order."""


def test_a_node_whose_book_refuses_a_bill_says_so_and_goes_on():
    posted: list[Message] = []
    store, opening = MemoryStore(), Book(1_000)
    with capture_logs() as logs:
        for _ in range(2):
            node = HostedAgent(
                lambda host: Node(Biller, host, store, opening),
                cast("Sensor", None),
                structlog.get_logger(),
                post=lambda _sender, _to, message: posted.append(message),
                refused=lambda _sender: None,
                beat_ms=30_000,
            )
            node.start()
            assert node.learn(0)
    assert [log["why"] for log in logs if log["event"] == "not booked"] == [
        "bill 's7' came first as ('zoe', 100), now as ('max', 5)",
        "settle '0.3/s8': nothing is reserved under this key; stay 's8' is not billed before",
    ] * 2
    assert posted == [SAID] * 2
    assert [entry[:3] for entry in store.entries()] == [("fund", "opening", "site"), ("bill", "s7", "zoe")]
