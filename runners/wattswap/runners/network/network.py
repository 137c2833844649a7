"""What carries messages between the nodes of a simulated street."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattswap.runners.engines.node import Node


class Network(Protocol):
    """Decides when messages arrive."""

    def arrivals(self, sender: Node, to: Node, now_ms: int) -> Sequence[int]:
        """The instants at which a message that is sent now arrives: one, two, or none if it is lost."""

    def unheard(self) -> None:
        """A message arrived at an agent that had crashed."""
