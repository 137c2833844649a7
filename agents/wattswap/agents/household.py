"""The household agent: it reports the base load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.protocol.effects import Send
from wattswap.protocol.events import BaseRead
from wattswap.protocol.messages import BaseReport

if TYPE_CHECKING:
    from wattswap.protocol.effects import Effect
    from wattswap.protocol.events import Event


class Household:
    """The homes behind one meter. Each tick it reports to the transformer what they drew."""

    def __init__(self, name: str, transformer: str) -> None:
        self.name, self._transformer = name, transformer

    def handle(self, event: Event, now_ms: int) -> list[Effect]:  # noqa: ARG002 - a report does not depend on the time
        """Report the meter's reading."""
        if isinstance(event, BaseRead):
            return [Send(self._transformer, BaseReport(event.base_w))]
        return []

    def check(self) -> None:
        """Nothing to check: it has no state."""
