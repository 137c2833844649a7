"""What the agents of a process know and no other process sees: leases, funds and offers, for whoever watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.agents.charger import Charger
from wattswap.protocol.events import Received
from wattswap.protocol.messages import CappedOffer
from wattswap.runners.node.processes.wire import Inside
from wattswap.runners.watching.funds import Funds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattswap.protocol.events import Event
    from wattswap.runners.engines.node import Node


class Insight:
    """Gathers what has changed among the agents of one process since it was told last."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._touched: set[str] = set()
        self._offers: list[CappedOffer] = []
        self._leases: dict[str, int | None] = {}
        self._funds: dict[str, Funds] = {}

    def handled(self, name: str, event: Event) -> None:
        """An agent here has learned of something and did not refuse it."""
        self._touched.add(name)
        if type(event) is Received and type(event.message) is CappedOffer:
            self._offers.append(event.message)

    def news(self) -> Inside | None:
        """What has changed; None if nothing."""
        leases, funds = dict(self._new_leases()), dict(self._new_funds())
        offers = tuple(self._offers)
        self._touched.clear()
        self._offers.clear()
        if not (offers or leases or funds):
            return None
        self._leases |= leases
        self._funds |= funds
        return Inside(offers, leases, funds)

    def _new_leases(self) -> list[tuple[str, int | None]]:
        agents = ((name, self._nodes[name].agent) for name in self._touched)
        ends = ((name, agent.lease_ends_ms) for name, agent in agents if isinstance(agent, Charger))
        return [(name, ends_ms) for name, ends_ms in ends if ends_ms != self._leases.get(name)]

    def _new_funds(self) -> list[tuple[str, Funds]]:
        found: list[tuple[str, Funds]] = []
        for name in self._touched:
            book, before = self._nodes[name].driver.book, self._funds.get(name)
            if book is not None and (funds := Funds.of(book, before)) != before:
                found.append((name, funds))
        return found
