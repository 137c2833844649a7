"""The network on which nothing goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattswap.runners.engines.node import Node


class PerfectNetwork:
    """Every message arrives at once, and once."""

    def arrivals(self, sender: Node, to: Node, now_ms: int) -> tuple[int]:  # noqa: ARG002 - whoever they are
        """Now."""
        return (now_ms,)

    def unheard(self) -> None:
        """Nobody crashes here."""
